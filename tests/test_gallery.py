"""The stories of the gallery: they run, and they find what was simulated."""

import runpy
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from matplotlib import pyplot as plt  # noqa: E402

from statsmodels_lmm import report  # noqa: E402

pytestmark = pytest.mark.slow

GALLERY = Path(__file__).parents[1] / "examples" / "gallery"


@cache
def story(name):
    """Names that a story defines, after it ran and its picture was drawn."""
    plt.close("all")
    shown = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plt, "show", lambda: shown.append(plt.gcf()))
        found = runpy.run_path(str(GALLERY / f"plot_{name}.py"), run_name="__main__")
    assert len(shown) == 1
    for figure in map(plt.figure, plt.get_fignums()):
        figure.canvas.draw()
        assert any(ax.has_data() for ax in figure.axes)
    plt.close("all")
    return found


def test_every_story_is_told_here():
    files = {path.stem.removeprefix("plot_") for path in GALLERY.glob("plot_*.py")}
    told = {
        name.removeprefix("test_") for name in globals() if name.startswith("test_")
    }
    assert files <= told


def test_every_story_has_a_place():
    docs = Path(__file__).parents[1] / "docs"
    order = runpy.run_path(str(docs / "gallery_order.py"))["STORIES"]
    stories = [path.stem.removeprefix("plot_") for path in GALLERY.glob("plot_*.py")]
    assert sorted(order) == sorted(stories)


def test_blog_comments():
    found = story("blog_comments")
    truth = np.std(list(found["OF_DAY"].values()), ddof=1)
    assert np.isclose(truth, 0.055, atol=5e-4)
    assert len(found["posts"]) == 22_435

    lower, upper = found["interval"].loc["day: sd Intercept"]
    assert 0.0 < lower < truth < upper
    assert found["test"].pvalue < 1e-3
    assert found["result"].vcomp.iloc[0] < found["result"].scale / 20**2
    modes = found["result"].random_effects["day"]
    assert modes["Intercept"].idxmin() == "Sat"

    assert found["singular"].vcomp.iloc[0] == 0.0
    assert found["singular"].converged
    lower, upper = found["misplaced_interval"].loc["day: sd Intercept"]
    assert lower == 0.0
    assert upper < truth
    right = found["posts"]["day"] == found["misplaced"]["day"]
    assert right.mean() < 0.2
    wrong, right = (found["f_of_days"](found[name]) for name in ("misplaced", "posts"))
    assert wrong < 1.0 < right


def test_zero_comes_with_f_below_one():
    found = story("blog_comments")
    rng = np.random.default_rng(3)
    singular, below = [], []
    for _ in range(8):
        days = rng.permutation(found["posts"]["day"])
        table = found["posts"].assign(day=days)
        fit = found["crossedmixedlm"](found["formula"], table).fit()
        singular.append(fit.is_singular)
        below.append(found["f_of_days"](table) < 1.0)
    assert singular == below
    assert 0 < sum(below) < 8


def test_intervals():
    found = story("intervals")
    truth, intervals, profile = found["TRUTH"], found["intervals"], found["profile"]
    for name, value in truth.items():
        assert profile.loc[name, "lower"] < value < profile.loc[name, "upper"]
    house = "house: sd Intercept"
    assert profile.loc[house, "lower"] == 0.0
    assert intervals.loc[house, ("percentile", "lower")] == 0.0
    assert intervals.loc[house, ("studentized", "upper")] < truth[house]
    ends = intervals.loc[house].unstack()
    widths = ends["upper"] - ends["lower"]
    assert widths.idxmin() == "studentized"
    assert widths.nsmallest(2).iloc[1] > 1.3 * widths.min()
    estimates = found["estimates"][list(truth)]
    assert np.allclose(intervals["wald"].mean(axis=1), estimates)
    width = profile["upper"] - profile["lower"]
    for name in truth:
        ends = intervals.loc[name].unstack().agg(np.ptp) / width[name]
        if "sd" in name:
            assert (ends > 0.15).all()
        else:
            assert (ends < 0.15).all()


