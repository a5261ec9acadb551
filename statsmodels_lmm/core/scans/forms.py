"""
Quadratic forms of candidates, and the estimates that follow from them.

With P = V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1, S = C'P C and u = C'P y, the effects of
candidates C are S^-1 u, and the criterion is

    log |V| + [log |X'V^-1 X| + log |S|] + nu log(y'P y - u'S^-1 u),

where the terms in brackets are for REML only.
"""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.core.scans.estimates import (
    CONSTANT,
    REPRODUCED,
    SPANNED,
    Estimates,
)

SPAN = 1e-10
"""Share of c'V^-1 c that must remain after projecting out X."""

LEFT = 1e-13
"""Share of r^2 that must remain after projecting out a candidate."""


@dataclass(frozen=True)
class Forms:
    """
    Quadratic forms of r candidates of q columns at J variance ratios.

    Parameters
    ----------
    information : ndarray
        S = C'P C, shape (r, J, q, q).
    score : ndarray
        u = C'P y, shape (r, J, q).
    squares : ndarray
        y'P y, shape (J,).
    logdet : ndarray
        log |V|, and for REML log |X'V^-1 X|, shape (J,).
    is_spanned : ndarray
        Whether X leaves too little of a candidate, shape (r,). Its S is then one.
    """

    information: np.ndarray
    score: np.ndarray
    squares: np.ndarray
    logdet: np.ndarray
    is_spanned: np.ndarray

    @classmethod
    def of(cls, own, cross, root, logdet):
        """
        The forms from those with V^-1 in place of P.

        Parameters
        ----------
        own : ndarray
            C'V^-1 C, shape (r, J, q, q).
        cross : ndarray
            C'V^-1 [X y], shape (r, J, q, p + 1).
        root : ndarray
            Cholesky factor of [X y]'V^-1 [X y], shape (J, p + 1, p + 1).
        logdet : ndarray
            See above.

        Returns
        -------
        Forms
        """
        p = root.shape[-1] - 1
        inverse = np.linalg.inv(root).swapaxes(-1, -2)
        explained = cross @ inverse
        fixed, last = explained[..., :p], explained[..., p]
        if own.shape[-1] == 1:
            reduced = own - (fixed**2).sum(axis=-1)[..., None]
        else:
            reduced = own - fixed @ fixed.swapaxes(-1, -2)
        before = np.diagonal(own, axis1=-2, axis2=-1)
        after = np.diagonal(reduced, axis1=-2, axis2=-1)
        is_spanned = np.asarray(~(after > SPAN * before).all(axis=(1, 2)))
        reduced[is_spanned] = np.eye(own.shape[-1])
        last_root = root[:, p, p]
        return cls(reduced, last * last_root[:, None], last_root**2, logdet, is_spanned)

    def left(self):
        """r^2 with the candidates, shape (r, J); at least `LEFT` of y'P y."""
        rest = self.squares - explained(self.information, self.score)
        return np.maximum(rest, LEFT * self.squares)

    def criterion(self, nu, reml):
        """The criterion without constants, shape (r, J)."""
        value = self.logdet + nu * np.log(self.left())
        return value + logdet(self.information) if reml else value

    def estimates(self, nodes, ratio, nobs, df_resid):
        """
        Estimates where the forms are weighted means of those at the nodes.

        Parameters
        ----------
        nodes : ndarray
            Weights of the nodes, shape (r, J).
        ratio : ndarray
            Variance ratios there, shape (r,).
        nobs, df_resid : int
            Number of rows used, and that minus the columns of X and C.

        Returns
        -------
        Estimates
            Without the value of the criterion.
        """
        information = np.einsum("rj,rjab->rab", nodes, self.information)
        score = np.einsum("rj,rja->ra", nodes, self.score)
        squares = nodes @ self.squares
        left = squares - explained(information, score)
        count, width = score.shape
        out = Estimates.nothing(count, width, nobs, df_resid)
        out.effect[:] = effects(information, score)
        out.information[:] = information
        out.squares[:], out.ratio[:], out.spread[:] = left, ratio, 0.0
        out.reason[~(left > LEFT * squares)] = REPRODUCED
        out.reason[self.is_spanned] = SPANNED
        return out

    def held(self, ratio, nobs, df_resid, reml):
        """
        Estimates at a single node.

        Parameters
        ----------
        ratio : float
            Variance ratio there.
        nobs, df_resid : int
            See `estimates`.
        reml : bool
            Whether the criterion is REML's.

        Returns
        -------
        Estimates
        """
        count = len(self.score)
        alone, ratio = np.ones((count, 1)), np.full(count, ratio)
        out = self.estimates(alone, ratio, nobs, df_resid)
        nu = df_resid if reml else nobs
        out.value[:] = self.criterion(nu, reml)[:, 0]
        return out


def logdet(information):
    """The logarithm of |S|, shape (...)."""
    if information.shape[-1] == 1:
        return np.log(information[..., 0, 0])
    return np.linalg.slogdet(information)[1]


def effects(information, score):
    """S^-1 u, shape (..., q)."""
    if score.shape[-1] == 1:
        return score / information[..., 0]
    return np.linalg.solve(information, score[..., None])[..., 0]


def explained(information, score):
    """u'S^-1 u, shape (...)."""
    return (effects(information, score) * score).sum(axis=-1)


def outside(columns, exog):
    """
    What X leaves of candidates by least squares.

    Parameters
    ----------
    columns : ndarray
        Candidates times the square roots of the weights, shape (n, r); changed in
        place. With a constant in X they are centered, so that one of zeros is constant.
    exog : ndarray
        X with X'X = n I, shape (n, p).

    Returns
    -------
    columns : ndarray
        Shape (n, r).
    reason : ndarray
        Codes, shape (r,).
    """
    n = len(exog)
    before = np.einsum("nr,nr->r", columns, columns)
    columns -= exog @ (exog.T @ columns / n)
    after = np.einsum("nr,nr->r", columns, columns)
    reason = np.zeros(len(before), dtype=np.int8)
    reason[after <= SPAN * before] = SPANNED
    reason[before == 0.0] = CONSTANT
    return columns, reason


def independent_part(rest, norms):
    """
    Columns that depend neither on X nor on those before them.

    Parameters
    ----------
    rest : ndarray
        What X leaves of the columns, shape (n, q).
    norms : ndarray
        Lengths of the columns, shape (q,).

    Returns
    -------
    ndarray
        Positions, ascending.
    """
    at = np.flatnonzero(norms > 0.0)
    kept = []
    basis = np.zeros((len(rest), 0))
    for j in at:
        column = rest[:, j] / norms[j]
        for _ in range(2):
            column = column - basis @ (basis.T @ column)
        size = np.linalg.norm(column)
        if size > np.sqrt(SPAN):
            kept.append(j)
            basis = np.column_stack([basis, column / size])
    return np.array(kept, dtype=int)
