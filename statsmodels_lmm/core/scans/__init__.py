"""Many candidate columns, each beside the fixed effects of one model."""
