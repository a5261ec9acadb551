"""Models: their data, likelihood and fit."""
