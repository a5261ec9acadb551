"""Models of rows that arrive in batches, from files and tables beyond memory."""
