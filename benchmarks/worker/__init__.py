"""The process that runs one twin in one framework, and how its parent speaks to it."""
