"""
What a search minimizes, and what is known of it at a point.

A criterion is a function of the relative covariance factors. A search asks it for
evaluations and needs no more of these than the first half of `Evaluation`; results,
uncertainty and prediction read the rest. Arrays may have leading axes, one entry for
each of many responses or factors.
"""

from typing import Any, Protocol

from statsmodels_lmm.core.structures.relative_factor import split_step


class Evaluation(Protocol):
    """
    A criterion at one value of the factors.

    Attributes
    ----------
    factors : tuple of RelativeFactor
        Where it is, in the order of the elimination plan.
    value : ndarray
        The criterion, shape (...).
    rounding : ndarray
        Its rounding, shape (...).
    units : ndarray
        Lengths in which steps of the free parameters are measured, shape (..., m).
    information : sequence of ndarray
        What the data say about the effects of each factor, the scale of its dual,
        shapes (..., k_i, k_i).
    elimination : Elimination
        The factorized system.
    coefficients : ndarray
        Fixed effects, shape (..., p).
    fixed_root : ndarray
        Lower Cholesky factor of their information, shape (..., p, p).
    scale : ndarray
        Residual variance, shape (...).
    modes, scores : tuple of ndarray
        Conditional modes, and derivatives of the log-likelihood in the effects, of each
        factor, shapes (..., l_i, k_i).
    """

    factors: Any
    value: Any
    rounding: Any
    units: Any
    information: Any
    elimination: Any
    coefficients: Any
    fixed_root: Any
    scale: Any
    modes: Any
    scores: Any

    def derivatives(self, exact=False):
        """
        First derivatives and a curvature.

        Parameters
        ----------
        exact : bool, optional
            Whether the curvature is the Hessian, else whatever is cheap.

        Returns
        -------
        object
            With ``gradient``, shape (..., m), and ``curvature``, shape (..., m, m), in
            the free parameters, and ``duals``, the derivatives in each S, shapes
            (..., k_i, k_i).
        """


class Criterion(Protocol):
    """
    A function of the relative covariance factors.

    Attributes
    ----------
    cheap_hessian : bool
        Whether a search should ask for the Hessian when it nears the end.
    """

    cheap_hessian: bool = False

    def evaluate(self, factors):
        """
        The criterion at some factors.

        Parameters
        ----------
        factors : sequence of RelativeFactor
            In the order of the elimination plan.

        Returns
        -------
        Evaluation or None
            None where it is undefined.
        """

    def take(self, which):
        """
        The criterion of some of many searches.

        Parameters
        ----------
        which : ndarray
            Their places or a mask.

        Returns
        -------
        Criterion
        """
        return self

    def step(self, current, radius):
        """
        The next step.

        Parameters
        ----------
        current : Iterate
            Where the search is.
        radius : ndarray
            Trust radius, shape (...).

        Returns
        -------
        step : ndarray
            Shape (..., m).
        promised : ndarray
            Decrease of the criterion that it promises, shape (...).
        """
        return current.step(radius)

    def moved(self, current, step):
        """
        Where a step leads.

        Parameters
        ----------
        current : Iterate
            Where the search is.
        step : ndarray
            Shape (..., m).

        Returns
        -------
        object
            What `evaluate` takes.
        """
        factors = current.factors
        return [f.stepped(s) for f, s in zip(factors, split_step(step, factors))]
