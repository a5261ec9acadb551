"""Fits at planned values of the parameters, as those of a study not yet done."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from statsmodels_lmm.core.algebra.dense import consecutive
from statsmodels_lmm.core.structures.roots import lower_entries, lower_root
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.plain_names import unquoted
from statsmodels_lmm.inference.derived.named_parameters import NamedParameters
from statsmodels_lmm.inference.derived.parameter_expressions import (
    Parameter,
    near,
    parse,
)
from statsmodels_lmm.inference.parallel import quiet
from statsmodels_lmm.inference.requirements import (
    as_fit,
    require_data,
    require_independent_errors,
)

KINDS = ("var", "sd", "cov", "cor")

NOISE = tuple(b"planned response")
"""Seed of a noise that no column is likely to have been drawn with, as with 0."""

NOT_A_COVARIANCE = (
    "the planned covariance matrix of the random effects by {} is not positive "
    "semi-definite: a correlation is outside -1 to 1, or several contradict each other"
)


@dataclass
class Plan:
    """
    The parameters of a model in the units of the data.

    Parameters
    ----------
    fixed : ndarray
        Fixed effects, shape (p,).
    covariances : list of ndarray
        Covariance matrices of the random effects, shapes (k, k).
    scale : float
        Residual variance, or the dispersion of a generalized model.
    alpha : float or None
        Alpha of the negative binomial family.
    structured : dict
        Parameters of covariance structures, by their names in ``theta``.
    """

    fixed: np.ndarray
    covariances: list
    scale: float
    alpha: float | None
    structured: dict

    @classmethod
    def of(cls, results):
        """The estimates of a fit."""
        raw = as_fit(results)
        covariances = [c.copy() for c in raw._covariances()]
        alpha = None if raw._is_gaussian else raw.alpha
        fixed = np.array(raw.params, dtype=float)
        return cls(fixed, covariances, float(raw.scale), alpha, dict(raw.theta))

    def set(self, model, values):
        """
        Set parameters to planned values.

        Parameters
        ----------
        model : MixedModel
            The model.
        values : dict
            Numbers by name, see `planned_results`.

        Returns
        -------
        set of str
            Names of the parameters that were set.
        """
        told: set = set()
        later: list = []
        scale = self.scale
        for name, value in _by_name(values, model).items():
            value, one = _number(name, value), name
            if name in model.exog_names:
                self.fixed[model.exog_names.index(name)] = value
            elif name in self.structured:
                self.structured[name] = value
            else:
                one = _set(self, model, _parameter(name, model), value, later)
            if one in told:
                raise ValueError(f"{one} is planned twice; leave out {name}")
            told.add(one)
        for set_covariance in later:  # when the variances are known
            set_covariance()
        if model.family is None:
            _rescale_structures(self, model, np.sqrt(scale / self.scale), told)
        return told

    def theta(self, random, unit):
        """
        Relative covariance parameters in the order of ``theta``.

        Parameters
        ----------
        random : sequence of RandomEffects
            The random effects.
        unit : float
            The variance to which covariances are relative.

        Returns
        -------
        ndarray
        """
        parts = []
        for effects, covariance in zip(random, self.covariances):
            labels = effects.theta_labels
            slices = consecutive(effects.grouped.parameter_counts)
            for (columns, _, model), part in zip(effects.blocks, slices):
                if model.has_structure:
                    parts.append([self.structured[name] for name in labels[part]])
                    continue
                try:
                    inside = covariance[columns, columns] / unit
                    parts.append(lower_entries(lower_root(inside, strict=True)))
                except np.linalg.LinAlgError:
                    raise DataError(NOT_A_COVARIANCE.format(effects.name)) from None
        return np.concatenate([np.zeros(0), *parts])


def planned_results(model: Any, values: Mapping, **options: Any) -> Any:
    """
    The results that a fit would have if its estimates were the planned parameters.

    Parameters
    ----------
    model : MixedModel
        A model. Its response does not matter, as long as the family allows it.
    values : dict
        A number for each parameter, by name as for `derive`: the fixed effects,
        ``"var(g)"`` or ``"sd(x | g)"``, ``"cor(1, x | g)"``, and ``"var(Residual)"``.
        Correlations that are not given are 0.
    **options
        Arguments of ``fit``, such as ``reml=False``.

    Returns
    -------
    MixedResults
        `simulate`, `bootstrap` and `power_curve` of these draw from the planned model.

    Raises
    ------
    ValueError
        If a parameter is unknown or missing.
    DataError
        If planned covariances contradict each other.
    NotImplementedError
        If the errors of the model are correlated or of unequal variance.
    """
    require_data(model, "a planned fit")
    require_independent_errors(model, "a planned fit")
    plan = _neutral(model)
    told = plan.set(model, values)
    missing = [name for name in _every_parameter(model) if name not in told]
    if missing:
        raise ValueError(
            f"{', '.join(missing)} {'has' if len(missing) == 1 else 'have'} no planned "
            f"value; add for instance {{{missing[0]!r}: 0.5}}"
        )
    _, wrapper = model._results_classes
    return wrapper(at_plan(model, plan, options))


def at_plan(model, plan, options):
    """
    A fit whose estimates are given parameters.

    A linear model is given a response whose estimates they are, because its fixed
    effects and residual variance follow from the response and theta.

    Parameters
    ----------
    model : MixedModel
        The model.
    plan : Plan
        The parameters.
    options : dict
        Arguments of ``fit``.

    Returns
    -------
    MixedResults
    """
    fixed = np.nan_to_num(plan.fixed)
    linear = model.family is None
    theta = plan.theta(model.random, plan.scale if linear else 1.0)
    options = {**options, "maxiter": 0}
    with quiet:
        if not linear:
            extra = _extra(model.family, plan)
            start = np.concatenate([fixed, theta, extra])
            return as_fit(model.fit(**options, start_params=start))
        mean = model.predict(fixed)
        noise = np.random.default_rng(NOISE).standard_normal(len(mean))
        first = as_fit(model._with_endog(noise).fit(**options, start_params=theta))
        rest = noise - first._fixed_part
        response = mean + rest * np.sqrt(plan.scale / first.scale)
        return as_fit(model._with_endog(response).fit(**options, start_params=theta))


def _by_name(values, model):
    """Planned values by names without backticks."""
    if not isinstance(values, Mapping | None):
        raise TypeError(
            "values must be a dict of parameters, such as "
            f"{{{model.exog_names[-1]!r}: 0.5}}, not {values!r}"
        )
    return {
        unquoted(name, model.exog_names) if isinstance(name, str) else name: value
        for name, value in (values or {}).items()
    }


def _number(name, value):
    """A planned value as a number."""
    try:
        value = float(value)
    except (TypeError, ValueError):
        value = np.nan
    if not np.isfinite(value):
        raise ValueError(f"the planned value of {name} must be a finite number")
    return value


def _parameter(name, model):
    """A name of `derive` that is not that of a fixed effect."""
    tree = next(iter(parse(name).values())) if isinstance(name, str) else None
    if isinstance(tree, Parameter) and tree.kind in ("b", "label", *KINDS):
        return tree
    known = _every_parameter(model)
    raise ValueError(f"there is no parameter {name}{near(str(name), known)}")


def _set(plan, model, parameter, value, later):
    """Set one parameter, and return its name as in `_every_parameter`."""
    kind, which = parameter.kind, parameter.name
    names = parameter_names(model)
    if kind == "b":
        at = names.position(which, names.names, "fixed effect")
        plan.fixed[at] = value
        return names.names[at]
    if kind == "label":
        return _set_scale(plan, model, which, value)
    if kind in ("var", "sd") and value < 0.0:
        raise ValueError(f"{kind}({which}) must not be negative, but is {value:g}")
    if kind in ("var", "sd"):
        variance = value if kind == "var" else value**2
        if which.strip() == "Residual":
            return _set_residual(plan, model, variance)
        factor, (effect,) = names.effects(which, 1)
        _set_variance(plan, model, factor, effect, variance)
        return _variance_name(model.random[factor], effect)
    factor, effects = names.effects(which, 2)
    _check_correlated(model.random[factor], *effects)
    later.append(lambda: _set_covariance(plan, factor, effects, kind, value))
    return which


def _set_scale(plan, model, which, value):
    """Set sigma, or alpha."""
    if which == "sigma":
        return _set_residual(plan, model, value**2)
    if which == "alpha" and plan.alpha is not None:
        plan.alpha = value
        return "alpha"
    known = _every_parameter(model)
    raise ValueError(f"there is no parameter {which}{near(which, known)}")


def _set_residual(plan, model, variance):
    if not _has_residual(model.family):
        raise ValueError(
            f"a {model.family.name} model has no residual variance to be planned"
        )
    if not variance > 0.0:
        raise ValueError("the residual variance must be positive")
    plan.scale = variance
    return _residual_name(model)


def _set_variance(plan, model, factor, effect, variance):
    """Set the variance of an effect; its correlations stay as they are."""
    effects = model.random[factor]
    for columns, _, model in effects.blocks:
        if columns.start <= effect < columns.stop and model.has_structure:
            raise ValueError(
                f"the effects by {effects.name} have a covariance structure: plan its "
                f"parameters, {', '.join(effects.theta_labels)}, which are relative to "
                "sigma"
            )
    covariance = plan.covariances[factor]
    old = covariance[effect, effect]
    ratio = np.sqrt(variance / old) if old > 0.0 else 0.0
    covariance[effect] *= ratio
    covariance[:, effect] *= ratio
    covariance[effect, effect] = variance


def _set_covariance(plan, factor, pair, kind, value):
    one, two = pair
    covariance = plan.covariances[factor]
    if kind == "cor":
        value = value * np.sqrt(covariance[one, one] * covariance[two, two])
    covariance[one, two] = covariance[two, one] = value


def _check_correlated(effects, one, two):
    """Reject a correlation of effects that the model takes as independent."""
    for columns, _, model in effects.blocks:
        if columns.start <= min(one, two) and max(one, two) < columns.stop:
            if not model.has_structure:
                return
    pair = " and ".join(effects.effect_names[i] for i in (one, two))
    raise ValueError(f"{pair} by {effects.name} are not freely correlated in the model")


def _rescale_structures(plan, model, ratio, told):
    """Keep the other deviations of structures, which are relative to sigma."""
    for effects in model.random:
        for name, parameter in _structured(effects):
            if parameter.kind == "sd" and name not in told:
                plan.structured[name] *= ratio


# names -----------------------------------------------------------------------


@dataclass(frozen=True)
class _Random:
    """What is needed to find random effects by name."""

    random: tuple


def parameter_names(model):
    """The parameters of a model by name, without values."""
    nothing = np.zeros(0)
    return NamedParameters(list(model.exog_names), nothing, _Random(model.random))


def _every_parameter(model):
    """Names of all parameters but covariances."""
    names = list(model.exog_names)
    for effects in model.random:
        labels, start = effects.theta_labels, 0
        for columns, _, block in effects.blocks:
            if block.has_structure:
                names += labels[start : start + block.n_parameters]
            else:
                inside = range(columns.start, columns.stop)
                names += [_variance_name(effects, i) for i in inside]
            start += block.n_parameters
    if _has_residual(model.family):
        names.append(_residual_name(model))
    if _has_alpha(model.family):
        names.append("alpha")
    return names


def _has_residual(family):
    """Whether there is a residual variance, or a dispersion, that is estimated."""
    return family is None or (family.has_extra and not family.extra_is_squared)


def _has_alpha(family):
    return family is not None and family.extra_is_squared


def _variance_name(effects, i):
    """The variance of an effect as it is written."""
    if len(effects.effect_names) == 1:
        return f"var({effects.name})"
    name = effects.effect_names[i]
    return f"var({'1' if name == 'Intercept' else name} | {effects.name})"


def _residual_name(model):
    return "var(Residual)" if model.family is None else "sigma"


def _neutral(model):
    """Parameters of a model that nothing is known about."""
    covariances = [np.eye(len(e.effect_names)) for e in model.random]
    structured = {
        name: parameter.initial
        for effects in model.random
        for name, parameter in _structured(effects)
    }
    alpha = 1.0 if _has_alpha(model.family) else None
    return Plan(np.zeros(model.exog.shape[1]), covariances, 1.0, alpha, structured)


def _structured(effects):
    """Names and parameters of the structures of a factor."""
    labels, start = effects.theta_labels, 0
    for _, _, model in effects.blocks:
        if model.has_structure:
            yield from zip(labels[start:], model.parameters)
        start += model.n_parameters


def _extra(family, plan):
    """The extra parameter as the likelihood takes it, if the family has one."""
    if not family.has_extra:
        return []
    return [plan.alpha if family.extra_is_squared else np.log(plan.scale)]
