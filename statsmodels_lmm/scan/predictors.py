"""The scan of candidate predictors, a method of linear models."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.inference.parallel import run
from statsmodels_lmm.inference.requirements import (
    require_data,
    require_independent_errors,
    require_random_effects,
)
from statsmodels_lmm.keywords import SCAN_ARGUMENTS, refuse_r_names
from statsmodels_lmm.scan.blocks import Scanner
from statsmodels_lmm.scan.candidates import read_candidates
from statsmodels_lmm.scan.groups import groups_of, members_of
from statsmodels_lmm.scan.positions import read_positions
from statsmodels_lmm.scan.question import Question
from statsmodels_lmm.scan.scan_results import PredictorScan
from statsmodels_lmm.scan.standard_models import (
    StandardModel,
    prepared,
    standard_model,
)
from statsmodels_lmm.scan.tables import row_of_set, rows_of_candidates, whole_table

BLOCK = 500
"""Number of candidates in one block."""


@refuse_r_names("REML", "family", **SCAN_ARGUMENTS)
def scan_predictors(
    model: Any,
    candidates: Any,
    method: str = "exact",
    *,
    test: str = "wald",
    df_method: str | None = None,
    reml: bool | None = None,
    missing: str = "mean",
    missing_code: int | None = None,
    names: Any = None,
    by: str | None = None,
    positions: Any = None,
    sets: Mapping[Any, Any] | None = None,
    loco: Mapping[Any, Any] | None = None,
    adjust: str | None = None,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> PredictorScan:
    """
    Test many candidate predictors, each beside the effects of this model.

    Parameters
    ----------
    candidates : array_like, sparse array, DataFrame, str or path
        One column per candidate, such as a SNP, and one row per row of the model,
        shape (n, m). Anything with a ``shape`` and slices of columns will do, such as a
        memory map or a zarr array, and is read in blocks of 500. Values of type int8
        are genotypes, 0, 1 or 2, or `missing_code`. A DataFrame is aligned by its
        index. A path is that of a PLINK file, ``.bed``, whose people are aligned by
        their IDs; it needs ``pip install "statsmodels_lmm[genotypes]"``.
    method : {"exact", "held"}, optional
        Whether variances are estimated for each candidate, as in GEMMA, or held at
        those without candidates, as in EMMAX and FaST-LMM.
    test : {"wald", "lr", "score"}, optional
        Wald's test, the likelihood-ratio test by ML, or the score test, which uses
        the variances without candidates only.
    df_method : {"asymptotic", "residual", "satterthwaite"}, optional
        Degrees of freedom of Wald's test: infinite by default; those of the residuals,
        n - p - 1, as in GEMMA; or Satterthwaite's, for ``method="exact"``.
    reml : bool, optional
        Whether estimates are REML's. Default is True except for ``test="lr"``.
    missing : {"mean", "drop"}, optional
        Whether the mean of a candidate stands for its missing values, or their rows are
        left out, which takes longer.
    missing_code : int, optional
        The number that stands for a missing value. Default is none, and for int8
        -127, that of bed-reader.
    names : sequence, optional
        Names of the candidates. Default is the columns of a DataFrame, the IDs of a
        PLINK file, or 0, 1, 2, ...
    by : str, optional
        A grouping factor of the model whose levels are the rows of `candidates`, for
        responses that were measured repeatedly; an array has them in the order of the
        levels. Default is the factor whose levels label the candidates, if the data of
        the model have no labels of their own.
    positions : DataFrame, optional
        Columns "chromosome" and "position" by name of the candidate, for
        `PredictorScan.plot_manhattan` and `loco`. A PLINK file has its own.
    sets : dict, optional
        Names of candidates by name of a set. The candidates of each set are tested
        together, instead of one by one.
    loco : dict, optional
        For each chromosome the relationship to use for its candidates, such as one
        computed from all other chromosomes ("leave one chromosome out").
    adjust : str, optional
        Adjustment of p-values: "bonferroni", "sidak", "holm", "holm-sidak",
        "simes-hochberg", "hommel", "fdr_bh" or "fdr_by".
    n_jobs : int, optional
        Number of threads; results are the same for any number. Default is all
        processors.
    progress : bool, optional
        Whether to show a progress bar. Default is to show one after two seconds on a
        terminal, if tqdm is installed.

    Returns
    -------
    PredictorScan
        With a row for each candidate or set. After Ctrl-C, those that were done.

    Raises
    ------
    DataError
        If rows, names or codes of the candidates do not fit.
    NotImplementedError
        For a generalized model, or one with correlated errors.

    Notes
    -----
    With a single variance beside the residual variance, V = I + r Z K Z' is diagonal in
    coordinates that do not depend on the ratio r, and that are found family by family
    if K falls apart into families. The criterion of every candidate is then known at 14
    Chebyshev nodes in log r from two products of matrices, and its optimum is that of
    the interpolating polynomial: r to about ten digits. Other models are refitted side
    by side as in the bootstrap. The page on scans derives this.

    A candidate that is constant, or of which the fixed effects leave less than 1e-10,
    is NaN with a reason.

    References
    ----------
    Zhou, X. and Stephens, M. (2012). Genome-wide efficient mixed-model analysis for
    association studies. Nature Genetics 44, 821-824.
    Kang, H. M. et al. (2010). Variance component model to account for sample structure
    in genome-wide association studies. Nature Genetics 42, 348-354.

    Examples
    --------
    >>> import numpy as np
    >>> from statsmodels_lmm import datasets
    >>> from statsmodels_lmm.formula.api import crossedmixedlm
    >>> data = datasets.sleepstudy.load_pandas().data
    >>> model = crossedmixedlm("Reaction ~ (1 | Subject)", data)
    >>> other = np.random.default_rng(0).normal(size=180)
    >>> candidates = np.column_stack([data["Days"], other])
    >>> scan = model.scan_predictors(candidates, names=["Days", "noise"])
    >>> scan.table["effect"].round(2).tolist()
    [10.47, -1.53]
    """
    _require_linear(model)
    question = Question.of(
        method, test, df_method, reml, missing, adjust, sets is not None
    )
    read = read_candidates(candidates, model, names, missing_code, by)
    where = read_positions(positions, read.names)
    where = read.positions if where is None else where
    members = None if sets is None else members_of(sets, read.names)
    labels = read.names if members is None else pd.Index(list(members))
    parts: list = []
    order: list = []
    try:
        for which, of_group in groups_of(model, where, loco, labels, members):
            work = _Work.of(of_group, question, read, members)
            pieces = work.pieces(which)
            found, interrupted = run(work, pieces, n_jobs, progress, "threads")
            parts += found
            order += pieces[: len(found)]
            if interrupted:
                break
    except KeyboardInterrupt:  # before anything of a group was done
        if not parts:
            raise
    name, where = ("candidate", where) if members is None else ("set", None)
    rows = labels, name, where, question.adjust
    table = whole_table(parts, np.concatenate(order), *rows)
    given = method, test, question.df_method, question.reml, missing
    return PredictorScan(table, model, *given, len(labels))


@dataclass(frozen=True)
class _Work:
    """What is done with a piece of the work, whose results are rows of the table."""

    scanner: Scanner
    standard: StandardModel
    question: Question
    members: Mapping[Any, np.ndarray] | None

    @classmethod
    def of(cls, model, question, candidates, members):
        """The work with a model, whose optimum is found first."""
        standard = standard_model(model, question.reml)
        core = standard.core
        prepared(core)
        scanner = Scanner(
            core,
            candidates,
            standard.root_weights,
            standard.has_constant,
            question.method == "exact",
            question.missing == "drop",
        )
        return cls(scanner, standard, question, members)

    def pieces(self, which):
        """Positions of candidates in blocks, or of sets one by one."""
        size = BLOCK if self.members is None else 1
        return [which[i : i + size] for i in range(0, len(which), size)]

    def __call__(self, which):
        """The rows of one piece."""
        if self.members is None:
            scanned = self.scanner(which)
            counts = self.scanner.candidates.are_counts
            return rows_of_candidates(scanned, self.standard, self.question, counts)
        places = list(self.members.values())[which[0]]
        estimates, n_missing = self.scanner.of_set(places)
        return row_of_set(estimates, n_missing, self.standard, self.question)


def _require_linear(model):
    """Reject models whose residuals are not independent and normal."""
    require_data(model, "a scan")
    if model.family is not None:
        raise NotImplementedError(
            "scan_predictors is for linear mixed models: a generalized model has no "
            "criterion that many candidates share. Scan a linear model of the "
            "response, and refit the candidates that matter with the family"
        )
    require_independent_errors(
        model, "scan_predictors", "refit the candidates one by one with update()"
    )
    require_random_effects(model, "scan_predictors")
