"""Every family with every link, and rows that it can have."""

from dataclasses import dataclass, replace

import numpy as np

from statsmodels_lmm.core.families.binomial import Binomial
from statsmodels_lmm.core.families.gamma import Gamma
from statsmodels_lmm.core.families.gaussian import Gaussian
from statsmodels_lmm.core.families.inverse_gaussian import InverseGaussian
from statsmodels_lmm.core.families.links import Log, Power
from statsmodels_lmm.core.families.negative_binomial import NegativeBinomial
from statsmodels_lmm.core.families.poisson import Poisson
from statsmodels_lmm.core.families.probability_links import (
    Cauchy,
    CLogLog,
    Logit,
    LogLog,
    Probit,
)

POSITIVE = (Log(), Power(1.0), Power(0.5), Power(-1.0), Power(-2.0))
PROBABILITY = (Logit(), Probit(), CLogLog(), LogLog(), Cauchy(), Log(), Power(1.0))

FAMILIES = (
    *(Binomial(link) for link in PROBABILITY),
    *(
        kind(link)
        for kind in (Poisson, NegativeBinomial, Gaussian, Gamma, InverseGaussian)
        for link in POSITIVE
    ),
    NegativeBinomial(Log(), 0.7),
)


@dataclass(frozen=True)
class Case:
    """A family with rows."""

    family: object
    y: np.ndarray
    a: np.ndarray
    mu: np.ndarray
    extra: float | None

    @property
    def eta(self):
        return self.family.link(self.mu)

    @property
    def rows(self):
        return self.y, self.a, self.eta

    def loss(self, eta, extra):
        """C."""
        rows = self.y, self.a
        half = self.family.half_deviance(*rows, eta, extra)
        return half + self.family.saturated(*rows, extra)

    def reshaped(self, *shape):
        return replace(
            self, **{k: getattr(self, k).reshape(shape) for k in "y a mu".split()}
        )


def case(family):
    """Twelve rows."""
    rng = np.random.default_rng(1)
    extra = 0.4 if family.has_extra else None
    a = np.tile([1.0, 2.0, 5.0], 4)
    if family.name == "Binomial":
        mu = rng.uniform(0.15, 0.85, 12)
        y = rng.binomial(a.astype(int), mu) / a
    else:
        mu = rng.uniform(0.3, 4.0, 12)
        y = rng.poisson(mu) if family.is_discrete else rng.gamma(2.0, 0.5 * mu)
    return Case(family, y.astype(float), a, mu, extra)


CASES = tuple(map(case, FAMILIES))


def named(value):
    """The id of a case or family in a test."""
    family = getattr(value, "family", value)
    alpha = "-known" if getattr(family, "alpha", None) else ""
    return f"{family.name}-{family.link_name}{alpha}"


def five_points(function, x, size=1e-3):
    """A derivative."""
    near = function(x + size) - function(x - size)
    far = function(x + 2 * size) - function(x - 2 * size)
    return (8.0 * near - far) / (12.0 * size)
