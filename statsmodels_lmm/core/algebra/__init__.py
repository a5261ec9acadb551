"""Matrices: dense, sparse, and derivatives by differences."""
