"""Cross-products and their elimination."""
