"""Small-sample inference for repeated measures, against SAS and exact results."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm.core.criteria.correlated import Correlated
from statsmodels_lmm.core.criteria.deviance import Profiled
from statsmodels_lmm.core.criteria.start import moment_start
from statsmodels_lmm.core.engines.choice import engine_for, sufficient_statistics
from statsmodels_lmm.core.residuals.antedependence import AnteDependence
from statsmodels_lmm.core.residuals.autoregressive import Autoregressive
from statsmodels_lmm.core.residuals.compound import CompoundSymmetry
from statsmodels_lmm.core.residuals.layout import lay_out
from statsmodels_lmm.core.residuals.spatial import Exponential
from statsmodels_lmm.core.residuals.toeplitz import Toeplitz
from statsmodels_lmm.core.residuals.unstructured import Unstructured
from statsmodels_lmm.core.residuals.whitening import ResidualCovariance
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.search.correlated import search_correlated
from statsmodels_lmm.core.search.newton import Settings, minimize
from statsmodels_lmm.core.uncertainty.small_sample import kenward_roger, satterthwaite

PUBLISHED = json.loads(
    (Path(__file__).parents[2] / "reference" / "repeated_measures.json").read_text()
)
DATA = PUBLISHED["data"]
SUBJECT, VISIT = np.array(DATA["USUBJID"]), np.array(DATA["AVISIT"]["codes"])
FEV1, ARM = np.array(DATA["FEV1"]), np.array(DATA["ARMCD"]["codes"])
ONES = np.ones(len(FEV1))
OF_ARM = np.column_stack([ONES, ARM])

STRUCTURES = {
    "us": (Unstructured(), True),
    "ar1": (Autoregressive(), False),
    "arh1": (Autoregressive(), True),
    "cs": (CompoundSymmetry(), False),
    "csh": (CompoundSymmetry(), True),
    "toep": (Toeplitz(), False),
    "toeph": (Toeplitz(), True),
    "adh": (AnteDependence(), True),
    "exp": (Exponential(), False),
}


def optimum(endog, exog, covariance, reml=True):
    """The deviance of a model without random effects at its minimum."""
    rows = Rows(endog, exog)
    criterion = Correlated(engine_for([], len(endog)), rows, covariance, reml)
    return search_correlated(criterion, Settings())[0]


def of_visits(structure, unequal, subject, visit, where=None):
    """The covariance of errors that depends on visits."""
    count = visit.max() + 1
    log_sd = (visit[:, None] == np.arange(1, count)[: (count - 1) * unequal]) * 1.0
    where = visit if where is None else where
    layout = lay_out(subject, where, relative=not structure.of_visits)
    return ResidualCovariance(structure, layout, count, 1, log_sd, 4.0)


def covariance_of(name):
    where = None
    if name == "exp":  # in two coordinates, the number of the visit and VISITN2
        where = np.column_stack([VISIT, DATA["VISITN2"]])
    return of_visits(*STRUCTURES[name], SUBJECT, VISIT, where)


@functools.cache
def of_arms(name):
    return optimum(FEV1, OF_ARM, covariance_of(name))


def inferred(deviance, uncertain, contrast=(0.0, 1.0)):
    """Standard error and degrees of freedom of a contrast of coefficients."""
    whitened = np.linalg.solve(deviance.fixed_root, contrast)
    variance = whitened @ uncertain.covariance @ whitened * deviance.scale
    return np.sqrt(variance), uncertain.df(whitened)


@pytest.mark.parametrize("name", STRUCTURES)
def test_kenward_and_roger_as_in_sas(name):
    """SAS's estimates are up to 1e-4 from the optimum, and so are its results."""
    deviance, expected = of_arms(name), PUBLISHED["kenward_roger"][name]
    assert_allclose(deviance.coefficients[1], expected["estimate"], rtol=3e-4)
    # the files of exp are labelled the other way round
    swapped = name == "exp"
    for linear in (False, True):
        found = inferred(deviance, kenward_roger(deviance, linear=linear))
        error = expected["kr(linear)" if linear != swapped else "kr"]
        assert_allclose(found[0], error, rtol=2e-4)
        assert_allclose(found[1], expected["df"], rtol=5e-4)


