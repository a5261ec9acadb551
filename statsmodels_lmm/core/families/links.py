"""Links, as maps from the linear predictor eta to the mean mu, with derivatives."""

from dataclasses import dataclass

import numpy as np

BOUND = 200.0
"""
Exponentials of a linear predictor are held within exp(-BOUND) and exp(BOUND).

Their powers up to the third, times any count, are then finite.
"""

EDGE = 1e-70
"""Closest a logarithm of a probability comes to zero in derivatives."""

POWERS = {
    1.0: "identity",
    0.5: "sqrt",
    -1.0: "inverse_power",
    -2.0: "inverse_squared",
}
"""Powers of the mean with a name of their own."""


def held_exp(eta):
    """The exponential within the bounds."""
    return np.exp(np.clip(eta, -BOUND, BOUND))


def log_slopes(mu, slopes):
    """
    Derivatives of log mu from those of mu.

    Parameters
    ----------
    mu : ndarray
        A positive function.
    slopes : tuple of ndarray
        The first four derivatives of `mu`.

    Returns
    -------
    tuple of ndarray
        The first four derivatives of its logarithm.
    """
    one, two, three, four = (s / mu for s in slopes)
    return (
        one,
        two - one**2,
        three - 3 * one * two + 2 * one**3,
        four - 4 * one * three - 3 * two**2 + 12 * one**2 * two - 6 * one**4,
    )


class Link:
    """A link, which can also be used like one of statsmodels."""

    def __call__(self, mu):
        """The linear predictor eta of a mean, the same as `link`."""
        return self.link(mu)

    def inverse(self, eta):
        """The mean mu, the same as `mean`."""
        return self.mean(eta)

    def inverse_deriv(self, eta):
        """The derivative d mu / d eta, the same as `mean_slope`."""
        return self.mean_slope(eta)

    def deriv(self, mu):
        """The derivative d eta / d mu."""
        return 1.0 / self.mean_slope(self.link(mu))

    @property
    def name(self):
        """As in statsmodels, such as "logit"."""
        raise NotImplementedError

    def link(self, mu):
        """The linear predictor eta of a mean."""
        raise NotImplementedError

    def mean(self, eta):
        """The mean mu; NaN where eta belongs to no mean."""
        raise NotImplementedError

    def slopes(self, eta):
        """The first four derivatives of mu with respect to eta, a tuple."""
        raise NotImplementedError

    def mean_slope(self, eta):
        """The derivative d mu / d eta."""
        return self.slopes(eta)[0]

    def log_mean(self, eta):
        """The logarithm of mu; NaN where the mean is not positive."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.log(self.mean(eta))

    def losses(self, eta):
        """The losses -log mu and -log(1 - mu) of a probability, else infinite."""
        mu = self.mean(eta)
        with np.errstate(invalid="ignore", divide="ignore"):
            both = -np.log(mu), -np.log1p(-mu)
        inside = (mu >= 0.0) & (mu <= 1.0)
        return tuple(np.where(inside, loss, np.inf) for loss in both)

    def loss_slopes(self, eta):
        """The first four derivatives of both losses, two tuples."""
        mu, slopes = self.mean(eta), self.slopes(eta)
        with np.errstate(invalid="ignore", divide="ignore"):
            success = log_slopes(mu, slopes)
            failure = log_slopes(1.0 - mu, [-s for s in slopes])
        return tuple(-s for s in success), tuple(-s for s in failure)


@dataclass(frozen=True)
class Log(Link):
    """eta = log mu."""

    name = "log"

    def link(self, mu):
        """The logarithm."""
        return np.log(mu)

    def mean(self, eta):
        """The exponential, within the bounds."""
        return held_exp(eta)

    def slopes(self, eta):
        """The exponential four times."""
        return (held_exp(eta),) * 4

    def log_mean(self, eta):
        """The linear predictor itself, without bounds."""
        return eta

    def losses(self, eta):
        """The losses -eta and -log(1 - exp(eta)), infinite at a positive eta."""
        near, far = np.clip(eta, -1.0, 0.0), np.minimum(eta, -1.0)
        with np.errstate(divide="ignore"):
            failure = -np.log(-np.expm1(near))
        failure = np.where(eta < -1.0, -np.log1p(-np.exp(far)), failure)
        return np.where(eta <= 0.0, -eta, np.inf), failure

    def loss_slopes(self, eta):
        """With the odds o of success, o' = o (1 + o)."""
        odds = 1.0 / np.expm1(np.clip(-eta, EDGE, BOUND))
        more, none = odds * (1.0 + odds), np.zeros_like(odds)
        failure = odds, more, more * (1.0 + 2.0 * odds), more * (1.0 + 6.0 * more)
        return (none - 1.0, none, none, none), failure


@dataclass(frozen=True)
class Power(Link):
    """
    eta = mu^power, for a power other than zero.

    The mean is positive, except that the identity and the inverse have no sign.

    Parameters
    ----------
    power : float
        The power.
    """

    power: float

    @property
    def name(self):
        """The name of common powers, else "power"."""
        return POWERS.get(self.power, "power")

    @property
    def exponent(self):
        """The exponent of eta in the mean."""
        return 1.0 / self.power

    def link(self, mu):
        """The power."""
        return mu**self.power

    def mean(self, eta):
        """A power of eta."""
        with np.errstate(invalid="ignore", divide="ignore"):
            mu = np.asarray(eta, dtype=float) ** self.exponent
        return mu if abs(self.power) == 1.0 else np.where(eta > 0.0, mu, np.nan)

    def slopes(self, eta):
        """Derivatives of a power."""
        return power_slopes(eta, self.exponent, 4)


def power_slopes(eta, exponent, order):
    """
    Derivatives of eta^exponent, from the first on.

    Parameters
    ----------
    eta : ndarray
        Where.
    exponent : float
        Any number.
    order : int
        Number of derivatives.

    Returns
    -------
    tuple of ndarray
        Those that vanish everywhere do so at eta = 0, too.
    """
    eta, found, factor = np.asarray(eta, dtype=float), [], 1.0
    with np.errstate(invalid="ignore", divide="ignore"):
        for j in range(order):
            factor *= exponent - j
            power = eta ** (exponent - j - 1.0) if factor else np.zeros_like(eta)
            found.append(factor * power)
    return tuple(found)
