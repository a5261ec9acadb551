"""The contribution of the data to a fit whose random effects stay sparse."""

from dataclasses import dataclass, replace
from functools import cached_property

from scipy import sparse

from statsmodels_lmm.core.algebra.symbolic_cholesky import SymbolicCholesky
from statsmodels_lmm.core.engines.moments import sparse_moments
from statsmodels_lmm.core.engines.row_sums import RowSums
from statsmodels_lmm.core.engines.sparse_elimination import eliminate_sparsely


@dataclass(frozen=True)
class SparseProducts(RowSums):
    """
    Sufficient statistics of a model whose random effects stay sparse.

    Parameters
    ----------
    plan, nobs, level_sums, gram, rows
        See `RowSums`; the plan has the terms in the user's order, all of them in its
        chain.
    matrix : csc_array
        Z'Z of all terms, shape (q, q).
    precision : csc_array
        Q (x) I of all terms, shape (q, q).
    symbolic : SymbolicCholesky
        The pattern of H.
    """

    matrix: sparse.csc_array
    precision: sparse.csc_array
    symbolic: SymbolicCholesky

    has_batch_axes = False

    def __add__(self, other):
        """The products of both sets of rows, formed by one engine or its parts."""
        matrix = self.matrix + other.matrix
        return replace(self, **self._added(other), matrix=matrix)

    def __neg__(self):
        """The products times -1, to subtract those of other rows or weights."""
        return replace(self, **self._negative(), matrix=-self.matrix)

    @property
    def squares(self):
        """Squared lengths of the effect columns of each term, shapes (l_i, k_i)."""
        diagonal, plan = self.matrix.diagonal(), self.plan
        return [
            diagonal[rows].reshape(f.n_levels, f.k_effects)
            for f, rows in zip(plan.terms, plan.slices)
        ]

    @cached_property
    def traces(self):
        """For each term, the matrices that yield the sums Q_gh X_gh."""
        traces = []
        for f, rows in zip(self.plan.terms, self.plan.slices):
            k, precision = f.k_effects, f.precision
            each = []
            for a in range(k):
                for b in range(k):
                    unit = sparse.csc_array(([1.0], ([a], [b])), shape=(k, k))
                    block = sparse.kron(precision, unit).tocoo()
                    places = (block.row + rows.start, block.col + rows.start)
                    each.append(
                        sparse.csc_array((block.data, places), self.matrix.shape)
                    )
            traces.append(each)
        return traces

    @property
    def log_precision(self):
        """Log-determinant of the precision of all random effects."""
        terms = self.plan.terms
        return sum(f.k_effects * f.log_precision for f in terms)

    def moments(self):
        """Squares of Z'Z and of Z'y by effect column, see `moments.block_moments`."""
        return sparse_moments(self)

    def projection_is_affordable(self, largest):
        """False: Z'V^-1 Z is dense and has many columns."""
        return False

    def require_projection(self, what, instead):
        """Raise MemoryError, as Z'V^-1 Z is never formed, see `base.Products`."""
        raise MemoryError(
            f"{what} needs a dense matrix of the random effects, which are kept sparse "
            f"here; {instead}"
        )

    def eliminate(self, roots, closely=False):
        """
        Eliminate the random effects.

        Parameters
        ----------
        roots : sequence of ndarray
            L of each term, S = L L', shapes (k, k).
        closely : bool, optional
            Has no effect here.

        Returns
        -------
        SparseElimination
        """
        return eliminate_sparsely(self, roots)
