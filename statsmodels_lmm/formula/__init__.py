"""From formula text to design arrays."""
