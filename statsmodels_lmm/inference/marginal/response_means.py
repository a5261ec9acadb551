"""
Means of the response in the rows of a reference grid, with their gradients.

A mean mu(beta) is not linear in the fixed effects. Near the estimates it is
mu + J (beta - beta_hat), so that averages, contrasts and standard errors of means are
those of linear combinations with the coefficients J: the delta method.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from statsmodels_lmm.core.families.links import Link
from statsmodels_lmm.core.rows.estimability import Estimability
from statsmodels_lmm.inference.fixed.degrees_of_freedom import inference
from statsmodels_lmm.inference.prediction.generalized_prediction import (
    rows_of_population,
)
from statsmodels_lmm.inference.prediction.population_mean import (
    mean_slopes,
    population_gradient,
    population_inference,
    population_mean,
    predictor_variance,
)
from statsmodels_lmm.inference.prediction.prediction_rows import new_rows


@dataclass(frozen=True, eq=False)
class ResponseMeans:
    """
    The means of the response of a generalized model, or of a transformed response.

    Parameters
    ----------
    results : CrossedMixedGLMResults or CrossedMixedLMResults
        A fit.
    average : bool
        Whether means are over the distribution of the random effects, and those of a
        transformed response over that of the residuals, too, rather than at zero.
    link : Link
        The link of the family, or the transformation of the response.
    """

    results: Any
    average: bool
    link: Link

    def at(self, frame, offset):
        """
        Compute the means in rows of data.

        Parameters
        ----------
        frame : DataFrame
            Values of the predictors, m rows.
        offset : float
            Known part of the linear predictor beyond the offset of the formula.

        Returns
        -------
        gradient : ndarray
            J in the parameters of `inference`, shape (m, d); NaN where the data do not
            determine the mean, or the linear predictor is infinite.
        means : ndarray
            Shape (m,), likewise.
        """
        results, parts = self.results, None
        if self.average:
            rows, parts = rows_of_population(results, frame)
        else:
            rows = new_rows(results, frame, True, [], None)
        design, known = rows.design, results._estimability.determined(rows.design)
        eta = design @ np.nan_to_num(results.params) + offset
        eta = eta if rows.offset is None else eta + rows.offset
        eta[~known | inference(results).involves_infinity(design)] = np.nan
        if parts is None:
            return design * self.link.mean_slope(eta)[:, None], self.link.mean(eta)
        variance = predictor_variance(results, parts)
        if results._is_gaussian:  # whose variances are taken as known
            variance = variance + results.scale
            slopes, _ = mean_slopes(self.link, eta, variance)
            return design * slopes[:, None], population_mean(self.link, eta, variance)
        pieces = population_gradient(results, design, parts, eta)
        return np.hstack(pieces), population_mean(results.family, eta, variance)

    @cached_property
    def n_own(self):
        """Number of uncertain parameters of the covariances that means depend on."""
        if not self.average or self.results._is_gaussian:
            return 0
        return sum(len(f.directions) for f in self.results.at_optimum.factors)

    def inference(self, df_method):
        """
        Inference for the parameters, as deviations from their estimates.

        Parameters
        ----------
        df_method : str or None
            Degrees of freedom; see `with_df_method`.

        Returns
        -------
        FixedInference
        """
        if self.n_own:
            return population_inference(self.results, self.n_own, df_method)
        own = inference(self.results, df_method or self.results.df_method)
        return replace(own, params=0.0 * np.asarray(own.params))

    @property
    def estimability(self):
        """Every gradient that is not NaN can be estimated."""
        count = len(self.results.params) + self.n_own
        return Estimability(np.ones(count, dtype=bool), np.zeros((count, 0)))
