"""Penalized fixed effects, of which there may be more than rows."""
