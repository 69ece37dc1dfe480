"""One file per framework; the file name is the name of the adapter."""
