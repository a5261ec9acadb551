"""The criterion to be minimized, its derivatives and where to start."""
