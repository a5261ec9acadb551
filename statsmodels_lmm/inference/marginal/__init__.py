"""Estimated marginal means and their comparisons."""
