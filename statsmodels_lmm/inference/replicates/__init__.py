"""Simulated responses, and refits to them."""
