"""Heritability from relationships, and of the means of entries in trials."""

from typing import Any

import numpy as np

from statsmodels_lmm.inference.derived.derived import derived, method_of
from statsmodels_lmm.inference.derived.functions import Function
from statsmodels_lmm.inference.derived.parameter_expressions import SHARE
from statsmodels_lmm.inference.derived.shares import row_variances
from statsmodels_lmm.inference.prediction.prediction_variance import joint_covariance
from statsmodels_lmm.inference.requirements import (
    as_fit,
    check_choice,
    require_gaussian,
    require_independent_errors,
    rows_summed,
)

BASES = ("narrow", "standard", "cullis", "piepho")

ALIKE = 1e-8
"""Relative distance from the genetic variance at which an error variance equals it."""


def heritability(
    results: Any,
    factor: str | None = None,
    basis: str | None = None,
    conf_int: bool | str = False,
    alpha: float = 0.05,
    **options: Any,
) -> Any:
    r"""
    Heritability of a trait.

    Parameters
    ----------
    results : MixedResults
        A fit with a random intercept of the animals, lines or genotypes.
    factor : str, optional
        Their grouping factor. Default is the only one with a relationship matrix.
    basis : {"narrow", "standard", "cullis", "piepho"}, optional
        What it is a share of, see the notes. Default is "narrow" for a factor with a
        relationship matrix.
    conf_int : {False, True, "wald", "bootstrap", "profile"}, optional
        Intervals to add, for "narrow" and "standard"; True is "wald".
    alpha : float, optional
        One minus the level of the intervals.
    **options
        As for `derive`.

    Returns
    -------
    float or DerivedQuantities
        The latter with `conf_int`. NaN if the genetic variance is estimated as zero
        and the basis divides by it.

    Raises
    ------
    ValueError
        If the model has no such factor, or the basis is not defined for it.

    Notes
    -----
    With genetic variance :math:`\sigma_g^2`, n genotypes and residual variance
    :math:`\sigma^2`,

    - narrow: :math:`\sigma_g^2 / (\sigma_g^2 + v)`, of a single record, where v is the
      mean over the rows of the variance of all other random effects and the residual
      (in a generalized model of the distribution, on the scale of the linear
      predictor). If levels are related by pedigree, this is narrow-sense heritability
      in the base population.
    - standard: :math:`\sigma_g^2 / (\sigma_g^2 + \sigma^2 \overline{1/r})`, of the mean
      of a genotype's records, of which it has r.
    - cullis: :math:`1 - \bar v_u / (2 \sigma_g^2)`, where :math:`\bar v_u` is the mean
      variance of the error of a difference of two predicted genotypes.
    - piepho: :math:`\sigma_g^2 / (\sigma_g^2 + \bar v_b / 2)`, where
      :math:`\bar v_b` is the mean variance of a difference of two estimates, if
      genotypes were fixed and the other variances as estimated.

    The last three are equal in a balanced trial in complete blocks. (For "Piepho" the
    package heritable of R fits a second model, in which genotypes are fixed, and takes
    Kenward and Roger's variances from it.) For intervals of
    cullis and piepho use ``bootstrap(statistic=...)``.

    References
    ----------
    Cullis, B. R., Smith, A. B. and Coombes, N. E. (2006). On the design of early
    generation variety trials with correlated data. Journal of Agricultural, Biological,
    and Environmental Statistics 11, 381-393.
    Piepho, H.-P. and Möhring, J. (2007). Computing heritability and selection response
    from unbalanced plant breeding trials. Genetics 177, 1881-1888.
    """
    results = as_fit(results)
    require_independent_errors(results.model, "heritability")
    at = _position(results.model.random, factor)
    effects = results.model.random[at]
    is_related = effects.grouped.relationship is not None
    if basis is None:
        if not is_related:
            raise ValueError(
                f"the levels of {effects.name} are not related; choose a basis: "
                "'standard', 'cullis' or 'piepho' for means of entries in a trial, "
                "'narrow' for a single record"
            )
        basis = "narrow"
    check_choice("basis", basis, BASES)
    if basis != "narrow":
        require_gaussian(results, f"heritability on the basis {basis!r}", "'narrow'")
        if is_related:
            raise ValueError(
                f"basis={basis!r} is for unrelated genotypes; use 'narrow' for "
                f"{effects.name}, whose levels are related"
            )
    if basis in ("cullis", "piepho"):
        if conf_int:
            raise ValueError(
                f"there is no interval for basis={basis!r}; use bootstrap("
                f"statistic=lambda r: r.heritability({effects.name!r}, {basis!r}))"
            )
        return _of_differences(results, at, basis)
    make = _narrow if basis == "narrow" else _standard
    functions = [Function("heritability", make(results, at), SHARE)]
    found = derived(results, functions, method_of(conf_int), alpha, options)
    return found if conf_int else float(found.estimates.iloc[0])


