"""What is minimized, with its derivatives, and where to start."""
