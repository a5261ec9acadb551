"""One call for many replicates is a loop over them."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from dense_twin import covariances, design, products_of, roots_of

from statsmodels_lmm.core.criteria.derivatives import dual_matrices
from statsmodels_lmm.core.criteria.deviance import profiled_deviance

NAMES = [
    "one factor",
    "one factor, 3 effects",
    "chain of 3",
    "2 crossed",
    "2 crossed, 2 effects each",
    "3 crossed",
    "chain and tail",
]
REPLICATES = 3
# the same sums in another order
CLOSE = 1e-10


@dataclass
class BatchFactor:
    """What the core reads of a RelativeFactor, with leading batch axes."""

    matrix: np.ndarray

    @property
    def covariance(self):
        return self.matrix @ self.matrix.swapaxes(-1, -2)


def stacked(many):
    """Cross-products of several responses on the same design."""
    return replace(
        many[0],
        level_sums=tuple(np.stack(s) for s in zip(*(m.level_sums for m in many))),
        gram=np.stack([m.gram for m in many]),
    )


def close(got, wanted, shape=None):
    got = np.broadcast_to(got, np.shape(wanted))
    size = max(1.0, np.abs(wanted).max(initial=0.0))
    assert np.abs(got - wanted).max(initial=0.0) <= CLOSE * size


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("moving", ["responses", "covariances", "both"])
@pytest.mark.parametrize("kinds", [("regular",) * 3, ("regular", "zero", "singular")])
@pytest.mark.parametrize("name", NAMES)
def test_batch_is_a_loop(name, kinds, moving, reml):
    data = design(name)
    rng = np.random.default_rng(7)
    responses = [data.endog + rng.standard_normal(len(data.endog)) for _ in kinds]
    if moving == "covariances":
        responses = responses[:1] * REPLICATES
    many = [products_of(replace(data, endog=y)) for y in responses]
    order = many[0].plan.order
    roots = []
    for seed, kind in enumerate(kinds):
        if moving == "responses":
            seed, kind = 0, kinds[-1]
        found = roots_of(data, covariances(data, kind, seed=seed))
        roots.append([found[i] for i in order])

    products = many[0] if moving == "covariances" else stacked(many)
    if moving == "responses":
        factors = [BatchFactor(r.matrix) for r in roots[0]]
    else:
        factors = [BatchFactor(np.stack([r.matrix for r in rs])) for rs in zip(*roots)]
    batch = profiled_deviance(products, factors, reml)
    loop = [profiled_deviance(p, r, reml) for p, r in zip(many, roots)]

    for what in ("value", "coefficients", "scale", "fixed_root"):
        close(getattr(batch, what), np.stack([getattr(d, what) for d in loop]))
    close(batch.elimination.logdet, np.array([d.elimination.logdet for d in loop]))
    close(batch.elimination.gram, np.stack([d.elimination.gram for d in loop]))
    for i in range(len(order)):
        for what in ("modes", "scores", "fixed_scores"):
            each = np.stack([getattr(d, what)[i] for d in loop])
            close(getattr(batch, what)[i], each)
        for what in ("diagonal", "level_sums", "projected"):
            each = np.stack([getattr(d.selected, what)[i] for d in loop])
            close(getattr(batch.selected, what)[i], each)
        close(dual_matrices(batch)[i], np.stack([dual_matrices(d)[i] for d in loop]))


def test_two_batch_axes():
    """Covariances along one axis, responses along another."""
    data = design("2 crossed, 2 effects each")
    rng = np.random.default_rng(8)
    responses = [data.endog + rng.standard_normal(len(data.endog)) for _ in range(2)]
    many = [products_of(replace(data, endog=y)) for y in responses]
    order = many[0].plan.order
    roots = []
    for seed in range(3):
        found = roots_of(data, covariances(data, "regular", seed=seed))
        roots.append([found[i] for i in order])
    factors = [
        BatchFactor(np.stack([r.matrix for r in rs])[:, None]) for rs in zip(*roots)
    ]
    batch = profiled_deviance(stacked(many), factors, True)
    assert batch.value.shape == (3, 2)
    for i, root in enumerate(roots):
        for j, products in enumerate(many):
            one = profiled_deviance(products, root, True)
            close(batch.value[i, j], one.value)
            close(batch.coefficients[i, j], one.coefficients)
            for at in range(len(order)):
                close(batch.modes[at][i, j], one.modes[at])
                close(dual_matrices(batch)[at][i, j], dual_matrices(one)[at])
