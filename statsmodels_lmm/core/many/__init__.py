"""Fits of one design to many responses."""
