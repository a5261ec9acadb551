"""Models of sums over rows are the models of the rows."""

import pickle
from copy import deepcopy

import numpy as np
import pytest
from summed_models import close, sample, summed

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.core.rows.summed_rows import SummedRows
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.models.from_sums import model_from_sums

MODELS = {
    "crossed": ("y ~ x + f + (1 | g) + (1 | h)", {}),
    "one factor": ("y ~ x + (1 | g)", {}),
    "nested chain": ("y ~ x + (1 | top / g)", {}),
    "chain and tail": ("y ~ x + (1 | top / g) + (1 | h)", {}),
    "slopes": ("y ~ center(x) * f + (x | h) + (1 | g)", {}),
    "independent slopes": ("y ~ x + (x || h) + (1 | g)", {}),
    "weights": ("y ~ x + (x | h) + (1 | g)", {"weights": "w"}),
    "offset": ("y ~ x + offset(z) + (1 | g)", {"offset": "o"}),
    "redundant": ("y ~ x + z + dup + (1 | g) + (1 | h)", {}),
    "no constant": ("y ~ 0 + x + z + (1 | g) + (1 | h)", {}),
    "groups only": ("y ~ 0 + f + x + (1 | g)", {"weights": "w"}),
    "nothing fixed": ("y ~ 0 + (1 | g) + (1 | h)", {}),
    "large means": ("y ~ far + (far | h) + (1 | g)", {}),
    "tiny": ("I(1e-9 * y) ~ I(1e-6 * x) + (1 | g) + (1 | h)", {"weights": "w"}),
    "singular": ("z ~ x + (x | h) + (1 | g)", {}),
    "structure": ("y ~ x + cs(1 + x | h) + (1 | g)", {"weights": "w"}),
    "diagonal": ("y ~ x + diag(0 + f | h)", {}),
}


