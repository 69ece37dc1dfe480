"""How results lie on disk: records as JSON, the journal, safe files."""
