"""Sums of X and y over the rows, common to the products of all engines."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from statsmodels_lmm.core.engines.plan import EliminationPlan
from statsmodels_lmm.core.engines.solution import by_term
from statsmodels_lmm.core.rows.model_rows import Rows


def sums_over_rows(plan, rows, transform=None):
    """
    Form what the products of all engines have in common.

    Parameters
    ----------
    plan : EliminationPlan
        Order of the terms.
    rows : Rows
        X and y.
    transform : RowTransform, optional
        See `Engine.gather`.

    Returns
    -------
    dict
        Arguments of `RowSums`.
    """
    if transform is not None:
        plan = plan.over([f.transformed(transform) for f in plan.terms])
        rows = rows.transformed(transform)
    return {
        "plan": plan,
        "nobs": len(rows.exog),
        "level_sums": tuple(map(rows.level_sums, plan.terms)),
        "gram": rows.gram(),
        "rows": rows,
    }


@dataclass(frozen=True)
class RowSums:
    """
    Sums over the rows that involve W = [X y], with w = p + 1 columns.

    Parameters
    ----------
    plan : EliminationPlan
        Order of the terms.
    nobs : int
        Number of rows n.
    level_sums : tuple of ndarray
        Z_i'W of each term in the order of the plan, shapes (..., l_i, k_i, w).
    gram : ndarray
        W'W, shape (..., w, w).
    rows : Rows, optional
        The rows from which they were formed, read again only where a residual sum of
        squares computed by subtraction would have too few digits.
    """

    plan: EliminationPlan
    nobs: int
    level_sums: tuple
    gram: np.ndarray
    rows: Rows | None = field(default=None, kw_only=True)

    is_stochastic = False
    """Whether traces and log |V| are estimated from probes."""

    def __setstate__(self, state):
        """Read pickles, including earlier ones, which kept the tail's sums apart."""
        if "fixed" in state:
            plan, tail = state["plan"], state.pop("tail_fixed")
            sums = (*state.pop("fixed"), *by_term(plan, tail))
            state = {**state, "level_sums": sums}
        self.__dict__.update(state)

    @property
    def squares(self) -> list:
        """Diagonal of Z_i'Z_i of each term, shapes (l_i, k_i)."""
        raise NotImplementedError

    @property
    def k_fixed(self):
        """Number of columns of X."""
        return self.gram.shape[-1] - 1

    def with_response(self, data):
        """
        The same design with another response.

        Parameters
        ----------
        data : Standardized
            The design with the other response.

        Returns
        -------
        RowSums
        """
        one = self.with_responses(data, data.endog[None]).select(0)
        return replace(one, rows=Rows(data.endog, data.exog))

    def with_responses(self, data, responses):
        """
        The same design with many other responses.

        Parameters
        ----------
        data : Standardized
            The data from which the sums were formed.
        responses : ndarray
            New responses in standardized units, weighted, shape (r, n).

        Returns
        -------
        RowSums
            With a leading axis of length r on ``level_sums`` and ``gram``.
        """
        p = self.k_fixed

        def replaced(cross, last):
            out = np.empty((len(responses), *cross.shape))
            out[...] = cross
            out[..., -1] = last
            return out

        sums = [f.transposed_times(responses) for f in self.plan.terms]
        gram = replaced(self.gram, 0.0)
        gram[:, :p, p] = gram[:, p, :p] = responses @ data.exog
        gram[:, p, p] = (responses**2).sum(axis=1)
        level_sums = tuple(map(replaced, self.level_sums, sums))
        return replace(self, level_sums=level_sums, gram=gram, rows=None)

    def select(self, which):
        """
        A selection of many responses.

        Parameters
        ----------
        which : int, slice or ndarray
            The responses; a single one has no leading axis.

        Returns
        -------
        RowSums
        """
        level_sums = tuple(sums[which] for sums in self.level_sums)
        return replace(self, level_sums=level_sums, gram=self.gram[which])

    def turned(self, change):
        """
        Other columns in place of X and y.

        Parameters
        ----------
        change : ndarray
            A matrix that multiplies W from the right, shape (w, number of columns); the
            last column becomes the response.

        Returns
        -------
        RowSums
        """
        return replace(
            self,
            level_sums=tuple(sums @ change for sums in self.level_sums),
            gram=change.T @ self.gram @ change,
            rows=None if self.rows is None else self.rows.turned(change),
        )

    def left_by_fixed(self):
        """
        Share of each term's effect columns outside the span of the fixed effects.

        X is that of standardized data, with X'X = n I.

        Returns
        -------
        ndarray
            In the order of the plan, 0 for a term of zeros.
        """
        p, shares = self.k_fixed, []
        for sums, squares in zip(self.level_sums, self.squares):
            explained = (sums[..., :p] ** 2).sum() / self.nobs
            total = squares.sum()
            shares.append(float(total - explained) / float(total or 1.0))
        return np.array(shares)

    def _added(self, other):
        """The sums over the rows of `self` and `other`, as changes for `replace`."""
        mine, theirs = self.plan, other.plan
        same = mine.order == theirs.order and mine.n_chain == theirs.n_chain
        if not same or not all(map(np.array_equal, mine.relabel, theirs.relabel)):
            raise ValueError("only products of the same engine can be added")
        changes: dict[str, Any] = {
            "plan": mine.take(slice(0)),
            "nobs": self.nobs + other.nobs,
            "level_sums": added(self.level_sums, other.level_sums),
            "gram": self.gram + other.gram,
            "rows": None,
        }
        return changes

    def _negative(self):
        """The sums times -1, as changes for `replace`."""
        changes: dict[str, Any] = {
            "nobs": -self.nobs,
            "level_sums": tuple(-sums for sums in self.level_sums),
            "gram": -self.gram,
            "rows": None,
        }
        return changes


def added(one, other):
    """Sums of the arrays of two sets of products."""
    return tuple(a + b for a, b in zip(one, other))
