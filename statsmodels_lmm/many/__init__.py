"""Many models at once: one design and many responses."""
