"""Fits without some of the rows or groups."""
