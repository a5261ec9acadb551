"""Random effects from arrays: groups, model matrices and functions of theta."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from samples import load
from scipy import linalg, optimize, sparse
from statsmodels.tools.sm_exceptions import MissingDataError

from statsmodels_lmm import CrossedMixedLM, random_effects
from statsmodels_lmm import matrix_effects as matrix
from statsmodels_lmm.core.engines import sparse_engine
from statsmodels_lmm.core.engines.sparse_products import SparseProducts
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.structures import (
    AutoRegressive,
    CompoundSymmetry,
    Diagonal,
    Fixed,
    Known,
)

N, Q = 60, 9
RNG = np.random.default_rng(1)
GROUPS = RNG.integers(6, size=N)
W = RNG.standard_normal(N)
X = np.column_stack([np.ones(N), W])
Z = RNG.standard_normal((N, Q)) * (RNG.random((N, Q)) < 0.5)
Y = X @ [1.0, 2.0] + Z @ RNG.standard_normal(Q) + RNG.standard_normal(N)
_SLOPES = np.array([[1.2, 0.0], [0.3, 0.9]]) @ RNG.standard_normal((2, 6))
Y = Y + (X * _SLOPES.T[GROUPS]).sum(axis=1)
FRAME = pd.DataFrame({"y": Y, "w": W, "g": GROUPS})


def fit(random, y=Y, x=X, **kwargs):
    return CrossedMixedLM(y, x, random=random, **kwargs).fit()


class Twin:
    """Criterion, estimates and modes for b ~ N(0, sigma^2 G), by V and its inverse."""

    def __init__(self, y, x, z, g, reml=True):
        n, p = x.shape
        v = np.eye(n) + z @ g @ z.T
        inverse = linalg.inv(v)
        information = x.T @ inverse @ x
        self.covariance = linalg.inv(information)
        projection = inverse - inverse @ x @ self.covariance @ x.T @ inverse
        nu = n - p if reml else n
        self.scale = y @ projection @ y / nu
        value = np.linalg.slogdet(v)[1] + nu * (1.0 + np.log(2 * np.pi * self.scale))
        if reml:
            value += np.linalg.slogdet(information)[1]
        self.llf = -0.5 * value
        self.beta = self.covariance @ x.T @ inverse @ y
        gz = g @ z.T
        self.modes = gz @ projection @ y
        self.conditional = self.scale * (g - gz @ inverse @ gz.T)
        across = -self.covariance @ x.T @ inverse @ gz.T
        errors = g - gz @ projection @ gz.T
        self.joint = self.scale * np.block(
            [[self.covariance, across], [across.T, errors]]
        )


def check(result, z, g, reml=True):
    """A fit against the twin at its own G."""
    model = result.model
    dense = Twin(model.endog, model.exog, z, g, reml)
    assert result.converged
    assert_allclose(result.llf, dense.llf, rtol=1e-10)
    assert_allclose(result.scale, dense.scale, rtol=1e-8)
    assert_allclose(result.params, dense.beta, rtol=1e-7)
    modes = np.concatenate([m.ravel() for m in result._results._modes])
    assert_allclose(modes, dense.modes, rtol=1e-6, atol=1e-8)
    assert_allclose(result.joint_covariance(), dense.joint, rtol=1e-6, atol=1e-8)
    return dense


# spellings -----------------------------------------------------------------

EFFECTS = X
FORMULA = {
    "intercepts": "y ~ w + (1 | g)",
    "slopes": "y ~ w + (w | g)",
    "diagonal": "y ~ w + (w || g)",
    "cs": "y ~ w + cs(1 + w | g)",
}
SPELLINGS = {
    "groups": ("intercepts", [GROUPS]),
    "a Series": ("intercepts", [pd.Series(GROUPS, name="g")]),
    "a list": ("intercepts", [GROUPS.tolist()]),
    "text": ("intercepts", [np.array(list("abcdef"))[GROUPS]]),
    "a tuple of groups": ("intercepts", [(GROUPS,)]),
    "a dict": ("intercepts", {"g": GROUPS}),
    "what random_effects returns": ("intercepts", [random_effects(GROUPS)]),
    "a single term": ("intercepts", random_effects(GROUPS)),
    "keywords": ("intercepts", [{"groups": GROUPS, "name": "g"}]),
    "named keywords": ("intercepts", {"g": {"groups": GROUPS}}),
    "groups and columns": ("slopes", [(GROUPS, EFFECTS)]),
    "lists": ("slopes", [(GROUPS.tolist(), EFFECTS.tolist())]),
    "a DataFrame": ("slopes", [(GROUPS, pd.DataFrame(EFFECTS, columns=["a", "b"]))]),
    "a pair in a dict": ("slopes", {"g": (GROUPS, EFFECTS)}),
    "us": ("slopes", [(GROUPS, EFFECTS, "us")]),
    "columns by keywords": ("slopes", [{"groups": GROUPS, "effects": EFFECTS}]),
    "diag": ("diagonal", [(GROUPS, EFFECTS, "diag")]),
    "an object": ("diagonal", [(GROUPS, EFFECTS, Diagonal(False))]),
    "a structure by keywords": (
        "diagonal",
        {"g": {"groups": GROUPS, "effects": EFFECTS, "structure": "diag"}},
    ),
    "cs by name": ("cs", [(GROUPS, EFFECTS, "cs")]),
    "cs": ("cs", [random_effects(GROUPS, EFFECTS, CompoundSymmetry(False))]),
}


@pytest.mark.parametrize("how", SPELLINGS)
def test_spellings_of_groups(how):
    name, random = SPELLINGS[how]
    expected = crossedmixedlm(FORMULA[name], FRAME).fit()
    found = fit(random)
    assert_allclose(found.llf, expected.llf, rtol=1e-9)
    assert_allclose(found.theta, expected.theta, rtol=1e-5, atol=1e-5)
    modes = np.asarray(found.random_effects_table()["mode"])
    wanted = np.asarray(expected.random_effects_table()["mode"])
    assert_allclose(modes, wanted, rtol=1e-4, atol=1e-5)


MATRICES = {
    "array": [Z],
    "tuple": [(Z,)],
    "named": {"Z": Z},
    "csr_array": [sparse.csr_array(Z)],
    "csc_matrix": [sparse.csc_matrix(Z)],
    "coo_array": [sparse.coo_array(Z)],
    "DataFrame": [pd.DataFrame(Z)],
    "keywords": [{"z": Z}],
    "named keywords": {"Z": {"z": Z}},
    "term": [matrix(Z)],
    "lists": [matrix(Z.tolist())],
    "one variance": [(Z, Diagonal(True))],
    "known": [(Z, Known(np.eye(Q)))],
}


@pytest.mark.parametrize("how", MATRICES)
def test_spellings_of_a_matrix(how):
    result = fit(MATRICES[how])
    theta = float(result.theta.iloc[0])
    assert theta > 0.3
    check(result, Z, theta**2 * np.eye(Q))
    for other in (0.9 * theta, 1.1 * theta):
        expected = Twin(Y, X, Z, other**2 * np.eye(Q)).llf
        assert expected < result.llf
        assert_allclose(result.model.loglike([other]), expected, rtol=1e-10)


def test_indicators_are_groups():
    expected = fit([GROUPS])
    for z in (np.eye(6)[GROUPS], sparse.csr_array(np.eye(6)[GROUPS])):
        found = fit([z])
        assert_allclose(found.llf, expected.llf, rtol=1e-12)
        assert_allclose(found.theta, expected.theta, rtol=1e-6)
        columns = ["mode", "sd"]
        assert_allclose(
            found.random_effects_table()[columns],
            expected.random_effects_table()[columns],
            rtol=1e-6,
        )
        for options in ({"random_effects": True}, {"interval": "prediction"}):
            frames = [r.get_prediction(**options) for r in (found, expected)]
            frames = [f.summary_frame() for f in frames]
            assert_allclose(frames[0], frames[1], rtol=1e-7)
        assert_allclose(found.r_squared(), expected.r_squared(), rtol=1e-7)
        assert_allclose(found.icc(), expected.icc(), rtol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("limit", [2000, 5])
def test_matrix_beside_groups(limit, monkeypatch):
    """By blocks, and all at once where columns are kept sparse."""
    monkeypatch.setattr(sparse_engine, "MANY_COLUMNS", limit)
    result = fit({"Z": sparse.csr_array(Z), "g": (GROUPS, EFFECTS)})
    products = result.model._sufficient_statistics()[1]
    assert isinstance(products, SparseProducts) == (limit == 5)
    relative = result._results._relative
    z = np.zeros((N, 6, 2))
    z[np.arange(N), GROUPS] = EFFECTS
    both = np.column_stack([Z, z.reshape(N, -1)])
    g = linalg.block_diag(relative[0] * np.eye(Q), np.kron(np.eye(6), relative[1]))
    assert result.theta["Z.b"] > 0.1
    dense = check(result, both, g)
    found = result.get_prediction(random_effects=True)
    columns = np.column_stack([X, both])
    variances = np.einsum("ij,jk,ik->i", columns, dense.joint, columns)
    assert_allclose(found.se**2, variances, rtol=1e-6)
    wanted = X @ dense.beta + both @ dense.modes
    assert_allclose(found.predicted, wanted, rtol=1e-7)
    variances = np.einsum("ij,jk,ik->i", X, dense.joint[:2, :2], X) + dense.scale
    variances += dense.scale * np.einsum("ij,jk,ik->i", both, g, both)
    found = result.get_prediction(interval="prediction")
    assert_allclose(found.se_obs**2, variances, rtol=1e-6)
    drawn = result.simulate(4_000, rng=0).to_numpy()
    cov = np.cov(drawn)
    expected = dense.scale * (np.eye(N) + both @ g @ both.T)
    # entries of a sample covariance, in standard errors
    errors = (np.outer(np.diag(expected), np.diag(expected)) + expected**2) / 4_000
    assert np.abs((cov - expected) / np.sqrt(errors)).max() < 5.0


@pytest.mark.parametrize(
    "structure", [AutoRegressive(True), AutoRegressive(False), CompoundSymmetry(True)]
)
@pytest.mark.parametrize("is_sparse", [True, False])
def test_structures_of_a_matrix(structure, is_sparse):
    z = sparse.csr_array(Z) if is_sparse else Z
    result = fit([(z, structure)])
    g = structure.covariance(result.theta.to_numpy(), Q)
    check(result, Z, g)
    theta = result.theta.to_numpy()
    for step in 0.02 * np.vstack([np.eye(len(theta)), -np.eye(len(theta))]):
        g = structure.covariance(theta + step, Q)
        if np.linalg.eigvalsh(g)[0] > 0.0 and (theta[:-1] + step[:-1] > 0.0).all():
            assert Twin(Y, X, Z, g).llf < result.llf


def test_structure_by_name():
    expected = fit([(Z, AutoRegressive(True))])
    assert_allclose(fit([(Z, "ar1")]).llf, expected.llf, rtol=1e-12)


def test_matrix_with_a_covariance_that_is_fixed():
    g = 0.3 * np.cov(np.random.default_rng(2).standard_normal((Q, 30)))
    result = fit([matrix(Z, Fixed(g))])
    assert len(result.theta) == 0
    check(result, Z, g)


@pytest.mark.parametrize("c", [1e-5, 1e5])
def test_units_of_a_matrix(c):
    expected = fit([Z])
    found = fit([c * Z])
    assert_allclose(found.llf, expected.llf, rtol=1e-10)
    assert_allclose(c * found.theta, expected.theta, rtol=1e-5)
    columns = ["mode", "sd"]
    assert_allclose(
        c * found.random_effects_table()[columns],
        expected.random_effects_table()[columns],
        rtol=1e-5,
    )


def test_order_of_rows_and_columns():
    expected = fit([Z])
    rows = np.random.default_rng(0).permutation(N)
    columns = np.random.default_rng(1).permutation(Q)
    found = fit([Z[rows][:, columns]], Y[rows], X[rows])
    assert_allclose(found.llf, expected.llf, rtol=1e-12)
    modes = expected.random_effects_table()["mode"].to_numpy()
    assert_allclose(found.random_effects_table()["mode"], modes[columns], rtol=1e-6)


@pytest.mark.parametrize("n_columns", [1, N, N + 20])
def test_few_and_many_columns(n_columns):
    z = np.random.default_rng(4).standard_normal((N, n_columns)) / np.sqrt(n_columns)
    y = Y + 2.0 * z @ np.random.default_rng(5).standard_normal(n_columns)
    result = fit([z], y)
    check(result, z, float(result.theta.iloc[0]) ** 2 * np.eye(n_columns))
    sd = result.random_effects_table()["sd"].to_numpy()
    g = float(result.theta.iloc[0]) ** 2 * np.eye(n_columns)
    assert_allclose(sd**2, np.diag(Twin(y, X, z, g).conditional), rtol=1e-6)


def test_weights_and_offset():
    weights, offset = np.random.default_rng(3).uniform(0.5, 2.0, (2, N))
    result = fit([Z], weights=weights, offset=offset)
    root = np.sqrt(weights)
    dense = Twin(
        root * (Y - offset),
        root[:, None] * X,
        root[:, None] * Z,
        float(result.theta.iloc[0]) ** 2 * np.eye(Q),
    )
    assert_allclose(result.llf, dense.llf + np.log(root).sum(), rtol=1e-10)
    assert_allclose(result.params, dense.beta, rtol=1e-7)
    modes = result.random_effects_table()["mode"]
    assert_allclose(modes, dense.modes, rtol=1e-6)


@pytest.mark.parametrize("inverse", [True, False])
@pytest.mark.parametrize("is_sparse", [True, False])
def test_related_columns(inverse, is_sparse):
    """Some of the labels, in an order of their own."""
    root = np.random.default_rng(6).standard_normal((Q + 2, Q + 4))
    names = [f"b{i + 1}" for i in range(Q + 2)][::-1]
    k = pd.DataFrame(root @ root.T / Q, names, names)
    z = sparse.csr_array(Z) if is_sparse else Z
    if inverse:
        q = linalg.inv(k.to_numpy())
        q = sparse.csc_array(q) if is_sparse else q
        result = fit([z], relationship_inverse={"Z": (q, names)})
    else:
        result = fit([z], relationship={"Z": k})
    levels = result.model.random[0].levels
    assert sorted(levels) == sorted(names)  # labels without a column are predicted
    own = pd.DataFrame(Z, columns=[f"b{i + 1}" for i in range(Q)])
    wide = own.reindex(columns=levels, fill_value=0.0).to_numpy()
    check(result, wide, float(result.theta.iloc[0]) ** 2 * k.loc[levels, levels])


def test_related_columns_that_are_kept_sparse(monkeypatch):
    """A sparse inverse of more levels than are inverted, some without a column."""
    monkeypatch.setattr("statsmodels_lmm.random.known_levels.DENSE_LEVELS", 3)
    root = np.random.default_rng(6).standard_normal((Q + 2, Q + 4))
    names = [f"b{i + 1}" for i in range(Q + 2)][::-1]
    k = pd.DataFrame(root @ root.T / Q, names, names)
    inverse = sparse.csc_array(linalg.inv(k.to_numpy()))
    own = [f"b{i + 1}" for i in range(Q)]
    for z in (Z, sparse.csr_array(Z)):
        result = fit([z], relationship_inverse={"Z": (inverse, names)})
        expected = fit([z], relationship={"Z": k})
        assert_allclose(result.llf, expected.llf, rtol=1e-8)
        modes = result.random_effects["Z"]
        assert set(modes.index) >= set(own)
        wanted = expected.random_effects["Z"].loc[own]
        assert_allclose(modes.loc[own], wanted, rtol=1e-4, atol=1e-6)


# missing values and other inputs --------------------------------------------


def gaps(values, *at):
    values = np.array(values, dtype=float)
    values[at] = np.nan
    return values


def with_gap(what):
    """The arrays with one incomplete row, number 5."""
    out = {"y": Y, "x": X, "z": Z, "groups": GROUPS, "effects": EFFECTS}
    place = (5,) if what in ("y", "groups") else (5, 1)
    out[what] = gaps(out[what], *place)
    return out


def random_of(arrays, is_sparse=False):
    z = sparse.csr_array(arrays["z"]) if is_sparse else arrays["z"]
    return {"Z": z, "g": (arrays["groups"], arrays["effects"])}


@pytest.mark.parametrize("is_sparse", [True, False])
@pytest.mark.parametrize("what", ["y", "x", "z", "groups", "effects"])
def test_incomplete_rows(what, is_sparse):
    arrays = with_gap(what)
    random = random_of(arrays, is_sparse)
    keep = np.arange(N) != 5
    complete = {"Z": Z[keep], "g": (GROUPS[keep], EFFECTS[keep])}
    expected = fit(complete, Y[keep], X[keep])
    model = CrossedMixedLM(arrays["y"], arrays["x"], random=random, missing="drop")
    assert model.n_dropped == 1
    found = model.fit()
    assert found.nobs == N - 1
    assert_allclose(found.llf, expected.llf, rtol=1e-12)
    with pytest.raises(MissingDataError):
        CrossedMixedLM(arrays["y"], arrays["x"], random=random, missing="raise")
    with pytest.raises(DataError, match=r"missing|not finite"):
        CrossedMixedLM(arrays["y"], arrays["x"], random=random)


def test_missing_text_among_groups():
    labels = np.array(list("abcdef"), dtype=object)[GROUPS]
    labels[5] = None
    keep = np.arange(N) != 5
    found = fit([labels], missing="drop")
    expected = fit([GROUPS[keep]], Y[keep], X[keep])
    assert_allclose(found.llf, expected.llf, rtol=1e-12)


REFUSED = {
    "fewer rows of a matrix": ([Z[:-1]], "59 rows, endog has 60"),
    "fewer groups": ([GROUPS[:-1]], "59 rows, endog has 60"),
    "fewer rows of effects": ([(GROUPS, X[:-1])], "59 rows, the groups 60"),
    "three dimensions": ([np.zeros((N, 2, 2))], "shape"),
    "no columns": ([np.zeros((N, 0))], r"shape \(60, 0\)"),
    "two matrices without names": ([Z, Z[:, :2]], "two random effects are named Z"),
    "two groups without names": ([GROUPS, GROUPS], "two random effects are named"),
    "unknown structure": ([(GROUPS, X, "toeplitz")], "structure must be one of us, "),
    "no structure": ([(GROUPS, X, 3)], "structure must be one of"),
    "matrix, effects, structure": ([(Z, X, "cs")], "followed only by a structure"),
    "too much": ([(GROUPS, X, "cs", "g")], "followed only by effects and a structure"),
    "names of effects": (
        [{"groups": GROUPS, "effects": X, "names": ["a"]}],
        "1 names for 2 effects",
    ),
    "names of columns": ([{"z": Z, "names": ["a"]}], "1 names for 9 columns"),
    "infinite": ([np.where(Z > 2.0, np.inf, Z)], "missing or infinite"),
    "nothing": ([], "at least one random effect"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused(what):
    random, match = REFUSED[what]
    with pytest.raises(DataError, match=match):
        CrossedMixedLM(Y, X, random=random)


@pytest.mark.parametrize(
    "random",
    [
        lambda: matrix(Z[:, :2], names=["a", "a"]),
        lambda: pd.DataFrame(Z[:, :2], columns=["a", "a"]),
        lambda: random_effects(GROUPS, X, names=["a", "a"]),
    ],
)
def test_names_that_appear_twice(random):
    """They would hide each other in every table."""
    with pytest.raises(DataError, match=r"'?a'? .*(twice|more than once)"):
        CrossedMixedLM(Y, X, random=[random()])


def test_several_names_for_one_term():
    """The key of a dict is the name; another one is an error that says so."""
    with pytest.raises((DataError, TypeError), match="name"):
        fit({"one": {"z": Z, "name": "other"}})
    assert fit({"one": matrix(Z, name="other")}).model.random[0].name == "one"


@pytest.mark.parametrize("is_sparse", [True, False])
def test_matrix_of_zeros(is_sparse):
    """It says nothing: the variance is zero, as that of an effect column of zeros."""
    z = np.zeros((N, 3))
    result = fit([sparse.csr_array(z) if is_sparse else z])
    assert_allclose(result.theta, 0.0)
    assert_allclose(result.params, np.linalg.lstsq(X, Y)[0], rtol=1e-9)


def test_influence_of_a_matrix_by_name():
    """There are no groups of rows; the message says so."""
    with pytest.raises((DataError, ValueError), match="Z"):
        fit([Z]).get_influence("Z")


def test_names_in_tables():
    z = pd.DataFrame(Z[:, :3], columns=["north", "south", "east"])
    result = fit({"wind": z, "g": random_effects(GROUPS, X, names=["level", "trend"])})
    first, *others = result.theta.index
    assert first.startswith("wind.")
    assert others == ["g.level", "g.trend.level", "g.trend"]
    effects = result.random_effects
    assert effects["wind"].index.tolist() == ["north", "south", "east"]
    assert effects["g"].columns.tolist() == ["level", "trend"]
    assert result.variance_components()["group"].tolist()[0] == "wind"
    assert "wind" in str(result.summary())
    index = result.joint_covariance().index
    assert ("wind", "south") in set(
        zip(index.get_level_values("group"), index.get_level_values("level"))
    )


def test_predictions_at_new_rows():
    result = fit({"Z": Z, "g": (GROUPS, X)})
    inside = result.get_prediction(random_effects=True, interval="prediction")
    rows = slice(3, 9)
    for z in (Z[rows], sparse.csr_array(Z[rows])):
        random = {"Z": z, "g": (GROUPS[rows], X[rows])}
        found = result.get_prediction(
            X[rows], random=random, random_effects=True, interval="prediction"
        )
        assert_allclose(found.predicted, np.asarray(inside.predicted)[rows], rtol=1e-9)
        assert_allclose(found.se, inside.se[rows], rtol=1e-9)
        assert_allclose(found.se_obs, inside.se_obs[rows], rtol=1e-9)
        predicted = result.predict(X[rows], random=random, random_effects=True)
        assert_allclose(predicted, found.predicted, rtol=1e-12)
    only = result.get_prediction(X[rows], random={"Z": Z[rows]}, random_effects=["Z"])
    fixed = result.get_prediction(X[rows])
    modes = result.random_effects["Z"].to_numpy()[:, 0]
    assert_allclose(only.predicted, fixed.predicted + Z[rows] @ modes, rtol=1e-9)
    for random, match in (
        ({"g": (GROUPS[rows], X[rows])}, "lacks Z"),
        ({"Z": Z[rows, 1:], "g": (GROUPS[rows], X[rows])}, "matrix of 9 columns"),
        ({"Z": Z[:3], "g": (GROUPS[rows], X[rows])}, "3 rows but exog has 6"),
        ({"Z": Z[rows], "g": (GROUPS[rows] + 90, X[rows])}, "new levels of g"),
    ):
        with pytest.raises(DataError, match=match):
            result.get_prediction(X[rows], random=random, random_effects=True)


def test_copies_and_removed_data():
    result = fit({"Z": Z, "g": GROUPS})
    expected = result.random_effects_table()
    for other in (
        pickle.loads(pickle.dumps(result)),
        copy.copy(result),
        copy.deepcopy(result),
    ):
        pd.testing.assert_frame_equal(other.random_effects_table(), expected)
        assert_allclose(other.model.fit().llf, result.llf, rtol=1e-12)
    text = str(result.summary().tables[1])
    result = fit({"Z": Z, "g": GROUPS})
    result.remove_data()
    assert str(result.summary().tables[1]) == text
    with pytest.raises(DataError, match="were removed"):
        result.get_prediction()


@pytest.mark.slow
@pytest.mark.parametrize("limit", [2000, 5])
def test_bootstrap_of_a_matrix(limit, monkeypatch):
    monkeypatch.setattr(sparse_engine, "MANY_COLUMNS", limit)
    result = fit({"Z": sparse.csr_array(Z), "g": GROUPS})
    for kind in ("parametric", "conditional", "semiparametric"):
        one = result.bootstrap(3, rng=1, kind=kind, n_jobs=1)
        assert one.n_failed == 0
        two = result.bootstrap(3, rng=1, kind=kind, n_jobs=1)
        pd.testing.assert_frame_equal(one.draws, two.draws)
    responses = result.simulate(3, rng=1)
    drawn = result.bootstrap(3, rng=1, n_jobs=1).draws
    for i in range(3):
        other = result.refit(responses[i])
        assert_allclose(drawn.loc[i, ["const", "x1"]], other.params, atol=1e-4)


@pytest.mark.parametrize("limit", [2000, 5])
def test_influence_of_rows(limit, monkeypatch):
    monkeypatch.setattr(sparse_engine, "MANY_COLUMNS", limit)
    result = fit([sparse.csr_array(Z)])
    g = float(result.theta.iloc[0]) ** 2 * np.eye(Q)
    found = result.get_influence()
    for row in (0, 11):
        keep = np.arange(N) != row
        dense = Twin(Y[keep], X[keep], Z[keep], g)
        assert_allclose(found.params_without.iloc[row], dense.beta, rtol=1e-6)
        assert_allclose(found.scale_without.iloc[row], dense.scale, rtol=1e-6)
    found = result.get_influence(GROUPS)
    keep = GROUPS != 2
    dense = Twin(Y[keep], X[keep], Z[keep], g)
    assert_allclose(found.params_without.loc[2], dense.beta, rtol=1e-6)
    found = result.get_influence(GROUPS, refit=True, n_jobs=1)
    other = fit([Z[keep]], Y[keep], X[keep])
    assert_allclose(found.params_without.loc[2], other.params, rtol=1e-4)


# a factor that is a function of theta ----------------------------------------

DATA = load("sleepstudy")
REACTION = DATA["Reaction"].to_numpy()
DAYS = np.column_stack([np.ones(180), DATA["Days"]])
SUBJECTS = np.unique(DATA["Subject"], return_inverse=True)[1]
SLOPES = np.zeros((180, 18, 2))
SLOPES[np.arange(180), SUBJECTS] = DAYS
SLOPES = SLOPES.reshape(180, -1)
INDICATORS = np.eye(18)[SUBJECTS]
OPEN = [0.0, -np.inf, 0.0]


def triangle(theta):
    return np.kron(np.eye(18), [[theta[0], 0.0], [theta[1], theta[2]]])


def sparse_triangle(theta):
    return sparse.csr_array(triangle(theta))


def slopes_of_triangle(theta):
    return [triangle(unit) for unit in np.eye(3)]


def sparse_slopes(theta):
    return [sparse_triangle(unit) for unit in np.eye(3)]


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize(
    ("z", "function", "derivative"),
    [
        (SLOPES, triangle, None),
        (SLOPES, triangle, slopes_of_triangle),
        (sparse.csr_array(SLOPES), sparse_triangle, None),
        (sparse.csr_array(SLOPES), sparse_triangle, sparse_slopes),
    ],
)
def test_slopes_of_sleepstudy(z, function, derivative, reml):
    model = CrossedMixedLM.from_matrices(
        REACTION, DAYS, z, function, [1.0, 0.0, 1.0], OPEN, derivative=derivative
    )
    found = model.fit(reml=reml)
    expected = crossedmixedlm("Reaction ~ Days + (Days | Subject)", DATA)
    expected = expected.fit(reml=reml)
    assert found.converged
    assert_allclose(found.llf, expected.llf, rtol=1e-12)
    assert_allclose(found.theta, expected.theta, rtol=1e-5)
    modes, wanted = found.random_effects_table(), expected._results._modes[0]
    assert_allclose(modes["mode"], wanted.ravel(), rtol=1e-4, atol=1e-4)
    assert_allclose(found.bse, expected.bse, rtol=1e-6)
    assert_allclose(found.fittedvalues, expected.fittedvalues, rtol=1e-6)
    # lmer(Reaction ~ Days + (Days | Subject), sleepstudy), lme4 1.1-31
    criterion = {True: 1743.6282719599, False: 1751.9393444647}[reml]
    assert_allclose(-2.0 * found.llf, criterion, atol=1e-7)
    for theta in ([0.7, 0.2, 0.4], [0.4, -0.3, 0.1]):
        for name, rtol in (("loglike", 1e-10), ("score", 1e-5), ("hessian", 1e-4)):
            mine, theirs = (
                getattr(r.model, name)(theta, reml) for r in (found, expected)
            )
            assert_allclose(mine, theirs, rtol=rtol, atol=1e-4)


@pytest.mark.slow
def test_everything_after_such_a_fit():
    found = CrossedMixedLM.from_matrices(
        REACTION, DAYS, SLOPES, triangle, [1.0, 0.0, 1.0], OPEN
    ).fit()
    expected = crossedmixedlm("Reaction ~ Days + (Days | Subject)", DATA).fit()
    assert_allclose(found.r_squared(), expected.r_squared(), rtol=1e-6)
    for options in ({"random_effects": True}, {"interval": "prediction"}, {}):
        one, two = (r.get_prediction(**options) for r in (found, expected))
        assert_allclose(one.summary_frame(), two.summary_frame(), rtol=1e-5)
    # second derivatives depend on the parameters, which are others here
    for method in ("satterthwaite", "kenward-roger(linear)"):
        one, two = (r.t_test([0.0, 1.0], df_method=method) for r in (found, expected))
        assert_allclose(one.df_denom, two.df_denom, rtol=1e-4)
        assert_allclose(one.sd, two.sd, rtol=1e-5)
    one, two = (r.get_influence().params_without for r in (found, expected))
    assert_allclose(one, two, rtol=1e-5)
    # theta_1 is the deviation of intercepts over sigma in both
    interval = found.profile(which="random", n_points=2).conf_int().iloc[0]
    for end in interval:
        free = optimize.minimize(
            lambda t, end=end: -2.0 * expected.model.loglike([end, *t]),
            found.theta.to_numpy()[1:],
            method="Nelder-Mead",
            options={"xatol": 1e-8, "fatol": 1e-10},
        )
        assert_allclose(free.fun + 2.0 * found.llf, 3.841458820694124, rtol=1e-5)
    draws = found.bootstrap(3, rng=0, n_jobs=1)
    assert draws.n_failed == 0
    refitted = crossedmixedlm(
        "y ~ Days + (Days | Subject)", DATA.assign(y=found.simulate(3, rng=0)[1])
    ).fit()
    row = draws.draws.loc[1, found.model.exog_names]
    assert_allclose(row, refitted.params, rtol=1e-3)


def test_one_parameter_is_a_relationship():
    root = np.tril(np.random.default_rng(7).standard_normal((18, 18))) + 3 * np.eye(18)
    levels = np.unique(SUBJECTS)
    expected = CrossedMixedLM(
        REACTION,
        DAYS,
        random={"Z": SUBJECTS},
        relationship={"Z": (root @ root.T, levels)},
    ).fit()

    def linear(theta):
        return theta[0] * root

    def wide(theta):
        return theta[0] * np.column_stack([0.6 * root, 0.8 * root])

    def squared(theta):
        return theta[0] ** 2 * root

    def fitted(function, start, lower=None, z=INDICATORS, **kwargs):
        return CrossedMixedLM.from_matrices(
            REACTION, DAYS, z, function, [start], lower, **kwargs
        ).fit()

    theta = float(expected.theta.iloc[0])
    for found, power in (
        (fitted(linear, 1.0, [0.0]), 1),
        (fitted(linear, 0.1), 1),
        (fitted(linear, -2.0), 1),
        (fitted(linear, 1.0, z=sparse.csr_array(INDICATORS)), 1),
        (fitted(wide, 1.0), 1),
        (fitted(squared, 1.0, [0.0]), 2),
    ):
        assert found.converged
        assert_allclose(found.llf, expected.llf, rtol=1e-10)
        assert_allclose(abs(found.theta.iloc[0]) ** power, theta, rtol=1e-4)
        modes = np.concatenate([m.ravel() for m in found._results._modes])
        assert_allclose(modes, expected._results._modes[0][:, 0], rtol=1e-3, atol=1e-4)
    named = fitted(linear, 1.0, [0.0], names=["h"], name="kin")
    assert named.variance_components().loc[0, "group"] == "kin"
    # with an end on the other side it is a parameter like any other
    ended = CrossedMixedLM.from_matrices(
        REACTION, DAYS, INDICATORS, linear, [0.5 * theta], [0.0], [0.8 * theta]
    ).fit()
    assert ended.converged
    assert_allclose(ended.theta, 0.8 * theta, rtol=1e-8)
    g = (0.8 * theta) ** 2 * root @ root.T
    assert_allclose(ended.llf, Twin(REACTION, DAYS, INDICATORS, g).llf, rtol=1e-10)


def test_default_is_one_variance():
    found = CrossedMixedLM.from_matrices(REACTION, DAYS, INDICATORS).fit()
    expected = crossedmixedlm("Reaction ~ Days + (1 | Subject)", DATA).fit()
    assert_allclose(found.llf, expected.llf, rtol=1e-12)
    further = CrossedMixedLM.from_matrices(
        Y, X, Z, name="weeds", random={"g": GROUPS}
    ).fit()
    assert [e.name for e in further.model.random] == ["weeds", "g"]
    assert_allclose(further.llf, fit({"Z": Z, "g": GROUPS}).llf, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("c", [0.05, 0.15])
def test_optimum_at_an_upper_end(c):
    """The third parameter ends below its optimum; the others follow."""
    found = CrossedMixedLM.from_matrices(
        REACTION,
        DAYS,
        SLOPES,
        triangle,
        [1.0, 0.0, 0.5 * c],
        OPEN,
        [np.inf, np.inf, c],
    ).fit()
    assert found.converged
    assert_allclose(found.theta.iloc[2], c, rtol=1e-8)

    def criterion(theta):
        root = triangle([*theta, c])
        return -2.0 * Twin(REACTION, DAYS, SLOPES, root @ root.T).llf

    best = optimize.minimize(
        criterion,
        found.theta.to_numpy()[:2] * 0.9,
        method="Nelder-Mead",
        options={"xatol": 1e-6, "fatol": 1e-9},
    )
    assert_allclose(-2.0 * found.llf, best.fun, atol=1e-6)
    assert_allclose(found.theta.iloc[:2], best.x, atol=1e-3)


@pytest.mark.parametrize("c", [0.0, 1.3])
def test_optimum_at_a_lower_end(c):
    """Of the deviation of intercepts, above its optimum, and of nothing at zero."""
    y = REACTION
    if not c:
        # within subjects only: no variance among their means
        y = y - INDICATORS @ (INDICATORS.T @ y) / 10.0 + 5.0 * DAYS[:, 1]

    def two(theta):
        return np.diag(np.where(np.arange(18) < 9, theta[0], theta[1]))

    found = CrossedMixedLM.from_matrices(
        y, DAYS, INDICATORS, two, [c + 1.0, c + 0.7], [c, c]
    ).fit()
    assert found.converged
    score = found.model.score(np.maximum(found.theta.to_numpy(), c))
    at_end = found.theta.to_numpy() <= c + 1e-6
    assert at_end.any()
    assert (score[at_end] < 1e-3).all()
    assert_allclose(score[~at_end], 0.0, atol=1e-3)
    root = two(found.theta.to_numpy())
    dense = Twin(y, DAYS, INDICATORS, root @ root.T)
    assert_allclose(found.llf, dense.llf, rtol=1e-10)
    for step in ([0.05, 0.0], [0.0, 0.05]):
        root = two(found.theta.to_numpy() + step)
        assert Twin(y, DAYS, INDICATORS, root @ root.T).llf < found.llf


def small(theta):
    return theta[0] * np.eye(5)


def flat(theta):
    return theta[0] * np.ones(36)


def steps(theta):
    return np.diag(np.tile([np.round(theta[0], 5), theta[1]], 18))


def corner(theta):
    return np.diag(np.tile([1.0 + abs(theta[0] - 0.5), theta[1]], 18))


def noisy(theta):
    return triangle(theta) + 1e-3 * np.sin(1e9 * theta.sum()) * np.eye(36)


def undefined(theta):
    return np.nan * triangle(theta)


def twice(theta):
    return [2.0 * d for d in slopes_of_triangle(theta)]


def fewer(theta):
    return slopes_of_triangle(theta)[:2]


def narrower(theta):
    return [d[:5, :5] for d in slopes_of_triangle(theta)]


START = [1.0, 0.2, 1.0]
BAD_FUNCTIONS = {
    "small": ({"relative_factor": small, "start": [1.0]}, r"\(5, 5\).* 36 rows"),
    "flat": ({"relative_factor": flat, "start": [1.0]}, r"\(36,\).* 36 rows"),
    "steps": ({"relative_factor": steps, "start": [1.23456789, 1.0]}, "not smooth"),
    "corner": ({"relative_factor": corner, "start": [0.5, 1.0]}, "not smooth"),
    "noisy": ({"relative_factor": noisy}, "not smooth"),
    "undefined": ({"relative_factor": undefined}, "numbers|finite"),
    "another derivative": ({"derivative": twice}, "derivative"),
    "fewer derivatives": ({"derivative": fewer}, "derivative"),
    "derivatives of another shape": ({"derivative": narrower}, "derivative"),
    "start outside": ({"start": [-1.0, 0.0, 1.0], "lower": OPEN}, "outside of"),
    "few lower ends": ({"lower": [0.0, 0.0]}, "lower"),
    "few upper ends": ({"upper": [9.0, 9.0]}, "upper"),
    "few names": ({"names": ["a", "b"]}, "names"),
    "a relationship, too": (
        {"relationship": {"Z": (np.eye(36), [f"b{i + 1}" for i in range(36)])}},
        "a relationship and a structure",
    ),
}


@pytest.mark.parametrize("what", BAD_FUNCTIONS)
def test_functions_that_are_refused(what):
    changes, match = BAD_FUNCTIONS[what]
    arguments = {"relative_factor": triangle, "start": START, **changes}
    with pytest.raises(ValueError, match=match):
        CrossedMixedLM.from_matrices(REACTION, DAYS, SLOPES, **arguments)


def test_multiple_of_a_matrix_and_a_relationship():
    """Both would relate the columns; neither is left out silently."""

    def linear(theta):
        return theta[0] * np.eye(18)

    related = {"Z": (2.0 * np.eye(18), [f"b{i + 1}" for i in range(18)])}
    with pytest.raises(DataError, match="relationship"):
        CrossedMixedLM.from_matrices(
            REACTION, DAYS, INDICATORS, linear, [1.0], relationship=related
        )


def test_function_without_a_start():
    with pytest.raises(TypeError, match="start"):
        CrossedMixedLM.from_matrices(REACTION, DAYS, SLOPES, triangle)


def test_start_at_an_end():
    """It is moved off the end: a deviation of zero is a saddle point."""
    arguments = (REACTION, DAYS, SLOPES, triangle, [0.0, 0.0, 1.0], OPEN)
    result = CrossedMixedLM.from_matrices(*arguments).fit()
    assert result.converged
    assert_allclose(-2.0 * result.llf, 1743.6282719599, atol=1e-6)


def test_names_of_parameters():
    names = ["level", "tilt", "trend"]
    result = CrossedMixedLM.from_matrices(
        REACTION, DAYS, SLOPES, triangle, [1.0, 0.0, 1.0], OPEN, names=names, name="s"
    ).fit()
    for own, label in zip(names, result.theta.index):
        assert label.startswith("s.")
        assert label.endswith(own)
    table = result.variance_parameters()
    assert [i.split()[-1] for i in table.index] == [*names, "sigma"]
    assert_allclose(table["estimate"].iloc[:3], result.theta, rtol=1e-12)
    text = str(result.summary())
    assert all(own in text for own in names)


@pytest.mark.parametrize("c", [1e-12, 1e-6, 1e8])
@pytest.mark.parametrize("as_matrix", [True, False])
def test_units_of_a_sparse_inverse(as_matrix, c, monkeypatch):
    """The inverse of c K is sparse, and the fit the same."""
    monkeypatch.setattr("statsmodels_lmm.random.known_levels.DENSE_LEVELS", 3)
    size = 6
    z = np.eye(size)[GROUPS]
    names = [f"b{i + 1}" for i in range(size)]
    inverse = np.eye(size) + 0.4 * np.diag(np.ones(size - 1), 1)
    inverse = sparse.csc_array(inverse @ inverse.T)

    def fitted(scale):
        random = matrix(z) if as_matrix else {"groups": np.array(names)[GROUPS]}
        known = {"Z": (inverse / scale, names)}
        return fit({"Z": random}, relationship_inverse=known)

    plain, scaled = fitted(1.0), fitted(c)
    assert scaled.converged
    assert scaled.optimum.evaluations < 20
    assert_allclose(scaled.llf, plain.llf, rtol=1e-9)
    assert_allclose(scaled.theta**2 * c, plain.theta**2, rtol=1e-4)


def test_new_rows_in_a_list_belong_to_the_factors_in_their_order():
    other = GROUPS[::-1].copy()
    result = fit({"g": GROUPS, "h": other})
    rows = [GROUPS[:4], other[:4]]
    named = {"h": other[:4]}
    kwargs = {"random_effects": ["h"]}
    expected = result.predict(X[:4], random=named, **kwargs)
    assert_allclose(result.predict(X[:4], random=rows, **kwargs), expected)
    with pytest.raises(DataError, match="random has 1 elements, but the model has 2"):
        result.predict(X[:4], random=rows[1:], **kwargs)
    with pytest.raises(
        DataError, match="random has unknown factors k; the factors are g, h"
    ):
        result.predict(X[:4], random=named | {"k": rows[0]}, **kwargs)


def test_new_rows_of_one_group():
    """The group is named, or the matrix given."""
    one = np.zeros(N, dtype=int)
    result = fit({"g": (one, Z[:, :4], CompoundSymmetry(True))})
    by_matrix = result.predict(
        X[:3], random={"g": matrix(Z[:3, :4])}, random_effects=True
    )
    rows = {"g": (one[:3], Z[:3, :4])}
    assert_allclose(result.predict(X[:3], random=rows, random_effects=True), by_matrix)


@pytest.mark.parametrize("what", ["start", "lower", "upper", "names", "derivative"])
def test_what_is_of_a_function_needs_one(what):
    with pytest.raises(TypeError, match="give one"):
        CrossedMixedLM.from_matrices(Y, X, Z, **{what: [1.0]})
