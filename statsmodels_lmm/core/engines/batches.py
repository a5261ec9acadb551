"""The choice between simultaneous and successive fits to many responses."""

MAX_BATCHED_TAIL = 250
"""Number of tail columns up to which simultaneous fits beat successive ones."""

MAX_BATCHED_EFFECTS = 5000
"""Number of random effects up to which simultaneous fits beat successive ones."""


def is_batchable(products):
    """Whether many fits of this design can, and should, be done at once."""
    plan = products.plan
    structured = any(f.is_structured for f in plan.terms)
    return (products.has_batch_axes and not structured) and (
        plan.n_tail <= MAX_BATCHED_TAIL
        and sum(f.n_columns for f in plan.terms) <= MAX_BATCHED_EFFECTS
    )
