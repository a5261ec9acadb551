"""Contrasts, tests, letters and pictures of marginal means, against R's emmeans."""

import functools
import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from samples import load
from scipy import stats

from statsmodels_lmm.exceptions import DataError, RankWarning
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm
from statsmodels_lmm.inference.marginal.contrast_sets import contrast_set
from statsmodels_lmm.inference.marginal.specs import parse_specs

HERE = Path(__file__).parents[2] / "reference"
REFERENCE = json.loads((HERE / "marginal_contrasts.json").read_text())

TESTS, SIZES = ["statistic", "pvalue"], ["effect size", "std err"]
INTERVALS = ["std err", "df", "ci_lower", "ci_upper"]


@functools.cache
def oats():
    formula = "Q('yield') ~ C(nitro) * Variety + (1 | Block/Variety)"
    result = crossedmixedlm(formula, load("oats")).fit()
    return result.with_df_method("kenward-roger")


@functools.cache
def means(specs):
    return oats().marginal_means(specs)


@functools.cache
def reactions(response):
    data = load("sleepstudy")
    data["late"] = np.where(data["Days"] > 4, "late", "early")
    result = crossedmixedlm(f"{response} ~ late + (1 | Subject)", data).fit()
    return result.with_df_method("kenward-roger")


def reference(adjust="dunnett"):
    return means("~ Variety").contrasts("reference", adjust=adjust)


def pairs():
    return means("~ Variety").pairs(adjust="lsd")


def log_means():
    return reactions("np.log(Reaction)").marginal_means("~ late", type="response")


AS_IN_EMMEANS = {
    "interaction": lambda: (
        means("~ nitro * Variety")
        .contrasts(["poly", "consecutive"])
        .frame[["estimate", "std err", "df", *TESTS]]
    ),
    "dunnett": lambda: reference().frame[[*TESTS, "ci_lower", "ci_upper"]],
    "larger, mvt": lambda: reference("mvt").test(side=">").frame[TESTS],
    "effect sizes": lambda: means("~ Variety").eff_size(13.0, 51).frame[SIZES],
    "equivalence": lambda: pairs().test(delta=20, side="equivalence").frame[TESTS],
    "equivalence, sidak": lambda: (
        means("~ Variety").pairs().test(delta=20).frame[TESTS]
    ),
    "noninferiority": lambda: (
        pairs().test(delta=5, side="noninferiority").frame[[*TESTS, "ci_lower"]]
    ),
    "nonsuperiority": lambda: pairs().test(delta=5, side="smaller").frame[TESTS],
    "null": lambda: means("~ Variety").test(90).frame[TESTS],
    "log": lambda: log_means().frame[["mean", *INTERVALS]],
    "log, ratio": lambda: (
        log_means().pairs(exponentiate=True).frame[["ratio", *INTERVALS]]
    ),
    "sqrt, bias adjusted": lambda: (
        reactions("sqrt(Reaction)")
        .marginal_means("late", which="mean", random_effects="average")
        .frame[["mean", "std err"]]
    ),
}


@pytest.mark.parametrize("what", AS_IN_EMMEANS)
def test_agreement_with_emmeans(what):
    """Within the errors of lmer's optimum and, for "dunnett", of mvtnorm."""
    rtol = 3e-4 if what == "dunnett" else 3e-5
    assert_allclose(AS_IN_EMMEANS[what](), REFERENCE[what], rtol=rtol)


def test_correlations_that_are_no_products():
    found = means("~ nitro").contrasts("consecutive", adjust="mvt").frame[TESTS]
    assert_allclose(found, REFERENCE["consecutive, mvt"], atol=3e-4)


def test_joint_tests_of_emmeans():
    """Which rounds F to three digits."""
    tests = oats().joint_tests()
    assert tests["term"].tolist() == ["nitro", "Variety", "nitro:Variety"]
    assert_allclose(tests.iloc[:, 1:4], np.array(REFERENCE["joint"])[:, :3], atol=1e-3)
    within = oats().joint_tests("Variety")
    assert list(within) == ["term", "Variety", "df", "df_denom", "F", "PR(>F)"]
    expected = np.array(REFERENCE["joint, by"])[:, :3]
    assert_allclose(within.iloc[:, 2:5], expected, atol=1e-3)


