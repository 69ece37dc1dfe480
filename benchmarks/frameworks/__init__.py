"""One folder per framework. Importing a folder imports no framework: its modules do."""
