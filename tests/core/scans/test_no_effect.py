"""Tests of candidates against no effect."""

import numpy as np
from scipy import stats

from statsmodels_lmm.core.scans.estimates import CONSTANT, Estimates
from statsmodels_lmm.core.scans.hypotheses import no_effect_tests, reasons


def estimates(width=1):
    """Two candidates, the second without an estimate."""
    out = Estimates.nothing(2, width, 50, 48 - width)
    out.effect[:], out.information[:] = 0.5, 4.0 * np.eye(width)
    out.squares[:], out.value[:], out.spread[:] = 94.0, 7.0, 0.1
    out.null_value[:], out.null_squares[:] = 12.0, 98.0
    out.reason[1] = CONSTANT
    return out


def test_wald():
    for method, df in (("asymptotic", np.inf), ("residual", 47.0)):
        found = no_effect_tests(estimates(), "wald", method, True)
        assert np.isclose(found.statistic[0], 0.5 * np.sqrt(4.0 / 2.0))
        assert found.df[0] == df
        assert np.isclose(found.pvalue[0], 2.0 * stats.t.sf(found.statistic[0], df))
    found = no_effect_tests(estimates(), "wald", "satterthwaite", True)
    assert np.isclose(found.df[0], 2.0 / (0.1 + 2.0 / 47.0))
    by_ml = no_effect_tests(estimates(), "wald", "asymptotic", False)
    assert np.isclose(by_ml.variance[0], 94.0 / 50.0)


def test_sets_have_f_or_chi_squared():
    found = no_effect_tests(estimates(3), "wald", "residual", False, is_set=True)
    square = 3.0 / (94.0 / 50.0)
    assert np.isclose(found.statistic[0], square / 3.0)
    assert np.isclose(found.pvalue[0], stats.f.sf(square / 3.0, 3, 45))
    found = no_effect_tests(estimates(3), "wald", "asymptotic", False, is_set=True)
    assert np.isclose(found.pvalue[0], stats.chi2.sf(square, 3))


def test_likelihood_ratios_are_not_negative():
    some = estimates()
    found = no_effect_tests(some, "lr", "asymptotic", False)
    assert np.isclose(found.statistic[0], 5.0)
    assert np.isclose(found.pvalue[0], stats.chi2.sf(5.0, 1))
    some.value[:] = some.null_value + 1e-12
    found = no_effect_tests(some, "lr", "asymptotic", False)
    assert (found.statistic[0], found.pvalue[0]) == (0.0, 1.0)


def test_score_uses_the_variance_without_candidates():
    found = no_effect_tests(estimates(), "score", "asymptotic", True)
    assert np.isclose(found.variance[0], 98.0 / 48.0)
    assert np.isclose(found.statistic[0], 1.0 / (98.0 / 48.0))


def test_what_has_a_reason_has_no_test():
    for test in ("wald", "lr", "score"):
        found = no_effect_tests(estimates(), test, "asymptotic", False)
        assert np.isnan([v[1] for v in vars(found).values()]).all()
    assert reasons(estimates()).tolist() == ["", "the candidate is constant"]
