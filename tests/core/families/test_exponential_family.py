"""What holds for every family: derivatives, moments, constants, draws, batches."""

import numpy as np
import pytest
from family_cases import CASES, FAMILIES, case, five_points, named
from scipy import stats

from statsmodels_lmm.core.families.exponential_family import ExponentialFamily
from statsmodels_lmm.core.families.links import Power

every_case = pytest.mark.parametrize("case", CASES, ids=named)
every_family = pytest.mark.parametrize("family", FAMILIES, ids=named)


def close(found, expected, rtol):
    """Equality up to a share of the largest entry, for entries that may cancel."""
    size = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * size)


@every_case
def test_slopes_are_derivatives(case):
    family, (y, a, eta) = case.family, case.rows
    size = 2e-4 * np.abs(eta)
    chain = [lambda e: case.loss(e, case.extra)]
    chain += [lambda e, j=j: family.slopes(y, a, e, case.extra)[j] for j in range(3)]
    for function, slope in zip(chain, family.slopes(y, a, eta, case.extra)):
        close(slope, five_points(function, eta, size), 2e-9)
    expected = family.expected(y, a, eta, case.extra)
    third = five_points(
        lambda e: family.expected(y, a, e, case.extra).second, eta, size
    )
    close(expected.third, third, 2e-9)
    if family.has_extra:
        by_extra = five_points(
            lambda x: family.expected(y, a, eta, x).second, case.extra
        )
        close(expected.extra, by_extra, 2e-9)
    mean_slope = five_points(family.mean, eta, size)
    close(family.mean_slope(eta), mean_slope, 1e-10)


@every_case
def test_a_newton_step_needs_loss_and_slopes(case):
    family, (y, a, eta) = case.family, case.rows
    ends = np.where(y > np.median(y), y.max(), y.min())
    for response in (y, ends):
        found = family.quadratic(response, a, eta, case.extra)
        loss = family.half_deviance(response, a, eta, case.extra)
        slopes = family.slopes(response, a, eta, case.extra)
        for one, other in zip(found, (loss, *slopes[:2])):
            np.testing.assert_allclose(one, other, rtol=1e-14)


@every_case
def test_own_kernels_equal_the_chain_rule(case):
    """The chain rule at these means loses digits by cancellation only."""
    family, (y, _, eta) = case.family, case.rows
    for method in ("unit_slopes", "unit_expected"):
        args = (y, eta) if method == "unit_slopes" else (eta,)
        own = getattr(family, method)(*args, case.extra)
        chain = getattr(ExponentialFamily, method)(family, *args, case.extra)
        for one, other in zip(own, chain):
            close(one, other, 1e-12)
    chain = ExponentialFamily.unit_loss(family, y, eta, case.extra)
    close(family.unit_loss(y, eta, case.extra), chain, 1e-13)


@every_case
def test_extra_slopes_are_derivatives(case):
    family, (y, a, eta), extra = case.family, case.rows, case.extra
    if not family.has_extra:
        return
    found = family.extra_slopes(y, a, eta, extra)
    loss = five_points(lambda x: case.loss(eta, x), extra)
    close(found.loss, loss, 1e-10)
    for j, name in enumerate(("first", "second")):
        slope = five_points(lambda x, j=j: family.slopes(y, a, eta, x)[j], extra)
        close(getattr(found, name), slope, 1e-10)
    curvature = five_points(lambda x: family.extra_slopes(y, a, eta, x).loss, extra)
    close(found.curvature, curvature, 1e-10)


def support(family, trials):
    """Responses, and their weights in sums or integrals."""
    if family.name == "Binomial":
        return np.arange(trials + 1.0) / trials, 1.0
    if family.is_discrete:
        return np.arange(400.0), 1.0
    t = np.linspace(-12.0, 12.0, 4001)
    if family.name == "Gaussian":
        return t, t[1] - t[0]
    return np.exp(t), np.exp(t) * (t[1] - t[0])


@every_family
@pytest.mark.parametrize("mu", [0.2, 0.7])
def test_probabilities_and_moments(family, mu):
    """Integrals by the trapezoidal rule, which is exact for smooth tails."""
    some = 0.25 if family.extra_is_squared else -0.5
    extra = some if family.has_extra else None
    weighted = family.name == "Binomial" or family.dispersion(extra) != 1.0
    a = 3.0 if weighted else 1.0
    eta = family.link(np.array([mu]))
    y, weight = support(family, a)
    c = family.half_deviance(y, a, eta, extra) + family.saturated(y, a, extra)
    p = np.exp(-c) * weight
    slopes = family.slopes(y, a, eta, extra)
    expected = family.expected(y, a, eta, extra)
    np.testing.assert_allclose(p.sum(), 1.0, rtol=1e-9)
    np.testing.assert_allclose(p @ y, mu, rtol=1e-9)
    variance = family.variance(np.array([mu]), a, extra)
    np.testing.assert_allclose(p @ (y - mu) ** 2, variance, rtol=1e-8)
    scale = np.sqrt(expected.second.item())
    assert abs(p @ slopes.first) < 1e-8 * scale
    np.testing.assert_allclose(p @ slopes.first**2, expected.second, rtol=1e-7)
    np.testing.assert_allclose(p @ slopes.second, expected.second, rtol=1e-7)
    if not family.is_discrete:
        cumulated = np.cumsum(p) - 0.5 * p
    else:
        cumulated = np.cumsum(p)
    cdf = family.cdf(y, np.array([mu]), a, extra)
    np.testing.assert_allclose(cdf, cumulated, atol=1e-5 if scale > 1e9 else 2e-5)


