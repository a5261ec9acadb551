"""Random effects that correlations of errors contain as a special case."""

import numpy as np

from statsmodels_lmm.core.algebra.distinct_rows import distinct_rows
from statsmodels_lmm.core.rows.spans import spans, with_constant


def absorbs(errors, others, weights, effects, columns):
    """
    Whether the covariance of errors contains random effects.

    A random intercept of the residual groups is a special case of equal correlations,
    and so are any effects that depend on the visit alone of an unstructured matrix.

    Parameters
    ----------
    errors : ErrorCovariance or None
        The errors.
    others : ErrorCovariance or None
        The errors of the model that has the effects.
    weights : ndarray or None
        Prior weights of the rows.
    effects : GroupedEffects or RawEffects
        The levels of the rows.
    columns : ndarray
        The columns of the effects, shape (n, k).

    Returns
    -------
    bool
    """
    if errors is None or errors.term is None or weights is not None:
        return False
    if not effects.is_grouped or effects.relationship is not None:
        return False
    if not same_partition(errors.codes, effects.codes):
        return False
    if errors.structure.name == "us":
        visits = np.column_stack([errors.parts, errors.where])
        _, number = distinct_rows(visits)
        if spans(with_constant(errors.log_sd), np.eye(number.max() + 1)[number]):
            return determines(visits, columns)
    of_one_variance = others is None or not others.log_sd.size
    if not of_one_variance or not determines(np.zeros(len(columns)), columns):
        return False
    if errors.structure.name == "cs":
        return others is None or others.structure.name == "cs"
    return errors.structure.name in ("toep", "us")


def same_partition(codes, other):
    """Whether two codings form the same groups of rows."""
    return determines(codes, other) and determines(other, codes)


def determines(values, other):
    """Whether rows with the same values have the same other values."""
    values, other = (np.reshape(v, (len(v), -1)) for v in (values, other))
    both = np.column_stack([values, other])
    return len(distinct_rows(both)[0]) == len(distinct_rows(values)[0])
