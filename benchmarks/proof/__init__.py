"""The proof that two files are one function: match their weights, compare, diagnose."""
