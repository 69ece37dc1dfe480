"""What can be read from outside of a running process; every file here is one probe."""
