"""B-splines of both formula engines, with degree and knots checked."""

from types import SimpleNamespace

import numpy as np
import patsy
from formulaic.transforms import basis_spline
from formulaic.utils.stateful_transforms import stateful_transform
from patsy.splines import BS as PatsyBS

MAX_DEGREE = 5
"""Largest degree; SciPy uses arrays of fixed length without checking it."""


def check_spline(degree=3, knots=None, lower_bound=None, upper_bound=None):
    """
    Reject a B-spline of too high a degree or with knots that are not finite.

    Parameters
    ----------
    degree : int, optional
        Degree of the polynomials, 0 to `MAX_DEGREE`.
    knots : array_like, optional
        Inner knots.
    lower_bound, upper_bound : float, optional
        Boundary knots.

    Raises
    ------
    ValueError
    """
    is_whole = isinstance(degree, int | np.integer) and not isinstance(degree, bool)
    if not is_whole or not 0 <= degree <= MAX_DEGREE:
        raise ValueError(
            f"the degree of bs() must be a whole number from 0 to {MAX_DEGREE}, not "
            f"{degree!r}"
        )
    for what, given in (
        ("knots", knots),
        ("lower_bound", lower_bound),
        ("upper_bound", upper_bound),
    ):
        if given is not None and not np.isfinite(np.asarray(given, dtype=float)).all():
            raise ValueError(f"{what} of bs() must be finite")


class BS(PatsyBS):
    """The ``bs`` of patsy with degree and knots checked."""

    def memorize_chunk(
        self,
        x,
        df=None,
        knots=None,
        degree=3,
        include_intercept=False,
        lower_bound=None,
        upper_bound=None,
    ):
        """Collect a chunk of rows."""
        check_spline(degree, knots, lower_bound, upper_bound)
        bounds = lower_bound, upper_bound
        super().memorize_chunk(x, df, knots, degree, include_intercept, *bounds)


@stateful_transform
def _formulaic_bs(
    x,
    df=None,
    knots=None,
    degree=3,
    include_intercept=False,
    lower_bound=None,
    upper_bound=None,
    extrapolation="raise",
    _state=None,
):
    """The ``bs`` of formulaic with degree and knots checked."""
    check_spline(degree, knots, lower_bound, upper_bound)
    return basis_spline(
        x,
        df=df,
        knots=knots if knots is None else np.sort(knots),
        degree=degree,
        include_intercept=include_intercept,
        lower_bound=lower_bound,
        upper_bound=upper_bound,
        extrapolation=extrapolation,
        _state=_state,
    )


CHECKED = {"patsy": patsy.stateful_transform(BS), "formulaic": _formulaic_bs}
"""The function ``bs`` of each engine."""


def checked(value):
    """
    Replace an engine's ``bs`` among the caller's values by the checked one.

    Parameters
    ----------
    value : object
        Value of a name where the formula was written.

    Returns
    -------
    object
    """
    if value is patsy.bs:
        return CHECKED["patsy"]
    if value is patsy:  # for patsy.bs(...)
        return SimpleNamespace(**{**vars(patsy), "bs": CHECKED["patsy"]})
    return CHECKED["formulaic"] if value is basis_spline else value
