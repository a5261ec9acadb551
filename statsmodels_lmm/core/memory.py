"""Ask whether there is room before a large array is allocated."""

import os


def available_bytes():
    """Physical memory that is free now, None where the system does not tell."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def needed_bytes(plan, coupled_densely):
    """
    Peak memory of one evaluation of the criterion and its gradient.

    Parameters
    ----------
    plan : EliminationPlan
        Order of the factors.
    coupled_densely : bool
        Whether the coupling of chain and tail is held as an array.

    Returns
    -------
    int
    """
    q = plan.n_tail
    entries = 6 * q**2
    if coupled_densely:
        entries += 3 * q * sum(f.n_columns for f in plan.chain)
    return 8 * entries


def check_memory(plan, coupled_densely):
    """
    Refuse a model whose dense part does not fit.

    Parameters
    ----------
    plan : EliminationPlan
        Order of the factors.
    coupled_densely : bool
        Whether the coupling of chain and tail is held as an array.

    Raises
    ------
    MemoryError
        Says how much would be needed and for what.
    """
    sizes = " + ".join(f"{f.n_levels:,} x {f.k_effects}" for f in plan.tail)
    require_memory(
        needed_bytes(plan, coupled_densely),
        f"the random effects that remain after the largest factor ({sizes} columns) "
        "need a dense matrix",
        "Fewer levels or effects of the smaller factors would need less",
    )


def require_memory(needed, purpose, instead):
    """
    Refuse what does not fit.

    Parameters
    ----------
    needed : int
        Bytes.
    purpose : str
        What needs them.
    instead : str
        What would need less.

    Raises
    ------
    MemoryError
        Says how much would be needed and how much is free.
    """
    available = available_bytes()
    if available is not None and needed > available:
        raise MemoryError(
            f"{purpose}: about {needed / 2**30:,.1f} GiB, "
            f"{available / 2**30:,.1f} GiB are free. {instead}"
        )