def test_joint_tests_with_a_covariate():
    """Those of type III, as the covariate is centered."""
    data = load("sleepstudy").eval("x = Days - 4.5")
    data["early"] = np.where(data["Subject"].isin(["308", "310", "333"]), "yes", "no")
    result = crossedmixedlm("Reaction ~ x * C(early, Sum) + (1 | Subject)", data).fit()
    found = result.joint_tests().set_index("term")
    assert list(found.index) == ["x", "early", "x:early"]
    expected = result.wald_test_terms(scalar=True).table["statistic"]
    assert_allclose(found["F"], expected[1:][["x", *expected.index[[1, 3]]]], rtol=1e-7)
    slopes = result.marginal_slopes("x", by="early").test().frame
    within = result.joint_tests("early")
    assert_allclose(within["F"], slopes["statistic"] ** 2, rtol=1e-7)
    with pytest.raises(DataError, match="no factor or covariate"):
        result.joint_tests(["x", "early"])


def test_joint_tests_of_what_varies_and_can_be_estimated():
    found = oats().joint_tests(at={"nitro": 0.0})
    assert found["term"].tolist() == ["Variety"]
    data = load("oats").astype({"Variety": str})
    data = data.query("nitro < 0.6 and Variety != 'Marvellous'")
    data = data[(data["nitro"] > 0.0) | (data["Variety"] != "Victory")]
    formula = "Q('yield') ~ C(nitro) * Variety + (1 | Block)"
    with pytest.warns(RankWarning):
        tests = crossedmixedlm(formula, data).fit().joint_tests()
    # the mean of Victory without nitrogen is unknown, and with it that of Victory
    assert tests["term"].tolist() == ["nitro", "nitro:Variety"]
    assert tests["df"].tolist() == [1, 1]


def test_contrasts_of_zeros():
    zeros = {name: np.zeros(4) for name in "abc"}
    found = means("~ nitro").contrasts(zeros, adjust="mvt").frame
    assert_array_equal(found[["estimate", "ci_lower"]], 0.0)


def test_letters_of_emmeans():
    table = means("~ nitro").cld()
    assert table["letters"].tolist() == REFERENCE["letters, nitro"]
    assert list(table["mean"]) == sorted(table["mean"])
    whole = means("~ nitro * Variety").cld()
    assert whole["letters"].tolist() == REFERENCE["letters, both"]
    strict = means("~ nitro").cld(alpha=1e-7, adjust="holm")["letters"]
    pvalues = means("~ nitro").pairs(adjust="holm").frame["pvalue"]
    assert (pvalues < 1e-7).sum() == 2
    assert strict.tolist() == ["a", "ab", "b", "b"]


def test_letters_within_groups_and_in_reverse():
    by_variety = oats().marginal_means("~ nitro | Variety")
    table = by_variety.cld(reverse=True)
    assert list(table["Variety"].unique()) == list(by_variety.table["Variety"].unique())
    first = table[table["Variety"] == "Victory"]
    assert first["letters"].tolist() == ["a", "a", "b", "b"]
    assert first["nitro"].tolist() == [0.6, 0.4, 0.2, 0.0]


def test_letters_of_what_cannot_be_estimated():
    lost = means("~ nitro")
    rows = lost.rows.copy()
    rows[1] = np.nan
    table = replace(lost, rows=rows).cld()
    assert table["letters"].tolist() == ["a", "b", "b", ""]


# formulas --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("~ f", (None, ["f"], [])),
        ("pairwise ~ f*k + `a b` | g:h", ("pairwise", ["f", "k", "a b"], ["g", "h"])),
        ("~ 1", (None, [], [])),
        ("~ 1 | g", (None, [], ["g"])),
    ],
)
def test_formulas(text, expected):
    assert parse_specs(text) == expected


@pytest.mark.parametrize("text", ["~", "~ f | g | h", "a ~ b ~ c", "~ | g", "~ f |"])
def test_formulas_that_cannot_be_read(text):
    with pytest.raises(ValueError, match="cannot be read; write"):
        parse_specs(text)


