"""The results of a fit."""
