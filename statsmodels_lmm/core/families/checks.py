"""What disqualifies a response."""

import numpy as np

WHOLE = 1e-6
"""Relative deviation from a whole number that is attributed to rounding."""


def first_problem(*problems):
    """The first pair (text, mask) whose mask selects a row, or None."""
    return next(((text, mask) for text, mask in problems if mask.any()), None)


def is_broken(counts):
    """Whether counts are not whole numbers."""
    with np.errstate(invalid="ignore"):
        error = np.abs(counts - np.round(counts))
    return error > WHOLE * np.maximum(1.0, np.abs(counts))


def problem_with_counts(y):
    """Missing, negative or broken counts."""
    return first_problem(
        ("has missing or infinite values", ~np.isfinite(y)),
        ("has negative values", y < 0.0),
        ("has values that are not whole numbers", is_broken(y)),
    )


def problem_with_positive(y):
    """Missing values, or values that are not positive."""
    return first_problem(
        ("has missing or infinite values", ~np.isfinite(y)),
        ("has values that are not positive", y <= 0.0),
    )