def test_formulas_in_use():
    found = oats().marginal_means("consecutive ~ nitro | Variety")
    assert list(found.table) == ["contrast", "Variety"]
    pd.testing.assert_frame_equal(
        found.means.frame, oats().marginal_means("nitro", "Variety").frame
    )
    pd.testing.assert_frame_equal(
        found.frame, found.means.contrasts("consecutive").frame
    )
    with pytest.raises(ValueError, match="leave out by"):
        oats().marginal_means("~ nitro | Variety", by="Variety")
    with pytest.raises(ValueError, match="write 'reference'"):
        oats().marginal_means("trt.vs.ctrl ~ nitro")
    # a column may be called like a formula
    data = load("sleepstudy").rename(columns={"Days": "~ x"})
    odd = crossedmixedlm("Reaction ~ `~ x` + (1 | Subject)", data).fit()
    assert list(odd.marginal_means("~ x").table) == ["~ x"]


def test_slopes_by_formula():
    data = load("sleepstudy")
    data["sex"] = np.where(data["Subject"].isin(["308", "310", "333"]), "f", "m")
    result = crossedmixedlm("Reaction ~ Days * sex + (1 | Subject)", data).fit()
    found = result.marginal_slopes("Days", "pairwise ~ sex")
    expected = result.marginal_slopes("Days", "sex").pairs()
    pd.testing.assert_frame_equal(found.frame, expected.frame)


# contrasts of contrasts, tests, effect sizes ----------------------------------------


def test_a_single_contrast_is_not_called_adjusted():
    three = means("~ Variety")
    assert "adjusted" not in str(log_means().pairs())
    assert "adjusted by tukey" in str(three.pairs())
    first = {"first": [1.0, -1.0, 0.0]}
    assert "adjusted" not in str(three.contrasts(first, adjust="bonferroni"))


def test_interactions():
    both = means("~ nitro * Variety")
    found = both.contrasts("interaction")
    assert len(found.frame) == 18
    assert found.adjust == "none"
    name = "nitro0 - nitro0.2 : Golden Rain - Marvellous"
    row = found.frame.set_index("contrast").loc[name]
    cell = both.frame.set_index(["nitro", "Variety"])["mean"]
    expected = cell[0.0, "Golden Rain"] - cell[0.2, "Golden Rain"]
    expected -= cell[0.0, "Marvellous"] - cell[0.2, "Marvellous"]
    assert_allclose(row["estimate"], expected)
    test = oats().joint_tests().iloc[2]
    assert_allclose(found.joint_test()["F"], test["F"], rtol=1e-7)
    with pytest.raises(ValueError, match="one set of contrasts for each of 2 factors"):
        both.contrasts(["pairwise"])
    with pytest.raises(ValueError, match="contrasts of one set"):
        both.contrasts("interaction", reverse=True)
    names, _ = contrast_set("interaction", both.table, sign="/")
    assert "nitro0 / nitro0.2 : Golden Rain / Marvellous" in names


def test_tests_of_response_means_are_on_the_scale_of_the_link():
    data = load("cbpp")
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    result = crossedmixedglm(formula, data, family="binomial").fit()
    risks = result.marginal_means("period")
    half = result.marginal_means("period", which="linear").test(0.5, side="smaller")
    found = risks.test(0.5, side="smaller").frame
    assert_allclose(found[TESTS], half.frame[TESTS])
    assert_allclose(found["ci_lower"], 0.0, atol=1e-80)
    z = (half.frame["mean"] - 0.5) / half.frame["std err"]
    assert_allclose(found["pvalue"], stats.norm.cdf(z))
    tests = result.joint_tests()
    assert_allclose(tests["F"], risks.joint_test()["F"])
    ratios = result.marginal_means("period", which="linear").contrasts(
        "reference", exponentiate=True
    )
    tested = ratios.test(delta=np.log(4.0), side="equivalence")
    gap = np.abs(np.log(ratios.frame["ratio"])) - np.log(4.0)
    error = ratios.frame["std err"] / ratios.frame["ratio"]
    assert_allclose(tested.frame["statistic"], gap / error)
    assert tested.adjust == "sidak"