def _position(random, factor):
    """Position of the factor of the genotypes, which has one effect."""
    names = [e.name for e in random]
    if factor is None:
        related = [e.name for e in random if e.grouped.relationship is not None]
        if len(related) != 1:
            raise ValueError(
                "name the grouping factor of the genotypes: " + ", ".join(names)
            )
        factor = related[0]
    if factor not in names:
        raise ValueError(f"no grouping factor {factor}; there are {', '.join(names)}")
    at = names.index(factor)
    if len(random[at].effect_names) > 1:
        raise ValueError(
            f"{factor} has several effects, so that its genetic variance depends on "
            "the covariates; use derive with an expression"
        )
    return at


def _narrow(results, at):
    """The share of the genetic variance in that of a record."""
    parts = row_variances(results)
    others = [i for i in parts.factors if i != at]

    def value(p):
        genetic = p.entry(at, 0, 0)
        rest = sum(parts.factor(i, p) for i in others) + parts.rest(p)
        return genetic / (genetic + rest)

    return value


def _standard(results, at):
    """The share of the genetic variance in that of the mean of an entry."""
    model = results.model
    if model.summed is None:
        records = np.bincount(model.random[at].grouped.codes)
    else:
        records = model.summed.rows_per_level(at)
        if records is None:
            raise rows_summed("the number of records of each entry")
    inverse = float(np.mean(1.0 / records[records > 0]))

    def value(p):
        genetic = p.entry(at, 0, 0)
        return genetic / (genetic + inverse * p.var("Residual"))

    return value


def _of_differences(results, at, basis):
    """Heritability from the mean variance of differences of two genotypes."""
    name = results.model.random[at].name
    genetic = float(results.vcomp[name].iloc[0])
    if not genetic > 0.0:
        return np.nan if basis == "cullis" else 0.0
    count = len(results.params)
    errors = joint_covariance(results, name).to_numpy()[count:, count:]
    if basis == "piepho":
        errors = _if_fixed(errors, genetic)
    n = len(errors)
    mean = 2.0 / (n - 1) * (np.trace(errors) - errors.mean() * n)
    if basis == "cullis":
        return float(1.0 - mean / (2.0 * genetic))
    return float(genetic / (genetic + 0.5 * mean))


def _if_fixed(errors, genetic):
    """
    Covariance of the estimates of genotypes if they were fixed.

    With M the information on them, their prediction errors have the covariance
    (M + I / sigma_g^2)^-1. Its eigenvalues give those of M^+; a direction without
    information, such as their mean, has the variance sigma_g^2.
    """
    values, vectors = np.linalg.eigh(errors)
    known = genetic - values > ALIKE * genetic
    lost = vectors[:, ~known]
    if (np.abs(lost - lost.mean(axis=0)) > 1e-6).any():
        return np.full_like(errors, np.nan)  # a difference that is not estimable
    inverse = np.where(
        known, genetic * values / np.where(known, genetic - values, 1), 0
    )
    return (vectors * inverse) @ vectors.T
