"""The description of a fit in sentences, for papers."""

import platform
import re
from dataclasses import dataclass
from textwrap import fill
from typing import Any

import numpy as np
import scipy
import statsmodels

from statsmodels_lmm.display import unquoted
from statsmodels_lmm.inference.comparison.likelihood_ratio import model_name
from statsmodels_lmm.inference.comparison.nested_models import is_mixed
from statsmodels_lmm.inference.fixed.ratios import ratio_name
from statsmodels_lmm.inference.fixed.terms import fixed_terms, has_formula, hypotheses
from statsmodels_lmm.inference.requirements import as_fit, check_alpha, require_sums
from statsmodels_lmm.inference.variances.explained_variance import r_squared
from statsmodels_lmm.reporting.caveats import caveats
from statsmodels_lmm.reporting.model_columns import labeled, random_parameters
from statsmodels_lmm.reporting.wording import (
    Style,
    decimals,
    joint_statistic,
    level,
    listed,
    number,
    p_value,
    statistic,
)

WIDTH = 79
"""Number of characters of a line."""

FAMILIES = {
    "Gamma": "gamma",
    "Binomial": "binomial",
    "NegativeBinomial": "negative binomial",
    "InverseGaussian": "inverse Gaussian",
}
"""Families whose names are written otherwise in a sentence."""

DF = {
    "asymptotic": "the normal distribution",
    "residual": "t distributions with residual degrees of freedom",
    "satterthwaite": "t distributions with Satterthwaite's degrees of freedom",
    "kenward-roger": "t distributions with Kenward and Roger's degrees of freedom and "
    "covariance matrix",
}
"""What the intervals and p-values come from, by `df_method`."""

REFERENCES = (
    "Bates, D., Mächler, M., Bolker, B. and Walker, S. (2015). Fitting linear "
    "mixed-effects models using lme4. Journal of Statistical Software 67(1), 1-48.",
    "Seabold, S. and Perktold, J. (2010). statsmodels: Econometric and statistical "
    "modeling with Python. Proceedings of the 9th Python in Science Conference.",
)


@dataclass(frozen=True, repr=False)
class Report:
    """
    The description of a fit; printed in lines, and shown in notebooks as Markdown.

    Attributes
    ----------
    text : str
        The description as plain text, with one line per paragraph.
    markdown : str
        The same as Markdown.
    """

    text: str
    markdown: str

    def __str__(self):
        return "\n".join(
            fill(
                line,
                WIDTH,
                subsequent_indent="  " if line.startswith("- ") else "",
                break_long_words=False,
                break_on_hyphens=False,
            )
            for line in self.text.split("\n")
        )

    __repr__ = __str__

    def _repr_markdown_(self):
        return self.markdown


def report(results: Any, alpha: float = 0.05, labels: Any = None) -> Report:
    """
    Describe a fit in sentences, with a paragraph on methods.

    Parameters
    ----------
    results : MixedResults
        A fit, linear or generalized. Its degrees of freedom and its covariance are
        used; see `with_df_method` and `with_cov_type`.
    alpha : float, optional
        Level below which a p-value is called significant, and one minus the level of
        the intervals.
    labels : dict, optional
        Words in place of the names of the response, predictors, coefficients and
        parameters of the random effects, as in `compare_table`; None leaves out the
        sentence or number.

    Returns
    -------
    Report
        Printed in lines; its attributes `text` and `markdown` have a line for each
        paragraph.

    Raises
    ------
    TypeError
        If the fit is not one of a mixed model.
    DataError
        If the data of the model were removed.

    Notes
    -----
    The sentences follow those of R's package report: the model; the conditional and
    marginal R-squared; the intercept and each effect with its interval, statistic and
    p-value; and the random effects. Where coefficients are logarithms of ratios, the
    ratios are stated. Splines and polynomials, whose coefficients mean nothing by
    themselves, are tested as a whole, by type 3. Numbers have two decimals, or two
    significant digits where these are zero, and p-values three, as in the style of the
    APA. Effects are not called small or large, and standardized coefficients are not
    given. What limits the numbers, such as a singular covariance matrix or coefficients
    without a finite
    estimate, is said.

    Examples
    --------
    >>> from statsmodels_lmm import datasets
    >>> from statsmodels_lmm.formula.api import crossedmixedlm
    >>> data = datasets.sleepstudy.load_pandas().data
    >>> result = crossedmixedlm("Reaction ~ Days + (Days | Subject)", data).fit()
    >>> sentences = report(result).text.splitlines()
    >>> print(sentences[4][:78])
    - The effect of Days is positive and statistically significant (b = 10.47, 95%
    """
    raw = as_fit(results)
    if not is_mixed(raw):
        raise TypeError(f"report describes mixed models, not {type(raw).__name__}")
    require_sums(raw.model, "a report")
    check_alpha(alpha)
    shares = r_squared(raw)
    styles = (Style(is_markdown, labels or {}) for is_markdown in (False, True))
    written = (_written(raw, alpha, shares, style) for style in styles)
    return Report(*written)