@pytest.mark.parametrize("name", ["ar1", "toeph", "cs"])
def test_sas_to_six_digits(name):
    """Where SAS's estimates are exact, second derivatives agree in all their digits."""
    deviance, expected = of_arms(name), PUBLISHED["kenward_roger"][name]
    for linear, label in ((False, "kr"), (True, "kr(linear)")):
        found = inferred(deviance, kenward_roger(deviance, linear=linear))
        assert_allclose(found[0], expected[label], rtol=2e-6)
        assert_allclose(found[1], expected["df"], rtol=6e-6)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", ["ar1", "arh1", "cs", "csh", "toeph", "adh", "exp"])
def test_criterion_is_not_above_that_of_sas(name, reml):
    found = optimum(FEV1, ONES[:, None], covariance_of(name), reml).value
    published = PUBLISHED["criteria"][f"{name}_{'reml' if reml else 'ml'}"]
    assert published - 3e-4 < found < published + 1e-6


def test_full_model_as_in_sas():
    """Race, sex and arms by visit, unstructured: 13 columns, 10 covariances."""
    race, sex = (np.array(DATA[each]["codes"]) for each in ("RACE", "SEX"))
    visits = VISIT[:, None] == np.arange(1, 4)
    exog = [ONES, race == 1, race == 2, sex, ARM, *visits.T, *(visits.T * ARM)]
    deviance = optimum(FEV1, 1.0 * np.column_stack(exog), covariance_of("us"))
    assert_allclose(deviance.value, PUBLISHED["full_us_reml"], atol=2e-5)


@pytest.mark.parametrize("information", ["expected", "observed"])
@pytest.mark.parametrize("unequal", [False, True])
def test_paired_t_test(unequal, information):
    """
    Hours of sleep gained with two drugs (Student 1908): R's t.test(paired = TRUE).

    With complete data and one contrast within subjects every method is exact.
    """
    gains = np.array(
        [
            [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0],
            [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4],
        ]
    )
    drug = np.repeat([0, 1], 10)
    subject = np.tile(np.arange(10), 2)
    covariance = of_visits(Unstructured(), unequal, subject, drug)
    exog = np.column_stack([np.ones(20), drug])
    deviance = optimum(gains.ravel(), exog, covariance)
    for uncertain in (
        satterthwaite(deviance),
        kenward_roger(deviance, information),
        kenward_roger(deviance, information, linear=True),
    ):
        found = inferred(deviance, uncertain)
        assert_allclose(found, [0.38895872, 9.0], rtol=1e-7)


def test_compound_symmetry_is_a_random_intercept():
    """Both are one model; lmerTest gives .79559937 and pbkrtest .79647780."""
    data = sufficient_statistics(
        FEV1, OF_ARM, [GroupedEffects(SUBJECT, SUBJECT.max() + 1, ONES[:, None], (1,))]
    )
    intercepts, _ = minimize(Profiled(data, True), moment_start(data))
    errors = of_arms("cs")
    assert_allclose(errors.value, intercepts.value, rtol=1e-12)
    published = [
        (satterthwaite, (), (0.79559940, 177.0384)),
        (kenward_roger, ("expected",), (0.79647783, 175.93636)),
        (kenward_roger, ("observed",), (0.79646969, 177.0384)),
    ]
    for method, args, expected in published:
        one = inferred(errors, method(errors, *args))
        other = inferred(intercepts, method(intercepts, *args))
        assert_allclose(one, other, rtol=1e-7)
        assert_allclose(one, expected, rtol=1e-6)
    assert_allclose(inferred(errors, kenward_roger(errors)), published[2][2], rtol=1e-6)
    assert_allclose(
        inferred(intercepts, kenward_roger(intercepts)), published[1][2], rtol=1e-6
    )


@pytest.mark.parametrize("name", ["arh1", "us"])
def test_centered_columns_are_another_parametrization(name):
    """Sigma then belongs to other rows; inference is the same."""
    covariance = covariance_of(name)
    plain = ResidualCovariance(
        covariance.structure,
        covariance.layout,
        covariance.size,
        1,
        covariance.log_sd,
        is_centered=False,
    )
    one, other = of_arms(name), optimum(FEV1, OF_ARM, plain)
    for linear in (False, True):
        pair = [inferred(d, kenward_roger(d, linear=linear)) for d in (one, other)]
        assert_allclose(*pair, rtol=1e-7)