@every_case
def test_smallest_at_its_own_mean(case):
    family, (y, a, _) = case.family, case.rows
    inside = (y > 0.0) & ((y < 1.0) | (family.name != "Binomial"))
    y, a = y[inside], a[inside]
    at_own = family.link(y)
    half = family.half_deviance(y, a, at_own, case.extra)
    assert np.abs(half).max() < 1e-14
    assert (case.family.half_deviance(*case.rows, case.extra) >= 0.0).all()
    deviance = family.unit_deviance(case.y, case.mu, case.extra)
    phi = family.dispersion(case.extra)
    half = family.half_deviance(*case.rows, case.extra)
    np.testing.assert_allclose(0.5 * case.a * deviance / phi, half, rtol=1e-9)


@every_case
def test_leading_axes(case):
    """A batch with an extra parameter each equals its members one at a time."""
    family, batch = case.family, case.reshaped(3, 4)
    extra = np.array([0.2, 0.5, 0.9]) if family.has_extra else None
    y, a, eta = batch.y, batch.a, batch.eta

    def found(y, a, eta, extra):
        yield family.half_deviance(y, a, eta, extra)
        yield family.saturated(y, a, extra)
        yield from family.slopes(y, a, eta, extra)
        yield from family.expected(y, a, eta, extra)
        yield family.unit_deviance(y, family.mean(eta), extra)
        yield family.variance(family.mean(eta), a, extra)
        yield family.cdf(y, family.mean(eta), a, extra)
        yield family.starting_mean(y, a)
        if family.has_extra:
            yield from family.extra_slopes(y, a, eta, extra)
            yield family.starting_extra(y, a, eta)

    together = list(found(y, a, eta, extra))
    for r in range(3):
        alone = found(y[r], a[r], eta[r], None if extra is None else extra[r])
        for one, all_of_them in zip(alone, together):
            np.testing.assert_allclose(all_of_them[r], one, rtol=1e-14)
    shared = family.half_deviance(y, a[0], eta, extra)
    np.testing.assert_array_equal(shared[0], together[0][0])


@every_case
def test_draws(case):
    family, n = case.family, 20_000
    mu, a = np.full((2, n), 0.6), np.full(n, 2.0)
    batch = family.draw(np.random.default_rng(5), mu, a, case.extra)
    rng = np.random.default_rng(5)
    singles = [family.draw(rng, m, a, case.extra) for m in mu]
    np.testing.assert_array_equal(batch, singles)
    assert family.problem(batch, a) is None
    weight = a[0] if family.name == "Binomial" or not family.is_discrete else 1.0
    variance = family.variance(0.6, weight, case.extra).item()
    mean_error = np.sqrt(variance / batch.size)
    assert abs(batch.mean() - 0.6) < 4.0 * mean_error
    assert abs(batch.var() / variance - 1.0) < 0.1
    # with a uniform share of the last step, distribution functions are uniform
    u = np.random.default_rng(6).uniform(size=batch.size).reshape(batch.shape)
    upper = family.cdf(batch, mu, a, case.extra)
    lower = family.cdf(batch - 1.0 / weight, mu, a, case.extra)
    lower = lower if family.is_discrete else upper
    pit = (lower + u * (upper - lower)).ravel()
    assert stats.kstest(pit, "uniform").pvalue > 1e-3


@every_case
def test_starting_values(case):
    family, (y, a, _) = case.family, case.rows
    mean = family.starting_mean(y, a)
    assert np.isfinite(family.link(mean))
    for all_equal in (np.zeros(5), np.ones(5)):
        if family.problem(all_equal, np.ones(5)) is None:
            start = family.starting_mean(all_equal, np.ones(5))
            if all_equal.any() or family.is_discrete:
                assert np.isfinite(family.link(start))
    if family.has_extra:
        rng = np.random.default_rng(7)
        mu = np.full(5_000, 3.0)
        y = family.draw(rng, mu, 1.0, 0.4)
        assert abs(family.starting_extra(y, 1.0, family.link(mu)) - 0.4) < 0.15


@every_family
def test_nothing_warns_far_out(family):
    y = case(family).y[None]
    extra = 0.4 if family.has_extra else None
    eta = np.array([-1e3, -800.0, -40.0, -1e-300, 0.0, 1e-300, 40.0, 800.0, 1e3])[
        :, None
    ]
    with np.errstate(all="raise", under="ignore"):
        half = family.half_deviance(y, 1.0, eta, extra)
        family.mean(eta)
    assert not np.isnan(half).any()
    assert (half >= 0.0).all()
    if isinstance(family.link_function, Power):
        return
    with np.errstate(all="raise", under="ignore"):
        slopes = family.slopes(y, 1.0, eta, extra)
        expected = family.expected(y, 1.0, eta, extra)
    for values in (*slopes, *expected):
        assert np.isfinite(values).all()
    # only an impossible mean has an infinite loss, and large losses can be summed
    possible = eta < (0.0 if half.max() == np.inf else np.inf)
    assert np.isfinite(1e9 * half[np.broadcast_to(possible, half.shape)].sum())