def test_printed_tests():
    text = str(pairs().test(delta=5, side="noninferiority"))
    assert "Alternative: estimate > -5." in text
    assert "P>t " in text
    assert "[0.05" in text
    text = str(means("~ Variety").pairs().test(3, 20))
    assert "Alternative: |estimate - 3| < 20." in text
    assert "P<t " in text
    assert "[0.025" in text
    assert "adjusted by sidak" in text
    assert "Alternative: estimate < 5." in str(pairs().test(5, side="smaller"))
    assert "Alternative: estimate != 5." in str(pairs().test(5))
    assert "Alternative" not in str(means("~ Variety").test())
    assert "In units of sigma = 13, with edf = 51." in str(
        means("~ Variety").eff_size(13, 51)
    )


def test_which_adjustments_suit_which_tests():
    tukey = means("~ Variety").pairs()
    assert tukey.test(1.0).adjust == "tukey"
    assert tukey.test(side="larger").adjust == "sidak"
    assert reference().test(delta=3, side="larger").adjust == "dunnett"
    assert reference().test(delta=3).adjust == "sidak"
    assert tukey.test(delta=3, adjust="holm").adjust == "holm"
    for one, how in (
        (tukey, {"side": "larger", "adjust": "tukey"}),
        (pairs(), {"adjust": "tukey"}),
        (reference(), {"delta": 3, "adjust": "mvt"}),
    ):
        with pytest.raises(ValueError, match="are not for tests of equivalence"):
            one.test(**how)


def test_one_sided_intervals_belong_to_their_tests():
    for side, adjust in (("larger", "mvt"), ("smaller", "bonferroni")):
        tested = means("~ nitro").contrasts("reference", adjust=adjust).test(side=side)
        p = tested.frame["pvalue"].iloc[0]
        again = replace(tested, alpha=p).frame.iloc[0]
        near, far = ("lower", "upper") if side == "larger" else ("upper", "lower")
        assert np.isinf(again[f"ci_{far}"])
        if p < 0.5:
            assert abs(again[f"ci_{near}"]) < 1e-3 * again["std err"]


def test_effect_sizes_of_contrasts():
    direct = means("~ nitro").eff_size(10.0, 40, "reference")
    found = means("~ nitro").contrasts("reference").eff_size(10.0, 40)
    pd.testing.assert_frame_equal(found.frame, direct.frame)
    plain = means("~ nitro").contrasts("reference", adjust="none").frame
    known = means("~ nitro").eff_size(10.0, np.inf, "reference").frame
    assert_allclose(10.0 * known.iloc[:, 1:3], plain.iloc[:, 1:3])
    assert list(known) == ["contrast", "effect size", "std err", *INTERVALS[1:]]
    for sigma, edf in ((0.0, 5), (1.0, 0)):
        with pytest.raises(ValueError, match="positive number"):
            means("~ nitro").eff_size(sigma, edf)
    with pytest.raises(ValueError, match="of differences"):
        log_means().pairs(exponentiate=True).eff_size(1.0, 5)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"side": "left"}, "side must be 'two-sided', 'equivalence'"),
        ({"side": "noninferiority"}, "needs a margin"),
        ({"delta": -1.0}, "at least 0"),
        ({"null": np.nan}, "finite"),
        ({"adjust": "scheffe"}, "adjust must be"),
    ],
)
def test_bad_tests(how, message):
    with pytest.raises(ValueError, match=message):
        pairs().test(**how)


def test_frames_of_another_level():
    found = means("~ nitro").summary_frame(alpha=0.2)
    expected = oats().marginal_means("nitro", alpha=0.2).frame
    pd.testing.assert_frame_equal(found, expected)
    copy = means("~ nitro").summary_frame()
    copy["mean"] = 0.0
    assert (means("~ nitro").frame["mean"] > 0.0).all()
    again = pickle.loads(pickle.dumps(reference())).frame
    pd.testing.assert_frame_equal(again, reference().frame)


