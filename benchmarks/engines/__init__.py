"""What adapters on the same engine share; a file here is named after its engine."""
