"""The results of a scan of candidate predictors."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from statsmodels_lmm.display import Brief, captioned, unquoted
from statsmodels_lmm.keywords import SCAN_FUNCTIONS

SHOWN = 10
"""Number of candidates in a summary."""

WIDTH = 88
"""Number of characters in a line of a summary, unless a reason needs more."""

SPARE = "n_missing", "ratio", "frequency", "mean"
"""Columns that a summary leaves out first where there is no room."""

TESTS = {"wald": "Wald tests", "lr": "likelihood-ratio tests", "score": "score tests"}

VARIANCES = {
    "exact": "variances estimated for each",
    "held": "variances held at those without candidates",
}


@dataclass(frozen=True, repr=False, eq=False)
class PredictorScan(Brief):
    """
    Tests of many candidate predictors, each beside the effects of one model.

    Parameters
    ----------
    table : DataFrame
        One row per candidate, or per set, by name:

        - chromosome, position: where it is, if known;
        - effect, se: of one unit of the candidate. A set has n_columns instead, the
          number of its columns that do not depend on others;
        - df: degrees of freedom, infinite for normal and chi-squared tests;
        - statistic, p and, on request, p_adjusted;
        - ratio: variance of the random effect over the residual variance, in a model
          with a single one; infinite if no residual variance is left;
        - frequency: half the mean of a genotype; otherwise mean;
        - n_missing: number of missing values;
        - reason: why a number is NaN, or empty.
    model : CrossedMixedLM
        The model without candidates.
    method : {"exact", "held"}
        Whether variances are estimated for each candidate.
    test : {"wald", "lr", "score"}
        The test.
    df_method : str
        Degrees of freedom of Wald tests.
    reml : bool
        Whether estimates are REML's.
    missing : {"mean", "drop"}
        What stands for missing values.
    n_candidates : int
        Number of candidates or sets that were to be tested.
    """

    table: pd.DataFrame
    model: Any
    method: str
    test: str
    df_method: str
    reml: bool
    missing: str
    n_candidates: int

    @property
    def interrupted(self) -> bool:
        """Whether the user stopped the scan; the table has what was done."""
        return len(self.table) < self.n_candidates

    @cached_property
    def null(self) -> Any:
        """The fit of the model without candidates, by the same criterion."""
        return self.model.fit(reml=self.reml)

    @cached_property
    def inflation(self) -> float:
        """
        The genomic inflation factor: median chi-squared over its expectation.

        p-values are turned into chi-squared with one degree of freedom. The factor is
        near 1 if hardly any candidate has an effect and relatives are accounted for
        (Devlin and Roeder 1999).

        References
        ----------
        Devlin, B. and Roeder, K. (1999). Genomic control for association studies.
        Biometrics 55, 997-1004.
        """
        p = self.table["p"].dropna()
        if p.empty:
            return float("nan")
        return float(stats.chi2.isf(p.median(), 1) / stats.chi2.median(1))

    def summary(self, rows: int = SHOWN) -> str:
        """
        What was done, and the candidates with the smallest p-values.

        Columns for which there is no room are in `table` only.

        Parameters
        ----------
        rows : int, optional
            Number of candidates.

        Returns
        -------
        str
        """
        shown, text = self._shown(rows), ""
        formats: dict = dict.fromkeys(("p", "p_adjusted"), "{:.2g}".format)
        for spare in (None, *SPARE):
            shown = shown.drop(columns=spare, errors="ignore") if spare else shown
            text = shown.to_string(formatters=formats, float_format=_g)
            if text.index("\n") <= WIDTH:
                break
        return "\n".join([*self._brief(), "", text])

    def __str__(self):
        return self.summary()

    def __getattr__(self, name):
        if name in SCAN_FUNCTIONS:
            raise AttributeError(f"a scan has no {name}: {SCAN_FUNCTIONS[name]}")
        return super().__getattribute__(name)  # raises the error

    def to_parquet(self, path: Any) -> None:
        """
        Write the table to a Parquet file, with what was done as metadata.

        Parameters
        ----------
        path : str or path
            The file.

        Raises
        ------
        ImportError
            If pyarrow is not installed.
        """
        frame = self.table.copy()
        frame.attrs = {
            name: str(getattr(self, name))
            for name in ("method", "test", "df_method", "reml", "missing")
        }
        for name in frame.columns:
            if frame[name].dtype == object:
                frame[name] = frame[name].astype(str)
        frame.to_parquet(path)

    def plot_manhattan(
        self, alpha: float = 0.05, ax: Any = None, **options: Any
    ) -> Any:
        """
        Plot -log10 p along the genome; see `graphics.plot_manhattan`.

        Parameters
        ----------
        alpha, ax, **options : optional
            As for `graphics.plot_manhattan`.

        Returns
        -------
        Figure
        """
        from statsmodels_lmm.graphics.scans import plot_manhattan

        return plot_manhattan(self, alpha, ax, **options)

    def plot_qq(self, ax: Any = None) -> Any:
        """
        Plot sorted p-values against those expected; see `graphics.plot_scan_qq`.

        Parameters
        ----------
        ax : Axes, optional
            Axes to draw on.

        Returns
        -------
        Figure
        """
        from statsmodels_lmm.graphics.scans import plot_scan_qq

        return plot_scan_qq(self, ax)

    def _brief(self):
        what = "set" if "n_columns" in self.table else "candidate"
        what += "s" * (self.n_candidates != 1)
        done = f"{len(self.table):,} {what}"
        if self.interrupted:
            done = f"{len(self.table):,} of {self.n_candidates:,} {what}, interrupted"
        unknown = int(self.table["p"].isna().sum())
        without = f", {unknown:,} of them without a test" if unknown else ""
        formula = self.model.formula_full
        beside = f"beside {unquoted(formula)}" if formula else "beside a model"
        by = f" ({self.df_method})" if self.test == "wald" else ""
        criterion = "REML" if self.reml else "ML"
        return [
            f"{done} {beside}{without}",
            f"{TESTS[self.test]}{by}, {criterion}, {VARIANCES[self.method]}",
            f"inflation {self.inflation:.3f}",
        ]

    def _shown(self, rows=SHOWN):
        """The rows with the smallest p-values, without empty columns."""
        table = self.table.nsmallest(rows, "p")
        idle = [c for c in ("n_missing", "reason") if not table[c].astype(bool).any()]
        if "df" in table and np.isinf(table["df"]).all():
            idle.append("df")
        return table.drop(columns=idle)

    def _repr_html_(self):
        return captioned(self._brief(), self._shown().to_html(float_format=_g))


def _g(value):
    return f"{value:.4g}"
