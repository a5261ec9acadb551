"""Transforms of R that patsy lacks, or that it computes row by row."""

import numpy as np
import pandas as pd
import patsy
from formulaic.transforms import stateful_transform
from patsy.state import Standardize as PatsyStandardize
from patsy.util import atleast_2d_column_default, wide_dtype_for
from scipy.interpolate import BSpline

from statsmodels_lmm.formula.splines import CHECKED


class Poly:
    """
    Orthogonal polynomials as in R's ``poly``; patsy keeps them for prediction.

    The columns come from the three-term recurrence of Kennedy and Gentle
    (1980, pp. 343-344) and have norm 1 over the data.
    """

    def __init__(self):
        self._chunks = []
        self._degree = 0

    def memorize_chunk(self, x, degree=1):
        """Collect a chunk of rows."""
        self._chunks.append(np.asarray(x, dtype=float))
        self._degree = degree

    def memorize_finish(self):
        """Compute the coefficients of the recurrence."""
        x = np.concatenate(self._chunks)
        del self._chunks
        self._centers, self._norms = [], [float(len(x))]
        before, column = np.zeros_like(x), np.ones_like(x)
        for _ in range(self._degree):
            self._centers.append((x * column**2).sum() / (column**2).sum())
            following = (x - self._centers[-1]) * column
            if len(self._norms) > 1:
                following -= self._norms[-1] / self._norms[-2] * before
            before, column = column, following
            self._norms.append((column**2).sum())

    def transform(self, x, degree=1):
        """Evaluate the polynomials of degree 1, ..., `degree`."""
        x = np.asarray(x, dtype=float)
        before, column = np.zeros_like(x), np.ones_like(x)
        columns = []
        for i, center in enumerate(self._centers):
            following = (x - center) * column
            if i:
                following -= self._norms[i] / self._norms[i - 1] * before
            before, column = column, following
            columns.append(column / np.sqrt(self._norms[i + 1]))
        return np.column_stack(columns)


def natural_knots(x, df=None, knots=None):
    """
    Knots of a natural cubic spline, at quantiles as in R's ``ns``.

    Parameters
    ----------
    x : array_like
        Data, shape (n,).
    df : int, optional
        Number of columns, one more than inner knots. Default is 1, a straight line.
    knots : array_like, optional
        Inner knots, instead of `df`.

    Returns
    -------
    ndarray
        The inner knots, between the smallest and the largest value.
    """
    x = np.asarray(x, dtype=float)
    if knots is None:
        if df is not None and (df != int(df) or df < 1):
            raise ValueError(f"ns() needs a whole number of columns, not {df!r}")
        shares = np.linspace(0, 1, int(df or 1) + 1)[1:-1]
        knots = np.quantile(x, shares)
    return np.array([x.min(), *np.sort(np.atleast_1d(knots)), x.max()], dtype=float)


def natural_spline(x, knots):
    r"""
    Basis of the natural cubic splines that vanish at the first knot, as R's ``ns``.

    The basis combines the cubic B-splines on the knots, except the first, such that
    second derivatives vanish at both ends. Beyond the ends the splines are linear.

    Parameters
    ----------
    x : array_like
        Points at which to evaluate, shape (n,).
    knots : ndarray
        The k + 1 knots from `natural_knots`.

    Returns
    -------
    ndarray
        Shape (n, k).
    """
    x = np.asarray(x, dtype=float)
    ends = knots[[0, -1]]
    padded = np.concatenate([ends[[0, 0, 0]], knots, ends[[1, 1, 1]]])
    splines = BSpline(padded, np.eye(len(padded) - 4), 3)
    inside = np.clip(x, *ends)
    values = splines(inside) + (x - inside)[:, None] * splines(inside, nu=1)
    curvature = splines(ends, nu=2)[:, 1:]
    rotation, _ = np.linalg.qr(curvature.T, mode="complete")
    return values[:, 1:] @ rotation[:, 2:]


class NS:
    """Natural cubic splines as in R's ``ns``; patsy keeps them for prediction."""

    def __init__(self):
        self._chunks = []

    def memorize_chunk(self, x, df=None, knots=None):
        """Collect a chunk of rows."""
        self._chunks.append(np.asarray(x, dtype=float))
        self._arguments = df, knots

    def memorize_finish(self):
        """Place the knots."""
        self._knots = natural_knots(np.concatenate(self._chunks), *self._arguments)
        del self._chunks, self._arguments

    def transform(self, x, df=None, knots=None):
        """Evaluate the basis."""
        return natural_spline(x, self._knots)


@stateful_transform
def remembered_ns(x, df=None, knots=None, _state=None):
    """Natural cubic splines as in R's ``ns``, remembered by formulaic."""
    if "knots" not in _state:
        _state["knots"] = natural_knots(x, df, knots)
    return natural_spline(x, _state["knots"])


