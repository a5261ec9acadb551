"""
Write the pickles of this folder and what they answer.

    PYTHONPATH=tests python tests/reference/pickles/freeze.py [NAME ...]

A pickle is frozen once, by the package of its day; later packages read it. Only new
ones are made, and those that are named. Each is a dict of objects: ``NAME.pickle.xz``
and, of `answers.answers`, ``NAME.json``.
"""

import json
import lzma
import pathlib
import pickle
import sys
from importlib.metadata import version

import numpy as np
import pandas as pd
from patsy import ContrastMatrix
from reference.pickles import own
from reference.pickles.answers import answers
from scipy import sparse

from statsmodels_lmm import (
    CrossedMixedLM,
    anova,
    datasets,
    from_json,
    known_levels,
    matrix_effects,
    random_effects,
    relationship,
    structures,
    to_json,
)
from statsmodels_lmm.core.engines import cross_products
from statsmodels_lmm.exceptions import DataError, DataWarning, FormulaError, RankWarning
from statsmodels_lmm.formula.api import crossedmixedlm, mixedlm
from statsmodels_lmm.formula.backend import formula_engine
from statsmodels_lmm.relationship.newick import read_newick
from statsmodels_lmm.relationship.pedigree import read_pedigree

HERE = pathlib.Path(__file__).parent

PROTOCOL = 4
"""Of pickles that each supported Python writes."""

PACKAGES = ("statsmodels", "patsy", "formulaic", "pandas", "numpy", "scipy")

FEW = 40
"""Replicates of a bootstrap."""


def main():
    pd.set_option("mode.string_storage", "python")  # which needs no pyarrow
    for name, make in CASES.items():
        path = HERE / f"{name}.pickle.xz"
        if name in sys.argv[1:] or not path.exists():
            freeze(path, make())


def freeze(path, objects):
    """Write the pickle of some objects, and what they answer once they are read."""
    content = pickle.dumps(objects, PROTOCOL)
    path.write_bytes(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))
    frozen = {
        "packages": {name: version(name) for name in PACKAGES},
        "answers": answers(pickle.loads(content)),
    }
    name = path.name.removesuffix(".pickle.xz")
    text = json.dumps(frozen, separators=(",", ":"), allow_nan=False)
    (HERE / f"{name}.json").write_text(text + "\n")


# data ------------------------------------------------------------------------


def frame():
    """Eight groups crossed with six, four times, a factor and numbers."""
    rng = np.random.default_rng(7)
    n = 64
    g, h = np.repeat(np.arange(8), 8), rng.permutation(np.arange(n) % 6)
    x, z = rng.standard_normal((2, n))
    data = pd.DataFrame({"x": x, "z": z, "t": np.tile(np.arange(4), 16)})
    data["f"] = np.array(list("abc"))[rng.integers(3, size=n)]
    data["g"], data["h"] = [f"g{i}" for i in g], h
    data["w"], data["o"] = rng.uniform(0.5, 2.0, n), rng.standard_normal(n)
    slopes = 1.2 * rng.standard_normal((8, 2))
    y = 2.0 + x + slopes[g, 0] + slopes[g, 1] * x + rng.standard_normal(6)[h]
    y += rng.standard_normal((8, 4))[g, data["t"]]
    data["y"] = y + 0.7 * rng.standard_normal(n)
    return data


def new_rows(data):
    """Arguments of predictions: known levels and new ones."""
    rows = data.iloc[[1, 20, 41]].assign(x=[0.3, -0.2, 0.9], g=["g2", "g5", "new"])
    return {"exog": rows, "random_effects": True, "new_levels": "population"}


def objects_of(model, new, *which):
    """What every model has: fits, one that was used, bootstrap, a few profiles."""
    result, used = model.fit(), model.fit()
    response = np.asarray(result.simulate(1, rng=3)).reshape(-1)
    found = {
        "model": model,
        "result": result,
        "used": used,
        "bootstrap": result.bootstrap(FEW, rng=1, n_jobs=1),
        "profile": result.profile(list(which), n_points=2, n_jobs=1),
        "new": new,
        "response": response,
    }
    answers({name: found[name] for name in ("used", "new", "response")})
    return found


# cases -----------------------------------------------------------------------


