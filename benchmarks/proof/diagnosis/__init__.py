"""Why twins differ: what they state, where they part, the likeliest cause, the line to write."""