def test_kinship():
    found = story("kinship")
    causal, idle, related = list(found["EFFECTS"]), found["idle"], found["related"]
    assert len(related.resid) == 900
    limit = 0.05 / found["n_snps"]
    assert set(related.pvalues.index[related.pvalues < limit]) - {"Intercept"} == set(
        causal
    )
    gap = related.params[causal] - pd.Series(found["EFFECTS"])
    assert (abs(gap) < 2.5 * related.bse[causal]).all()
    assert np.isclose(found["heritability"], 1.0 / 1.49, atol=0.1)
    chi2 = {
        name: ((found[name].params[idle] / found[name].bse[idle]) ** 2).mean()
        for name in ("related", "strangers")
    }
    # with 197 SNPs the standard error of the mean of chi2 is 0.1
    assert abs(chi2["related"] - 1.0) < 0.2
    assert chi2["strangers"] > 1.3


def test_kinship_is_mendels():
    """Copies of an allele are correlated as the relationships say."""
    counts = story("kinship")["counts"].astype(float)
    centered = counts - 2.0 * story("kinship")["frequency"]
    covariance = np.einsum("fip,fjp->ij", centered, centered)
    root = np.sqrt(np.diag(covariance))
    kinship = story("kinship")["kinship"].to_numpy()[:6, :6]
    assert np.allclose(covariance / np.outer(root, root), kinship, atol=0.03)


def test_scan():
    found = story("scan")
    scan, table = found["scan"], found["scan"].table
    causal = list(found["EFFECTS"])
    assert set(table["p"].nsmallest(2).index) == set(causal)
    significant = found["significant"]
    assert set(causal) <= set(significant.index)
    assert len(significant) > len(causal)
    places = found["positions"]
    for name, row in significant.iterrows():
        own = places.loc[causal]
        own = own.loc[own["chromosome"] == row["chromosome"], "position"]
        assert abs(own - row["position"]).min() < 15, name
    gap = table.loc[causal, "effect"] - pd.Series(found["EFFECTS"])
    assert (abs(gap) < 2.5 * table.loc[causal, "se"]).all()
    assert abs(scan.inflation - 1.0) < 0.1
    assert found["naive"] > 1.5
    second = found["second"].table
    assert second.loc[found["best"], "reason"] != ""
    (other,) = set(causal) - {found["best"]}
    chromosome = places.loc[found["best"], "chromosome"]
    near = significant[significant["chromosome"] == chromosome]
    assert second["p"].idxmin() == other
    assert (second.loc[near.index, "p_adjusted"].dropna() > 0.05).all()


def test_many_snps():
    pytest.importorskip("sklearn")
    found = story("many_snps")
    assert sorted(found["chosen"]) == sorted(found["causal"])
    path, null, result = found["path"], found["null"], found["result"]
    assert "several minima" in path.notes[-1]
    assert path.alphas[0] > path.alpha_max
    assert null.vcomp.iloc[0] > 1.3 * result.vcomp.iloc[0]
    ebic = path.criteria["ebic"]
    assert ebic.iloc[-1] > ebic.min() + 100.0


def test_subjects_items():
    found = story("subjects_items")
    maximal, intercepts = found["maximal"], found["intercepts"]
    assert maximal.converged
    assert maximal.boundary_table()["singular"].tolist() == [False, True]
    primes = maximal.params.index[1:]
    assert (maximal.bse[primes] > 1.3 * intercepts.bse[primes]).all()
    df = found["table"]["df_denom"].astype(float)
    assert (df["maximal"] < 36).all()
    assert (df["intercepts"] > 800).all()
    contrasts = found["contrasts"].frame.set_index("contrast")
    for name, row in contrasts.iterrows():
        first, second = (found["TRUTH"][level] for level in name.split(" - "))
        assert row["ci_lower"] < first - second < row["ci_upper"]
    assert (contrasts["pvalue"] < 0.05).tolist() == [True, True, False]
    # every subject sees every item once, and as many of each prime
    sizes = found["data"].groupby(["subject", "prime"], observed=True).size()
    assert (sizes == 8).all()


