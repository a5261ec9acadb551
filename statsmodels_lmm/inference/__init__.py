"""Inference from a fitted model, as functions of a result."""
