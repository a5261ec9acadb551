"""The interface of statsmodels' MixedLM."""
