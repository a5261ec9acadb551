"""Arrays with one row per observation: both kinds of effects, and their units."""
