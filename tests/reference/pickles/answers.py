"""What is asked of objects that were pickled, in numbers and text."""

import re

import numpy as np
import pandas as pd

from statsmodels_lmm import from_json

CLOCK = re.compile(r"^.*\b(Date|Time):.*$\n?", re.M)
"""Lines of a summary that depend on when it is printed."""


def answers(objects):
    """
    Answers of the objects of one pickle.

    Parameters
    ----------
    objects : dict
        What was pickled, by name; "new" holds the arguments of predictions and
        "response" one more response of the models.

    Returns
    -------
    dict
        Of numbers, text, and lists and dicts of them, as JSON keeps them.
    """
    given = {"new": objects.get("new"), "response": objects.get("response")}
    asked = {name: value for name, value in objects.items() if name not in given}
    return {name: of(value, **given) for name, value in asked.items()}


def of(value, new, response):
    """The answers of one object."""
    raw = getattr(value, "_results", value)
    if isinstance(raw, str) and raw.startswith('{"format"'):
        raw = value = from_json(raw)
    for kind in type(raw).__mro__:
        if kind.__name__ in ASKED:
            return plain(ASKED[kind.__name__](value, new, response))
    return plain(value)


def of_model(model, new, response):
    fit = model.fit()
    return {"fit": {"llf": fit.llf, "params": fit.params, "theta": fit.theta}}


def of_results(result, new, response):
    found = {
        "summary": text(result.summary().as_text()),
        "llf": result.llf,
        "params": result.params,
        "bse": result.bse,
        "scale": result.scale,
        "theta": result.theta,
        "converged": bool(result.converged),
        "conf_int": result.conf_int(),
        "variance_components": result.variance_components(),
        "boundary_table": result.boundary_table(),
    }
    if result.model.endog is None:  # the data were removed
        return found | {"predict": result.predict(**new)}
    modes = result.random_effects_table()
    found |= {"modes": modes, "fittedvalues": np.asarray(result.fittedvalues)[:5]}
    if new is not None:
        found["predict"] = result.predict(**new)
        found["get_prediction"] = result.get_prediction(**new).summary_frame()
    if response is not None:
        again = result.refit(response)
        found["refit"] = {"llf": again.llf, "params": again.params}
    return found


def of_light_results(light, new, response):
    return {
        "summary": text(light.summary()),
        "llf": light.llf,
        "params": light.params,
        "bse": light.bse,
        "theta": light.theta,
        "modes": light.random_effects_table(),
        "predict": light.predict(**new),
    }


def of_bootstrap(replicates, *given):
    counts = str(replicates).splitlines()[:2]
    old = slice(len(replicates.estimates))  # statistics came later
    table = replicates.summary(every=True).iloc[old]
    table = table.to_string(float_format="{:.4f}".format)
    return {
        "conf_int": replicates.conf_int("all", every=True).iloc[old],
        "summary": text("\n".join([*counts, table])),
        "counts": [replicates.n_failed, replicates.n_boundary],
        "statistics": replicates.statistics,
    }


def of_profile(profile, *given):
    return {"conf_int": profile.conf_int(), "curves": profile.curves}


def of_influence(influence, *given):
    return {"frame": influence.summary_frame(), "params": influence.params_without}


def of_residuals(residuals, *given):
    return {
        "residuals": residuals.residuals,
        "tests": [
            list(residuals.uniformity_test()),
            list(residuals.dispersion_test()),
            list(residuals.outlier_test()),
        ],
    }


def of_distribution(distribution, *given):
    return distribution.rvs(rng=np.random.RandomState(1))


def of_prediction(prediction, *given):
    return prediction.summary_frame()


def of_means(means, *given):
    return {
        "frame": means.frame,
        "contrasts": means.contrasts().frame,
        "text": text(str(means)),
    }


def of_structure(structure, *given):
    names = ["a", "b"]
    starts = [p.start or 0.5 for p in structure.parameters(names)]
    matrix = structure.covariance(np.array(starts), 2)
    return {"name": str(structure), "covariance": matrix}


def of_term(term, *given):
    built = term.build()
    names = list(built.effect_names), [str(level) for level in built.levels]
    return {"name": term.name, "names": list(names)}


def of_labeled(matrix, *given):
    values = matrix.matrix
    values = values.toarray() if hasattr(values, "toarray") else np.asarray(values)
    return {"labels": [str(v) for v in matrix.labels], "matrix": values}


ASKED = {
    "CrossedMixedLM": of_model,
    "CrossedMixedLMResults": of_results,
    "LightResults": of_light_results,
    "BootstrapResults": of_bootstrap,
    "ProfileLikelihood": of_profile,
    "MixedInfluence": of_influence,
    "SimulatedResiduals": of_residuals,
    "Distribution": of_distribution,
    "MixedPredictionResults": of_prediction,
    "MarginalMeans": of_means,
    "Structure": of_structure,
    "GroupTerm": of_term,
    "MatrixTerm": of_term,
    "LabeledMatrix": of_labeled,
}
"""How objects are asked, by the names of their classes, wherever these are."""


def text(lines):
    """Text without the time."""
    return CLOCK.sub("", lines)


def plain(value):
    """A value as JSON keeps it."""
    if isinstance(value, dict):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, pd.Series):
        value = value.to_frame("values")
    if isinstance(value, pd.DataFrame):
        columns = [str(column) for column in value.columns]
        labels = [str(label) for label in value.index]
        parts = [plain(value.iloc[:, j].to_numpy()) for j in range(len(columns))]
        return {"rows": labels, **dict(zip(columns, parts))}
    if isinstance(value, Exception):
        return f"{type(value).__name__}: {value}"
    if isinstance(value, np.ndarray):
        return [plain(each) for each in value.tolist()]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | float | np.number):
        return float(value) if np.isfinite(value) else str(float(value))
    return value if value is None else text(str(value))
