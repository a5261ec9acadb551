"""Influence of rows and groups, measured by deleting them."""
