"""
Structures of the covariance matrix of a term: from parameters to a matrix.

Each is one small class. A structure of your own is a subclass of `Structure` with
`parameters` and either `covariance` or `factor`; what else a fit needs is found by
differences.
"""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.core.algebra.dense import as_array
from statsmodels_lmm.core.algebra.differences import gradient, hessian, is_inside
from statsmodels_lmm.core.structures.relative_factor import SINGULAR, lower_root


@dataclass(frozen=True)
class Parameter:
    """
    One parameter of a structure.

    Parameters
    ----------
    name : str
        Its name, such as "rho".
    lower, upper : float, optional
        Its range, ends included.
    start : float, optional
        Where a search starts. Standard deviations start from the data; the default
        of others is the middle of a finite range, one above a single end, or zero.
    kind : {"", "sd", "cor"}, optional
        A standard deviation over sigma, from 0 and with a covariance matrix that does
        not depend on its sign; a correlation; or anything else.
    effect : int, optional
        The effect whose standard deviation it is. Default is that of all effects.
    """

    name: str
    lower: float = -np.inf
    upper: float = np.inf
    start: float | None = None
    kind: str = ""
    effect: int | None = None

    @property
    def initial(self):
        """Where a search starts if the data do not say."""
        if self.start is not None:
            return self.start
        ends = np.isfinite([self.lower, self.upper])
        if ends.all():
            return 0.5 * (self.lower + self.upper)
        if ends.any():
            return self.lower + 1.0 if ends[0] else self.upper - 1.0
        return 0.0


def deviation(name="sd", effect=None):
    """The parameter that is a standard deviation over sigma, see `Parameter`."""
    return Parameter(name, lower=0.0, kind="sd", effect=effect)


class Structure:
    """
    How the k x k covariance matrix of a term depends on parameters theta.

    The matrix S is relative: the covariance of the random effects over sigma^2. It
    must be positive semi-definite wherever theta is in its range: a search cannot end
    where S stops being a covariance matrix inside of it.

    Attributes
    ----------
    name : str
        Name in tables, and before the parenthesis of a term in a formula.
    """

    name = "structure"

    @property
    def gives_derivative(self):
        """Whether there is a derivative other than by differences."""
        return type(self).derivative is not Structure.derivative

    def parameters(self, effects):
        """
        The parameters.

        Parameters
        ----------
        effects : sequence of str
            Names of the k effects.

        Returns
        -------
        list of Parameter
        """
        raise NotImplementedError

    def factor(self, theta, k):
        """
        A square root L of S = L L'.

        Parameters
        ----------
        theta : ndarray
            Parameters, shape (m,).
        k : int
            Number of effects.

        Returns
        -------
        ndarray
            Shape (k, any number).
        """
        return lower_root(self.covariance(theta, k))

    def covariance(self, theta, k):
        """The matrix S, shape (k, k), from the same arguments as `factor`."""
        root = self.factor(theta, k)
        return root @ root.T

    def derivative(self, theta, k):
        """
        Derivatives of S in the parameters.

        The default takes differences.

        Returns
        -------
        ndarray
            Shape (m, k, k).
        """
        if not len(theta):
            return np.zeros((0, k, k))
        return gradient(lambda t: self.covariance(t, k), theta, self.ranges(k))

    def second_derivative(self, theta, k):
        """
        Second derivatives of S.

        The default takes differences, of the first derivatives where they are given.

        Returns
        -------
        ndarray
            Shape (m, m, k, k).
        """
        if not len(theta):
            return np.zeros((0, 0, k, k))
        ranges = self.ranges(k)
        if not self.gives_derivative and is_inside(theta, ranges):
            return hessian(lambda t: self.covariance(t, k), theta)
        out = gradient(lambda t: self.derivative(t, k), theta, ranges)
        return 0.5 * (out + out.swapaxes(0, 1))

    def ranges(self, k):
        """Lower and upper end of each parameter."""
        return [(p.lower, p.upper) for p in self.parameters([""] * k)]

    def is_singular(self, theta, k, tolerance=SINGULAR):
        """Whether S has a deviation that counts as zero; `theta` as of equal units."""
        values = np.linalg.eigvalsh(self.covariance(theta, k))
        deviations = np.sqrt(np.maximum(values, 0.0))
        return bool((deviations <= tolerance * max(1.0, deviations[-1])).any())

    def __str__(self):
        return self.name


