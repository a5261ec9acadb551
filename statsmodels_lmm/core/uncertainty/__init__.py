"""What follows from an optimum."""
