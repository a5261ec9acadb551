"""What has a row for each observation: random effects, fixed effects, and their units."""
