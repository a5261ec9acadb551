"""Penalized fits of models with many fixed effects, and the choice among them."""
