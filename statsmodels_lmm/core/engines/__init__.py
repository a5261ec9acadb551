"""Cross-products, and the elimination of the random effects from them."""
