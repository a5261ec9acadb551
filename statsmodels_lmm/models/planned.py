"""Results of a study that is planned, without a response."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from statsmodels_lmm.formula.parser import parse
from statsmodels_lmm.formula.plain_names import QUOTE, unquoted
from statsmodels_lmm.inference.power.planned_values import planned_results
from statsmodels_lmm.inputs.tables import to_frame
from statsmodels_lmm.models.families import family_of
from statsmodels_lmm.models.generalized import CrossedMixedGLM
from statsmodels_lmm.models.linear import CrossedMixedLM


def planned(
    formula: str,
    data: Any,
    values: Mapping[str, float],
    family: Any = None,
    *,
    reml: bool = True,
    nagq: int = 1,
    df_method: str | None = None,
    eval_env: Any = 0,
    **kwargs: Any,
) -> Any:
    """
    The results that a study would have if its estimates were the planned parameters.

    Power needs no data: the results know the design, and their `power`, `power_curve`,
    `simulate` and `bootstrap` draw responses from the planned model.

    Parameters
    ----------
    formula : str
        The formula, such as ``"y ~ x + (x | g)"``.
    data : DataFrame
        The design: one row for each planned observation. A response that is constant,
        or missing in some row, is filled; its values do not matter.
    values : dict
        A number for each parameter, by the names that `derive` takes: the fixed effects
        as in a summary, ``"var(g)"`` or ``"sd(x | g)"``, ``"cor(1, x | g)"`` or
        ``"cov(1, x | g)"``, ``"var(Residual)"`` or ``"sigma"``, the root of a
        dispersion, and ``"alpha"`` of a negative binomial family. Correlations that are
        not given are 0. The parameters of a covariance structure are those of
        ``theta``, by its names.
    family : statsmodels family or str, optional
        Of a generalized model, see `CrossedMixedGLM`. Default is a linear one.
    reml : bool, optional
        Whether a linear model will be fitted by REML.
    nagq : int, optional
        How a generalized model will be fitted, see `CrossedMixedGLM.fit`.
    df_method : str, optional
        Degrees of freedom of the tests, see `CrossedMixedLMResults.with_df_method`.
    eval_env : int or dict, optional
        Where to look up names that are not columns, see `CrossedMixedLM.from_formula`.
    **kwargs
        Further arguments of `CrossedMixedLM.from_formula`, such as ``weights``.

    Returns
    -------
    CrossedMixedLMResults or CrossedMixedGLMResults

    Raises
    ------
    ValueError
        If a parameter is unknown, or has no value.
    DataError
        If the planned covariances contradict each other, or the data cannot be used.
    NotImplementedError
        With ``residual=`` or ``dispersion=``.

    Examples
    --------
    >>> import pandas as pd
    >>> import statsmodels_lmm
    >>> frame = pd.MultiIndex.from_product(
    ...     [range(10), range(4)], names=["subject", "time"]).to_frame(index=False)
    >>> values = {"Intercept": 0.0, "time": 0.3, "var(subject)": 1.0, "sigma": 1.0}
    >>> plan = statsmodels_lmm.planned("y ~ time + (1 | subject)", frame, values)
    >>> round(float(plan.params["time"]), 6)
    0.3
    """
    family = None if family is None else family_of(family)
    data = _with_response(formula, to_frame(data), family)
    kwargs["eval_env"] = eval_env + 1 if isinstance(eval_env, int) else eval_env
    if family is None:
        model = CrossedMixedLM.from_formula(formula, data, **kwargs)
        return planned_results(model, values, reml=reml, df_method=df_method)
    other = CrossedMixedGLM.from_formula(formula, data, family=family, **kwargs)
    return planned_results(other, values, nagq=nagq)


def _with_response(formula, data, family):
    """The data with a response that varies, if it is a column by itself."""
    text = parse(formula, (), family and family.name, alone=True).response.strip()
    name = unquoted(text)
    if name in data.columns:
        if data[name].notna().all() and data[name].nunique() > 1:
            return data
    elif not (name.isidentifier() or QUOTE.fullmatch(text)):
        return data
    values = np.arange(len(data)) % 2.0
    if family is not None and family.problem(values, np.ones(len(data))) is not None:
        values += 1.0
    return data.assign(**{name: values})
