"""Simulated responses, and many fits at once."""
