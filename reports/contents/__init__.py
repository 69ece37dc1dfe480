"""What a report says of a run, as words and plain tables, whatever shows it."""
