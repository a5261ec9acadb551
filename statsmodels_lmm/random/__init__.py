"""The random effects of a model."""
