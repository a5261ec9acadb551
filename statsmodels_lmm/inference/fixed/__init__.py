"""Tests and degrees of freedom of the fixed effects."""
