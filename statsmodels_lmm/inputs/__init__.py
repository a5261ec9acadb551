"""The tables, rows and numbers that users bring."""
