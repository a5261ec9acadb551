"""The conditional distributions of a response given its linear predictor."""
