"""Paths in the units of the data, against dense matrices and under changes of units."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, sparse
from scipy.special import comb

from statsmodels_lmm import CrossedMixedLM, crossedmixedlm
from statsmodels_lmm.exceptions import DataError, DataWarning

pytest.importorskip("sklearn")


def sample(seed=0, n_groups=15, size=5, p=100):
    """A frame with x, g and weights, and counts of which three matter."""
    rng = np.random.default_rng(seed)
    n = n_groups * size
    g = np.repeat(np.arange(n_groups), size)
    z = rng.binomial(2, 0.4, size=(n, p)).astype(np.int8)
    x = rng.normal(size=n)
    y = 3.0 + 0.5 * x + z[:, :3] @ [1.5, -1.2, 1.0]
    y += 0.8 * rng.normal(size=n_groups)[g] + 0.5 * rng.normal(size=n)
    w, o = rng.uniform(0.5, 2.0, n), rng.normal(size=n)
    frame = pd.DataFrame({"y": y + o, "x": x, "w": w, "o": o})
    return frame.assign(g=[f"g{i:02d}" for i in g]), z


def covariance(estimate, frame, weights=None):
    """V over the residual variance."""
    codes = pd.factorize(frame["g"])[0]
    same = (codes[:, None] == codes).astype(float)
    inverse = np.ones(len(frame)) if weights is None else 1.0 / weights
    return np.diag(inverse) + estimate.theta[0] ** 2 * same


def standardized(z):
    sizes = z.std(axis=0)
    return (z - z.mean(axis=0)) / np.where(sizes, sizes, 1.0)


@pytest.mark.parametrize("objective", ["scaled", "lmmlasso"])
@pytest.mark.parametrize("weighted", [False, True])
def test_points_are_minima_in_the_units_of_the_data(objective, weighted):
    frame, z = sample(p=100 if objective == "scaled" else 30)
    options = {"weights": "w", "offset": "o"} if weighted else {}
    model = crossedmixedlm("y ~ x + (1 | g)", frame, penalized=z, **options)
    alpha_max = model.fit_regularized_path(n_alphas=1, objective=objective).alpha_max
    path = model.fit_regularized_path(
        alpha_max * np.array([0.8, 0.5]), objective=objective, L1_wt=0.8
    )
    w = frame["w"].to_numpy() if weighted else np.ones(len(frame))
    y = frame["y"].to_numpy() - (frame["o"].to_numpy() if weighted else 0.0)
    exog = np.column_stack([np.ones(len(frame)), frame["x"]])
    n, sizes = len(frame), z.std(axis=0)
    for point in path.points:
        b, s2 = point.estimate, point.estimate.scale
        v = covariance(b, frame, w)
        r = y - exog @ b.fixed - z[:, b.chosen] @ b.coefficients
        solved = np.linalg.solve(v, r)
        whole = np.zeros(z.shape[1])
        whole[b.chosen] = b.coefficients * sizes[b.chosen]
        unit = np.sqrt(s2 / w.mean()) if objective == "scaled" else 1.0
        size = np.abs(whole / unit)
        penalty = n * point.alpha * (0.8 * size + 0.1 * size**2).sum()
        likelihood = np.linalg.slogdet(2.0 * np.pi * s2 * v)[1] + r @ solved / s2
        assert point.objective == pytest.approx(0.5 * likelihood + penalty, rel=1e-10)
        pull = standardized(z).T @ solved / s2 * unit
        limit = n * point.alpha * 0.8
        held = 0.2 * n * point.alpha * whole / unit
        held = held + limit * np.sign(whole)
        np.testing.assert_allclose(pull[b.chosen], held[b.chosen], rtol=1e-7)
        assert (np.abs(pull[whole == 0.0]) <= limit * (1.0 + 1e-7)).all()
        np.testing.assert_allclose(exog.T @ solved, 0.0, atol=1e-7 * np.abs(r).sum())
        assert point.certified
        assert point.violation < 1e-8
        np.testing.assert_allclose(
            b.modes[0][:, 0],
            b.theta[0] ** 2 * np.bincount(pd.factorize(frame["g"])[0], solved),
            atol=1e-9,
        )
    assert len(path.points[1].estimate.chosen) >= 3


def test_criteria_are_those_of_maximum_likelihood():
    frame, z = sample()
    path = crossedmixedlm("y ~ x + (1 | g)", frame, penalized=z).fit_regularized_path(
        n_alphas=6, eps=0.4
    )
    table, n, p = path.criteria, len(frame), z.shape[1]
    for point, row in zip(path.points, table.itertuples()):
        chosen = point.estimate.chosen
        exog = np.column_stack([np.ones(n), frame["x"], z[:, chosen]])
        fit = CrossedMixedLM(frame["y"].to_numpy(), exog, {"g": frame["g"].to_numpy()})
        fit = fit.fit(reml=False)
        assert row.llf == pytest.approx(fit.llf, abs=1e-7)
        assert row.bic == pytest.approx(fit.bic, abs=1e-6)
        assert row.aic == pytest.approx(fit.aic, abs=1e-6)
        choices = 2.0 * np.log(comb(p, len(chosen), exact=True))
        assert row.ebic == pytest.approx(fit.bic + choices, abs=1e-6)
        assert row.n_nonzero == len(chosen)
    assert path.best_alpha() == table["ebic"].idxmin()
    assert path.criteria["certified"].all()


def test_the_minimum_without_derivatives_is_the_same():
    """The objective over all parameters by another optimizer."""
    frame, z = sample(p=3, n_groups=10, size=4)
    path = crossedmixedlm("y ~ 1 + (1 | g)", frame, penalized=z).fit_regularized_path(
        [0.2]
    )
    y, x, n = frame["y"].to_numpy(), standardized(z), len(frame)
    codes = pd.factorize(frame["g"])[0]
    same = (codes[:, None] == codes).astype(float)

    def objective(u):
        v = np.eye(n) + np.exp(2.0 * u[0]) * same
        s = np.exp(u[1])
        r = y - u[2] - x @ (u[3:6] - u[6:9])
        value = np.linalg.slogdet(2.0 * np.pi * s**2 * v)[1]
        value = 0.5 * (value + r @ np.linalg.solve(v, r) / s**2)
        return value + n * 0.2 * u[3:].sum() / s

    start = np.array([0.0, 0.0, y.mean(), *np.full(6, 0.2)])
    bounds = [(-5, 5), (-5, 5), (None, None), *[(0.0, None)] * 6]
    found = optimize.minimize(
        objective, start, bounds=bounds, options={"maxiter": 5000, "maxfun": 10**6}
    )
    point = path.points[0]
    assert point.objective == pytest.approx(found.fun, rel=1e-7)
    assert point.estimate.scale == pytest.approx(np.exp(2.0 * found.x[1]), rel=1e-2)


@pytest.mark.parametrize("kind", ["float", "csr", "csc", "memmap", "frame", "mixed"])
def test_columns_of_every_kind_give_the_same_path(kind, tmp_path):
    frame, z = sample()
    expected = crossedmixedlm("y ~ x + (1 | g)", frame, penalized=z)
    expected = expected.fit_regularized_path(n_alphas=5, eps=0.4)
    if kind == "memmap":
        np.save(tmp_path / "z.npy", z)
        other = np.load(tmp_path / "z.npy", mmap_mode="r")
    elif kind in ("csr", "csc"):
        other = sparse.csr_array(z) if kind == "csr" else sparse.csc_matrix(z)
    elif kind == "frame":
        other = pd.DataFrame(z).sample(frac=1.0, random_state=0)
    elif kind == "mixed":
        other = pd.DataFrame(z).astype({0: float, 5: bool, 7: "Int64"})
        expected_z = z.copy()
        expected_z[:, 5] = expected_z[:, 5] != 0
        expected = crossedmixedlm("y ~ x + (1 | g)", frame, penalized=expected_z)
        expected = expected.fit_regularized_path(n_alphas=5, eps=0.4)
    else:
        other = z.astype(float)
    path = crossedmixedlm("y ~ x + (1 | g)", frame, penalized=other)
    if kind == "memmap":
        assert np.shares_memory(path.penalized.matrix, other)
    path = path.fit_regularized_path(n_alphas=5, eps=0.4)
    np.testing.assert_allclose(path.alphas, expected.alphas, rtol=1e-10)
    np.testing.assert_allclose(
        path.coefs_sparse.toarray(), expected.coefs_sparse.toarray(), atol=1e-8
    )


def test_rows_that_are_dropped_are_dropped_from_the_columns_too():
    frame, z = sample()
    frame.loc[3, "x"] = np.nan
    frame.loc[7, "w"] = 0.0
    z = z.astype(float)
    z[[3, 7, 20]] = np.nan  # of rows that are not used
    chosen = np.delete(np.arange(len(frame)), [3, 7, 20])
    formula, subset = "y ~ x + (1 | g)", np.arange(len(frame)) != 20
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        model = crossedmixedlm(formula, frame, penalized=z, weights="w", subset=subset)
        arrays = CrossedMixedLM(
            frame["y"][subset],
            frame[["x"]].assign(one=1.0)[subset],
            {"g": frame["g"][subset]},
            weights=frame["w"][subset],
            penalized=z[subset],
            missing="drop",
        )
    np.testing.assert_array_equal(model.penalized_rows, chosen)
    part = crossedmixedlm(formula, frame.iloc[chosen], penalized=z[chosen], weights="w")
    paths = [m.fit_regularized_path(n_alphas=4, eps=0.5) for m in (model, arrays, part)]
    for path in paths[:2]:
        np.testing.assert_allclose(
            path.coefs_sparse.toarray(), paths[2].coefs_sparse.toarray(), atol=1e-8
        )


def test_a_frame_is_aligned_by_its_labels():
    frame, z = sample()
    frame.index = [f"r{i}" for i in range(len(frame))]
    columns = pd.DataFrame(z, frame.index).add_prefix("snp")
    shuffled = frame.sample(frac=1.0, random_state=1)
    one = crossedmixedlm("y ~ x + (1 | g)", frame, penalized=columns)
    other = crossedmixedlm("y ~ x + (1 | g)", shuffled, penalized=columns)
    one, other = (m.fit_regularized(0.25, refit=False) for m in (one, other))
    pd.testing.assert_series_equal(one.chosen, other.chosen, rtol=1e-7)
    assert {"snp0", "snp1"} <= set(one.chosen.index)
    fitted = other.fittedvalues.loc[frame.index]
    pd.testing.assert_series_equal(one.fittedvalues, fitted, rtol=1e-7)


def test_units_of_response_columns_and_weights_do_not_matter():
    frame, z = sample()
    plain = crossedmixedlm("y ~ x + (1 | g)", frame, penalized=z, weights="w")
    path = plain.fit_regularized_path(n_alphas=6, eps=0.4)
    scaled = frame.assign(y=100.0 * frame["y"] - 7.0, w=37.0 * frame["w"])
    other = crossedmixedlm(
        "y ~ x + (1 | g)", scaled, penalized=5.0 - 0.1 * z, weights="w"
    ).fit_regularized_path(n_alphas=6, eps=0.4)
    np.testing.assert_allclose(path.alphas, other.alphas, rtol=1e-9)
    np.testing.assert_allclose(
        -1000.0 * path.coefs_sparse.toarray(), other.coefs_sparse.toarray(), atol=1e-5
    )
    np.testing.assert_allclose(37e4 * path.scale, other.scale, rtol=1e-7)
    shift = path.criteria["ebic"] - other.criteria["ebic"].to_numpy()
    np.testing.assert_allclose(shift, shift.iloc[0], rtol=1e-8)


def test_columns_of_exog_are_penalized_but_the_constant_and_slopes():
    frame, z = sample()
    n = len(frame)
    x = frame["x"].to_numpy()
    exog = np.column_stack([np.ones(n), z, x])
    random = {"g": (frame["g"].to_numpy(), np.column_stack([np.ones(n), x]))}
    wide = CrossedMixedLM(frame["y"].to_numpy(), exog, random)
    with pytest.raises(DataError, match=r"too few for 102 fixed .* fit_regularized"):
        wide.fit()
    formula = "y ~ x + (x | g)"
    other = crossedmixedlm(formula, frame, penalized=z).fit_regularized_path(
        n_alphas=5, eps=0.5
    )
    path = wide.fit_regularized_path(n_alphas=5, eps=0.5)
    np.testing.assert_allclose(
        path.coefs_sparse[:, 1:101].toarray(), other.coefs_sparse.toarray(), atol=1e-7
    )
    np.testing.assert_allclose(path.fixed, other.fixed, rtol=1e-6)
    assert list(path.fixed.columns) == ["const", "x101"]


def test_weights_of_the_penalty():
    frame, z = sample()
    model = crossedmixedlm("y ~ x + (1 | g)", frame, penalized=z)
    weights = np.ones(z.shape[1])
    weights[50], weights[0] = 0.0, 1e3
    path = model.fit_regularized_path([0.3], penalty_weights=weights)
    point = path.points[0].estimate
    assert list(path.fixed.columns) == ["Intercept", "x", "penalized[50]"]
    assert 0 not in point.chosen
    assert 50 not in point.chosen
    by_alpha = model.fit_regularized(0.3 * weights, refit=False)
    np.testing.assert_allclose(by_alpha.chosen, point.coefficients, rtol=1e-7)
    assert by_alpha.params["penalized[50]"] == pytest.approx(point.fixed[2])


def test_adaptive_weights_shrink_less():
    frame, z = sample()
    model = crossedmixedlm("y ~ x + (1 | g)", frame, penalized=z)
    plain, less = (model.fit_regularized(0.4, adaptive=k, refit=False) for k in (0, 3))
    both = [name for name in less.chosen.index if name in plain.chosen]
    assert len(both) >= 2
    assert (less.chosen[both].abs() > 1.1 * plain.chosen[both].abs()).all()
    assert less.scale < plain.scale
    rescaled = crossedmixedlm(
        "y ~ x + (1 | g)", frame.assign(y=9.0 * frame["y"]), penalized=z
    ).fit_regularized(0.4, adaptive=3, refit=False)
    np.testing.assert_allclose(rescaled.chosen, 9.0 * less.chosen, rtol=1e-6)


def test_equal_columns_and_the_end_of_a_path_are_told():
    frame, z = sample()
    z[:, 60] = 2 - z[:, 0]
    model = crossedmixedlm("y ~ x + (1 | g)", frame, penalized=z)
    path = model.fit_regularized_path(n_alphas=30, eps=0.05, max_columns=8)
    assert len(path.alphas) < 30
    assert path.n_nonzero.max() <= 8
    assert "more than 8 columns" in path.notes[0]
    assert "1 left out as equal" in path.notes[1]
    assert path.notes[1].endswith("penalized[60] = penalized[0].")
    assert "penalized[60]" not in path.coefs
    assert "more than 8 columns" in repr(path)
    assert "ebic" in path._repr_html_()
    with pytest.raises(DataError, match="would be chosen"):
        model.fit_regularized_path([0.05 * path.alpha_max], max_columns=2)


def relatives(n_families=40, p=400):
    """A model of 40 families of six, with four of 400 SNPs that matter."""
    rng = np.random.default_rng(1)
    parents = rng.random((n_families, 2, 2, p)) < rng.uniform(0.1, 0.5, p)
    which = rng.random((n_families, 4, 2, p)) < 0.5
    children = np.where(which, parents[:, None, :, 0], parents[:, None, :, 1])
    counts = np.concatenate([parents.sum(axis=2), children.sum(axis=2)], axis=1)
    z = counts.reshape(-1, p).astype(np.int8)
    block = np.full((6, 6), 0.5)
    block[0, 1] = block[1, 0] = 0.0
    np.fill_diagonal(block, 1.0)
    root = np.linalg.cholesky(block)
    y = z[:, :4] @ [0.8, -0.8, 0.8, -0.8]
    y += (rng.normal(size=(n_families, 6)) @ root.T).ravel()
    y += 0.7 * rng.normal(size=len(y))
    ids = [f"i{k}" for k in range(len(y))]
    kinship = pd.DataFrame(np.kron(np.eye(n_families), block), ids, ids)
    one = np.ones((len(y), 1))
    related = {"id": kinship}
    return CrossedMixedLM(y, one, {"id": ids}, relationship=related, penalized=z)


def test_relatives_and_lower_minima_above_the_first_penalty():
    model = relatives()
    path = model.fit_regularized_path(n_alphas=25, eps=0.5, retrace=True)
    above = path.alphas > path.alpha_max * (1.0 + 1e-9)
    assert above.sum() >= 2
    assert "several minima" in path.notes[-1]
    null = path._penalized.objective(path._penalized.null)
    for point in path.points[: above.sum()]:
        assert {0, 1, 2, 3} <= set(point.estimate.chosen.tolist())
        assert len(point.estimate.chosen) <= 6
        assert point.objective < null
        assert point.certified
    ratios = path.alphas[:-1] / path.alphas[1:]
    np.testing.assert_allclose(ratios, ratios[0])
    best = model.fit_regularized(n_alphas=25, eps=0.5, retrace=True)
    assert len(best.selection.chosen) == 4
    # a single penalty finds the same minimum
    alpha = float(path.alphas[1])
    single = model.fit_regularized(alpha, refit=False, retrace=True)
    assert single.objective == pytest.approx(path.points[1].objective, abs=1e-7)
    # the way down is not left, though there are lower minima
    down = model.fit_regularized_path(path.alphas[above.sum() :])
    assert len(down.points[0].estimate.chosen) == 0
    assert down.points[0].objective > path.points[above.sum()].objective + 1.0
    assert not any("several" in note for note in down.notes)
    assert all(point.certified for point in down.points)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_universal_penalty_follows_the_covariance(weighted):
    rng = np.random.default_rng(5)
    g, p = np.repeat(np.arange(30), 4), 150
    n, z = len(g), rng.normal(size=(30, p))[g] + 0.3 * rng.normal(size=(120, p))
    y = z[:, :2] @ [2.0, -2.0] + 1.5 * rng.normal(size=30)[g] + rng.normal(size=n)
    weights = rng.uniform(0.5, 2.0, n) if weighted else np.ones(n)
    given = {"weights": weights} if weighted else {}
    model = CrossedMixedLM(y, np.ones((n, 1)), {"g": g}, penalized=z, **given)
    found = model.fit_regularized("universal", refit=False)
    w = weights / weights.mean()
    v = found.theta.iloc[0] ** 2 * (g[:, None] == g) + np.diag(1.0 / weights)
    x = z - np.average(z, axis=0, weights=w)
    x /= np.sqrt(np.average(x**2, axis=0, weights=w))
    one = np.linalg.solve(v, np.ones(n))
    inside = np.linalg.inv(v) - np.outer(one, one) / one.sum()
    sizes = np.sqrt((x * (inside @ x)).sum(axis=0) / n / weights.mean())
    # the penalty is on b / s with s of the mean weight
    expected = np.sqrt(2.0 * np.log(p) / n) * sizes.mean()
    assert sizes.mean() < 0.8
    assert found.alpha == pytest.approx(expected, rel=0.02)


ERRORS = {
    "y ~ x + (1 | g)": {"residual": "ar1(t | g)"},
    "y ~ x": {"residual": "cs(t | g)"},
    "y ~ 1 + (1 | g)": {"dispersion": "~ x"},
}


@pytest.mark.parametrize("formula", ERRORS)
def test_errors_of_any_covariance(formula):
    frame, z = sample(n_groups=20)
    frame = frame.assign(t=np.arange(len(frame)) % 5)
    options = {"penalized": z, **ERRORS[formula]}
    model = crossedmixedlm(formula, frame, **options)
    path = model.fit_regularized_path(n_alphas=6, eps=0.4)
    assert path.criteria["certified"].all()
    assert (path.criteria["violation"] < 1e-8).all()
    plain = crossedmixedlm(formula, frame, **ERRORS[formula]).fit(reml=False)
    for name in ("llf", "bic"):
        assert path.criteria[name].iloc[0] == pytest.approx(getattr(plain, name))
    null = path.points[0].estimate
    assert null.scale == pytest.approx(plain.scale, rel=1e-5)
    np.testing.assert_allclose(null.theta, plain.theta, atol=1e-4)
    np.testing.assert_allclose(null.fixed, plain.params, rtol=1e-5)
    residual_params = path.residual_params
    np.testing.assert_allclose(
        residual_params.iloc[0], plain.residual_params, atol=1e-4
    )
    result = model.fit_regularized(n_alphas=6, eps=0.4)
    columns = [int(name[10:-1]) for name in result.selection.chosen]
    assert columns[:3] == [0, 1, 2]
    assert len(columns) <= 4
    names = list("abcd"[: len(columns)])
    named = frame.assign(**dict(zip(names, z[:, columns].T)))
    longer = formula.replace("~", f"~ {' + '.join(names)} +")
    again = crossedmixedlm(longer, named, **ERRORS[formula]).fit()
    assert result.llf == pytest.approx(again.llf, abs=1e-6)
    # the unit of the response does not matter
    far = crossedmixedlm(formula, frame.assign(y=1e3 * frame["y"]), **options)
    other = far.fit_regularized_path(n_alphas=6, eps=0.4)
    np.testing.assert_allclose(other.alphas, path.alphas, rtol=1e-6)
    np.testing.assert_allclose(
        other.coefs_sparse.toarray(), 1e3 * path.coefs_sparse.toarray(), rtol=1e-4
    )
    shrunken = model.fit_regularized(path.alphas[3], refit=False)
    assert list(shrunken.residual_params.index) == list(residual_params.columns)
    name = residual_params.columns[0]
    assert name in str(shrunken.summary())


def test_errors_on_some_groups():
    frame, z = sample(n_groups=20)
    frame = frame.assign(t=np.arange(len(frame)) % 5)
    model = crossedmixedlm("y ~ x", frame, penalized=z, residual="ar1(t | g)")
    options = {"cv": "groups", "n_folds": 3, "n_alphas": 3, "eps": 0.6}
    found = model.fit_regularized("cv", rng=3, **options).selection.table
    codes = pd.factorize(frame["g"])[0]
    fold = np.random.default_rng(3).permutation(np.arange(20) % 3)[codes]
    alpha, squares = found.index[1], 0.0
    for k in range(3):
        inside = fold != k
        part = crossedmixedlm(
            "y ~ x", frame[inside], penalized=z[inside], residual="ar1(t | g)"
        )
        chosen = part.fit_regularized(alpha, refit=True, reml=False)
        columns = [int(name[10:-1]) for name in chosen.selection.chosen]
        exog = np.column_stack([np.ones(len(frame)), frame["x"], z[:, columns]])
        away = frame["y"] - exog @ chosen.params
        squares += (away[~inside] ** 2).sum()
    assert found["mse"][alpha] == pytest.approx(squares / len(frame), rel=1e-5)


def test_pictures():
    matplotlib = pytest.importorskip("matplotlib")
    frame, z = sample()
    path = crossedmixedlm("y ~ x + (1 | g)", frame, penalized=z).fit_regularized_path(
        n_alphas=12
    )
    with matplotlib.rc_context({"backend": "Agg"}):
        ax = path.plot().axes[0]
        assert len(ax.lines) == len(path.coefs.columns) + 1
        first = path.coefs.columns[(path.coefs != 0.0).to_numpy().argmax(0).argmin()]
        assert ax.lines[0].get_label() == first
        ax, _ = path.plot_criteria("bic").axes
        np.testing.assert_allclose(ax.lines[0].get_ydata(), path.criteria["bic"])
        assert ax.lines[1].get_xdata()[0] == path.best_alpha("bic")
        matplotlib.pyplot.close("all")