class Correlated(Structure):
    """
    Standard deviations times a correlation matrix with at most one parameter.

    Parameters
    ----------
    hom : bool
        Whether all effects have the same standard deviation.
    """

    def __init__(self, hom):
        self.hom = hom

    def __repr__(self):
        return f"{type(self).__name__}(hom={self.hom})"

    def __str__(self):
        return f"{self.name}, {'hom' if self.hom else 'het'}"

    def __eq__(self, other):
        return type(self) is type(other) and self.hom == other.hom

    def __hash__(self):
        return hash((type(self), self.hom))

    def correlations(self, rho, k):
        """
        The correlation matrix and its first and second derivative in rho.

        Parameters
        ----------
        rho : float or None
            The parameter, None if there is one effect only.
        k : int
            Number of effects.
        """
        raise NotImplementedError

    def correlation_range(self, k):
        """Lower and upper end of rho, None if there is no such parameter."""
        return (-1.0, 1.0) if k > 1 else None

    def parameters(self, effects):
        """The deviations, and rho if there are several effects."""
        if self.hom:
            found = [deviation(self.name)]
        else:
            found = [deviation(name, a) for a, name in enumerate(effects)]
        ends = self.correlation_range(len(effects))
        if ends is not None:
            low, high = ends
            found.append(Parameter("rho", low, high, 0.0, "cor"))
        return found

    def _parts(self, theta, k):
        """Which deviation belongs to which effect, deviations, correlations."""
        theta = np.asarray(theta, dtype=float)
        which = np.ones((k, 1)) if self.hom else np.eye(k)
        count = which.shape[1]
        rho = theta[count] if len(theta) > count else None
        return which, which @ theta[:count], self.correlations(rho, k)

    def covariance(self, theta, k):
        """Deviations on both sides of the correlations."""
        _, s, (r, _, _) = self._parts(theta, k)
        return np.outer(s, s) * r

    def derivative(self, theta, k):
        """Derivatives of S in the parameters, shape (m, k, k)."""
        which, s, (r, r1, _) = self._parts(theta, k)
        found = [(np.outer(b, s) + np.outer(s, b)) * r for b in which.T]
        if len(theta) > len(found):
            found.append(np.outer(s, s) * r1)
        return np.array(found)

    def second_derivative(self, theta, k):
        """Second derivatives of S, shape (m, m, k, k)."""
        which, s, (r, r1, r2) = self._parts(theta, k)
        m, count = len(theta), which.shape[1]
        out = np.zeros((m, m, k, k))
        for a in range(count):
            for b in range(count):
                across = np.outer(which[:, a], which[:, b])
                out[a, b] = (across + across.T) * r
            if m > count:
                across = np.outer(which[:, a], s)
                out[a, -1] = out[-1, a] = (across + across.T) * r1
        if m > count:
            out[-1, -1] = np.outer(s, s) * r2
        return out

    def is_singular(self, theta, k, tolerance=SINGULAR):
        """As lme4: a deviation of zero, or rho at an end of its range."""
        count = 1 if self.hom else k
        deviations = np.abs(theta[:count])
        small = deviations <= tolerance * max(1.0, deviations.max())
        ends = self.correlation_range(k)
        if ends is None or len(theta) == count:
            return bool(small.any())
        distance = np.abs(np.subtract(ends, theta[count])).min()
        return bool(small.any() or distance <= tolerance)


class Diagonal(Correlated):
    """Independent effects: ``diag(x | g)``, or with one variance ``hom=True``."""

    name = "diag"

    def correlations(self, rho, k):
        """No correlations."""
        return np.eye(k), np.zeros((k, k)), np.zeros((k, k))

    def correlation_range(self, k):
        """There is no parameter."""
        return None


class CompoundSymmetry(Correlated):
    """
    One correlation for all pairs of effects: ``cs(x | g)``.

    rho lies between -1 / (k - 1) and 1.
    """

    name = "cs"

    def correlations(self, rho, k):
        """The correlation rho for all pairs."""
        rest = 1.0 - np.eye(k)
        r = np.eye(k) + (0.0 if rho is None else rho) * rest
        return r, rest, np.zeros((k, k))

    def correlation_range(self, k):
        """From -1 / (k - 1) to 1."""
        return (-1.0 / (k - 1), 1.0) if k > 1 else None


class AutoRegressive(Correlated):
    """
    Correlations rho^d of effects d places apart: ``ar1(0 + C(time) | g)``.

    The effects are in the order of the columns, one step apart.
    """

    name = "ar1"

    def correlations(self, rho, k):
        """The powers of rho."""
        d = np.abs(np.subtract.outer(np.arange(k), np.arange(k)))
        rho = 0.0 if rho is None else rho
        first = np.where(d > 0, d * rho ** np.maximum(d - 1, 0), 0.0)
        second = np.where(d > 1, d * (d - 1) * rho ** np.maximum(d - 2, 0), 0.0)
        return rho**d, first, second


