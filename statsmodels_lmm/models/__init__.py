"""Models, with their data, likelihood and fit."""
