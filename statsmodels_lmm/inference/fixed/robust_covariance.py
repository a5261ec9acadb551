"""Cluster-robust covariances of the fixed effects, by name."""

from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.core.rows.clusters import are_related, crossing_level
from statsmodels_lmm.core.uncertainty.cluster_robust import (
    ClusterRobust,
    bias_reduced,
    cluster_robust,
)
from statsmodels_lmm.core.uncertainty.cluster_scores import robust_by_scores
from statsmodels_lmm.exceptions import DataError, DataWarning, warn
from statsmodels_lmm.inference.requirements import (
    check_choice,
    require_data,
    require_independent_errors,
)
from statsmodels_lmm.inference.row_groups import row_groups

CLUSTER_TYPES = ("CR0", "CR1", "CR2", "cluster")
"""Cluster-robust covariances; "cluster" is that of statsmodels and Stata."""

ROBUST = "a cluster-robust covariance"

NO_SCORES = (
    "a cluster-robust covariance is made of the scores of the Laplace approximation: "
    "fit with nagq=1"
)

NO_CR2 = (
    "CR2 is defined for a linear mixed model, whose residuals have a known variance if "
    "the model holds: for a generalized one use cov_type='CR1'"
)


@dataclass(frozen=True)
class RobustCovariance:
    """
    A cluster-robust covariance and its clusters.

    Parameters
    ----------
    estimate : ClusterRobust
        The covariance of uncorrelated combinations of the fixed effects.
    labels : Index
        The clusters, named after their factor.
    codes : ndarray or None
        Cluster of each row, shape (n,); None if the data were removed.
    crossing : str
        Why clusters do not contain the levels of all random effects; empty if they do.
    """

    estimate: ClusterRobust
    labels: pd.Index
    codes: np.ndarray | None
    crossing: str

    def groups(self, model):
        """The cluster of each row, as a Series by the labels of the rows."""
        values = self.labels.take(self.codes)
        return pd.Series(values, model.data.row_labels, name=self.labels.name)

    def description(self, cov_type):
        """What a summary says of the covariance."""
        clusters = f"{len(self.labels)} clusters of {self.labels.name}"
        return f"Cluster-robust standard errors: {cov_type}, {clusters}."

    def without_rows(self):
        """The same without anything of the length of the data."""
        return replace(self, codes=None)


def check_cov_type(cov_type, cov_kwds, others):
    """
    The covariance that arguments of ``fit`` ask for, in statsmodels' terms.

    Parameters
    ----------
    cov_type : str
        Its name.
    cov_kwds : dict or None
        With the key groups and, for "cluster", use_correction.
    others : tuple of str
        Names of covariances that are not cluster-robust.

    Returns
    -------
    cov_type : str
        "CR0" in place of "cluster" without its correction.
    groups : object
        The clusters, or None.

    Raises
    ------
    ValueError
        If the name or a key is unknown, or clusters are missing.
    """
    check_choice("cov_type", cov_type, (*others, *CLUSTER_TYPES))
    given = dict(cov_kwds or {})
    groups, correction = given.pop("groups", None), True
    if cov_type == "cluster":
        correction = given.pop("use_correction", True)
    if given:
        raise ValueError(
            f"cov_kwds of cov_type={cov_type!r} have no {', '.join(map(repr, given))}; "
            "a cluster-robust covariance takes 'groups', and 'cluster' also "
            "'use_correction'"
        )
    _check_groups(cov_type, groups)
    return cov_type if correction else "CR0", groups


def require_scores(cov_type, nagq):
    """
    Reject what a cluster-robust covariance of a generalized model cannot be.

    Parameters
    ----------
    cov_type : str
        Its name.
    nagq : int
        Number of nodes of the fit.

    Raises
    ------
    ValueError
    """
    if cov_type == "CR2":
        raise ValueError(NO_CR2)
    if nagq != 1:
        raise ValueError(NO_SCORES)


def _check_groups(cov_type, groups):
    if (cov_type in CLUSTER_TYPES) == (groups is not None):
        return
    if groups is None:
        raise ValueError(
            f"cov_type={cov_type!r} needs groups, the clusters: the name of a grouping "
            "factor or column of the model, or one label per row"
        )
    raise ValueError(
        f"groups belong to a cluster-robust covariance, not to cov_type={cov_type!r}"
    )


