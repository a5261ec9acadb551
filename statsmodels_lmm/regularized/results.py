"""The results of a penalized fit, whose coefficients are shrunken."""

from functools import cached_property
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.iolib.table import SimpleTable
from statsmodels.iolib.tableformatting import fmt_base

from statsmodels_lmm.display import Brief
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inference.fixed.terms import has_formula
from statsmodels_lmm.inference.prediction.prediction_rows import new_rows
from statsmodels_lmm.inputs.plain_arrays import numeric
from statsmodels_lmm.markup import Summary
from statsmodels_lmm.regularized.columns import penalized_columns
from statsmodels_lmm.results.by_factor import ByFactor
from statsmodels_lmm.results.conditional_modes import modes_by_factor

NO_ERRORS = (
    "a penalty shrinks the coefficients, and the bias is as large as the spread: there "
    "are no standard errors. Fit the chosen columns, refit=True, or choose on one half "
    'of the groups, selection="split"'
)


class RegularizedResults(Brief):
    """
    The results of a penalized fit without a refit.

    Parameters
    ----------
    penalized : PenalizedModel
        The model.
    point : PathPoint
        The fit.
    selection : Selection
        How the penalty was chosen.

    Attributes
    ----------
    alpha : float
        The penalty, lambda / n.
    objective : float
        Half of -2 times the log-likelihood plus the penalty.
    certified : bool
        Whether the conditions for a minimum were checked for all columns, and the
        covariances are proved to be a local optimum.
    scale : float
        Residual variance; too large, as the coefficients are shrunken.
    selection : Selection
        How the penalty was chosen.
    reason : str
        Why there are no standard errors.
    """

    reason = NO_ERRORS

    def __init__(self, penalized, point, selection):
        self._penalized, self._estimate = penalized, point.estimate
        self.alpha, self.objective = point.alpha, point.objective
        self.certified, self.selection = point.certified, selection
        self.scale = point.estimate.scale

    @property
    def model(self) -> Any:
        """The model."""
        return self._penalized.model

    def _brief(self):
        proof = "" if self.certified else ", no optimum proved"
        many = f"{len(self._estimate.chosen)} of {self._penalized.n_penalized:,}"
        return [
            f"{many} columns, alpha={self.alpha:.3g}, residual variance "
            f"{self.scale:.4g}{proof}; shrunken, without standard errors"
        ]

    @cached_property
    def params(self) -> pd.Series:
        """Coefficients of the columns not penalized, then of all penalized ones."""
        free = pd.Series(self._estimate.fixed, self._penalized.base.exog_names)
        columns = self._penalized.columns
        b = np.zeros(len(columns.names))
        b[self._estimate.chosen] = self._estimate.coefficients
        kept = np.isfinite(self._penalized.weights)
        return pd.concat([free, pd.Series(b[kept], columns.names[kept])])

    @property
    def chosen(self) -> pd.Series:
        """Coefficients of the penalized columns that are not zero."""
        names = self._penalized.columns.names[self._estimate.chosen]
        return pd.Series(self._estimate.coefficients, names, name="coef")

    @property
    def bse(self) -> pd.Series:
        """NaN for each coefficient, see `reason`."""
        return pd.Series(np.nan, self.params.index)

    @property
    def theta(self) -> pd.Series:
        """Relative covariance parameters."""
        labels = [name for e in self.model.random for name in e.theta_labels]
        return pd.Series(self._estimate.theta, labels, name="theta")

    @property
    def residual_params(self) -> pd.Series:
        """Parameters of the errors' covariance."""
        errors = self.model.residual
        labels = [] if errors is None else errors.parameter_names
        return pd.Series(self._estimate.errors, labels, dtype=float)

    @property
    def cov_re(self) -> ByFactor:
        """Covariance matrices of the random effects, a dict by factor."""
        frames = {}
        for effects, relative in zip(self.model.random, self._estimate.relative):
            names = list(effects.effect_names)
            frames[effects.name] = pd.DataFrame(self.scale * relative, names, names)
        return ByFactor(frames, "cov_re")

    @property
    def random_effects(self) -> ByFactor:
        """Conditional modes, a dict of factor to DataFrame of levels by effects."""
        return modes_by_factor(self.model.random, self._estimate.modes)

    @cached_property
    def fittedvalues(self) -> Any:
        """Fitted values with the conditional modes."""
        return self._labeled(self._penalized.mean(self._estimate))

    @property
    def resid(self) -> Any:
        """Response minus fitted values."""
        return self._labeled(self.model.endog) - self.fittedvalues

    def _labeled(self, values):
        labels = self.model.data.row_labels
        return values if labels is None else pd.Series(values, labels)

    def predict(self, exog: Any = None, penalized: Any = None) -> Any:
        """
        Predict the mean of the response without random effects.

        Parameters
        ----------
        exog : DataFrame or array_like, optional
            New data for the formula, or without a formula the design; for a model
            whose columns of exog are penalized, all of them. Default is the data of
            the model.
        penalized : DataFrame, array or sparse matrix, optional
            The penalized columns of the new rows, in the order of those of the model.

        Returns
        -------
        Series or ndarray
        """
        b, own = self._estimate, self._penalized
        if exog is None and penalized is None:
            mean = own.base.exog @ np.nan_to_num(b.fixed) + own.columns_of(own, b)
            offset = self.model.offset
            return self._labeled(mean if offset is None else mean + offset)
        wide = self.model.penalized is not None
        if wide != (penalized is not None) or exog is None:
            both = "exog and penalized" if wide else "exog"
            raise TypeError(f"new rows of this model need {both}")
        offset, labels = None, getattr(exog, "index", None)
        if has_formula(self.model) and isinstance(exog, pd.DataFrame):
            rows = new_rows(self, exog, True, [], None)
            if not rows.complete.all():
                raise DataError("the new rows have missing values")
            design, offset = rows.design, rows.offset
        else:
            design = np.atleast_2d(numeric(exog, "exog"))
        columns = penalized_columns(penalized if wide else design)
        if columns.matrix.shape != (len(design), len(own.columns.names)):
            raise DataError(
                f"{len(design)} new rows need penalized columns of shape "
                f"{(len(design), len(own.columns.names))}, not {columns.matrix.shape}"
            )
        free = np.flatnonzero(np.isinf(own.weights))
        design = [design] if wide else []
        design = np.column_stack([*design, columns.take(free)])
        mean = design @ np.nan_to_num(b.fixed)
        mean += columns.take(b.chosen) @ b.coefficients
        mean = mean if offset is None else mean + offset
        return mean if labels is None else pd.Series(mean, labels)

    def summary(self) -> Summary:
        """
        Summarize the fit.

        Returns
        -------
        statsmodels.iolib.summary.Summary
        """
        table, form = Summary(), dict(fmt_base, data_aligns="lr")
        head = [
            ["No. Observations:", f"{int(self.model.nobs)}"],
            ["Penalized columns:", f"{self._penalized.n_penalized}"],
            ["Chosen:", f"{len(self._estimate.chosen)}"],
            ["Alpha:", f"{self.alpha:.4g}"],
            ["Objective:", f"{self.objective:.4f}"],
        ]
        title = "Penalized Linear Mixed Model"
        table.tables.append(SimpleTable(head, title=title, txt_fmt=form))
        rows = [
            [effects.name, name, f"{value:.4f}", f"{value**0.5:.4f}"]
            for effects in self.model.random
            for name, value in zip(
                effects.effect_names, np.diag(self.cov_re[effects.name])
            )
        ]
        rows.append(["Residual", "", f"{self.scale:.4f}", f"{self.scale**0.5:.4f}"])
        rows += [[name, "", f"{x:.4f}", ""] for name, x in self.residual_params.items()]
        header, form = ["Group", "Effect", "Variance", "Std.Dev."], dict(fmt_base)
        form["data_aligns"] = "llrr"
        table.tables.append(
            SimpleTable(rows, header, title="Random effects", txt_fmt=form)
        )
        free = pd.Series(self._estimate.fixed, self._penalized.base.exog_names)
        body = [[n, f"{b:.4f}", "no"] for n, b in free.items()]
        body += [[n, f"{b:.4f}", "yes"] for n, b in self.chosen.items()]
        header, form = ["", "coef", "penalized"], dict(fmt_base, data_aligns="lrr")
        table.tables.append(
            SimpleTable(body, header, title="Fixed effects", txt_fmt=form)
        )
        state = "certified" if self.certified else "NOT certified"
        text = [f"{self.reason[0].upper()}{self.reason[1:]}.", f"Minimum {state}."]
        table.add_extra_txt([part for line in text for part in wrap(line, 79)])
        return table

    def _repr_html_(self):
        return self.summary().as_html()