def test_insteval():
    found = story("insteval")
    result = found["result"]
    # lme4 1.1-31: lmer(y ~ service + (1|s) + (1|d) + (1|dept:service), InstEval)
    sd = np.sqrt(np.append(result.vcomp, result.scale))
    lme4 = [0.3246947979, 0.5124149310, 0.1096533929, 1.1768431514]
    assert np.allclose(sd, lme4, rtol=1e-4)
    # lme4 stops a little before the optimum
    theta = np.array(lme4[:3]) / lme4[3]
    assert 0.0 <= result.llf - result.model.loglike(theta) < 1e-6
    assert np.allclose(result.params, [3.280672538, -0.053495737], atol=1e-6)
    assert np.isclose(-2.0 * result.llf, 237661.53572, atol=1e-4)
    by_mean = found["by_mean"]
    assert by_mean.sort_values("mean")["size"].tail(5).max() < 40
    assert by_mean["mean"].idxmax() != by_mean["mode"].idxmax()
    assert by_mean["mode"].notna().all()


def test_split_plot():
    found = story("split_plot")
    oats, table = found["oats"], found["table"]
    # sums of squares by strata: 6 blocks, 3 varieties, 4 amounts of nitrogen
    y = oats.pivot_table("yield", ["Block", "Variety"], "nitro", observed=True)
    y = y.to_numpy().reshape(6, 3, 4)
    mean = y.mean()
    variety = 24 * ((y.mean(axis=(0, 2)) - mean) ** 2).sum() / 2
    block = 12 * ((y.mean(axis=(1, 2)) - mean) ** 2).sum()
    plots = 4 * ((y.mean(axis=2) - mean) ** 2).sum()
    error = (plots - block - 2 * variety) / 10
    assert np.isclose(table.loc["Variety", "F"], variety / error)
    nitro = 18 * ((y.mean(axis=(0, 1)) - mean) ** 2).sum() / 3
    cells = 6 * ((y.mean(axis=0) - mean) ** 2).sum()
    both = (cells - 2 * variety - 3 * nitro) / 6
    within = (((y - mean) ** 2).sum() - plots - 3 * nitro - 6 * both) / 45
    assert np.isclose(table.loc["C(nitro)", "F"], nitro / within)
    assert np.isclose(table.loc["C(nitro):Variety", "F"], both / within)
    assert np.allclose(table["df_denom"], [45, 10, 45])

    means = found["means"].frame
    assert np.allclose(means["mean"], y.mean(axis=(0, 1)))
    steps = found["steps"].frame
    assert np.allclose(steps["estimate"], np.diff(y.mean(axis=(0, 1))))
    assert np.allclose(steps["std err"], np.sqrt(2 * within / 18))
    trend = found["trend"].frame.set_index("contrast")["pvalue"]
    assert trend["linear"] < 1e-6
    assert trend["quadratic"] > 0.05


def test_repeated_measures():
    found = story("repeated_measures")
    fits, table, effect = found["fits"], found["table"], found["effect"]
    near = found["correlations"](fits["ar1"])[0, 1:]
    assert np.allclose(near, near[0] ** np.arange(1, 6))
    assert abs(near[0] - found["RHO"]) < 0.1
    assert np.ptp(found["correlations"](fits["cs"])[0, 1:]) < 1e-10
    assert table["AIC"].idxmin() == "ar1"
    assert table["BIC"].idxmin() == "ar1"
    assert table["llf"].idxmax() == "us"
    assert found["test"].df_diff == 19
    assert found["test"].pvalue > 0.05
    assert effect.loc["cs", "std err"] < 0.8 * effect.loc["ar1", "std err"]
    assert abs(effect.loc["ar1", "estimate"] + 1.5) < 2 * effect.loc["ar1", "std err"]


