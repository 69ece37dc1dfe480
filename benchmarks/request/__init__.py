"""What was asked for, and the plan that it makes: flags, selections, names, matchups."""
