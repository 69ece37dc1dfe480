"""How a dialect stores what every twin has: one rule per layer type, none per model."""
