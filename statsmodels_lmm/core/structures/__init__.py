"""How a covariance matrix depends on its parameters."""
