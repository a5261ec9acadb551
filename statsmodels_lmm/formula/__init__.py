"""Formula text to design arrays."""