def _written(raw, alpha, shares, style):
    """All paragraphs."""
    effects = _effects(raw, alpha, style)
    intercept = [text for is_constant, text in effects if is_constant]
    bullets = [f"- {text}" for is_constant, text in effects if not is_constant]
    first = [*_model(raw, style), _performance(raw, shares, style), *intercept]
    paragraphs = [" ".join(first)]
    if bullets:
        paragraphs += ["Within this model:", "\n".join(bullets)]
    if random := _random(raw, style):
        paragraphs.append(random)
    if limits := caveats(raw):
        paragraphs.append(" ".join(map(style.words, limits)))
    paragraphs.append(_methods(raw, alpha, style))
    references = (f"- {style.words(each)}" for each in (_own_reference(), *REFERENCES))
    paragraphs.append("\n".join(references))
    return "\n\n".join(paragraphs)


def _model(raw, style):
    """What was fitted, to what."""
    model = raw.model
    terms = [t.name for t in fixed_terms(raw) if not t.is_constant]
    names = [style.name(t) or style.code(unquoted(t)) for t in terms]
    kind = "linear mixed model" if model.random else "linear model"
    if model.residual is not None:
        kind += f" with {_errors(model.residual)}"
    by = "restricted maximum likelihood (REML)" if raw.reml else "maximum likelihood"
    if not raw._is_gaussian:
        family = FAMILIES.get(raw.family.name, raw.family.name)
        link = raw.family.link_name.replace("_", " ")
        kind = f"generalized linear mixed model ({family}, {link} link)"
        by += f" ({_approximation(raw.nagq)})"
    name = model.endog_names
    response = style.name(name) or style.code(unquoted(name))
    if getattr(model, "event", None) is not None:
        response += f" (the event is {style.code(str(model.event))})"
    formula = ""
    if has_formula(model):
        formula = f" (formula: {style.code(unquoted(model_name(raw), '`'))})"
    aim = f"of {response} without predictors"
    if names:
        aim = f"to predict {response} from {listed(names)}"
    yield f"We fitted a {kind} by {by} {aim}{formula}."
    groups = []
    for effects in model.random:
        named = [style.code(unquoted(name)) for name in effects.effect_names]
        what = listed(named) if len(named) < 5 else f"{len(named)} effects"
        levels = f"{effects.n_levels} levels"
        if effects.grouped.relationship is not None:
            levels += " with known relationships"
        groups.append(f"{style.code(effects.name)} ({levels}: {what})")
    count = f"there are {int(raw.nobs)} observations"
    if groups:
        yield f"The model has random effects of {listed(groups)}; {count}."
    else:
        yield f"The model has no random effects; {count}."


def _errors(residual):
    """What is special about the errors."""
    what = []
    if residual.term is not None:
        what.append("correlated errors")
    if residual.log_sd_names:
        what.append("errors of unequal variance" if not what else "unequal variance")
    return " of ".join(what)


def _approximation(nagq):
    if nagq == 1:
        return "Laplace approximation"
    if nagq == 0:
        return "Laplace approximation at penalized estimates of the fixed effects"
    return f"adaptive Gauss-Hermite quadrature with {nagq} nodes"


def _performance(raw, shares, style):
    """The shares of variance explained."""
    r2 = "*R*\u00b2" if style.is_markdown else "R2"
    if shares.isna().any():
        return f"The explained variance ({r2}) is not determined."
    if not raw.model.random:
        return (
            f"The fixed effects explain a share of {shares['marginal']:.2f} of the "
            f"variance ({r2})."
        )
    scale = "" if raw._is_gaussian else " on the scale of the linear predictor"
    return (
        f"The model explains a share of {shares['conditional']:.2f} of the variance"
        f"{scale} (conditional {r2}), its fixed effects alone {shares['marginal']:.2f} "
        f"(marginal {r2})."
    )