# transformed responses ------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "inside", "inverse", "ratio"),
    [
        ("np.log(Reaction - 100)", "Reaction - 100", np.exp, True),
        ("np.log2(Reaction)", "Reaction", np.exp2, False),
        ("np.log10(Reaction)", "Reaction", lambda x: 10.0**x, False),
        ("np.log1p(Reaction)", "Reaction", np.expm1, False),
    ],
)
def test_transformed_responses(response, inside, inverse, ratio):
    result = reactions(response)
    linear = result.marginal_means("late")
    back = result.marginal_means("late", which="mean")
    columns = ["mean", "ci_lower", "ci_upper"]
    assert_allclose(back.frame[columns], inverse(linear.frame[columns]), rtol=1e-9)
    ends = inverse(linear.frame["mean"].to_numpy() + np.array([[1e-5], [-1e-5]]))
    slopes = (ends[0] - ends[1]) / 2e-5
    errors = slopes * linear.frame["std err"]
    assert_allclose(back.frame["std err"], errors, rtol=1e-6)
    assert f"Marginal means of {inside}" in str(back)
    variance = result.scale + result.vcomp.iloc[0]
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    spread = linear.frame["mean"].to_numpy()[:, None] + np.sqrt(variance) * nodes
    expected = inverse(spread) @ weights / weights.sum()
    average = result.marginal_means("late", which="mean", random_effects="average")
    assert_allclose(average.frame["mean"], expected, rtol=1e-8)
    assert "Averaged over the random effects and residuals." in str(average)
    if ratio:
        found = linear.pairs(exponentiate=True)
        assert "Ratio: ratio of geometric means;" in str(found)
        assert "geometric" in str(back.pairs(exponentiate=True))
        assert_allclose(found.frame["ratio"], np.exp(linear.pairs().frame["estimate"]))
        assert "Ratio: mean ratio;" in str(average.pairs(exponentiate=True))
    else:
        with pytest.raises(ValueError, match="differences of logarithms"):
            linear.pairs(exponentiate=True)
        assert "Ratio: mean ratio;" in str(back.pairs(exponentiate=True))


def test_transformations_that_are_not_known():
    for response in ("np.exp(Reaction / 300)", "I(1 / Reaction)"):
        result = reactions(response)
        assert (result.marginal_means("late").frame["mean"] > 0.0).all()
        with pytest.raises(ValueError, match="use which='linear'"):
            result.marginal_means("late", which="mean")
    with pytest.raises(TypeError, match="random_effects='average' here"):
        result.marginal_means("late", bias_adjust=True)


# pictures -------------------------------------------------------------------------


def test_arrows_of_emmeans():
    plt = pytest.importorskip("matplotlib.pyplot")
    nitro = means("~ nitro")
    axes = nitro.plot(comparisons=True).axes[0]
    ends = np.full((4, 2), np.nan)
    for arrow in axes.texts:
        (end, place), (start, _) = arrow.xy, arrow.xyann
        ends[place, int(end > start)] = end
        assert_allclose(start, nitro.frame["mean"][place])
    expected = np.array(REFERENCE["arrows"], dtype=float)
    assert_allclose(ends, expected, rtol=1e-5)
    assert [t.get_text() for t in axes.get_yticklabels()] == ["0", "0.2", "0.4", "0.6"]
    assert axes.get_ylabel() == "nitro"
    assert axes.get_xlabel() == "mean and 95% interval"
    plt.close("all")


def test_pictures_of_contrasts_and_of_groups():
    plt = pytest.importorskip("matplotlib.pyplot")
    one_sided = reference().test(7.0, side="larger")
    figure, ax = plt.subplots()
    assert one_sided.plot(ax=ax) is figure
    assert_array_equal(ax.lines[0].get_xdata(), [7.0, 7.0])
    assert_allclose(ax.lines[1].get_xdata(), one_sided.frame["estimate"])
    segments = ax.collections[0].get_segments()
    assert_allclose([s[0][0] for s in segments], one_sided.frame["ci_lower"])
    assert_allclose([s[1][0] for s in segments], one_sided.frame["estimate"])
    axes = oats().marginal_means("~ nitro | Variety").plot(True, adjust="none").axes
    titles = [ax.get_title() for ax in axes if ax.get_visible()]
    assert titles == [
        f"Variety = {v}" for v in ("Golden Rain", "Marvellous", "Victory")
    ]
    ratio = log_means().pairs(exponentiate=True).plot().axes[0]
    assert_allclose(ratio.lines[0].get_xdata(), 1.0)
    plt.close("all")
