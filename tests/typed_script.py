"""What a user writes, checked by ``mypy --strict``; the types are asserted."""

from typing import assert_type

import numpy as np
from matplotlib.figure import Figure

from statsmodels_lmm import (
    CrossedMixedLM,
    Parameter,
    Structure,
    anova,
    check_formula,
    compare_table,
    crossedmixedglm,
    crossedmixedlm,
    datasets,
    from_json,
    graphics,
    random_effects,
    report,
    to_json,
)
from statsmodels_lmm.display import ResultTable
from statsmodels_lmm.formula.api import mixedlm
from statsmodels_lmm.inference.deletion.influence import MixedInfluence, RowInfluence
from statsmodels_lmm.inference.derived.derived import DerivedQuantities
from statsmodels_lmm.inference.marginal.marginal_estimates import MarginalMeans
from statsmodels_lmm.inference.replicates.bootstrap import BootstrapResults
from statsmodels_lmm.inference.variances.identification import Identification
from statsmodels_lmm.relationship import phylogenetic_covariance
from statsmodels_lmm.results.generalized import CrossedMixedGLMResultsWrapper
from statsmodels_lmm.results.linear import CrossedMixedLMResultsWrapper

sleep = datasets.sleepstudy.load_pandas().data
model = crossedmixedlm("Reaction ~ Days + (Days | Subject)", sleep)
assert_type(model, CrossedMixedLM)
result = model.fit(reml=False, df_method="residual")
assert_type(result, CrossedMixedLMResultsWrapper)
assert_type(result.with_df_method("asymptotic"), CrossedMixedLMResultsWrapper)
assert_type(result.llf + result.aic, float)
assert_type(result.converged, bool)
assert_type(result.bootstrap(50, rng=1), BootstrapResults)
assert_type(result.get_influence("Subject"), MixedInfluence)
assert_type(result.get_influence(), RowInfluence)
assert_type(anova(result, result.drop_fixed("Days")), ResultTable)
print(result.params.round(2), result.conf_int(method="profile"), result.summary())
print(result.tidy(conf_int=True), result.marginal_means("Days"), result.random_effects)
assert_type(result.plot_residuals(by="Days"), Figure)
assert_type(graphics.plot_groups(result), Figure)
assert_type(result.profile().plot(), Figure)
means = result.marginal_means("Days", at={"Days": [0, 9]})
assert_type(means.pairs(), MarginalMeans)
assert_type(means.contrasts("pairwise", adjust="holm").test(side=">"), MarginalMeans)
assert_type(means.plot(comparisons=True), Figure)
assert_type(result.derive("var(Residual)"), DerivedQuantities)
assert_type(result.identification, Identification)
assert_type(compare_table(result, names=["a"]).as_latex(), str)
assert_type(report(result).text, str)

fit = crossedmixedglm(
    "incidence / size ~ period + (1 | herd)",
    datasets.cbpp.load().data,
    family="binomial",
    weights="size",
).fit(nagq=5)
assert_type(fit, CrossedMixedGLMResultsWrapper)
assert_type(fit.pearson_chi2, float)
print(fit.predict(type="response"), fit.simulated_residuals(rng=1).tests())
print(mixedlm("Reaction ~ Days", sleep, groups="Subject").fit().params)


class Exchangeable(Structure):
    """A structure of the user's own."""

    name = "exch"

    def parameters(self, effects: list[str]) -> list[Parameter]:
        """One correlation."""
        return [Parameter("rho", 0.0, 1.0)]

    def covariance(self, theta: np.ndarray, k: int) -> np.ndarray:
        """Equal correlations."""
        return (1.0 - float(theta[0])) * np.eye(k) + float(theta[0])


g = np.arange(180) // 10
assert_type(check_formula("y ~ x + (1 | g)", ["x", "g", "y"]), list[str])
arrays = CrossedMixedLM(sleep["Reaction"], sleep[["Days"]], {"g": random_effects(g)})
saved = from_json(to_json(result))
assert_type(saved.llf, float)
print(arrays, phylogenetic_covariance("(a:1,b:1);"))
