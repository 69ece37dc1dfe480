"""Models that the shipped ones are not: several inputs, outputs and losses, none, or an own one."""
