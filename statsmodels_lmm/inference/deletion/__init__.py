"""Influence of rows and groups through their deletion."""
