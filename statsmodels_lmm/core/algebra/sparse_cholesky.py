"""
Cholesky factor of a sparse matrix, and the elements of the inverse on its pattern.

The factorization is multifrontal (Duff and Reid 1983, ACM Trans. Math. Softw. 9, 302):
a supernode J with rows R below it has a dense front

    F = [F_JJ .; F_RJ F_RR],    L_JJ L_JJ' = F_JJ,    L_RJ = F_RJ L_JJ'^-1,

in which the entries of the matrix are gathered; F_RR - L_RJ L_RJ' is then added to the
front of its parent in the elimination tree. The inverse Z follows down the tree
(Takahashi, Fagan and Chin 1973): Z_RR is part of the parent's block, and with
Y = L_RJ L_JJ^-1,

    Z_RJ = -Z_RR Y,    Z_JJ = (L_JJ L_JJ')^-1 - Y'Z_RJ.

In a pedigree nearly all fronts are tiny and only the last ones large: fronts of one
shape and height form a batch for NumPy, and a front alone in its batch goes to LAPACK.
SciPy's SuperLU is no faster, and the inverse from its factor would take as much work
again.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csc_array

from statsmodels_lmm.core.algebra.dense import (
    cholesky,
    inverse_from_cholesky,
    product,
    solve_lower,
    solve_upper,
    transpose,
)
from statsmodels_lmm.core.algebra.symbolic_cholesky import SymbolicCholesky, analyze

__all__ = ["SparseCholesky", "SymbolicCholesky", "analyze", "factorize"]


@dataclass(frozen=True)
class SparseCholesky:
    """
    The factor R of P H P' = R R'.

    With C = P'R'^-1, C C' = H^-1: C' whitens a vector with covariance H.

    Parameters
    ----------
    symbolic : SymbolicCholesky
        The pattern.
    roots : tuple of ndarray
        Diagonal blocks of R of each batch, lower triangular, shapes (k, m, m).
    below : tuple of ndarray
        Blocks of R below them, shapes (k, r, m).
    logdet : float
        log |H|.
    """

    symbolic: SymbolicCholesky
    roots: tuple
    below: tuple
    logdet: float

    def half_solve(self, right):
        """
        C'B = R^-1 P B, so that B'H^-1 B = (C'B)'C'B.

        Parameters
        ----------
        right : ndarray
            B, shape (n,) or (n, c).

        Returns
        -------
        ndarray
            Shape of `right`, rows in the order of elimination.
        """
        x = self._columns(right)[self.symbolic.order]
        c = x.shape[1]
        flat = x.reshape(-1)
        for batch, root, below in self._parts():
            k, m, r = batch.shape
            part = _solve_lower(root, x[batch.columns].reshape(k, m, c))
            x[batch.columns] = part.reshape(k * m, c)
            if r:
                entries = batch.rows[:, :, None] * c + np.arange(c)
                np.subtract.at(flat, entries.ravel(), _times(below, part).ravel())
        return x.reshape(np.shape(right))

    def back_solve(self, right):
        """
        C B = P'R'^-1 B, with covariance H^-1 if B is white.

        Parameters
        ----------
        right : ndarray
            B, rows in the order of elimination, shape (n,) or (n, c).

        Returns
        -------
        ndarray
            Shape of `right`.
        """
        x = self._columns(right)
        c = x.shape[1]
        for batch, root, below in reversed(self._parts()):
            k, m, r = batch.shape
            part = x[batch.columns].reshape(k, m, c)
            if r:
                part = part - _times(transpose(below), x[batch.rows])
            part = _solve_upper(root, part)
            x[batch.columns] = part.reshape(k * m, c)
        out = np.empty_like(x)
        out[self.symbolic.order] = x
        return out.reshape(np.shape(right))

    def solve(self, right):
        """
        H^-1 B.

        Parameters
        ----------
        right : ndarray
            B, shape (n,) or (n, c).

        Returns
        -------
        ndarray
            Shape of `right`.
        """
        return self.back_solve(self.half_solve(right))

    def pivots(self):
        """
        Squares of the diagonal of R, in the order of the rows of H.

        Returns
        -------
        ndarray
            Their reciprocals are the variances of the rows given those eliminated
            later, shape (n,).
        """
        out = np.empty(len(self.symbolic.order))
        squares = [
            np.diagonal(root, axis1=1, axis2=2).ravel() ** 2 for root in self.roots
        ]
        out[self.symbolic.order] = np.concatenate(squares)
        return out

    def selected_inverse(self):
        """
        The elements of H^-1 on the pattern of H.

        Returns
        -------
        csc_array
            Shape (n, n), with the pattern given to `analyze`.
        """
        symbolic = self.symbolic
        storage = np.empty(symbolic.size)
        for batch, root, below in reversed(self._parts()):
            m = batch.shape[1]
            front = batch.fronts(storage)
            inverse = _inverse(root)
            if batch.shape[2]:
                rest = batch.from_parents(storage)
                through = transpose(_solve_upper(root, transpose(below)))
                across = -_times(rest, through)
                inverse = inverse - _times(transpose(through), across)
                front[:, m:, m:] = rest
                front[:, m:, :m] = across
                front[:, :m, m:] = transpose(across)
            front[:, :m, :m] = inverse
        return csc_array(
            (storage[symbolic.positions], symbolic.indices, symbolic.indptr),
            shape=(len(symbolic.order),) * 2,
            copy=True,
        )

    def _parts(self):
        """Batches with their blocks of R, children before parents."""
        return list(zip(self.symbolic.batches, self.roots, self.below))

    def _columns(self, right):
        """A copy of a right-hand side as columns, row by row in memory."""
        n = len(self.symbolic.order)
        if np.ndim(right) not in (1, 2) or len(right) != n:
            raise ValueError(
                f"A right-hand side has {n} rows and one or two axes; the shape is "
                f"{np.shape(right)}"
            )
        columns = np.array(right, float, order="C")
        return columns[:, None] if columns.ndim == 1 else columns


def factorize(symbolic, matrix):
    """
    Factorize a matrix.

    Parameters
    ----------
    symbolic : SymbolicCholesky
        From `analyze`.
    matrix : sparse array or matrix, or ndarray
        H, shape (n, n), symmetric, with no entries outside the pattern analyzed; or its
        values as returned by ``symbolic.values``.

    Returns
    -------
    SparseCholesky

    Raises
    ------
    numpy.linalg.LinAlgError
        If H is not positive definite.
    ValueError
        If H has the wrong shape or entries outside the pattern.
    """
    values = matrix if isinstance(matrix, np.ndarray) else symbolic.values(matrix)
    if values.shape != symbolic.positions.shape:
        raise ValueError(
            f"The pattern analyzed has {len(symbolic.positions)} entries, the values "
            f"have shape {values.shape}"
        )
    storage = np.zeros(symbolic.size)
    storage[symbolic.positions] = values
    roots, belows, logdet = [], [], 0.0
    for batch in symbolic.batches:
        m = batch.shape[1]
        front = batch.fronts(storage)
        root = _cholesky(front[:, :m, :m])
        below = transpose(_solve_lower(root, transpose(front[:, m:, :m])))
        if batch.shape[2]:
            update = front[:, m:, m:] - _times(below, transpose(below))
            batch.add_to_parents(storage, update)
        logdet += 2.0 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum()
        roots.append(root)
        belows.append(below)
    if not np.isfinite(logdet):
        # LAPACK lets NaN pass
        raise np.linalg.LinAlgError("Matrix is not positive definite, or not finite")
    return SparseCholesky(symbolic, tuple(roots), tuple(belows), float(logdet))


def _cholesky(matrices):
    """Lower Cholesky factors of a stack."""
    if len(matrices) == 1 and matrices.shape[-1] > 1:
        return cholesky(np.array(matrices[0]))[None]
    if matrices.shape[-1] > 1:
        return cholesky(matrices)
    if not (matrices > 0.0).all():
        raise np.linalg.LinAlgError("Matrix is not positive definite")
    return np.sqrt(matrices)


def _solve_lower(roots, right):
    """Solve with each lower triangular matrix of a stack."""
    k, m, _ = roots.shape
    if right.size and k < m:
        return np.array([solve_lower(*each) for each in zip(roots, right)])
    out = np.empty(right.shape)
    for i in range(m):
        row = slice(i, i + 1)
        known = _times(roots[:, row, :i], out[:, :i]) if i else 0.0
        out[:, row] = (right[:, row] - known) / roots[:, row, row]
    return out


def _solve_upper(roots, right):
    """Solve with the transposes of a stack of lower triangular matrices."""
    k, m, _ = roots.shape
    if right.size and k < m:
        return np.array([solve_upper(*each) for each in zip(roots, right)])
    # reversed, the transpose of a lower triangular matrix is lower triangular
    backwards = transpose(roots)[:, ::-1, ::-1]
    return _solve_lower(backwards, right[:, ::-1])[:, ::-1]


def _inverse(roots):
    """Inverses of a stack of matrices from their lower Cholesky factors."""
    k, m, _ = roots.shape
    if k == 1:
        return inverse_from_cholesky(roots[0])[None]
    half = _solve_lower(roots, np.broadcast_to(np.eye(m), roots.shape))
    return transpose(half) @ half


def _times(left, right):
    """Products of two stacks."""
    if left.shape[-1] == 1:
        return left * right
    if len(left) == 1:
        return product(left[0], right[0])[None]
    return left @ right
