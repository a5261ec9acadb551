"""The likelihood of a generalized mixed model as a function of all its parameters."""

from typing import Any

import numpy as np

from statsmodels_lmm.core.criteria.laplace import Place
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inference.requirements import check_choice
from statsmodels_lmm.models.base import MixedModel
from statsmodels_lmm.models.link_ranges import failure_sentence

HESSIANS = ("observed", "expected")

ALPHA_STEP = 1e-5
"""Step of differences in the alpha of the negative binomial family."""


class GeneralizedLikelihood(MixedModel):
    """
    What statsmodels asks of a likelihood, for `CrossedMixedGLM`.

    The parameters are the fixed effects, theta in the order of the results' ``theta``,
    and last, where the family has one, the logarithm of the dispersion or the alpha of
    the negative binomial family.
    """

    def loglike(self, params: Any, nagq: int = 1, hessian: str = "observed") -> float:
        """
        Log-likelihood with all constants.

        Parameters
        ----------
        params : array_like
            Fixed effects, theta, and the logarithm of the dispersion or alpha.
        nagq : int, optional
            1 or the number of nodes, see `fit`.
        hessian : {"observed", "expected"}, optional
            See `fit`.

        Returns
        -------
        float
        """
        return -0.5 * float(self._evaluation(params, nagq, hessian).value)

    def score(
        self, params: Any, nagq: int = 1, hessian: str = "observed"
    ) -> np.ndarray:
        """
        Gradient of `loglike`.

        Parameters
        ----------
        params, nagq, hessian
            As for `loglike`.

        Returns
        -------
        ndarray
        """
        evaluation = self._evaluation(params, nagq, hessian)
        slopes = self._jacobian(evaluation).T @ evaluation.first.gradient
        if self.family.extra_is_squared:
            slopes[-1] = evaluation.first.extra_slope
        return -0.5 * slopes

    def hessian(
        self, params: Any, nagq: int = 1, hessian: str = "observed"
    ) -> np.ndarray:
        """
        Second derivatives of `loglike`.

        Parameters
        ----------
        params, nagq, hessian
            As for `loglike`.

        Returns
        -------
        ndarray
        """
        evaluation = self._evaluation(params, nagq, hessian)
        jacobian = self._jacobian(evaluation)
        found = -0.5 * (jacobian.T @ evaluation.hessian @ jacobian)
        if self.family.extra_is_squared:
            found[-1] = found[:, -1] = self._bend(np.asarray(params), nagq, hessian)
        return found

    def _bend(self, params, nagq, hessian):
        """Differences of the score in alpha, one-sided near zero."""
        size = ALPHA_STEP * max(1.0, params[-1])
        steps = {-1: -0.5, 1: 0.5} if params[-1] > size else {0: -1.5, 1: 2.0, 2: -0.5}
        last = np.arange(len(params)) == len(params) - 1
        return sum(
            weight / size * self.score(params + step * size * last, nagq, hessian)
            for step, weight in steps.items()
        )

    def information(
        self, params: Any, nagq: int = 1, hessian: str = "observed"
    ) -> np.ndarray:
        """
        The negative of `hessian`.

        Parameters
        ----------
        params, nagq, hessian
            As for `loglike`.

        Returns
        -------
        ndarray
        """
        return -self.hessian(params, nagq, hessian)

    def _place(self, criterion, params, pivoted=False):
        """The place of given parameters."""
        units, params = self._units, np.asarray(params, dtype=float)
        if not np.isfinite(params).all():
            raise ValueError("params must be finite")
        p, has_extra = self.exog.shape[1], self.family.has_extra
        m = sum(r.grouped.n_parameters for r in self.random)
        if params.shape != (p + m + has_extra,):
            last = " and the extra parameter of the family" if has_extra else ""
            raise ValueError(
                f"params need {p + m + has_extra} values, {p} fixed effects, {m} "
                f"entries of theta{last}; got an array of shape {params.shape}"
            )
        coefficients = units.coefficients(params[:p])
        if self.family.extra_is_squared and params[-1] < 0.0:
            raise ValueError(
                f"the last of params is alpha, at least 0, not {params[-1]:g}"
            )
        factors = units.factors_at(params[p : p + m], pivoted)
        extra = params[-1] if has_extra else None
        return Place(criterion.point(coefficients, factors, extra), coefficients)

    def _evaluation(self, params, nagq, hessian):
        """The criterion at given parameters."""
        check_choice("hessian", hessian, HESSIANS)
        if nagq == 0:
            raise ValueError(
                "with nagq=0 the fixed effects are not parameters of the likelihood; "
                "use nagq=1"
            )
        criterion = self._criterion(nagq, hessian == "observed")
        place = self._place(criterion, params)
        try:
            return criterion.at(place)
        except np.linalg.LinAlgError as error:
            model = criterion.model
            eta = model.exog @ place.coefficients + model.offset
            told = self._row_labels, error, "these are not parameters"
            raise DataError(failure_sentence(self.family, eta, *told)) from None

    def _jacobian(self, evaluation):
        """Derivatives of the free parameters in `params`, but for alpha."""
        units, data = self._units, self._prepared()[0]
        p, has_extra = self.exog.shape[1], int(self.family.has_extra)
        theta = units.theta_jacobian(evaluation.factors)
        k, (rows, m) = len(data.kept), theta.shape
        jacobian = np.zeros((k + rows + has_extra, p + m + has_extra))
        jacobian[:k, data.kept] = np.linalg.inv(data.to_fixed)
        jacobian[k : k + rows, p : p + m] = theta
        if has_extra:
            jacobian[-1, -1] = float(not self.family.extra_is_squared)
        return jacobian