def cut_points(x, breaks):
    """
    Ends of the intervals of ``cut``, as in R.

    Parameters
    ----------
    x : array_like
        Data, shape (n,).
    breaks : int or array_like
        Number of intervals of equal length, or the ends of the intervals.

    Returns
    -------
    ndarray
        The ends in increasing order. Those of a number of intervals are beyond the
        smallest and the largest value by a thousandth of the range.
    """
    if np.ndim(breaks):
        points = np.unique(np.asarray(breaks, dtype=float))
        if len(points) < 2 or np.isnan(points).any():
            raise ValueError("cut() needs at least two different breaks")
        return points
    if breaks != int(breaks) or breaks < 2:
        raise ValueError(f"cut() needs two or more intervals, not {breaks!r}")
    x = np.asarray(x, dtype=float)
    low, high = x.min(), x.max()
    if not low < high:
        raise ValueError("cut() needs values that differ, and no missing ones")
    points = np.linspace(low, high, int(breaks) + 1)
    points[[0, -1]] += np.array([-1.0, 1.0]) * (high - low) / 1000.0
    return points


def intervals(x, points, right=True):
    """
    The interval of each value.

    Parameters
    ----------
    x : array_like
        Data, shape (n,).
    points : ndarray
        Ends of the intervals in increasing order.
    right : bool, optional
        Whether an interval includes its right end, and not its left one.

    Returns
    -------
    Categorical
        The intervals as R names them, such as "(0.5,1]"; missing outside of all.
    """
    x = np.asarray(x, dtype=float)
    codes = np.searchsorted(points, x, "left" if right else "right") - 1
    codes[~((codes >= 0) & (codes < len(points) - 1))] = -1  # NaN sorts last
    ends: list = []
    for digits in range(3, 18):  # as few as distinguish the ends
        ends = [f"{point:.{digits}g}" for point in points]
        if len(set(ends)) == len(ends):
            break
    left, close = ("(", "]") if right else ("[", ")")
    names = [f"{left}{a},{b}{close}" for a, b in zip(ends, ends[1:])]
    return pd.Categorical.from_codes(codes, names)


class Cut:
    """Intervals as in R's ``cut``; patsy keeps their ends for prediction."""

    def __init__(self):
        self._chunks = []

    def memorize_chunk(self, x, breaks, right=True):
        """Collect a chunk of rows."""
        self._chunks.append(np.asarray(x, dtype=float))
        self._given = breaks

    def memorize_finish(self):
        """Place the ends of the intervals."""
        self._breaks = cut_points(np.concatenate(self._chunks), self._given)
        del self._chunks, self._given

    def transform(self, x, breaks, right=True):
        """Find the interval of each row."""
        return intervals(x, self._breaks, right)


@stateful_transform
def remembered_cut(x, breaks, right=True, _state=None):
    """Intervals as in R's ``cut``, remembered by formulaic."""
    if "breaks" not in _state:
        _state["breaks"] = cut_points(x, breaks)
    return pd.Series(intervals(x, _state["breaks"], right), getattr(x, "index", None))


class Standardize(PatsyStandardize):
    """The ``scale`` of patsy, which takes whole chunks instead of row after row."""

    current_n: int

    def memorize_chunk(self, x, center=True, rescale=True, ddof=0):
        """Add the rows of a chunk to the number, the mean and the sum of squares."""
        rows = np.asarray(atleast_2d_column_default(x))
        rows = rows.astype(wide_dtype_for(rows), copy=False)
        if not len(rows):
            return
        # about the first row, so that a constant has a spread of exactly zero
        moved = rows - rows[0]
        means = moved.mean(axis=0)
        count, total = len(rows), self.current_n + len(rows)
        squares = ((moved - means) ** 2).sum(axis=0)
        means = means + rows[0]
        if not self.current_n:
            self.current_n, self.current_mean, self.current_M2 = count, means, squares
            return
        delta = means - self.current_mean
        self.current_M2 = self.current_M2 + squares
        self.current_M2 += delta**2 * (self.current_n * count / total)
        self.current_mean = self.current_mean + delta * (count / total)
        self.current_n = total


FUNCTIONS = {
    name: getattr(np, name) for name in ("exp", "log", "log10", "log1p", "log2", "sqrt")
}

REMEMBERED = {
    "patsy": {
        "cut": patsy.stateful_transform(Cut),
        "ns": patsy.stateful_transform(NS),
        "poly": patsy.stateful_transform(Poly),
        "scale": patsy.stateful_transform(Standardize),
        "standardize": patsy.stateful_transform(Standardize),
    },
    "formulaic": {"cut": remembered_cut, "ns": remembered_ns},
}
"""Transforms of an engine that remember the data of a fit."""


def default_scope(engine):
    """
    Predefined names of formulas, over which those of the caller take precedence.

    Parameters
    ----------
    engine : {"patsy", "formulaic"}
        Formula engine.

    Returns
    -------
    dict
    """
    of_engine = {**REMEMBERED[engine], "bs": CHECKED[engine]}
    return {**FUNCTIONS, **of_engine, "np": np, "pi": np.pi}
