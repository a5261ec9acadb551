"""Tests and degrees of freedom for the fixed effects."""
