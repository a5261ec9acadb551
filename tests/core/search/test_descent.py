"""
A search needs a criterion, an evaluation and their verbs, and no mixed model.

The criterion here is half the squared distance of S from a symmetric matrix C. Its
minimum over the cone of covariance matrices is C without its negative eigenvalues, on
the boundary of the cone if it has any.
"""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm.core.criteria.base import Criterion
from statsmodels_lmm.core.search.descent import descend
from statsmodels_lmm.core.search.newton import Settings, minimize
from statsmodels_lmm.core.search.trust_region import trust_region_step
from statsmodels_lmm.core.structures.relative_factor import pivoted_factor

TIGHT = Settings(tol=1e-18)


@dataclass(frozen=True)
class Distance:
    """Half the squared distance of S from C at one S, or at many."""

    factors: tuple
    target: np.ndarray
    error: float = 1e-30

    @property
    def point(self):
        return self.factors

    @property
    def dual(self):
        (factor,) = self.factors
        return factor.covariance - self.target

    @property
    def value(self):
        return 0.5 * (self.dual**2).sum(axis=(-1, -2))

    @property
    def rounding(self):
        return self.error + 0.0 * self.value

    @property
    def units(self):
        return np.ones(self.factors[0].n_free)

    @property
    def information(self):
        return [np.broadcast_to(np.eye(self.dual.shape[-1]), self.dual.shape)]

    def derivatives(self, exact=False):
        (factor,) = self.factors
        flat = factor.directions.reshape(*factor.directions.shape[:-2], -1)
        curvature = flat @ flat.swapaxes(-1, -2) + factor.curvature(self.dual)
        return SimpleNamespace(
            duals=(self.dual,),
            gradient=factor.slope(self.dual),
            curvature=curvature,
            escape=0.0,
        )


@dataclass(frozen=True)
class Nearest(Criterion):
    """The distance from one matrix or from many; undefined far from zero."""

    target: np.ndarray
    exact_below: float = 0.0
    largest: float = np.inf
    seen: list = field(default_factory=list)
    error: float = 1e-30

    def evaluate(self, factors):
        found = Distance(tuple(factors), self.target, self.error)
        self.seen.append(np.shape(found.value))
        large = np.abs(factors[0].matrix).max() > self.largest
        return None if large else found

    def take(self, which):
        if self.target.ndim == 2:
            return self
        return Nearest(self.target[which], False, self.largest, self.seen)


def factor_at(covariance):
    return [pivoted_factor(covariance, [slice(0, covariance.shape[-1])])]


def targets(count, k=3):
    rng = np.random.default_rng(count)
    half = rng.standard_normal((count, k, k))
    return half + half.swapaxes(-1, -2) + 0.5 * np.eye(k)


def nearest(target):
    values, vectors = np.linalg.eigh(target)
    root = vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]
    return root @ root.swapaxes(-1, -2)


@pytest.mark.parametrize("at_zero", [0, 1])
def test_a_certificate_asks_every_block(at_zero):
    """Next to a large variance a small one promises nothing, but has a slope in S."""
    best, target = np.full((2, 2), 100.0)
    best[at_zero], target[at_zero] = 0.0, 1e-4
    start = [pivoted_factor(np.diag(best), [slice(0, 1), slice(1, 2)])]
    _, optimum = minimize(Nearest(np.diag(target)), start, Settings(maxiter=1))
    assert optimum.promised < 1e-9
    expected = np.where(np.arange(2) == at_zero, -1e-4, 0.0)
    assert_allclose(optimum.dual_eigenvalues[0], expected, atol=1e-12)
    assert not optimum.certified


@pytest.mark.parametrize("error", [1e-7, 1e-5])
def test_a_gain_that_rounding_may_hide_is_not_excluded(error):
    criterion = Nearest(np.eye(2), error=error)
    _, optimum = minimize(criterion, factor_at(np.eye(2)))
    assert optimum.promised < 1e-9
    assert optimum.certified == (error < 1e-6)


