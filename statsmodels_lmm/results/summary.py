"""The printed tables."""

from textwrap import wrap

import numpy as np
import pandas as pd
from statsmodels.iolib.summary import forg
from statsmodels.iolib.summary2 import summary_params
from statsmodels.iolib.table import SimpleTable
from statsmodels.iolib.tableformatting import fmt_base, fmt_params

from statsmodels_lmm.inference.fixed.degrees_of_freedom import SMALL_SAMPLE
from statsmodels_lmm.inference.fixed.ratios import ratio_name, ratios
from statsmodels_lmm.inference.fixed.robust_covariance import no_robust_error
from statsmodels_lmm.markup import Summary, Summary2


def summary(
    results, yname=None, xname=None, title=None, alpha=0.05, exponentiate=False
):
    """Summarize a fit, see `MixedResults.summary`."""
    model = results.model
    table = Summary()
    left = [
        ("Dep. Variable:", None),
        ("Model:", None),
        *_cells(results._distribution),
        ("Method:", [results.method]),
        ("No. Observations:", None),
        ("Df Residuals:", None),
    ]
    right = [
        ("Log-Likelihood:", [f"{results.llf:.4f}"]),
        (criterion_name(results) + ":", [f"{results.deviance_criterion:.4f}"]),
        ("AIC:", [f"{results.aic:.4f}"]),
        ("BIC:", [f"{results.bic:.4f}"]),
        *_cells(results._scales),
    ]
    title = title or results._title
    table.add_table_2cols(results, title, left, right, yname=yname, xname=xname)
    body = printed_variances(results)
    cells = body.to_numpy().tolist()
    form = dict(fmt_base)
    form["data_aligns"] = "ll" + "r" * (body.shape[1] - 2)
    has_effects = bool(model.random)
    title = "Random effects" if has_effects else "Residual"
    table.tables.append(
        SimpleTable(cells, list(body.columns), title=title, txt_fmt=form)
    )
    if model.residual is not None:
        table.tables.append(_table_of_errors(results))
    if len(results.params):
        names = xname or model.exog_names
        if exponentiate:
            table.tables.append(_table_of_ratios(results, names, alpha))
        elif results.df_method in SMALL_SAMPLE:
            table.tables.append(_table_with_df(results, names, alpha))
        else:
            table.add_table_params(
                results, yname=yname, xname=names, alpha=alpha, use_t=results.use_t
            )
        as_ratios = f" as {ratio_name(results)}s" if exponentiate else ""
        table.tables[-1].title = "Fixed effects" + as_ratios
    table.add_extra_txt(notes(results))
    return table


def _table_of_errors(results):
    """The parameters of the errors' covariance."""
    errors, table = results.model.residual, results.residual_table()
    rows = [
        [name, f"{row.estimate:.4f}", "" if np.isnan(row.ratio) else f"{row.ratio:.4f}"]
        for name, row in zip(table.index, table.itertuples())
    ]
    header = ["Parameter", "Estimate", "Ratio"]
    if not any(ratio for _, _, ratio in rows):
        rows, header = [row[:2] for row in rows], header[:2]
    form = dict(fmt_base, data_aligns="l" + "r" * (len(header) - 1))
    return SimpleTable(rows, header, title=f"Errors: {errors}", txt_fmt=form)


def _cells(values):
    """Lines of the header, from text or numbers by name."""
    return [
        (f"{name}:", [value if isinstance(value, str) else _number(value)])
        for name, value in values.items()
    ]


def _ratios(results, names, alpha):
    """The fixed effects as ratios; their tests are those of the coefficients."""
    told = {"statistic": results.tvalues, "p": results.pvalues}
    numbers = ratios(results, alpha).assign(**told)
    columns = ["ratio", "std err", "statistic", "p", "lower", "upper"]
    level = f"[{alpha / 2}", f"{1 - alpha / 2}]"
    letter = "t" if results.use_t else "z"
    header = [ratio_name(results), "std err", letter, f"P>|{letter}|", *level]
    return numbers[columns].set_axis(header, axis=1).set_axis(list(names))