def _effects(raw, alpha, style):
    """For each fixed effect whether it is the intercept, and its sentence."""
    try:
        ratio = ratio_name(raw)
    except ValueError:
        ratio = None
    constant = raw.model.data.const_idx
    joint = {term.columns[0]: term for term in fixed_terms(raw) if _is_basis(raw, term)}
    together = {j for term in joint.values() for j in term.columns}
    sentences = []
    for j, name in enumerate(raw.model.exog_names):
        if j in joint:
            sentences.append((False, _joint_effect(raw, joint[j], alpha, style)))
        shown = style.name(name)
        if j in together or shown is None:
            continue
        is_constant, b = j == constant, raw.params[j]
        what = "The intercept" if is_constant else f"The effect of {shown}"
        if np.isnan(raw.bse[j]):
            said = _without_error(raw, b)
        elif is_constant:
            shown = number(b, decimals(raw.bse[j]))
            said = f"is {shown} ({_test(raw, j, alpha, style)})"
        else:
            sign = "positive" if b > 0 else "negative"
            verdict = "" if raw.pvalues[j] < alpha else "not "
            size = f"{ratio} = " if ratio else f"{style.symbol('b')} = "
            with np.errstate(over="ignore"):
                size += number(np.exp(b) if ratio else b, decimals(raw.bse[j]))
            test = _test(raw, j, alpha, style, bool(ratio))
            said = f"is {sign} and {verdict}statistically significant ({size}, {test})"
        sentences.append((is_constant, f"{what} {said}."))
    return [(is_constant, said) for is_constant, said in sentences if said]


def _is_basis(raw, term):
    """Whether a term has several columns of one numeric factor, as a spline has."""
    factors = "|".join(map(re.escape, term.numeric))
    column = re.compile(rf"(^|:)({factors})\[")
    names = [raw.model.exog_names[j] for j in term.columns]
    return bool(factors) and any(map(column.search, names))


def _joint_effect(raw, term, alpha, style):
    """The sentence about all columns of a term; empty if it is left out."""
    if (shown := style.name(term.name)) is None:
        return ""
    test = raw.inference.f_test(hypotheses(raw, type=3)[term.name])
    if not test.df_num:
        return f"The effect of {shown} is not determined."
    verdict = "" if test.pvalue < alpha else "not "
    evidence = f"{joint_statistic(test, style)}, {p_value(test.pvalue, style)}"
    return f"The effect of {shown} is {verdict}statistically significant ({evidence})."


def _without_error(raw, estimate):
    """Why a coefficient has no standard error."""
    if np.isnan(estimate):
        return "was dropped as redundant"
    if raw.unbounded.sentences:
        return "has no finite estimate"
    return "has no standard error"


def _test(raw, j, alpha, style, exponentiate=False):
    """Interval, statistic and p-value of a coefficient."""
    ends = np.asarray(raw.conf_int(alpha))[j]
    with np.errstate(over="ignore"):
        ends = np.exp(ends) if exponentiate else ends
        low, high = (number(end, decimals(raw.bse[j])) for end in ends)
    df = np.broadcast_to(raw.df_resid_inference, len(raw.params))[j]
    return ", ".join(
        [
            f"{level(alpha)} CI {style.words(f'[{low}, {high}]')}",
            statistic(raw.tvalues[j], df if raw.use_t else None, raw.df_method, style),
            p_value(raw.pvalues[j], style),
        ]
    )


def _random(raw, style):
    """The estimates of the random part."""
    said = {
        labeled(name, style.labels): (value, name.startswith("SD"))
        for name, value in random_parameters(raw).items()
    }
    numbers = [
        f"{style.words(label)} = "
        + number(value, decimals(0.1 * value) if is_deviation else 2)
        for label, (value, is_deviation) in said.items()
        if label is not None
    ]
    what = "random effects" if raw.model.random else "errors"
    if raw.model.random and raw.model.residual is not None:
        what = "random effects and of the errors"
    verb = "parameters" if len(numbers) > 1 else "parameter"
    verb += f" of the {what} " + ("are" if len(numbers) > 1 else "is")
    return f"The {verb} {listed(numbers)}." if numbers else ""


def _methods(raw, alpha, style):
    """How inference was made, and with what software."""
    proved = " The search ended at a proved local optimum." if raw.converged else ""
    packages = {"statsmodels": statsmodels, "NumPy": np, "SciPy": scipy}
    used = ", ".join(f"{name} {m.__version__}" for name, m in packages.items())
    return (
        f"{level(alpha)} confidence intervals (CI) and p-values are Wald's, from "
        f"{DF[raw.df_method]}.{proved} The analysis was carried out in Python "
        f"{platform.python_version()} with {style.words('statsmodels_lmm')} "
        f"{_own_version()}, {used}; the model is written in the language of lme4 "
        "(Bates et al., 2015), with results like those of statsmodels (Seabold & "
        "Perktold, 2010)."
    )


def _own_version():
    from statsmodels_lmm import __version__  # which imports this module

    return __version__


def _own_reference():
    return (
        "The statsmodels_lmm developers. statsmodels_lmm: linear mixed models for "
        f"statsmodels. Python package, version {_own_version()}."
    )
