"""One file per phase; the file name is the name of the phase."""
