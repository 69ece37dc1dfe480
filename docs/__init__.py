"""The documentation: Markdown pages, and the code that writes the parts made from the sources."""