@pytest.mark.parametrize("reml", [True, False], ids=["REML", "ML"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore:the fixed effects are not linearly independent")
def test_the_fit_is_that_of_the_rows(name, reml):
    formula, options = MODELS[name]
    model = crossedmixedlm(formula, sample(), **options)
    # to the last digit, not only until the criterion no longer changes
    expected, found = model.fit(reml, tol=0.0), summed(model).fit(reml, tol=0.0)
    digits = 1e-9 if name == "singular" else 1e-12
    assert found.llf == pytest.approx(expected.llf, rel=1e-12)
    close(found.theta, expected.theta, digits)
    close(found.params, expected.params, digits)
    close(found.bse, expected.bse, digits)
    close(found.cov_params(), expected.cov_params(), digits)
    assert found.scale == pytest.approx(expected.scale, rel=digits)
    pairs = zip(found._results._modes, expected._results._modes)
    for i, (mine, theirs) in enumerate(pairs):
        close(mine, theirs, 10 * digits)
        close(
            found._results._mode_covariances(i),
            expected._results._mode_covariances(i),
            10 * digits,
        )
    assert found.converged
    for count in ("nobs", "df_resid", "df_model", "n_params", "dropped", "is_singular"):
        assert getattr(found, count) == getattr(expected, count), count


@pytest.mark.filterwarnings("ignore:the fixed effects are not linearly independent")
@pytest.mark.parametrize("name", MODELS)
def test_the_likelihood_is_that_of_the_rows(name):
    formula, options = MODELS[name]
    model = crossedmixedlm(formula, sample(), **options)
    other, rng = summed(model), np.random.default_rng(5)
    theta = model.fit().theta.to_numpy()
    theta = theta * rng.uniform(0.7, 1.0, len(theta))
    for reml in (True, False):
        expected = model.loglike(theta, reml)
        assert other.loglike(theta, reml) == pytest.approx(expected, rel=1e-12)
        close(other.score(theta, reml), model.score(theta, reml), 1e-9)
        close(other.hessian(theta, reml), model.hessian(theta, reml), 1e-8)


def test_dense_computation():
    """The restricted likelihood and the estimates from n x n matrices."""
    data = sample(3, 60)
    codes = {"g": data["g"].to_numpy(), "top": data["top"].to_numpy()}
    x = np.column_stack([np.ones(60), data["x"]])
    w = data["w"].to_numpy()
    model = CrossedMixedLM(data["y"].to_numpy(), x, codes, weights=w)
    found = summed(model).fit()
    v = np.diag(1.0 / w)
    for theta, (_, code) in zip(found.theta, codes.items()):
        z = np.eye(code.max() + 1)[code]
        v = v + theta**2 * z @ z.T
    inverse = np.linalg.inv(v)
    xvx = x.T @ inverse @ x
    beta = np.linalg.solve(xvx, x.T @ inverse @ data["y"])
    rest = data["y"] - x @ beta
    scale = rest @ inverse @ rest / 58
    llf = np.linalg.slogdet(v)[1] + np.linalg.slogdet(xvx)[1]
    llf = -0.5 * (llf + 58 * (1 + np.log(2 * np.pi * scale)))
    close(found.params, beta, 1e-9)
    assert found.scale == pytest.approx(scale, rel=1e-9)
    assert found.llf == pytest.approx(llf, rel=1e-11)
    close(found.cov_params(), scale * np.linalg.inv(xvx), 1e-9)


def fitted(name="slopes"):
    formula, options = MODELS[name]
    model = crossedmixedlm(formula, sample(), **options)
    return model, summed(model)


def test_names_and_counts():
    model, other = fitted()
    assert type(other) is CrossedMixedLM
    assert other.exog_names == model.exog_names
    assert other.endog_names == model.endog_names
    assert other.formula == model.formula
    assert other.formula_full == model.formula_full
    assert other.endog is other.exog is None
    for name in ("nobs", "df_model", "df_resid", "k_constant", "n_dropped"):
        assert getattr(other, name) == getattr(model, name)
    assert other.data.const_idx == model.data.const_idx
    assert repr(other) == repr(model)


@pytest.mark.parametrize(
    "name", ["no constant", "groups only", "nothing fixed", "redundant"]
)
def test_the_constant(name):
    model, other = fitted(name)
    assert other.k_constant == model.k_constant
    assert other.data.const_idx == model.data.const_idx


@pytest.mark.parametrize("copied", [deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_predict_new_data(copied):
    model, other = fitted()
    new = sample(9, 20)
    expected = model.fit().predict(new, random_effects=True)
    result = copied(other.fit())
    close(result.predict(new, random_effects=True), expected)
    close(copied(other).fit().params, model.fit().params)


def test_a_pickle_holds_functions_and_expressions():
    data = sample()
    model = crossedmixedlm("y ~ np.log(x + 9) + (scale(z) | h) + (1 | top:h)", data)
    result = pickle.loads(pickle.dumps(summed(model).fit()))
    new = data.head(10)
    close(result.predict(new), model.fit().predict(new))
    everything = {"random_effects": True, "new_levels": "population"}
    close(result.predict(new, **everything), model.fit().predict(new, **everything))


class OwnTransform:
    """A stateful transform of a user, whose state cannot be saved."""

    def __init__(self):
        self.mean = 0.0

    def memorize_chunk(self, x):
        self.mean = np.mean(x)

    def memorize_finish(self):
        """Nothing."""

    def transform(self, x):
        return x - self.mean


def test_a_lost_state_is_told():
    import patsy

    own = patsy.stateful_transform(OwnTransform)
    model = crossedmixedlm("y ~ own(x) + (1 | g)", sample(), eval_env={"own": own})
    result = pickle.loads(pickle.dumps(summed(model).fit()))
    close(result.params, model.fit().params)
    with pytest.raises(DataError, match="could not be pickled"):
        result.predict(sample())


def test_rows_alone_give_another_response():
    _, other = fitted()
    with pytest.raises(DataError, match="another response needs them"):
        other.with_response(np.zeros(300))
    with pytest.raises(DataError, match="summed in batches"):
        other.predict(other.fit().params)
    with pytest.raises(DataError, match="summed in batches"):
        other.update(". ~ . + z")
    with pytest.raises(DataError, match="a distribution of responses needs"):
        other.get_distribution(other.fit().params, 1.0)


def test_digits_lost_to_large_effects_are_told():
    """Rows in memory would be read again; sums are all there is."""
    data, rng = sample(), np.random.default_rng(0)
    known = 2.0 + data["x"] + rng.normal(size=24)[data["g"]]
    known += rng.normal(size=6)[data["top"]]
    for size, digits in ((1e-2, 1e-8), (1e-3, 1e-6)):
        y = known + size * rng.normal(size=300)
        model = crossedmixedlm("y ~ x + (1 | g) + (1 | h)", data.assign(y=y))
        found, expected = summed(model).fit(), model.fit()
        close(found.params, expected.params, digits)
        close(found.vcomp, expected.vcomp, digits)
    y = known + 1e-6 * rng.normal(size=300)
    model = summed(crossedmixedlm("y ~ x + (1 | g)", data.assign(y=y)))
    with pytest.warns(Warning, match="rounding moves -2 log-likelihood"):
        result = model.fit()
    assert not result.converged


def test_design_of_new_rows():
    model, other = fitted("redundant")
    with pytest.warns(Warning, match="not linearly independent"):
        params = other.fit().params
    rows = np.vstack([model.exog[:3], np.ones(4)])
    with pytest.warns(Warning, match="1 of 4 rows are NaN"):
        found = other.predict(params, rows)
    close(found[:3], model.exog[:3] @ np.nan_to_num(params))
    assert np.isnan(found[3])


def arrays(n=40, **changes):
    rng = np.random.default_rng(0)
    parts = {
        "endog": rng.normal(size=n),
        "exog": np.column_stack([np.ones(n), rng.normal(size=n)]),
        "groups": np.arange(n) % 5,
    }
    parts |= changes
    model = CrossedMixedLM(
        rng.normal(size=n), np.ones((n, 1)), {"g": parts["groups"]}, check_levels=False
    )
    random = tuple(e.without_data() for e in model.random)
    terms = [e.grouped for e in model.random]
    sums = SummedRows.of(parts["endog"], parts["exog"], terms)
    names = [f"x{j}" for j in range(parts["exog"].shape[1])]
    return sums, {"endog_name": "y", "exog_names": names, "random": random}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"endog": np.full(40, 3.0)}, "the response is constant"),
        ({"endog": np.r_[np.nan, np.zeros(39)]}, "infinite values in the response"),
        ({"exog": np.r_[np.inf, np.ones(39)][:, None]}, "infinite values in x0"),
        ({"groups": np.arange(40)}, "as many levels as there are rows"),
        ({"groups": np.zeros(40, int)}, "has 1 level"),
        ({"exog": np.random.default_rng(1).normal(size=(40, 40))}, "rows are too few"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_sums_that_no_model_can_be_fitted_to(changes, message):
    sums, arguments = arrays(**changes)
    with pytest.raises(DataError, match=message):
        model_from_sums(CrossedMixedLM, sums, **arguments)


def test_names_that_do_not_fit():
    sums, arguments = arrays()
    with pytest.raises(DataError, match="1 names of fixed"):
        model_from_sums(CrossedMixedLM, sums, **arguments | {"exog_names": ["a"]})


def test_redundant_columns_may_be_an_error():
    _, other = fitted("redundant")
    other.rank = "raise"
    with pytest.raises(DataError, match="not linearly independent: dup"):
        other.fit()


def test_an_exact_response():
    exog = np.column_stack([np.ones(40), np.arange(40.0)])
    sums, arguments = arrays(endog=exog @ [1.0, 2.0], exog=exog)
    model = model_from_sums(CrossedMixedLM, sums, **arguments)
    with pytest.raises(DataError, match="reproduce the response exactly"):
        model.fit()


def test_what_is_kept_beside_the_sums():
    sums, arguments = arrays()
    model = model_from_sums(
        CrossedMixedLM,
        sums,
        **arguments,
        n_dropped=3,
        missing_counts={"x": 3},
        weights_name="w",
        offset_name="o",
    )
    assert model.n_dropped == 3
    assert model.missing_counts == {"x": 3}
    assert model.side_names == {"weights": "w", "offset": "o", "subset": None}
    assert "3 incomplete rows were dropped" in str(model.fit().summary())
