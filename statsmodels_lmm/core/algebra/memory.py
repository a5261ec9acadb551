"""Checks for free memory before large arrays are allocated."""

import os
import time
from functools import lru_cache
from pathlib import Path

GROUP = Path("/sys/fs/cgroup")
"""Directories in which Linux states the memory limits of a container."""


def available_bytes():
    """
    Memory available now.

    Returns
    -------
    int or None
        The system's free memory, or what remains of a container's limit if that is
        less; None if unknown.
    """
    return _available_at(int(time.monotonic()))


@lru_cache(maxsize=1)
def _available_at(second):
    """`available_bytes`, read at most once a second because small fits ask often."""
    return min(filter(None, (_of_system(), *_of_group())), default=None)


def _of_system():
    """Memory that is free or merely caches files."""
    try:
        return 1024 * _counts(Path("/proc/meminfo"))["MemAvailable:"]
    except (OSError, KeyError, ValueError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _of_group():
    """What remains of a container's limits."""
    for folder, limit, usage, cache in (
        (GROUP, "memory.max", "memory.current", "inactive_file"),
        (
            GROUP / "memory",
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
            "total_inactive_file",
        ),
    ):
        try:
            free = int((folder / limit).read_text()) - int((folder / usage).read_text())
            free += _counts(folder / "memory.stat").get(cache, 0)
        except (OSError, ValueError):  # no such group, or no limit
            continue
        yield max(free, 1)


def _counts(path):
    """A dict from a file whose lines hold a name and a number."""
    lines = [line.split() for line in path.read_text().splitlines()]
    return {line[0]: int(line[1]) for line in lines if len(line) > 1}


def needed_bytes(plan, coupled_densely):
    """
    Peak memory of one evaluation of the criterion and its gradient.

    Parameters
    ----------
    plan : EliminationPlan
        Order of the terms.
    coupled_densely : bool
        Whether the coupling of chain and tail is stored as an array.

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
    Reject a model with a dense part that does not fit.

    Parameters
    ----------
    plan : EliminationPlan
        Order of the terms.
    coupled_densely : bool
        Whether the coupling of chain and tail is stored as an array.

    Raises
    ------
    MemoryError
        States how much would be needed and for what.
    """
    chain = " + ".join(f"{f.n_levels:,} x {f.k_effects}" for f in plan.chain)
    require_memory(
        4 * 8 * sum(f.n_levels * f.k_effects**2 for f in plan.chain),
        f"a block for each level ({chain} effects)",
        "Fewer effects per term would need less memory",
    )
    sizes = " + ".join(f"{f.n_levels:,} x {f.k_effects}" for f in plan.tail)
    require_memory(
        needed_bytes(plan, coupled_densely),
        f"the random effects that remain after the largest term ({sizes} columns) "
        "need a dense matrix",
        "Fewer levels or effects in the smaller terms would need less memory",
    )


def check_parameters(count):
    """
    Reject a model with too many variance parameters for a Hessian.

    Parameters
    ----------
    count : int
        Number of relative covariance parameters.

    Raises
    ------
    MemoryError
    """
    require_memory(
        3 * 8 * count**2,
        f"the second derivatives of {count:,} variance parameters",
        "Fewer effects per term, or a structure with fewer parameters such as "
        "diag, would need less memory",
    )


def require_memory(needed, purpose, instead):
    """
    Raise MemoryError unless an allocation fits.

    Parameters
    ----------
    needed : int
        Bytes.
    purpose : str
        Purpose of the allocation.
    instead : str
        An alternative that needs less memory.

    Raises
    ------
    MemoryError
        States how much would be needed and how much is free.
    """
    available = available_bytes()
    if available is not None and needed > available:
        raise MemoryError(
            f"{purpose}: about {needed / 2**30:,.1f} GiB, "
            f"{available / 2**30:,.1f} GiB are free. {instead}"
        )
