"""Arrays to estimates: pure functions and frozen dataclasses."""
