"""The parameters of a fit, or of many fits, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.formula.plain_names import unquoted
from statsmodels_lmm.inference.derived.differentiable import Differentiable
from statsmodels_lmm.inference.derived.parameter_expressions import near

INTERCEPT = "1", "(Intercept)"
"""Other names of the effect Intercept."""


@dataclass(frozen=True)
class NamedParameters:
    """
    The parameters of a fit or of many, by name.

    A function of the parameters is called with this object. In each method, `which` is
    written as in an expression: ``p.var("Days | Subject")`` is ``var(Days | Subject)``.

    Parameters
    ----------
    names : list of str
        Names of the fixed effects.
    fixed : ndarray
        The fixed effects, shape (..., p).
    variances : VarianceEstimates
        The variance parameters.
    distribution : callable or None
        From the extra parameter of a family to the variance of its distribution on the
        scale of the linear predictor, see `r_squared`; None for a linear model.
    differentiate : bool
        Whether the parameters are `Differentiable`, with derivatives with respect to
        the fixed effects and to the parameters of `variances`, rather than arrays.
    """

    names: list
    fixed: np.ndarray
    variances: Any
    distribution: Callable | None = None
    differentiate: bool = False

    # parameters by name ------------------------------------------------------

    def b(self, which):
        """
        A fixed effect.

        Parameters
        ----------
        which : str
            Its name in the summary.

        Returns
        -------
        Differentiable or ndarray
        """
        at = self.position(which, self.names, "fixed effect")
        return self._number(self.fixed[..., at], {at: 1.0})

    def var(self, which):
        """
        The variance of a random effect, or a residual variance.

        Parameters
        ----------
        which : str
            "effect | factor", where 1 is the intercept; the factor alone if it has one
            effect; "Residual"; or in a generalized model "Distribution", the variance
            of the response given its mean on the scale of the linear predictor.

        Returns
        -------
        Differentiable or ndarray
        """
        if _plain(which) in ("Residual", "Distribution"):
            return self._residual(_plain(which))
        factor, (effect,) = self.effects(which, 1)
        return self.entry(factor, effect, effect)

    def sd(self, which):
        """The square root of `var`."""
        return np.sqrt(self.var(which))

    def cov(self, which):
        """
        The covariance of two random effects of a factor; 0 if they are independent.

        Parameters
        ----------
        which : str
            "effect, effect | factor".

        Returns
        -------
        Differentiable or ndarray
        """
        factor, effects = self.effects(which, 2)
        return self.entry(factor, *effects)

    def cor(self, which):
        """The correlation of two random effects, see `cov`."""
        factor, (one, two) = self.effects(which, 2)
        first, second = self.entry(factor, one, one), self.entry(factor, two, two)
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.entry(factor, one, two) / np.sqrt(first) / np.sqrt(second)

    def label(self, which):
        """
        A parameter by its name in `variance_parameters`, such as "sigma" or "alpha".

        Parameters
        ----------
        which : str
            The name.

        Returns
        -------
        Differentiable or ndarray
        """
        table = self._table
        if which not in table.labels:
            raise FormulaError(self._instead(which))
        at, p = table.labels.index(which), len(self.names)
        rows = np.moveaxis(table.jacobian[..., at, :], -1, 0)
        return self._number(table.values[..., at], dict(enumerate(rows, start=p)))

    __getitem__ = label

    def entry(self, factor, one, two):
        """
        A covariance by position.

        Parameters
        ----------
        factor, one, two : int
            Positions of the factor and of two of its effects.

        Returns
        -------
        Differentiable or ndarray
        """
        random, p = self.variances.random, len(self.names)
        first = sum(len(e.blocks) for e in random[:factor])
        scale = self.variances.scale
        for i, (columns, _, _) in enumerate(random[factor].blocks):
            inside = [j - columns.start for j in (one, two)]
            if all(0 <= j < columns.stop - columns.start for j in inside):
                block = self.variances.blocks[first + i]
                value, slopes = block.covariance(*inside, scale)
                slopes = {p + j % self._width: s for j, s in slopes.items()}
                return self._number(value, slopes)
        return self._number(np.zeros(np.shape(scale)), {})

    def mean_dispersion(self, columns, share):
        """
        The mean of exp(2 f'gamma), by which variances of errors differ from sigma^2.

        Parameters
        ----------
        columns : ndarray
            F, the columns of the logarithms of the standard deviations, shape (n, s).
        share : ndarray
            Weights of the rows, shape (n,).

        Returns
        -------
        Differentiable or ndarray
        """
        s = columns.shape[1]
        if not s:
            return share.sum()
        gamma = np.asarray(self.variances.error_values)[..., -s:]
        each = share * np.exp(2.0 * gamma @ columns.T)
        first = len(self.names) + self._width - 1 - s
        slopes = 2.0 * np.moveaxis(each @ columns, -1, 0)
        return self._number(each.sum(-1), dict(enumerate(slopes, start=first)))

    def quadratic(self, matrix):
        """
        A quadratic form b'Q b of the fixed effects; redundant ones count as 0.

        Parameters
        ----------
        matrix : ndarray
            Q, symmetric, shape (p, p).

        Returns
        -------
        Differentiable or ndarray
        """
        fixed = np.nan_to_num(self.fixed)
        moved = np.where(np.isnan(self.fixed), 0.0, fixed @ matrix)
        return self._number((moved * fixed).sum(-1), dict(enumerate(2.0 * moved.T)))

    # names -------------------------------------------------------------------

    def effects(self, which, count):
        """Positions of a factor and of some of its effects."""
        effects, bar, factor = _parted(which)
        random = self.variances.random
        at = self.position(factor, [e.name for e in random], "grouping factor")
        names = list(random[at].effect_names)
        if not bar and count == 1 and len(names) == 1:
            return at, [0]
        if len(effects) != count:
            example = ", ".join(["1" if n == "Intercept" else n for n in names][:count])
            raise FormulaError(
                f"name {'an effect' if count == 1 else 'two effects'} and a factor, "
                f"such as ({example} | {random[at].name}); the effects by "
                f"{random[at].name} are {', '.join(names)}"
            )
        what = f"effect by {random[at].name}"
        return at, [self.position(effect, names, what) for effect in effects]

    def position(self, name, names, what):
        """Position of a name, whatever its blanks and backticks."""
        plain = [_plain(str(n)) for n in names]
        wanted = _plain(name)
        if wanted not in plain and wanted in INTERCEPT:
            wanted = "Intercept"
        if plain.count(wanted) != 1:
            raise FormulaError(
                f"there is no {what} {name.strip()}{near(name, list(names))}"
                if wanted not in plain
                else f"there are several of the name {name.strip()}"
            )
        return plain.index(wanted)

    def _instead(self, name):
        """What to write instead of a name that is not that of a parameter."""
        if name in [e.name for e in self.variances.random] or name == "Residual":
            return f"write var({name}) for the variance"
        if name in self.names:
            return f"write b['{name}'] for the fixed effect"
        return f"there is no parameter {name}{near(name, self._table.labels)}"

    # values ------------------------------------------------------------------

    @cached_property
    def _table(self):
        return self.variances.estimates()

    @property
    def _width(self):
        return self.variances.uncertainty.shape[-1]

    def _number(self, value, slopes):
        """A parameter with its derivatives, from a dict keyed by position."""
        if not self.differentiate:
            return value
        row = np.zeros(len(self.names) + self._width)
        for place, slope in slopes.items():
            row[place] = slope
        return Differentiable(np.float64(value), row)

    def _residual(self, name):
        """The residual variance, or that of the distribution of the response."""
        variances = self.variances
        if (name == "Residual") != (self.distribution is None):
            raise FormulaError(
                "a linear model has var(Residual)"
                if self.distribution is None
                else "a generalized model has no residual variance; var(Distribution) "
                "is the variance of the response given its mean, on the scale of the "
                "linear predictor"
            )
        last = len(self.names) + self._width - 1
        if self.distribution is None:
            return self._number(variances.scale, {last: 1.0})
        extra = variances.extra
        if extra is None:
            shape = np.shape(variances.scale)
            return self._number(np.full(shape, self.distribution(None)), {})
        values = [self.distribution(e) for e in np.ravel(extra)]
        step = 1e-5 * np.ravel(extra)
        rises = [
            (self.distribution(e + h) - self.distribution(e - h)) / (2.0 * h)
            if self.differentiate and h > 0.0
            else 0.0
            for e, h in zip(np.ravel(extra), step)
        ]
        shape = np.shape(extra)
        return self._number(np.reshape(values, shape), {last - 1: np.sum(rises)})


def _plain(name):
    """A name without blanks and quotes."""
    return "".join(unquoted(name).split())


def _parted(which):
    """The effects of ``x, z | g``, whether there is a bar, and the factor."""
    pieces, depth, quoted = [""], 0, False
    bars = []
    for c in which:
        quoted ^= c == "`"
        depth += (c in "([{") - (c in ")]}")
        if not quoted and not depth and c in ",|":
            bars.append(c)
            pieces.append("")
        else:
            pieces[-1] += c
    bar = bool(bars) and bars[-1] == "|"
    return pieces[:-1], bar, pieces[-1]