def crossed():
    """A model of a formula and most of what can be asked of it."""
    data = frame()
    model = crossedmixedlm("y ~ x + f + (x | g) + (1 | h)", data)
    which = "x", "g: sd x", "g: cor x, Intercept", "sigma"
    found = objects_of(model, new_rows(data), *which)
    result = found["result"]
    smaller = crossedmixedlm("y ~ x + f + (1 | g) + (1 | h)", data).fit()
    removed = crossedmixedlm("y ~ x + f + (x | g) + (1 | h)", data).fit()
    removed.remove_data()
    return found | {
        "other response": model.with_response(found["response"]),
        "maximum likelihood": model.fit(reml=False),
        "satterthwaite": result.with_df_method("satterthwaite"),
        "kenward-roger": result.with_df_method("kenward-roger"),
        "residual": result.with_df_method("residual"),
        "removed": removed,
        "statistic": result.bootstrap(FEW, rng=2, statistic=own.total, n_jobs=1),
        "anova": anova(result, smaller),
        "anova of terms": anova(result),
        "ranova": result.ranova(),
        "drop1": result.drop1(),
        "comparison": list(result.compare_lr_test(smaller)),
    }


def inference():
    """Objects that a result returns."""
    data = frame()
    result = crossedmixedlm("y ~ x + f + (1 | g) + (1 | h)", data).fit()
    one = crossedmixedlm("y ~ x + f + (1 | g)", data).fit()
    means = result.marginal_means("f", df_method="satterthwaite")
    return {
        "rows": result.get_influence(),
        "groups": result.get_influence("g"),
        "refitted": result.get_influence("h", refit=True, n_jobs=1),
        "residuals": result.simulated_residuals(40, rng=1),
        "residuals of groups": result.simulated_residuals(40, rng=1, group="g"),
        "test of residuals": result.simulated_residuals(40, rng=1).dispersion_test(),
        "means": means,
        "contrasts": means.contrasts().frame,
        "slopes": result.marginal_slopes("x", "f"),
        "likelihood ratio": result.compare_lr_test(one),
        "exact test": one.exact_lr_test(nsim=200, rng=1),
        "variances": result.variance_parameters(),
        "tidy": result.tidy(),
        "glance": result.glance(),
        "identification": result.identification,
        "distribution": result.model.get_distribution(result.params, result.scale),
        "modes": result.random_effects,
        "data set": datasets.sleepstudy,
        "error of data": DataError("no"),
        "error of a formula": FormulaError("no", "y ~ x", (4, 5)),
        "warnings": [DataWarning("of data"), RankWarning("of columns")],
        "summary": result.summary(),
        "summary2": result.summary2(),
    }


def predictions():
    """They hold distributions of SciPy."""
    data = frame()
    result = crossedmixedlm("y ~ x + f + (x | g) + (1 | h)", data).fit()
    return {
        "prediction": result.get_prediction(interval="prediction"),
        "of new rows": result.get_prediction(**new_rows(data)),
        "by t": result.get_prediction(df_method="satterthwaite"),
    }


def transformed():
    """Columns that remember their data, a coding and a function of the user."""
    data = frame()
    coding = ContrastMatrix(np.array([[-0.5, -1 / 3], [0.5, -1 / 3], [0, 2 / 3]]), "12")
    names = {"damped": own.damped, "coding": coding, "np": np}
    formula = (
        "y ~ bs(x, df=4) + center(z) + damped(o) + np.log(w) + C(f, coding)"
        " + offset(o / 4) + (standardize(z) | g)"
    )
    model = crossedmixedlm(formula, data, weights="w", offset="o", eval_env=names)
    found = objects_of(model, new_rows(data) | {"offset": [0.1, 0.2, 0.3]}, "center(z)")
    splines = "y ~ ns(x, 3) + poly(z, 2) + cr(w, df=3, constraints='center')"
    smooth = crossedmixedlm(f"{splines} + scale(o) + (1 | g)", data).fit()
    return found | {
        "satterthwaite": found["result"].with_df_method("satterthwaite"),
        "splines": smooth,
    }


def formulaic():
    """A formula that formulaic has evaluated."""
    data = frame()
    with formula_engine("formulaic"):
        model = crossedmixedlm(
            "y ~ bs(x, df=4) + C(f) + scale(z) + (center(x) | g)", data
        )
        found = objects_of(model, new_rows(data), "scale(z)")
    return found | {"satterthwaite": found["result"].with_df_method("satterthwaite")}


def nested():
    """Groups within groups and crossed ones, as if of many levels."""
    data = frame()
    before = cross_products.DENSE_ENTRIES, cross_products.DENSE_SHARE
    cross_products.DENSE_ENTRIES, cross_products.DENSE_SHARE = 0, 2.0
    try:
        model = crossedmixedlm("y ~ x + (1 | g/t) + (x || h)", data)
        return objects_of(model, new_rows(data), "x", "g: sd Intercept", "sigma")
    finally:
        cross_products.DENSE_ENTRIES, cross_products.DENSE_SHARE = before


