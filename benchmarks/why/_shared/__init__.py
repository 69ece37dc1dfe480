"""What the commands of `python -m profilers` share."""