class Known(Structure):
    """
    A known matrix times one variance, S = theta^2 K.

    Parameters
    ----------
    matrix : array_like
        K, positive semi-definite, shape (k, k).
    name : str, optional
        Name in tables.
    """

    def __init__(self, matrix, name="known"):
        self.matrix = np.array(matrix, dtype=float)
        self.name = name

    def parameters(self, effects):
        """One deviation."""
        return [deviation(self.name)]

    def covariance(self, theta, k):
        """The matrix times theta^2."""
        return theta[0] ** 2 * self.matrix

    def derivative(self, theta, k):
        """2 theta K."""
        return 2.0 * theta[0] * self.matrix[None]

    def second_derivative(self, theta, k):
        """2 K."""
        return 2.0 * self.matrix[None, None]

    def is_singular(self, theta, k, tolerance=SINGULAR):
        """Whether theta is zero; K itself is not asked."""
        return bool(abs(theta[0]) <= tolerance)


class Fixed(Structure):
    """
    A covariance matrix that is not estimated, S = K.

    Parameters
    ----------
    matrix : array_like
        Covariance of the random effects over sigma^2, shape (k, k).
    name : str, optional
        Name in tables.
    """

    def __init__(self, matrix, name="fixed"):
        self.matrix = np.array(matrix, dtype=float)
        self.name = name

    def parameters(self, effects):
        """None."""
        return []

    def covariance(self, theta, k):
        """The matrix."""
        return self.matrix

    def is_singular(self, theta, k, tolerance=SINGULAR):
        """Nothing is estimated, so nothing is on a boundary."""
        return False


class RelativeFactorFunction(Structure):
    """
    A relative covariance factor given as a function of theta.

    Parameters
    ----------
    function : callable
        theta, shape (m,), to L with S = L L', an array or a sparse matrix of shape
        (k, any number).
    start : array_like
        Where the search starts, shape (m,).
    lower, upper : array_like, optional
        Range of theta, shape (m,).
    names : sequence of str, optional
        Names of the parameters.
    derivative : callable, optional
        theta to dL / dtheta, a sequence of m matrices like L. Default is to
        difference S.
    name : str, optional
        Name in tables.
    """

    def __init__(
        self,
        function,
        start,
        lower=None,
        upper=None,
        names=None,
        derivative=None,
        name="theta",
    ):
        self.function, self.slopes, self.name = function, derivative, name
        self.start = np.atleast_1d(np.array(start, dtype=float))
        m = len(self.start)
        self.lower = self._of_each("lower", -np.inf if lower is None else lower)
        self.upper = self._of_each("upper", np.inf if upper is None else upper)
        if names is not None and len(names) != m:
            raise ValueError(f"{len(names)} names for {m} parameters")
        self.names = [str(j + 1) for j in range(m)] if names is None else list(names)

    def _of_each(self, what, values):
        """A number for each parameter."""
        values = np.array(values, dtype=float)
        if values.shape not in ((), self.start.shape):
            raise ValueError(
                f"{what} has shape {values.shape} for {len(self.start)} parameters"
            )
        return np.broadcast_to(values, self.start.shape)

    def parameters(self, effects):
        """As they were given."""
        columns = zip(self.names, self.lower, self.upper, self.start)
        return [
            Parameter(str(n), float(a), float(b), float(s)) for n, a, b, s in columns
        ]

    @property
    def gives_derivative(self):
        """Whether the user gave one."""
        return self.slopes is not None

    def factor(self, theta, k):
        """The value of the function as an array."""
        value = as_array(self.function(np.array(theta, dtype=float)))
        return value.astype(float, copy=False)

    def derivative(self, theta, k):
        """From the derivative of L, or by differences."""
        if self.slopes is None:
            return super().derivative(theta, k)
        root = self.factor(theta, k)
        slopes = [as_array(d) for d in self.slopes(np.array(theta))]
        if [s.shape for s in slopes] != [root.shape] * len(self.start):
            raise ValueError(
                f"derivative gives matrices of shapes {[s.shape for s in slopes]}; it "
                f"needs {len(self.start)} of {root.shape}"
            )
        changes = [s @ root.T for s in slopes]
        return np.array([c + c.T for c in changes])


def structure_named(name, hom=None):
    """
    A structure by its name in a formula.

    Parameters
    ----------
    name : {"us", "diag", "cs", "ar1"}
        The name.
    hom : bool, optional
        Whether all effects have the same variance. Default is True for "ar1", False
        for the others.

    Returns
    -------
    Structure or None
        None for "us" and for "diag" with different variances: they are the
        unstructured matrices of all effects together and of each by itself.
    """
    if name in ("us", "diag") and not hom:
        return None
    return {
        "diag": Diagonal,
        "cs": CompoundSymmetry,
        "ar1": AutoRegressive,
    }[name](name == "ar1" if hom is None else bool(hom))