def _table_of_ratios(results, names, alpha):
    """The fixed effects as ratios."""
    table = _ratios(results, names, alpha)
    rows = [
        [
            *(forg(ratio, 4), forg(error, 3), f"{z:.3f}", f"{p:.3f}"),
            *(forg(low, 3), forg(high, 3)),
        ]
        for ratio, error, z, p, low, high in table.to_numpy()
    ]
    return SimpleTable(rows, list(table), list(table.index), txt_fmt=fmt_params)


def _table_with_df(results, names, alpha):
    """The fixed effects with the degrees of freedom of each."""
    ends = results.conf_int(alpha)
    rows = [
        [
            forg(coefficient, 4),
            forg(error, 3),
            f"{df:.1f}",
            f"{t:.3f}",
            f"{p:.3f}",
            forg(low, 3),
            forg(high, 3),
        ]
        for coefficient, error, df, t, p, (low, high) in zip(
            results.params,
            results.bse,
            results.df_resid_inference,
            results.tvalues,
            results.pvalues,
            ends,
        )
    ]
    level = f"[{alpha / 2}", f"{1 - alpha / 2}]"
    header = ["coef", "std err", "df", "t", "P>|t|", *level]
    return SimpleTable(rows, header, list(names), txt_fmt=fmt_params)


def summary2(
    results, yname=None, xname=None, title=None, alpha=0.05, exponentiate=False
):
    """Summarize a fit as statsmodels does, see `MixedResults.summary2`."""
    table = Summary2()
    info = {
        "Model:": type(results.model).__name__,
        "Dependent Variable:": yname or results.model.endog_names,
        **{name: text for name, (text,) in _cells(results._distribution)},
        "No. Observations:": str(int(results.nobs)),
        "Method:": results.method,
        "Log-Likelihood:": f"{results.llf:.4f}",
        **{name: text for name, (text,) in _cells(results._scales)},
        "AIC:": f"{results.aic:.4f}",
        "BIC:": f"{results.bic:.4f}",
    }
    table.add_dict(info)
    names = xname or results.model.exog_names
    if len(results.params):
        if exponentiate:
            fixed = _ratios(results, names, alpha)
        else:
            fixed = summary_params(
                results, yname=yname, xname=names, alpha=alpha, use_t=results.use_t
            )
        table.add_df(fixed.map(lambda v: f"{v:.4f}"))
    table.add_df(printed_variances(results).set_index("Group"))
    if results.model.residual is not None:
        table.add_df(results.residual_table().map(lambda v: f"{v:.4f}"))
    table.add_title(title or results._title)
    for line in notes(results):
        table.add_text(line)
    return table


def criterion_name(results):
    """The name of -2 times the log-likelihood."""
    if not results._is_gaussian:  # whose deviance is a sum over the rows
        return "-2 Log-Likelihood"
    return "REML criterion" if results.reml else "Deviance"


def printed_variances(results):
    """
    Variance components as lme4 prints them.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.

    Returns
    -------
    DataFrame
        Strings; one row for each random effect, with the residual, if any, last.
    """
    rows, table = [], results.variance_components()
    for effects in results.model.random:
        variances = table[table["group"] == effects.name].itertuples()
        first = True
        for (_, names, model), quantities in zip(effects.blocks, effects.quantities):
            lines: dict = {}
            for q, row in zip(quantities, variances):
                if q.kind == "sd":
                    lines[q.effect1] = [_number(row.variance), _number(row.sd)]
                elif q.second is not None:
                    lines[q.effect2].append(f"{row.sd:.2f}")
                elif q.kind == "cor" and lines:
                    next(iter(lines.values())).append(f"{row.sd:.2f}")
                else:
                    lines[f"{q.effect1} {q.effect2}"] = ["", _number(row.sd)]
            if model.structure is not None:
                lines = _structure_lines(lines, names, model.structure)
            for name, cells in lines.items():
                group = f"{effects.name} ({effects.n_levels})" if first else ""
                rows.append([group, name, *cells])
                first = False
    if results._has_residual:
        scale = results.scale
        rows.append(["Residual", "", _number(scale), _number(scale**0.5)])
    width = max(map(len, rows))
    columns = ["Group", "Effect", "Variance", "Std.Dev.", "Corr."][: max(width, 4)]
    columns += [""] * (width - len(columns))
    return pd.DataFrame([r + [""] * (width - len(r)) for r in rows], columns=columns)


