"""Which designs are fitted to many responses at once."""

MAX_BATCHED_TAIL = 250
"""Number of tail columns up to which many fits at once beat one after another."""

MAX_BATCHED_EFFECTS = 5000
"""Number of random effects up to which they do."""


def is_batchable(products):
    """Whether many fits of this design can and are best done at once."""
    plan = products.plan
    structured = any(f.is_structured for f in plan.terms)
    return (products.is_batchable and not structured) and (
        plan.n_tail <= MAX_BATCHED_TAIL
        and sum(f.n_columns for f in plan.terms) <= MAX_BATCHED_EFFECTS
    )
