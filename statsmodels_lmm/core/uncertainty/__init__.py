"""Uncertainty of the estimates at an optimum."""
