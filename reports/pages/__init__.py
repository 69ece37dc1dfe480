"""Writes the report of a run: the page, the Markdown, the table and the pictures."""
