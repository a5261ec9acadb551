"""Dense and sparse matrices, and derivatives by finite differences."""
