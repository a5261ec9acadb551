"""Estimated marginal means and comparisons of them."""