def test_power():
    found = story("power")
    planned = found["planned"]
    assert np.allclose(planned.params, [20.0, 1.0, 0.0, 1.0], atol=1e-8)
    assert np.allclose(*planned.cov_re.values(), found["PSI"], atol=1e-5)
    assert np.isclose(planned.scale, found["SIGMA"] ** 2)
    pvalue = planned.t_test("day:treated = 0", df_method="satterthwaite").pvalue
    assert np.isclose(pvalue, 0.075, atol=5e-4)
    for effect, shares in found["table"].items():
        truth = found["power_by_formula"](np.array(found["SIZES"]), effect)
        error = np.sqrt(truth * (1.0 - truth) / found["NSIM"])
        assert (abs(shares - truth) < 4.0 * error + 2e-3).all()


def test_power_logistic():
    found = story("power_logistic")
    study, power, errors = found["study"], found["power"], found["errors"]
    planned = found["BASELINE"], found["EFFECTS"]["odds 1/2"]
    assert np.allclose(study.params, planned)
    assert np.allclose(study.theta, found["DEVIATION"])
    assert power.loc[8, "none"] > 0.08  # z tests with eight schools
    for name in found["EFFECTS"]:
        large = power.loc[28:, name]
        truth = found["power_of_normal"](large.index.to_numpy(), name)
        bound = 4.0 * np.sqrt(truth * (1.0 - truth) / found["NSIM"])
        assert (abs(large - truth) < bound).all()
    n = np.array([found["needed"][name] for name in ("odds 1/2", "odds 2/3")])
    assert np.allclose(n, [33, 92], rtol=0.1)
    # the information about a difference of two groups of schools of this size
    chances = 1 / (1 + np.exp(-np.array([planned[0], sum(planned)])))
    within = 1.0 / (found["PUPILS"] * chances * (1.0 - chances))
    error = np.sqrt((found["DEVIATION"] ** 2 + within).sum() / 20)
    assert np.isclose(errors["odds 1/2"], error, rtol=0.05)


def test_contraception():
    found = story("contraception")
    result, women = found["result"], found["women"]
    share = (women["use"] == "Y").mean()
    average = result.predict(women, random_effects="average")
    assert np.isclose(average.mean(), share, atol=0.02)
    assert found["simulated"].uniformity_test().pvalue > 0.1
    assert found["change"].abs().max() < 0.02
    assert result.drop1().loc["age", "pvalue"] > 0.5
    # means over districts, by quadrature over the distribution of their effects
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    cov, at = result.cov_re["district"].to_numpy(), result.params
    for urban, z in (("N", [1.0, 0.0]), ("Y", [1.0, 1.0])):
        eta = at["Intercept"] + z[1] * at["urban[T.Y]"] + at["livch[T.1]"]
        eta = eta + np.sqrt(z @ cov @ z) * nodes
        mean = weights / weights.sum() @ (1.0 / (1.0 + np.exp(-eta)))
        frame = found["means"].frame.set_index(["urban", "livch"])["mean"]
        assert np.isclose(frame[urban, "1"], mean, atol=1e-6)
    difference = found["differences"].frame["estimate"]
    assert difference.between(0.15, 0.19).all()
    assert found["intervals"].loc["district: cor urban[T.Y], Intercept", "upper"] < -0.3
    assert np.corrcoef(found["country"], found["town"])[0, 1] < 0.3


