"""
The examples about covariances of the user, in a reduced size.

What they print is held against dense algebra with n x n matrices.
"""

import importlib.util
import io
from contextlib import redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import optimize, stats

from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.relationship import (
    numerator_relationship,
    numerator_relationship_inverse,
)

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[1] / "examples"
PEDIGREE = {"animal": "id", "sire": "father", "dam": "mother"}


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", autouse=True)
def display_options():
    """Put back the options of pandas that the examples set."""
    names = ("display.width", "display.max_columns", "display.precision")
    with pd.option_context(*(v for n in names for v in (n, pd.get_option(n)))):
        yield


@pytest.fixture(scope="module")
def kinship():
    return example("kinship")


def heard(call, *args, **options):
    """What a call returns and prints."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        return call(*args, **options), printed.getvalue()


@pytest.fixture(scope="module")
def told_of_kinship(kinship, tmp_path_factory):
    """The table, what was printed, and the picture, None without matplotlib."""
    path = None
    if find_spec("matplotlib"):
        import_module("matplotlib").use("Agg")
        path = tmp_path_factory.mktemp("kinship") / "effects.png"
    table, printed = heard(kinship.main, path and str(path), n_families=25, nsim=99)
    return table, printed, path


@pytest.fixture(scope="module")
def own_structure():
    return example("own_structure")


@pytest.fixture(scope="module")
def told_of_structures(own_structure):
    """The fits and what was printed."""
    return heard(own_structure.main, n_patients=20)


def generalized_least_squares(v, x, y):
    """Coefficients, X'V^-1 X, the weighted squares of the residuals, log |V|."""
    root = np.linalg.cholesky(v)
    a, b = np.linalg.solve(root, x), np.linalg.solve(root, y)
    beta = np.linalg.lstsq(a, b)[0]
    return beta, a.T @ a, np.sum((b - a @ beta) ** 2), 2 * np.log(np.diag(root)).sum()


def design(data, snps):
    sex = (data["sex"] == "M").astype(float)
    return np.column_stack([np.ones(len(data)), sex, data[snps]])


def restricted(theta, a, x, y):
    """-2 restricted log-likelihood of Var(y) = sigma^2 (theta^2 A + I)."""
    nu = len(y) - x.shape[1]
    _, info, squares, log_v = generalized_least_squares(
        theta**2 * a + np.eye(len(y)), x, y
    )
    scale = squares / nu
    return log_v + np.linalg.slogdet(info)[1] + nu * (1 + np.log(2 * np.pi * scale))


# kinship ----------------------------------------------------------------------


def test_genotypes_are_inherited(kinship):
    people, data = kinship.simulated_people(40, 130)
    snps = [name for name in data if name.startswith("snp")]
    genotype = data.set_index("id")[snps]
    children = people.dropna().set_index("id")
    assert (len(people), len(children)) == (480, 320)
    father = genotype.loc[children["father"]].to_numpy()
    mother = genotype.loc[children["mother"]].to_numpy()
    child = genotype.loc[children.index].to_numpy()
    assert (child >= (father == 2).astype(int) + (mother == 2)).all()
    assert (child <= (father > 0).astype(int) + (mother > 0)).all()
    # between two heterozygotes 1 : 2 : 1
    share = np.bincount(child[(father == 1) & (mother == 1)], minlength=3)
    expected = share.sum() * np.array([0.25, 0.5, 0.25])
    assert stats.chisquare(share, expected).pvalue > 1e-3


def test_kinship_effects_are_those_of_dense_algebra(kinship, told_of_kinship):
    table, printed, _ = told_of_kinship
    people, data = kinship.simulated_people(25)
    a = numerator_relationship(people, **PEDIGREE).to_numpy()
    y, p = data["trait"].to_numpy(), table["p"].to_numpy()
    for name in [*table.index[::26], table["p"].idxmin()]:
        x, row = design(data, [name]), table.loc[name]
        theta = optimize.minimize_scalar(
            restricted, bounds=(0, 3), args=(a, x, y), options={"xatol": 1e-9}
        ).x
        v = theta**2 * a + np.eye(len(y))
        beta, info, squares, _ = generalized_least_squares(v, x, y)
        se = np.sqrt(squares / (len(y) - 3) * np.linalg.inv(info)[2, 2])
        assert_allclose(row["effect"], beta[2], rtol=1e-5, atol=1e-8)
        assert_allclose(row["se"], se, rtol=1e-5)
        assert_allclose(row["p"], 2 * stats.norm.sf(abs(beta[2] / se)), rtol=1e-4)
        assert_allclose(row["upper"], beta[2] + 1.959964 * se, rtol=1e-4)
    rank = np.argsort(np.argsort(p))
    holm = np.maximum.accumulate(np.sort(p) * np.arange(len(p), 0, -1))[rank]
    assert_allclose(table["holm"], np.minimum(holm, 1.0), rtol=1e-12)
    assert "300 people of 25 families, 130 SNPs" in printed
    assert f"Likelihood-ratio test of {table['p'].idxmin()}" in printed


