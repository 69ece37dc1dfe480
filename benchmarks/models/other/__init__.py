"""Models of tables and of graphs."""
