"""
The criterion that a search minimizes, and its evaluation at a point.

A criterion is a function of the relative covariance factors, and of whatever else is
not profiled out: its point is a tuple of parts with free parameters. A search evaluates
it and reads only the first half of an `Evaluation`; results, uncertainty and prediction
read the rest. Arrays may have leading axes, with one entry for each of many responses
or factors.
"""

from typing import Any, Protocol

from statsmodels_lmm.core.structures.relative_factor import split_step


class Evaluation(Protocol):
    """
    A criterion at one value of the factors.

    Attributes
    ----------
    point : tuple
        The point of evaluation: the factors, and other parts if there are any.
    factors : tuple of RelativeFactor
        In elimination order.
    value : ndarray
        The criterion, shape (...).
    rounding : ndarray
        Rounding error of the value, shape (...).
    units : ndarray
        Natural step lengths of the free parameters, shape (..., m).
    information : sequence of ndarray
        Information in the data about the effects of each term, the scale of its dual,
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
        Conditional modes of each term, and derivatives of the log-likelihood in its
        effects, shapes (..., l_i, k_i).
    """

    point: Any
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
            True for the Hessian as curvature, False for whatever is cheap.

        Returns
        -------
        object
            With ``gradient``, shape (..., m), and ``curvature``, shape (..., m, m), in
            the free parameters, ``duals``, the derivatives in each S, shapes
            (..., k_i, k_i), and ``escape``, the most negative slope, relative to its
            information, out of a boundary of any other parameter.
        """


class Criterion(Protocol):
    """
    A function of the relative covariance factors.

    Attributes
    ----------
    exact_below : float
        Promised decrease below which the exact Hessian is worth its cost; 0 if it never
        is.
    polished : float
        Promised decrease at which exact Newton steps at the end of a search stop.
    """

    exact_below: float = 0.0
    polished: float = 1e-21

    def evaluate(self, factors):
        """
        The criterion at given factors.

        Parameters
        ----------
        factors : sequence of RelativeFactor
            In elimination order.

        Returns
        -------
        Evaluation or None
            None where the criterion is undefined.
        """

    def take(self, which):
        """
        The criterion for a selection of many searches.

        Parameters
        ----------
        which : ndarray
            Their positions, or a mask.

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
            Predicted decrease of the criterion, shape (...).
        """
        return current.step(radius)

    def gain(self, current, trial, step, promised):
        """
        How much lower the criterion is at a trial than where the search is.

        Parameters
        ----------
        current : Iterate
            Where the search is.
        trial : Evaluation
            The criterion after a step.
        step : ndarray or None
            The step, shape (..., m); None for a point so close that it has none.
        promised : ndarray
            Predicted decrease of the criterion, shape (...).

        Returns
        -------
        ndarray
            Shape (...).
        """
        return current.value - trial.value

    def dual_error(self, evaluation):
        """Standard error of the duals, relative to the information; 0 if exact."""
        return 0.0

    def placed(self, point, current):
        """
        The argument of `evaluate` for a point close to where the search is.

        Parameters
        ----------
        point : sequence
            The parts.
        current : Iterate
            Where the search is.

        Returns
        -------
        object
        """
        return point

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
            The argument of `evaluate`.
        """
        point = current.point
        return [part.stepped(s) for part, s in zip(point, split_step(step, point))]
