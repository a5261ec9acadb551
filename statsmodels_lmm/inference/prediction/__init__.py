"""Predictions and prediction intervals."""
