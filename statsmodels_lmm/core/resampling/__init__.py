"""Draws of responses, and many fits."""
