"""Minimization of the criterion."""
