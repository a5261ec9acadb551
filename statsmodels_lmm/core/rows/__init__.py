"""What has a row for each observation: effects of both kinds, and their units."""
