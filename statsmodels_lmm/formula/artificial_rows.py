"""
Rows made up for a design, to learn how its columns depend on the levels of factors.

Linear relations among products of factors hold for any rows. If the rows of a model
were not kept, they hold for these as well: every combination of levels that a term
distinguishes occurs, and numeric factors have random values.
"""

from dataclasses import dataclass
from functools import reduce
from itertools import product

import numpy as np

from statsmodels_lmm.formula.dialects import readable

SEED = 0x5EED


@dataclass(frozen=True)
class ArtificialRows:
    """
    Rows of a design and of its factors.

    Parameters
    ----------
    design : ndarray
        The columns of the design, shape (m, p).
    by_factor : dict of ndarray
        For each factor of patsy, the indicators of its levels, or its columns if it is
        numeric, shape (m, number of columns).
    """

    design: np.ndarray
    by_factor: dict

    @property
    def factors(self):
        """The same by the names of the factors."""
        return {readable(f.name(), "patsy"): c for f, c in self.by_factor.items()}


def artificial_rows(spec):
    """
    Make up rows for a design of patsy.

    Parameters
    ----------
    spec : DesignInfo
        The design.

    Returns
    -------
    ArtificialRows
    """
    rng, infos = np.random.default_rng(SEED), spec.factor_infos
    levels = {
        factor: len(info.categories)
        for factor, info in infos.items()
        if info.type == "categorical"
    }
    codes = _codes(spec, levels, rng)
    count = len(next(iter(codes.values()), np.zeros(len(spec.column_names) + 1)))
    values = {
        factor: np.eye(levels[factor])[codes[factor]]
        if factor in levels
        else rng.standard_normal((count, info.num_columns))
        for factor, info in infos.items()
    }
    parts = [
        _columns(subterm, values, count)
        for subterms in spec.term_codings.values()
        for subterm in subterms
    ]
    return ArtificialRows(np.hstack([np.zeros((count, 0)), *parts]), values)


def row_products(a, b):
    """Products of all pairs of columns, those of b next to each other."""
    return (a[:, :, None] * b[:, None, :]).reshape(len(a), -1)


def _codes(spec, levels, rng):
    """Levels of the categorical factors, every combination in a term several times."""
    blocks = []
    for term in spec.term_codings:
        own = [factor for factor in term.factors if factor in levels]
        numeric = (f for f in term.factors if f not in levels)
        times = 2 + int(np.prod([spec.factor_infos[f].num_columns for f in numeric]))
        every = list(product(*(range(levels[f]) for f in own)))
        cells = np.array(every, dtype=int).reshape(len(every), len(own))
        cells = np.repeat(cells, times, axis=0)
        block = {f: rng.integers(levels[f], size=len(cells)) for f in levels}
        blocks.append(block | dict(zip(own, cells.T)))
    return {f: np.concatenate([block[f] for block in blocks]) for f in levels}


def _columns(subterm, values, count):
    """The columns of a part of a term; those of its first factor change fastest."""
    each = [
        values[f] @ subterm.contrast_matrices[f].matrix
        if f in subterm.contrast_matrices
        else values[f]
        for f in reversed(subterm.factors)
    ]
    return reduce(row_products, each, np.ones((count, 1)))