@pytest.mark.parametrize("exact_below", [0.0, 0.1])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_nearest_covariance_matrix(k, exact_below):
    inside = 0
    for target in targets(12, k):
        criterion = Nearest(target, exact_below)
        found, optimum = minimize(criterion, factor_at(np.eye(k)), TIGHT)
        expected = nearest(target)
        assert_allclose(found.factors[0].covariance, expected, atol=1e-7)
        distance = 0.5 * ((expected - target) ** 2).sum()
        assert optimum.certified
        assert found.value == pytest.approx(distance, rel=1e-12, abs=1e-12)
        assert optimum.evaluations == len(criterion.seen) < 40
        assert isinstance(optimum.certified, bool)
        assert isinstance(optimum.promised, float)
        assert (np.diff([value for value, *_ in optimum.trace]) < 0.0).all()
        lowest = np.linalg.eigvalsh(expected - target)[0] / k
        assert_allclose(optimum.dual_eigenvalues, [[lowest]], atol=1e-6)
        inside += np.linalg.eigvalsh(target)[0] > 0.0
    assert inside < 12


def test_many_searches_are_those_of_one_after_another():
    many, start = targets(20), factor_at(np.eye(3))
    found, optima = minimize(Nearest(many), start, TIGHT)
    assert_allclose(found.factors[0].covariance, nearest(many), atol=1e-6)
    assert optima.certified.all()
    for i, target in enumerate(many):
        alone, optimum = minimize(Nearest(target), start, TIGHT)
        assert_allclose(found.value[i], alone.value, rtol=1e-10, atol=1e-10)
        assert_allclose(
            optima.dual_eigenvalues[0][i], optimum.dual_eigenvalues[0], atol=1e-6
        )


def test_searches_leave_when_they_are_done():
    easy = np.diag([1.0, 1.0, 1.0])
    many = np.concatenate([[easy], 40.0 * targets(6)])
    criterion = Nearest(many)
    descent = descend(criterion, factor_at(np.eye(3)), TIGHT)
    widths = [shape[0] for shape in criterion.seen]
    assert widths[0] == 7
    assert widths == sorted(widths, reverse=True)
    assert descent.evaluations[0] == 1
    assert descent.evaluations.sum() == sum(widths)
    # each is put where it belongs
    ends = criterion.moved(descent.last, descent.step)
    assert_allclose(ends[0].covariance, nearest(many), atol=1e-5)
    assert (descent.promised < 1e-18).all()


def test_budget():
    many = 40.0 * targets(4)
    descent = descend(Nearest(many), factor_at(np.eye(3)), Settings(maxiter=3))
    assert descent.evaluations.tolist() == [3] * 4
    _, optimum = minimize(Nearest(many[0]), factor_at(np.eye(3)), Settings(maxiter=3))
    assert optimum.evaluations == 3
    assert not optimum.certified


def test_a_step_to_where_the_criterion_is_undefined_is_not_taken():
    target, start = np.array([[4.0]]), factor_at(np.array([[1.0]]))
    criterion = Nearest(target, largest=2.0 + 1e-9)
    found, optimum = minimize(criterion, start, TIGHT)
    assert found.factors[0].covariance[0, 0] == pytest.approx(4.0, rel=1e-6)
    assert len(optimum.trace) < optimum.evaluations
    with pytest.raises(np.linalg.LinAlgError, match="undefined on the way"):
        minimize(Nearest(np.stack([target] * 2), largest=1.2), start, TIGHT)
    with pytest.raises(np.linalg.LinAlgError, match="undefined at the start"):
        minimize(Nearest(target, largest=0.5), start, TIGHT)


def test_searches_that_near_a_known_optimum_are_left():
    target = targets(1)[0]
    known = Distance(factor_at(nearest(target)), target)
    start = np.stack([np.eye(3), 9.0 * np.eye(3)])
    descent = descend(Nearest(target), factor_at(start), TIGHT, known)
    assert descent.left.all()
    assert minimize(Nearest(target), factor_at(np.eye(3)), TIGHT, known) == (None, None)
    # not for one that is farther away
    far = Distance(factor_at(np.zeros((3, 3))), target)
    descent = descend(Nearest(target), factor_at(start), TIGHT, far)
    assert not descent.left.any()


def test_a_step_of_the_criterions_own():
    """A criterion that holds the first entry where it is."""

    class Held(Nearest):
        def step(self, current, radius):
            gradient, curvature = current.gradient[1:], current.curvature[1:, 1:]
            step, promised = trust_region_step(gradient, curvature, radius)
            return np.append(0.0, step), promised

    start = factor_at(np.diag([9.0, 1.0]))
    descent = descend(Held(np.diag([25.0, 4.0])), start, Settings())
    end = descent.last.point[0].covariance
    assert_allclose(end, np.diag([9.0, 4.0]), atol=1e-5)