def _structure_lines(lines, names, structure):
    """The lines of a block with a structure, labeled with the structure."""
    title = str(structure)
    if not lines:
        return {f"{title}, {len(names)} effects": ["", ""]}
    labeled = {}
    for i, (name, cells) in enumerate(lines.items()):
        if name == structure.name:
            name = f"{title}, {len(names)} effects"
        elif i == 0 and name in names:
            name = f"{name} [{title}]"
        labeled[name] = cells
    return labeled


def notes(results):
    """
    Notes for the reader of the tables.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.

    Returns
    -------
    list of str
    """
    model, optimum = results.model, results.optimum
    lines = []
    if model.n_dropped:
        rows = "row was" if model.n_dropped == 1 else "rows were"
        lines.append(f"{model.n_dropped} incomplete {rows} dropped.")
    lines += covariance_notes(results)
    if results.df_method != "asymptotic":
        clusters = results.df_method == "residual" and results._robust is not None
        number = f", {results._residual_df:g}" if clusters else ""
        lines.append(f"Degrees of freedom: {results.df_method}{number}.")
    if results.dropped:
        lines.append("Redundant columns dropped: " + ", ".join(results.dropped) + ".")
    few = [e.name for e in model.random if e.n_levels < 5]
    if few:
        lines.append(
            "Fewer than 5 levels, so the variance is poorly known: " + ", ".join(few)
        )
    if optimum.saturated and not results.identification.messages:
        lines.append(
            "Fixed and random effects reproduce any response: nothing remains to "
            "estimate the residual variance from."
        )
    elif results._is_gaussian and results.residual_share < 1e-6:
        lines.append(
            "The residual variance is almost 0: the random effects reproduce the "
            "response."
        )
    for message in results.identification.messages:
        lines.append(f"Not determined: {message}.")
    lines += boundary_notes(results)
    lines += results._notes()
    lowest = min((e.min() for e in optimum.dual_eigenvalues), default=0.0)
    state = "proved" if results.converged else "NOT proved"
    starts = "1 start" if optimum.starts == 1 else f"best of {optimum.starts} starts"
    count = f"{optimum.evaluations} evaluation" + "s" * (optimum.evaluations != 1)
    if optimum.interrupted:
        state += ", the search was interrupted"
    elif optimum.given:
        state += ": parameters as given"
    lines.append(f"Local optimum {state}; {starts}; {count}:")
    lines.append(
        f"gradient {optimum.gradient_norm:.0e}, remaining gain {optimum.promised:.0e}, "
        f"smallest dual eigenvalue {lowest:.0e}."
    )
    return [part for line in lines for part in wrap(line, 79)]


def covariance_notes(results):
    """
    Sentences about the covariance of the fixed effects, if it is cluster-robust.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.

    Returns
    -------
    list of str
    """
    lines = []
    if results._robust is not None:
        lines.append(results.cov_kwds["description"])
    if results.without_robust_error:
        lines.append(f"{no_robust_error(results)}.")
    return lines


def boundary_notes(results):
    """
    A sentence for each term whose covariance matrix is singular.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.

    Returns
    -------
    list of str
    """
    lines = []
    for row in results.boundary_table().itertuples():
        if not row.singular:
            continue
        if row.rank == row.n_effects:
            lines.append(
                f"On the boundary: the covariance matrix of {row.effects} by "
                f"{row.group} is almost singular."
            )
        elif row.rank == 0:
            what = "variance is" if row.n_effects == 1 else "variances are"
            lines.append(
                f"On the boundary: the {what} estimated as 0 for {row.effects} by "
                f"{row.group}."
            )
        else:
            lines.append(
                f"On the boundary: the covariance matrix of {row.effects} by "
                f"{row.group} has rank {row.rank} of {row.n_effects}; some combination "
                "of these effects does not vary."
            )
    return lines


def _number(value):
    """Four decimals, or four digits where four decimals show too little or too much."""
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return f"{value:.4f}"
    return f"{value:.4g}"