def test_ticks():
    found = story("ticks")
    fits, checks = found["fits"], found["checks"]
    assert fits["Poisson"].aic > fits["negative binomial"].aic + 190.0
    assert checks["Poisson"].loc["zero_inflation", "pvalue"] < 0.05
    assert checks["Poisson"].loc["dispersion", "statistic"] > 1.5
    assert checks["negative binomial"].loc["zero_inflation", "pvalue"] > 0.2
    assert checks["negative binomial"].loc["uniformity", "pvalue"] > 0.2
    assert found["whole"].zero_inflation_test().pvalue > 0.2
    ends = pd.DataFrame(found["table"])
    assert (np.ptp(ends, axis=1) < 0.005).all()
    assert (ends.loc["ratio"] - 0.79).abs().max() < 0.005
    # a lognormal random effect multiplies the mean
    negative = fits["negative binomial"]
    expected = np.exp(negative.params["Intercept"] + negative.vcomp.sum() / 2.0)
    assert np.isclose(found["means"].frame["mean"].iloc[0], expected)
    mixture = found["tests"]["pvalue_mixture"]
    assert mixture["(1 | BROOD)"] < 1e-6 < 0.05 < mixture["(1 | LOCATION)"]


def test_trial():
    found = story("trial")
    mmrm, fits = found["mmrm"], dict(zip(found["structures"], found["fits"]))
    assert mmrm.nobs == found["trial"]["change"].notna().sum() == 399
    ends = found["effects"].frame.set_index("week").loc[8]
    assert ends["ci_lower"] < found["EFFECT"][-1] < ends["ci_upper"]
    # generalized least squares with the estimated covariance
    sigma = mmrm.residual_covariance().to_numpy()
    place = found["trial"]["week"].cat.codes.to_numpy()
    patient = found["trial"]["patient"].to_numpy()
    rows = found["trial"]["change"].notna().to_numpy()
    place, patient = place[rows], patient[rows]
    v = sigma[np.ix_(place, place)] * (patient[:, None] == patient)
    x, y = mmrm.model.exog, mmrm.model.endog
    left = np.linalg.solve(v, np.column_stack([x, y])).T @ x
    assert np.allclose(np.linalg.solve(left[:-1], left[-1]), mmrm.params)
    table, observed = found["table"], found["scores"].mean().unstack(0)
    assert ((table - observed).loc[8] > 0.2).all()
    gap = table["placebo"] - observed["placebo"]
    assert gap.loc[8] == gap.max() > 1.0
    assert fits["ar1h"].aic == min(fit.aic for fit in fits.values())
    assert fits["us"].llf == max(fit.llf for fit in fits.values())
    errors = {name: fit.t_test(found["last"]).sd.item() for name, fit in fits.items()}
    assert errors["cs"] < 0.85 * errors["us"]
    # parameters of visits are named after their labels
    names = fits["ar1h"].residual_table().index.tolist()
    assert names == ["ar1 rho", "log sd 4", "log sd 6", "log sd 8"]
    for name in ("us", "ar1h"):
        assert fits[name].residual_covariance().index.tolist() == found["WEEKS"]
    rows = found["compare_table"](fits["cs"]).frame.index.get_level_values("row")
    assert "R2" in rows
    assert "R2 marginal" not in rows
    assert "ICC" not in rows
    lag = found["lag"]
    truth = 0.8**lag * np.outer(found["SD"], found["SD"])
    assert np.allclose(sigma / truth, 1.0, atol=0.35)


def test_growth():
    found = story("growth")
    chosen, intervals = found["chosen"], found["intervals"]
    for name, truth in (("ar1 rho", found["RHO"]), ("log sd log(day)", found["POWER"])):
        lower, upper = intervals.loc[name]
        assert lower < truth < upper
    fits = found["fits"]
    pvalues = [big.compare_lr_test(small).pvalue for small, big in zip(fits, fits[1:])]
    assert max(pvalues[:2]) < 1e-6 < 0.05 < pvalues[2]
    table = pd.DataFrame(found["rows"])
    assert table.loc["inside the intervals", "plain"] < 0.85
    assert table.loc["inside the intervals", "line and error"] > 0.9
    assert table.loc["on the first day"].idxmin() == "line and error"
    # Gaussian conditioning on all heights of a plant, lines and errors together
    known, new = (d[d["plant"] == 13] for d in (found["seen"], found["later"]))
    rows = pd.concat([known, new])
    lag = abs(np.subtract.outer(rows["step"].to_numpy(), rows["step"].to_numpy()))
    rho, power = chosen.residual_params
    spread = np.sqrt(chosen.scale) * rows["day"].to_numpy() ** power
    v = rho**lag * np.outer(spread, spread) + chosen.vcomp.iloc[0]
    mean, n = chosen.predict(rows).to_numpy(), len(known)
    away = np.linalg.solve(v[:n, :n], known["height"].to_numpy() - mean[:n])
    expected = mean[n:] + v[n:, :n] @ away
    assert np.allclose(found["told"].loc[new.index, "predicted"], expected)