def large_variances():
    """Random effects that are large next to the residuals; a redundant column."""
    data = frame()
    data["twice"] = 2.0 * data["x"]
    rng = np.random.default_rng(8)
    own = rng.standard_normal((8, 2))[np.repeat(np.arange(8), 8)]
    y = own[:, 0] + own[:, 1] * data["z"] + rng.standard_normal(6)[data["h"]]
    data["y"] = y + 1e-3 * rng.standard_normal(len(data))
    model = crossedmixedlm("y ~ x + twice + (z | g) + (1 | h)", data)
    new = new_rows(data)
    new["exog"]["twice"] = 2.0 * new["exog"]["x"]
    return objects_of(model, new, "x", "g: sd z")


def structured():
    """Structures by their names in a formula."""
    data = frame()
    model = crossedmixedlm("y ~ x + ar1(0 + C(t) | g) + (1 | h)", data)
    several = crossedmixedlm(
        "y ~ x + cs(1 + x | g) + diag(1 + z | h, hom=True) + (x || h)", data
    )
    which = "x", "g: sd ar1", "g: cor ar1 rho", "h: sd Intercept"
    return objects_of(model, new_rows(data), *which) | {
        "several": several,
        "result of several": several.fit(),
        "bootstrap of several": several.fit().bootstrap(FEW, rng=1, n_jobs=1),
        "profile of several": several.fit().profile("sigma", n_points=2, n_jobs=1),
    }


def own_structures():
    """Structures of the user and of the package as objects."""
    data = frame()
    known = np.array([[1.0, 0.5], [0.5, 2.0]])
    given = {
        "toep": own.Toeplitz(),
        "known": structures.Known(known),
        "fixed": structures.Fixed(0.3 * known, "given"),
    }
    model = crossedmixedlm(
        "y ~ x + toep(0 + C(t) | g) + known(1 + x | h) + fixed(1 + z | f)",
        data,
        structures=given,
    )
    return objects_of(model, new_rows(data), "g: cor toep rho1", "h: sd known") | {
        **given,
        "ar1": structures.AutoRegressive(False),
        "cs": structures.CompoundSymmetry(True),
        "diag": structures.Diagonal(False),
        "parameter": structures.Parameter("rho", -1.0, 1.0, 0.0, "cor"),
        "deviation": structures.deviation("a", 0),
    }


def pedigree():
    """Sires, dams and their progeny."""
    parents = pd.DataFrame({"animal": [f"g{i}" for i in range(8)]})
    parents["sire"] = [None, None, "g0", "g0", "g2", "g2", "g3", "g3"]
    parents["dam"] = [None, None, "g1", "g1", "g1", None, "g1", "g4"]
    return parents


def related():
    """Covariances of levels, dense; the tree has a species without data."""
    data = frame()
    kinship = relationship.numerator_relationship(pedigree())
    tree = relationship.phylogenetic_covariance(
        "(((0:1,1:1):1,2:2):1,((3:1,4:1):1,5:2):1,6:3);"
    )
    tree.index = tree.columns = [int(label) for label in tree.columns]
    known = {"g": kinship, "h": tree}
    model = crossedmixedlm("y ~ x + (x | g) + (1 | h)", data, relationship=known)
    inverse = relationship.numerator_relationship_inverse(pedigree())
    by_inverse = crossedmixedlm(
        "y ~ x + (1 | g)", data, relationship_inverse={"g": inverse}
    )
    new = new_rows(data)
    new["exog"] = new["exog"].assign(h=[6, 2, 3])
    return objects_of(model, new, "x", "g: sd x", "g: cor x, Intercept") | {
        "kinship": kinship,
        "inverse": inverse,
        "pedigree": read_pedigree(pedigree()),
        "tree": read_newick("((a:1,b:1):1,c:2);"),
        "by inverse": by_inverse,
        "result by inverse": by_inverse.fit(),
    }


def sparse_related():
    """Levels that are known by a sparse inverse, as if they were many."""
    data = frame()
    few, known_levels.DENSE_LEVELS = known_levels.DENSE_LEVELS, 3
    try:
        inverse = relationship.numerator_relationship_inverse(pedigree())
        model = crossedmixedlm(
            "y ~ x + (x | g) + (1 | h)", data, relationship_inverse={"g": inverse}
        )
        return objects_of(model, new_rows(data), "x", "g: sd x", "h: sd Intercept")
    finally:
        known_levels.DENSE_LEVELS = few


