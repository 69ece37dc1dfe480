"""Models that are trained by several losses in turn."""
