"""Variance parameters: their errors, profiles and shares."""