def matrices():
    """A dense matrix with a covariance of the user's, a sparse one, and groups."""
    data = frame()
    rng = np.random.default_rng(5)
    z = rng.standard_normal((len(data), 6))
    y = data["y"].to_numpy() + z @ rng.standard_normal(6)
    x = np.column_stack([np.ones(len(data)), data["x"]])
    at = np.arange(len(data)), data["h"].to_numpy()
    indicator = sparse.csr_array((np.ones(len(data)), at))
    terms = {
        "sparse": matrix_effects(indicator),
        "g": random_effects(data["g"].to_numpy(), x, "cs"),
    }
    model = CrossedMixedLM.from_matrices(
        *(y, x, z, own.alternating, [1.0, 1.0], [0.0, 0.0]),
        derivative=own.alternating_slopes,
        names=["odd", "even"],
        random=terms,
    )
    rows = [1, 20, 41]
    new = {"exog": x[rows], "random_effects": True, "new_levels": "population"}
    new["random"] = {"Z": z[rows], "sparse": indicator[rows]}
    new["random"]["g"] = (np.array(["g1", "g4", "new"]), x[rows])
    scaled = CrossedMixedLM.from_matrices(y, x, z, own.scaled, [1.0], [0.0])
    raw = CrossedMixedLM(y, x, [matrix_effects(z)])
    return objects_of(model, new, "x1", "Z: theta odd", "sparse: sd b") | {
        **{f"term {name}": term for name, term in terms.items()},
        "scaled": scaled,
        "profile of scaled": scaled.fit().profile("sigma", n_points=2, n_jobs=1),
        "raw": raw,
        "bootstrap of raw": raw.fit().bootstrap(FEW, rng=1, n_jobs=1),
    }


def many_columns():
    """A sparse matrix of crossed groups, by sparse elimination."""
    data = frame()
    rng = np.random.default_rng(6)
    z = sparse.csr_array((rng.random((64, 40)) < 0.06) * rng.standard_normal((64, 40)))
    x = np.column_stack([np.ones(len(data)), data["x"]])
    y = data["y"].to_numpy() + z @ rng.standard_normal(40)
    frame_x = pd.DataFrame(x, columns=["const", "x"])
    model = CrossedMixedLM(y, frame_x, {"Z": z, "h": data["h"]})
    rows = [1, 20, 41]
    new = {"exog": x[rows], "random_effects": True}
    new["random"] = {"Z": z[rows], "h": data["h"].to_numpy()[rows]}
    return objects_of(model, new, "x", "Z: sd b", "sigma")


def mixedlm_layer():
    """Models in the words of statsmodels' MixedLM."""
    data = frame()
    model = mixedlm(
        *("y ~ x", data),
        groups="g",
        re_formula="~x",
        vc_formula={"t": "0 + C(t)"},
    )
    new = {"exog": data.iloc[[1, 20, 41]], "random_effects": True}
    plain = mixedlm("y ~ x", data, groups="g").fit()
    return objects_of(model, new, "x", "g: sd x", "g:t: sd Intercept") | {
        "plain": plain,
        "random effects": plain.random_effects,
        "random effects' covariances": plain.random_effects_cov,
        "satterthwaite": plain.with_df_method("satterthwaite"),
    }


def light():
    """Fits without their data."""
    data = frame()
    new = new_rows(data)
    formula = "y ~ bs(x, df=4) + scale(z) + f + offset(o) + (x | g) + (1 | h)"
    result = crossedmixedlm(formula, data).fit()
    formula = "y ~ ns(x, 3) + poly(z, 2) + np.log(w) + ar1(0 + C(t) | g)"
    smooth = crossedmixedlm(formula, data).fit()
    return {"json": to_json(result), "of splines": to_json(smooth), "new": new}


def light_arrays():
    """A fit of arrays without its data, which can be pickled."""
    data = frame()
    x = data[["x", "z"]]
    result = CrossedMixedLM(data["y"], x, {"g": data["g"], "h": data["h"]}).fit()
    text = to_json(result)
    new = {"exog": x.iloc[:3], "random_effects": True, "random": {"g": data["g"][:3]}}
    new["random"]["h"] = data["h"][:3]
    return {"fit": from_json(text), "json": text, "new": new}


CASES = {
    "crossed": crossed,
    "inference": inference,
    "predictions": predictions,
    "transformed": transformed,
    "formulaic": formulaic,
    "nested": nested,
    "large_variances": large_variances,
    "structured": structured,
    "own_structures": own_structures,
    "related": related,
    "sparse_related": sparse_related,
    "matrices": matrices,
    "many_columns": many_columns,
    "mixedlm": mixedlm_layer,
    "light": light,
    "light_arrays": light_arrays,
}

if __name__ == "__main__":
    main()
