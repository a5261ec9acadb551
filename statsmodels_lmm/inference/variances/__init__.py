"""Variance parameters: standard errors, profiles and shares."""
