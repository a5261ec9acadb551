"""What a fit says that ends at the edge of the range of its link."""

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from statsmodels_lmm.exceptions import ConvergenceWarning, DataError
from statsmodels_lmm.formula.api import crossedmixedglm
from statsmodels_lmm.models.families import family_of
from statsmodels_lmm.models.link_ranges import edge_sentence, edges, failure_sentence

links = sm.families.links


def rows():
    """Rows with probabilities and counts beyond the range of some links."""
    rng = np.random.default_rng(1)
    x, g = rng.normal(size=200), rng.integers(0, 10, 200)
    eta = 0.5 * x + rng.normal(size=10)[g]
    data = pd.DataFrame({"x": x, "g": g}, index=[f"r{i}" for i in range(200)])
    return data.assign(
        often=(rng.random(200) < np.minimum(1.0, np.exp(-0.2 + 0.6 * eta))) * 1,
        count=rng.poisson(np.exp(eta)),
    )


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        (sm.families.Binomial(), []),
        (sm.families.Binomial(links.Probit()), []),
        (sm.families.Binomial(links.CLogLog()), []),
        (sm.families.Binomial(links.Log()), [0.0]),
        (sm.families.Binomial(links.Identity()), [0.0, 1.0]),
        (sm.families.Poisson(), []),
        (sm.families.Poisson(links.Identity()), [0.0]),
        (sm.families.Gamma(), [0.0]),
        (sm.families.Gaussian(links.Log()), []),
    ],
)
def test_edges(family, expected):
    assert sorted(edges(family_of(family))) == expected


@pytest.mark.parametrize(
    ("response", "family", "link", "advice"),
    [
        ("often", sm.families.Binomial(links.Log()), "log", "logit"),
        ("often", sm.families.Binomial(links.Identity()), "identity", "logit"),
        ("count", sm.families.Poisson(links.Identity()), "identity", "log"),
    ],
)
def test_a_fit_at_the_edge_names_the_link_and_the_rows(response, family, link, advice):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = crossedmixedglm(f"{response} ~ x + (1|g)", rows(), family=family).fit()
    (said,) = [w for w in caught if issubclass(w.category, ConvergenceWarning)]
    assert f"edge of the range of the {link} link" in str(said.message)
    assert "reached it, r" in str(said.message)
    assert f"the {advice} link has no such edge" in str(said.message)
    assert "maxiter" not in str(said.message)
    assert not fit.converged
    assert "edge of the range" in " ".join(str(fit.summary()).split())


def test_rows_that_reach_the_edge():
    family, labels = family_of(sm.families.Poisson(links.Identity())), list("abc")
    told = edge_sentence(family, np.array([1.0, 1e-9, 3.0]), np.array(labels))
    assert "means are not positive: 1 row reached it, b." in told
    assert edge_sentence(family, np.array([1.0, 0.1, 3.0]), np.array(labels)) == ""
    assert edge_sentence(family_of("poisson"), np.zeros(3), np.array(labels)) == ""


def test_a_likelihood_that_cannot_be_evaluated():
    labels, error = np.array(list("ab")), ValueError("why")
    told = failure_sentence(family_of("poisson"), np.array([0.0, 1e5]), labels, error)
    assert "linear predictors of up to 1e+05 in rows b" in told
    family = family_of(sm.families.Binomial(links.Log()))
    told = failure_sentence(family, np.zeros(2), labels, error)
    assert "the log link keeps the means of all rows between 0 and 1" in told
    told = failure_sentence(family_of("poisson"), np.zeros(2), labels, error)
    assert told == "the likelihood cannot be evaluated: why"


def test_an_offset_beyond_floating_point_numbers():
    data = rows().assign(far=1e5 * np.sin(np.arange(200)))
    with pytest.raises(
        DataError, match=r"leave linear predictors of up to .* in rows r"
    ):
        crossedmixedglm("count ~ x + offset(far) + (1|g)", data, family="poisson").fit()


def test_a_large_offset_moves_the_intercept_alone():
    formula, data = "count ~ x + (1|g)", rows().assign(far=700.0)
    near = crossedmixedglm(formula, data, family="poisson").fit()
    far = crossedmixedglm(f"{formula} + offset(far)", data, family="poisson").fit()
    np.testing.assert_allclose(far.params, near.params - [700.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(far.llf, near.llf, atol=1e-8)


def skewed():
    """Positive responses and counts whose means vary much between levels."""
    rng = np.random.default_rng(6)
    g, x = np.arange(60) % 6, rng.normal(size=60)
    mean = np.exp(0.3 + 0.5 * x + rng.normal(size=6)[g])
    positive, count = mean * rng.gamma(3.0, 1.0 / 3.0, 60), rng.poisson(mean)
    return pd.DataFrame({"g": g, "x": x, "positive": positive, "count": count})


def test_nodes_beyond_the_range_count_for_nothing():
    model = crossedmixedglm("positive ~ x + (1|g)", skewed(), family="gamma")
    laplace = model.fit()
    assert laplace.quadrature_change is None
    point = np.array([0.7, -0.1, 0.4, -0.7])

    def value(step):
        return model.loglike(point + step, nagq=5)

    slopes = [(value(s) - value(-s)) / 2e-4 for s in 1e-4 * np.eye(4)]
    found = model.score(point, nagq=5)
    np.testing.assert_allclose(found, slopes, atol=1e-5 * np.abs(found).max())
    with pytest.warns(ConvergenceWarning, match="beyond the range of the inverse_p"):
        fit = model.fit(nagq=5, maxiter=3)
    assert "use nagq=1, or another link, as the log link has no such edge" in fit.reason


def test_a_point_without_information_of_the_fixed_effects():
    """Where the log-likelihood of some rows is convex, as with an identity link."""
    family = sm.families.NegativeBinomial(links.Identity(), alpha=1.0)
    model = crossedmixedglm("count ~ x + (1|g)", skewed(), family=family)
    with pytest.warns(ConvergenceWarning, match="fit stopped before"):
        fit = model.fit(maxiter=1)
    assert np.isnan(fit.with_cov_type("rx").bse).all()