def test_dask():
    pytest.importorskip("distributed")
    pytest.importorskip("joblib")
    found = story("dask")
    assert found["there"] is not found["here"]
    pd.testing.assert_frame_equal(
        found["there"].statistics, found["here"].statistics, check_exact=True
    )
    statistics = found["there"].statistics
    assert (statistics["slowest"] > statistics["average"]).all()


def test_dask_that_is_not_installed(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    found = story.__wrapped__("dask")
    assert found["there"] is found["here"]
    assert "not installed" in capsys.readouterr().out


def paragraph(found, fit):
    """The report of a story and its table, which have the numbers of a fit."""
    text = report(fit, labels=found.get("labels")).text
    assert "The search ended at a proved local optimum." in text
    return text


def test_priming():
    found = story("priming")
    maximal, chosen = found["maximal"], found["chosen"]
    assert maximal.is_singular
    assert not chosen.is_singular
    assert found["valid"].sum() == maximal.nobs == 934
    assert found["data"].groupby("Participant").size().eq(24).all()
    ratios = found["ratios"].frame.set_index("Group")
    for group, effect in (("native", 0.12), ("learner", 0.05)):
        row = ratios.loc[group]
        assert row["ci_lower"] < np.exp(-effect) < row["ci_upper"]
    tests = chosen.anova()["PR(>F)"]
    assert (tests < 0.05).all()
    # sum contrasts of a factor of two levels are half of the difference
    prime = chosen.params["C(Prime, Sum)[S.related]"]
    assert np.isclose(prime, np.log(ratios["ratio"]).mean() / 2)
    dropped = maximal.random_effect_tests()["pvalue_mixture"]
    assert (dropped.iloc[1:] > 0.2).all()
    assert "Prime x group is positive and statistically" in paragraph(found, chosen)


def test_rice():
    found = story("rice")
    rice, full, curves = found["rice"], found["full"], found["curves"]
    assert rice["Yield (t/ha)"].notna().sum() == full.nobs == 131
    assert (full.vcomp == 0.0).all()
    # pbkrtest 0.5.2 by lmerTest 3.1-3, lmer(y ~ N * management * variety + (1 |
    # rep/N/management)) with sum contrasts
    table = full.anova().iloc[[0, 1, 2, 4]]
    assert np.allclose(table["df_denom"], [7.899, 19.650, 57.887, 57.792], atol=2e-3)
    expected = [32.1391, 47.5355, 216.3478, 3.9951]
    assert np.allclose(table["F"], expected, rtol=1e-5)
    slope, bend = curves.params[["variety[V1]:N", "variety[V1]:I(N ** 2)"]]
    vertex = curves.derive(found["vertex"])
    assert np.isclose(vertex.estimates["best"], -50.0 * slope / bend)
    lower, upper = vertex.conf_int().loc["best"]
    assert 60.0 < lower < upper < 125.0
    assert found["letters"].groupby("nitrogen").size().eq(3).all()
    assert "Yield (t/ha)" in paragraph(found, curves)


def test_lambs():
    found = story("lambs")
    animal, values = found["animal"], found["values"]
    assert len(found["lambs"]) == 480
    assert not any(" " in name or name.islower() for name in found["kinship"])
    lower, upper = animal.derive(found["h2"], "profile").conf_int().loc["h2"]
    assert lower < 0.3 < upper
    accuracy = values["accuracy"]
    assert accuracy.between(0.0, 1.0).all()
    achieved = np.corrcoef(values["value"], found["true"])[0, 1]
    assert abs(achieved - accuracy.mean()) < 0.1
    # an animal with the weights of many offspring is known better than one with its own
    assert found["rams"]["accuracy"].min() > accuracy.median()
    # the mixed model equations, with the variances of the fit
    x, z = animal.model.exog, np.zeros((int(animal.nobs), 548))
    for effects, start in zip(animal.model.random, (0, 9)):
        z[np.arange(len(z)), start + effects.grouped.codes] = 1.0
    inverse = (
        np.linalg.inv(found["kinship"].to_numpy()) / animal.cov_re["id"].iloc[0, 0]
    )
    w = np.hstack([x, z])
    left = w.T @ w / animal.scale
    left[2:11, 2:11] += np.eye(9) / animal.cov_re["Flock"].iloc[0, 0]
    left[11:, 11:] += inverse
    error = np.diag(np.linalg.inv(left))[11:]
    assert np.allclose(found["error"], error)
    assert "with known relationships" in paragraph(found, animal)


def test_chicks():
    found = story("chicks")
    splines, chicks = found["splines"], found["chicks"]
    weights = chicks["Weight (g)"]
    assert chicks["chick"].nunique() == 50
    assert weights.notna().sum() == splines.nobs == 578
    assert weights.sum() == 70411.0  # sum(ChickWeight$weight) in R
    assert splines.aic == min(fit.aic for fit in found["fits"].values())
    text = paragraph(found, splines)
    test = splines.anova().iloc[2]
    assert (
        f"on growth is statistically significant (F(12, {test['df_denom']:.1f}" in text
    )
    lost = np.exp(found["splines"].predict(found["lost"], random_effects=True))
    known = chicks[(chicks["chick"] == 44) & (chicks["day"] == 18)]["Weight (g)"].iloc[
        0
    ]
    assert (lost > known).all()


def test_seeds():
    found = story("seeds")
    result, seeds = found["result"], found["seeds"]
    assert len(seeds) == 21
    # lme4 1.1-31: glmer(cbind(r, n - r) ~ x1 * x2 + (1 | plate), binomial)
    params = result.params.to_numpy()
    assert np.isclose(params[3], 0.81004130, atol=1e-4)
    assert np.isclose(params[0] + params[1], -0.54848370, atol=1e-4)
    assert np.isclose(result.theta.iloc[0], 0.23458, atol=1e-4)
    ratio = found["both"].contrasts("interaction", exponentiate=True).frame
    assert np.isclose(ratio["ratio"].iloc[0], np.exp(params[3]))
    assert 0.04 < found["test"].pvalue < 0.15
    assert "odds ratio = 2.25" in paragraph(found, result)
    assert "Coefficients are odds ratios." in found["table"].notes[-1]


def test_genes():
    found = story("genes")
    many, truth = found["many"], found["effect"]
    assert many.converged.all()
    assert many.n_failed == 0
    assert (many.nobs == 47).sum() == 300
    usual, moderated = (
        found["found"](found["tests"]),
        found["found"](found["moderated"]),
    )
    assert moderated[0] > usual[0] > 80
    assert max(usual[1] / usual[0], moderated[1] / moderated[0]) < 0.08
    large = np.abs(truth) > 1.5
    assert (found["tests"]["p_adjusted"][large] < 0.05).mean() > 0.7
    # conservative where variances are truly zero, and never too small
    assert (found["null"].t_test("visit:treated")["p"] < 0.05).mean() < 0.055
    np.testing.assert_allclose(
        found["result"].params, many.params.loc[found["best"]], rtol=1e-6
    )
