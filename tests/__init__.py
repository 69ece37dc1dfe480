"""What must hold: every module of the suite, tried without a GPU and without a network."""
