"""The pictures of a run, with the tables beside them."""
