"""Hypotheses about single means or contrasts, with one or two sides and a margin."""

from dataclasses import dataclass

import numpy as np

SIDES = {
    "two-sided": "two-sided",
    "equivalence": "two-sided",
    "larger": "larger",
    ">": "larger",
    "superiority": "larger",
    "noninferiority": "larger",
    "smaller": "smaller",
    "<": "smaller",
    "inferiority": "smaller",
    "nonsuperiority": "smaller",
}
"""Names of the alternatives, as in statsmodels and in emmeans."""

WITH_MARGIN = ("equivalence", "noninferiority", "nonsuperiority")
"""Alternatives that need a margin."""


@dataclass(frozen=True)
class Hypothesis:
    r"""
    A hypothesis about an estimate :math:`\theta`.

    Parameters
    ----------
    null : float
        The value :math:`\theta_0`.
    delta : float
        A margin :math:`\delta \geq 0`.
    side : {"two-sided", "larger", "smaller"}
        The alternative: :math:`\theta \neq \theta_0`, or with a margin
        :math:`|\theta - \theta_0| < \delta`; :math:`\theta > \theta_0 - \delta`; or
        :math:`\theta < \theta_0 + \delta`.
    """

    null: float = 0.0
    delta: float = 0.0
    side: str = "two-sided"

    @property
    def sided(self):
        """Number of sides of the test."""
        return 1 if self.delta or self.side != "two-sided" else 2

    @property
    def is_equivalence(self):
        """Whether the alternative is that the estimate is near the value."""
        return self.delta > 0.0 and self.side == "two-sided"

    @property
    def tail(self):
        """Heading of the p-values, with braces for the name of the statistic."""
        if self.sided == 2:
            return "P>|{}|"
        return "P>{}" if self.evidence(1.0) > 0.0 else "P<{}"

    @property
    def n_limits(self):
        """Number of limits of the interval that goes with the test."""
        return 2 if self.side == "two-sided" else 1

    def statistics(self, estimates, errors):
        """
        Test statistics, t or z.

        Parameters
        ----------
        estimates, errors : ndarray
            Estimates and their standard errors, shape (m,).

        Returns
        -------
        ndarray
            Shape (m,); small if an estimate is near the value in a test of equivalence,
            which is the larger p-value of two one-sided tests.
        """
        gaps = estimates - self.null
        if self.is_equivalence:
            gaps = np.abs(gaps) - self.delta
        elif self.side != "two-sided":
            gaps = gaps + self._direction * self.delta
        with np.errstate(divide="ignore", invalid="ignore"):
            return gaps / errors

    def evidence(self, statistics):
        """
        Statistics with the sign that makes large ones contradict the hypothesis.

        Parameters
        ----------
        statistics : ndarray
            Shape (m,).

        Returns
        -------
        ndarray
            Shape (m,).
        """
        return -statistics if self.is_equivalence else self._direction * statistics

    def limits(self, estimates, reach):
        """
        Limits of intervals, infinite on the side that is not tested.

        Parameters
        ----------
        estimates, reach : ndarray
            Estimates and half-widths, shape (m,).

        Returns
        -------
        ndarray
            Shape (2, m).
        """
        signs = {"larger": [-1.0, np.inf], "smaller": [-np.inf, 1.0]}
        return estimates + np.multiply.outer(signs.get(self.side, [-1.0, 1.0]), reach)

    def __str__(self):
        if self.is_equivalence:
            gap = f"estimate - {self.null:g}" if self.null else "estimate"
            return f"|{gap}| < {self.delta:g}"
        sign = {"larger": ">", "smaller": "<"}.get(self.side, "!=")
        return f"estimate {sign} {self.null - self._direction * self.delta:g}"

    @property
    def _direction(self):
        return -1.0 if self.side == "smaller" else 1.0


def hypothesis(null=0.0, delta=0.0, side="two-sided"):
    """
    Make a hypothesis from a user's arguments.

    Parameters
    ----------
    null, delta : float, optional
        See `Hypothesis`.
    side : str, optional
        One of `SIDES`.

    Returns
    -------
    Hypothesis

    Raises
    ------
    ValueError
        If an argument has an unsuitable value.
    """
    if side not in SIDES:
        raise ValueError(f"side must be {', '.join(map(repr, SIDES))}, not {side!r}")
    if not np.isfinite(null):
        raise ValueError(f"null must be a finite number, not {null!r}")
    if not 0.0 <= delta < np.inf:
        raise ValueError(
            f"delta must be a finite number that is at least 0, not {delta!r}"
        )
    if side in WITH_MARGIN and not delta:
        raise ValueError(f"side={side!r} needs a margin: give delta")
    return Hypothesis(float(null), float(delta), SIDES[side])