def with_cov_type(results: Any, cov_type: str, groups: Any = None) -> Any:
    """
    Return the results with another covariance of the fixed effects.

    Standard errors, tests and intervals of the fixed effects, marginal means and
    predictions of the fixed part change accordingly, also means over the random effects
    of a generalized model. Variances of predictions that include random effects remain
    those of the model, as do the random effects, the likelihood and what derives from
    it.

    Parameters
    ----------
    results : MixedResults
        A fit.
    cov_type : {"nonrobust", "CR0", "CR1", "CR2", "cluster"}
        The covariance of the model; the sum of the outer products of the scores of the
        clusters between two inverses of the information (CR0; Liang and Zeger 1986);
        the same times m / (m - 1) for m clusters (CR1), or times
        m / (m - 1) (n - 1) / (n - p) ("cluster", as in statsmodels and Stata); or with
        adjusted residuals, unbiased if the model holds (CR2; Pustejovsky and Tipton
        2018). Whatever `df_method` was, tests with CR2 now have Satterthwaite's degrees
        of freedom and the others are asymptotic; `with_df_method` changes that.
    groups : str or array_like, optional
        The clusters, which should be independent: a grouping factor or column of the
        model, or one label per row used. A Series is aligned with the rows if it has
        their labels.

    Returns
    -------
    MixedResults

    Raises
    ------
    DataError
        If there is only one cluster, or CR2 is requested and the levels of random
        effects are in several clusters.
    ValueError
        If an argument has an unknown value.

    Warns
    -----
    DataWarning
        If a single cluster determines a fixed effect, which then has no robust
        standard error; or the levels of different clusters are related.

    Notes
    -----
    With few clusters CR0 is too small and its tests reject too often; CR1 mends a part
    of this. CR2 with Satterthwaite's degrees of freedom is the choice for a linear
    model. Its definition refers to rows multiplied by the square roots of their prior
    weights, see `statsmodels_lmm.core.uncertainty.cluster_robust`.

    References
    ----------
    Liang, K.-Y. and Zeger, S. L. (1986). Longitudinal data analysis using generalized
    linear models. Biometrika 73, 13-22.

    Pustejovsky, J. E. and Tipton, E. (2018). Small-sample methods for cluster-robust
    variance estimation and hypothesis testing in fixed effects models. Journal of
    Business & Economic Statistics 36, 672-683.
    """
    check_choice("cov_type", cov_type, (*results._cov_types, *CLUSTER_TYPES))
    _check_groups(cov_type, groups)
    robust = None
    if groups is not None:
        robust = _robust_covariance(results, cov_type, groups)
    other = copy(results)
    for name in ("inference", "cov_params_default", "df_resid_inference"):
        other.__dict__.pop(name, None)
    other._robust, other.cov_type, other._cache = robust, cov_type, {}
    other.cov_kwds = {}
    if robust is not None:
        other.cov_kwds = {"description": robust.description(cov_type)}
    if results._robust is not None or robust is not None:
        other.df_method = "satterthwaite" if cov_type == "CR2" else "asymptotic"
        other.use_t = cov_type == "CR2"
    if robust is not None and other.without_robust_error:
        warn(no_robust_error(other), DataWarning)
    return other


def no_robust_error(results):
    """The sentence about fixed effects that a single cluster determines."""
    names = ", ".join(results.without_robust_error)
    return (
        f"No robust standard error for {names}: a single cluster determines what no "
        "other has a part in, and its residuals say nothing about that"
    )


def _robust_covariance(results, cov_type, groups):
    """The RobustCovariance of a fit."""
    require_data(results.model, ROBUST)
    require_independent_errors(results.model, ROBUST)
    codes, labels = row_groups(results.model, groups, "groups")
    used, codes = np.unique(codes, return_inverse=True)
    labels, n_clusters = labels[used], len(used)
    if n_clusters < 2:
        raise DataError(
            "groups have only one value; a cluster-robust covariance needs several "
            "independent clusters"
        )
    factor, n = 1.0, results.df_resid + len(results._estimates.kept)
    if cov_type in ("CR1", "cluster"):
        factor = n_clusters / (n_clusters - 1.0)
    if cov_type == "cluster":
        factor *= (n - 1.0) / results.df_resid
    crossing = _crossing(results, codes, labels)
    estimated = _linear if results._is_gaussian else _generalized
    estimate = estimated(results, cov_type, codes, n_clusters, factor, crossing)
    return RobustCovariance(estimate, labels, codes, crossing)


def _linear(results, cov_type, codes, n_clusters, factor, crossing):
    """The ClusterRobust of a linear model."""
    data, _ = results.model._sufficient_statistics()
    optimum = results.at_optimum
    if cov_type != "CR2":
        _warn_of_relatives(results, codes)
        estimate = cluster_robust(optimum, data, codes, n_clusters, factor)
        return replace(estimate, through=None, own=None) if crossing else estimate
    if crossing:
        raise DataError(
            "CR2 needs clusters that contain the levels of all random effects, but "
            f"{crossing}: use CR0 or CR1, or larger clusters"
        )
    factors = results._units.of_user(optimum.factors)
    return bias_reduced(optimum, data, factors, codes, n_clusters)


def _warn_of_relatives(results, codes):
    """Warn if levels of different clusters are related."""
    for effects, covariance in zip(results.model.random, results._relative):
        term = effects.grouped
        if not effects.has_groups or term.relationship is None or not covariance.any():
            continue
        if are_related(term, codes):
            warn(
                "the clusters are not independent, because levels of "
                f"{effects.name} in different clusters are related: cluster-robust "
                "standard errors ignore this. Use those of the model, or clusters that "
                "contain all relatives",
                DataWarning,
            )


def _generalized(results, cov_type, codes, n_clusters, factor, crossing):
    """The ClusterRobust of a generalized model."""
    require_scores(cov_type, results.nagq)
    if crossing:
        raise DataError(
            "the likelihood of a generalized model is a product over clusters only if "
            f"these contain the levels of all random effects, but {crossing}: choose "
            "larger clusters; there are none for factors that are fully crossed"
        )
    asked = codes, n_clusters, factor
    return robust_by_scores(results.at_optimum, results._joint, *asked)


def _crossing(results, codes, labels):
    """Why clusters do not contain all levels of random effects; empty if they do."""
    for effects, covariance in zip(results.model.random, results._relative):
        if results._is_gaussian and not covariance.any():
            continue  # these effects are zero
        if not effects.has_groups:
            return f"{effects.name} is a matrix of random effects without levels"
        if effects.grouped.relationship is not None:
            return f"the levels of {effects.name} are related by a known matrix"
        level = crossing_level(effects.grouped, codes)
        if level is not None:
            inside = labels[np.unique(codes[effects.grouped.codes == level])[:2]]
            return (
                f"level {effects.levels[level]!s} of {effects.name} is in clusters "
                f"{inside[0]!s} and {inside[1]!s}"
            )
    return ""
