"""Printed tables of marginal means and contrasts."""

from statsmodels.iolib.summary import forg
from statsmodels.iolib.table import SimpleTable
from statsmodels.iolib.tableformatting import fmt_params

from statsmodels_lmm.inference.marginal.hypotheses import Hypothesis
from statsmodels_lmm.inference.marginal.multiple_comparisons import SIMULTANEOUS
from statsmodels_lmm.markup import Summary


def summary(means):
    """
    Format marginal means or contrasts for printing.

    Parameters
    ----------
    means : MarginalMeans
        The estimates.

    Returns
    -------
    statsmodels.iolib.summary.Summary
    """
    frame = means.frame
    normal = means.inference.method == "asymptotic"
    letter = "z" if normal else "t"
    names = means.names
    asked = means.hypothesis or Hypothesis()
    alpha = means.alpha / asked.n_limits
    formats = {
        means.kind: (names[means.kind], lambda v: forg(v, 4)),
        "std err": (names["std err"], lambda v: forg(v, 3)),
        "df": (names["df"], lambda v: f"{v:.1f}"),
        "statistic": (letter, lambda v: f"{v:.3f}"),
        "pvalue": (asked.tail.format(letter), lambda v: f"{v:.3f}"),
        "ci_lower": (f"[{alpha:g}", lambda v: forg(v, 3)),
        "ci_upper": (f"{1 - alpha:g}]", lambda v: forg(v, 3)),
    }
    formats = {name: formats[column] for column, name in names.items()}
    if normal:
        frame = frame.drop(columns=names["df"])
    header, cells = [], []
    for name in frame.columns:
        title, form = formats.get(name, (str(name), level_text))
        header.append(title)
        cells.append([form(value) for value in frame[name]])
    rows = [list(row) for row in zip(*cells)]
    layout = {**fmt_params, "data_aligns": "r" * len(header)}
    table = Summary()
    table.tables.append(SimpleTable(rows, header, title=means.title, txt_fmt=layout))
    table.add_extra_txt([*means.notes, *_remarks(means)])
    return table


def _remarks(means):
    """Notes on tests, intervals and gaps."""
    lines = [f"Degrees of freedom: {means.inference.method}."]
    if means.kind == "ratio":
        lines.append(f"Ratio: {means.ratio}; tests and intervals of its logarithm.")
    elif means.link.name != "identity":
        lines.append(
            f"Intervals are those on the scale of the link, {means.link.name}, "
            "transformed."
        )
    if means.hypothesis not in (None, Hypothesis()):
        lines.append(f"Alternative: {means.hypothesis}.")
    several = any(len(group) > 1 for group in means.groups(means.by))
    if means.hypothesis is not None and means.adjust != "none" and several:
        group = " in each group" if means.by else ""
        how = f"adjusted{group} by {means.adjust}"
        if means.adjust in SIMULTANEOUS:
            lines.append(f"P-values and intervals are {how}.")
        else:
            lines.append(f"P-values are {how}; intervals are not.")
    if not means.estimable.all():
        infinite = means.inference.recession is not None
        why = "infinite or " if infinite and means.inference.recession.size else ""
        lines.append(f"NaN: {why}not determined by the data.")
    return lines


def level_text(value):
    """
    Format a level or the value of a covariate.

    Parameters
    ----------
    value : object
        The value.

    Returns
    -------
    str
    """
    return f"{value:.6g}" if isinstance(value, float) else str(value)
