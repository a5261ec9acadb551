"""Other responses of a design: X'y, Z'y and y'y are new, all else is shared."""

from dataclasses import replace

import numpy as np

from statsmodels_lmm.core.rows.model_rows import Rows


def with_response(products, data):
    """
    Cross-products of the same design with another response.

    Parameters
    ----------
    products : CrossProducts or SparseProducts
        Sufficient statistics of one response.
    data : Standardized
        The design with the other response.

    Returns
    -------
    CrossProducts or SparseProducts
    """
    found = select(with_responses(products, data, data.endog[None]), 0)
    return replace(found, rows=Rows(data.endog, data.exog))


def with_responses(products, data, responses):
    """
    Cross-products of the same design with many other responses.

    Parameters
    ----------
    products : CrossProducts
        Sufficient statistics of one response.
    data : Standardized
        The data they were formed from.
    responses : ndarray
        New responses in standardized units, weighted, shape (r, n).

    Returns
    -------
    CrossProducts
        With a leading axis of length r on ``fixed``, ``tail_fixed`` and ``gram``.
    """
    plan, p = products.plan, products.k_fixed

    def replaced(cross, last):
        out = np.empty((len(responses), *cross.shape))
        out[...] = cross
        out[..., -1] = last
        return out

    sums = [f.transposed_times(responses) for f in plan.factors]
    fixed = tuple(map(replaced, products.fixed, sums))
    flat = [s.reshape(len(responses), -1) for s in sums[plan.n_chain :]]
    tail = np.concatenate([np.zeros((len(responses), 0)), *flat], axis=1)
    with_exog = responses @ data.exog
    gram = replaced(products.gram, 0.0)
    gram[:, :p, p] = gram[:, p, :p] = with_exog
    gram[:, p, p] = (responses**2).sum(axis=1)
    return replace(
        products,
        fixed=fixed,
        tail_fixed=replaced(products.tail_fixed, tail),
        gram=gram,
        rows=None,
    )


def select(products, which):
    """
    Cross-products of some of many responses.

    Parameters
    ----------
    products : CrossProducts or SparseProducts
        With a leading axis for the responses.
    which : int, slice or ndarray
        Which of them; one alone has no leading axis.

    Returns
    -------
    CrossProducts or SparseProducts
    """
    return replace(
        products,
        fixed=tuple(f[which] for f in products.fixed),
        tail_fixed=products.tail_fixed[which],
        gram=products.gram[which],
    )
