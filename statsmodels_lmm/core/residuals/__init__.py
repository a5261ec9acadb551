"""Errors that are correlated within groups of rows, or of unequal variance."""
