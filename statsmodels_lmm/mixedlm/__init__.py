"""The face of statsmodels' MixedLM."""
