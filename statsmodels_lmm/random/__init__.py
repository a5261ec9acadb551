"""Random effects of a model."""
