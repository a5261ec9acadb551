"""
The linear mixed model that approximates a generalized one at its conditional modes.

With the derivatives c' of the rows at the modes and the expectations w of c'',

    z = X beta + Z b - c' / w,    Var(z | b) = 1 / w,

is a weighted linear model with residual variance 1. At given variances its estimates
are one step of Fisher scoring from beta and b, and without some of its rows they are
the step without these rows (Pregibon 1981).

References
----------
Pregibon, D. (1981). Logistic regression diagnostics. Annals of Statistics 9, 705-724.
Xiang, L., Tse, S.-K. and Lee, A. H. (2002). Influence diagnostics for generalized
linear mixed models: applications to clustered data. Computational Statistics & Data
Analysis 40, 759-774.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from statsmodels_lmm.core.algebra.dense import inverse_lower, transpose
from statsmodels_lmm.core.criteria.deviance import profiled_deviance
from statsmodels_lmm.core.engines.choice import sufficient_statistics
from statsmodels_lmm.core.rows.row_transforms import RowWeights
from statsmodels_lmm.core.rows.standardize import Standardized, standardize
from statsmodels_lmm.core.structures.relative_factor import full_factor


@dataclass(frozen=True)
class WorkingModel:
    """
    The working linear model at the estimates.

    Parameters
    ----------
    deviance : ProfiledDeviance
        Its criterion at the variances of the generalized model.
    data : Standardized
        Its weighted rows, standardized.
    """

    deviance: Any
    data: Standardized

    @property
    def sigma(self):
        """Factor that takes residuals in units of the estimated sigma to sigma = 1."""
        return float(np.sqrt(self.deviance.scale)) * self.data.response_scale

    @property
    def root(self):
        """R with R R' the covariance of the standardized fixed effects, (p, p)."""
        return self.data.to_fixed @ transpose(inverse_lower(self.deviance.fixed_root))

    def with_known_scale(self, deletions):
        """
        Deletions for a residual variance that is known to be 1.

        Parameters
        ----------
        deletions : Deletions
            Those of the working model, in which the variance was estimated.

        Returns
        -------
        Deletions
        """
        scale = np.where(np.isfinite(deletions.scale), 1.0, np.nan)
        return replace(deletions, change=self.sigma * deletions.change, scale=scale)


def working_model(evaluation):
    """
    Linearize a generalized model at its conditional modes.

    Parameters
    ----------
    evaluation : LaplaceDeviance
        The criterion at the estimates.

    Returns
    -------
    WorkingModel
    """
    model, inner = evaluation.model, evaluation.inner
    root = np.sqrt(model.expected(inner.eta, evaluation.extra).second)
    first = evaluation.slopes.first
    # a row without weight tells nothing
    residuals = np.divide(-first, root, out=np.zeros_like(root), where=root > 0.0)
    weights = RowWeights(root)
    terms = [f.of_user.transformed(weights) for f in model.terms]
    response = root * (inner.eta - model.offset) + residuals
    data = standardize(response, weights.apply(model.exog), terms)
    products = sufficient_statistics(data.endog, data.exog, data.terms)
    roots = []
    for i in products.plan.order:
        lower = np.linalg.solve(data.to_effects[i], evaluation.factors[i].matrix)
        roots.append(full_factor(lower, terms[i].block_slices))
    return WorkingModel(profiled_deviance(products, roots, False), data)