def test_strangers_are_least_squares_one_snp_at_a_time(kinship):
    _, data = kinship.simulated_people(25)
    snps = [name for name in data if name.startswith("snp")][:5]
    table = kinship.as_strangers(data, snps)
    for name, row in table.iterrows():
        x, y = design(data, [name]), data["trait"].to_numpy()
        beta, info, squares, _ = generalized_least_squares(np.eye(len(y)), x, y)
        se = np.sqrt(squares / (len(y) - 3) * np.linalg.inv(info)[2, 2])
        assert_allclose([row["effect"], row["se"]], [beta[2], se], rtol=1e-8)


def test_interval_of_the_heritability_ends_where_the_likelihood_has_fallen(kinship):
    people, data = kinship.simulated_people(25)
    kin = numerator_relationship(people, **PEDIGREE)
    result = crossedmixedlm(
        "trait ~ sex + (1 | id)", data, relationship={"id": kin}
    ).fit()
    x, y = design(data, []), data["trait"].to_numpy()
    best = optimize.minimize_scalar(
        restricted, bounds=(0, 3), args=(kin.to_numpy(), x, y)
    ).fun
    lower, upper = kinship.profile_interval(result)
    assert 0.0 < lower < kinship.heritability(result.theta.iloc[0]) < upper < 1.0
    for share in (lower, upper):
        theta = np.sqrt(share / (1 - share))
        fallen = restricted(theta, kin.to_numpy(), x, y) - best
        assert_allclose(fallen, stats.chi2.isf(0.05, 1), rtol=1e-5)


def test_kinship_and_its_inverse_say_the_same(kinship):
    people, data = kinship.simulated_people(25)
    kin = numerator_relationship(people, **PEDIGREE)
    inverse = numerator_relationship_inverse(people, **PEDIGREE)
    formula = "trait ~ sex + (1 | id)"
    one = crossedmixedlm(formula, data, relationship={"id": kin}).fit()
    other = crossedmixedlm(formula, data, relationship_inverse={"id": inverse}).fit()
    assert_allclose(other.llf, one.llf, rtol=1e-10)
    assert_allclose(other.theta, one.theta, rtol=1e-6)


def test_kinship_draws_its_picture(told_of_kinship):
    matplotlib = pytest.importorskip("matplotlib")
    _, _, path = told_of_kinship
    assert path.read_bytes().startswith(b"\x89PNG")
    picture = matplotlib.image.imread(path)
    assert picture.shape[:2] == (720, 1500)
    assert picture[..., :3].std() > 0.05


# a structure of one's own -------------------------------------------------------


def deviance(parameters, data, times):
    """-2 log-likelihood of visits with correlation rho^|t - t'|, each taken twice."""
    sd, rho, sigma = parameters
    week, patient = data["week"].to_numpy(), data["patient"].to_numpy()
    drug = data["drug"].to_numpy()
    at = np.searchsorted(times, week)
    lags = np.abs(np.subtract.outer(np.array(times)[at], np.array(times)[at]))
    same = np.equal.outer(patient, patient)
    v = sd**2 * same * rho**lags + sigma**2 * np.eye(len(data))
    x = np.column_stack([np.ones(len(data)), week, drug, week * drug])
    _, _, squares, log_v = generalized_least_squares(v, x, data["pressure"].to_numpy())
    return log_v + squares + len(data) * np.log(2 * np.pi)


def test_own_structure_is_fitted_to_the_optimum(own_structure, told_of_structures):
    fits, printed = told_of_structures
    data = own_structure.simulated_patients(20)
    fit, weeks = fits["car1"], own_structure.WEEKS
    sd, rho, sigma = fit.variance_components()["sd"]
    found = optimize.minimize(
        deviance,
        (7.0, 0.8, 4.0),
        (data, weeks),
        "L-BFGS-B",
        bounds=[(1, 20), (0.1, 0.99), (1, 20)],
        options={"ftol": 1e-13, "gtol": 1e-7},
    )
    assert_allclose(-2 * fit.llf, found.fun, rtol=1e-9)
    assert_allclose((sd, rho, sigma), found.x, rtol=1e-4)
    assert "Four structures" in printed
    assert "patient: cor car1 rho" in printed


def test_table_compares_with_the_unstructured_matrix(own_structure, told_of_structures):
    fits, _ = told_of_structures
    table = own_structure.compare(fits)
    assert set(table.index) == {"us", "cs", "ar1", "car1"}
    assert table["parameters"].to_dict() == {"us": 26, "cs": 7, "ar1": 7, "car1": 7}
    assert_allclose(table["AIC"], table["-2 llf"] + 2 * table["parameters"])
    rest = table.drop(index="us")
    assert_allclose(rest["LR"], rest["-2 llf"] - table.loc["us", "-2 llf"])
    assert_allclose(rest["p"], stats.chi2.sf(rest["LR"], 19))


def test_own_structure_at_equal_steps_is_ar1(own_structure):
    data = own_structure.simulated_patients(20)
    steps = {"car1": own_structure.ContinuousAR1(range(6))}
    formula = "pressure ~ week * drug + {}(0 + factor(week) | patient)"
    own = crossedmixedlm(formula.format("car1"), data, structures=steps).fit()
    ar1 = crossedmixedlm(formula.format("ar1"), data).fit()
    assert_allclose(own.llf, ar1.llf, rtol=1e-10)
    assert_allclose(own.theta, ar1.theta, rtol=1e-5)
    assert_allclose(own.bse_fe, ar1.bse_fe, rtol=1e-5)
