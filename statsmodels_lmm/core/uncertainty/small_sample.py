"""
The uncertainty of the fixed effects' covariance, and its consequences.

The covariance of the estimates, sigma^2 Phi with Phi = (X'V^-1 X)^-1, is known only as
well as the variance parameters. With X'V^-1 X = R R', everything refers to the
coefficients R'beta, for which Phi is I, and is in units of sigma^2. With y_g the rows
of Z'V^-1 X R^-T for a level, a change D of S changes Phi by the sum of y_g'D y_g over
the levels; a change of sigma^2 changes sigma^2 Phi in proportion.

References
----------
Fai, A. H.-T. and Cornelius, P. L. (1996). Approximate F-tests of multiple degree of
freedom hypotheses in generalized least squares analyses of unbalanced split-plot
experiments. Journal of Statistical Computation and Simulation 54, 363-378.

Giesbrecht, F. G. and Burns, J. C. (1985). Two-stage analysis based on a mixed model:
large-sample asymptotic theory and small-sample simulation results. Biometrics 41,
477-486.

Kenward, M. G. and Roger, J. H. (1997). Small sample inference for fixed effects from
restricted maximum likelihood. Biometrics 53, 983-997.
"""

from dataclasses import dataclass, replace

import numpy as np

from statsmodels_lmm.core.algebra.dense import transpose
from statsmodels_lmm.core.criteria.derivatives import of_all_factors
from statsmodels_lmm.core.uncertainty.variance_information import (
    NO_INFORMATION,
    twice_information,
)


@dataclass(frozen=True)
class UncertainCovariance:
    """
    Covariance of R'beta in units of sigma^2, and how it varies.

    Parameters
    ----------
    covariance : ndarray
        I, or the adjusted covariance of Kenward and Roger, shape (p, p).
    slopes : ndarray
        Derivatives of the unadjusted covariance along directions of the variance
        parameters in which their estimates are uncorrelated and have variance 1,
        shape (r, p, p); with leading axes, those of many fits, see `take`.
    """

    covariance: np.ndarray
    slopes: np.ndarray

    def take(self, i):
        """That of one of many fits."""
        return replace(self, slopes=self.slopes[i])

    def undetermined(self, contrasts):
        """Whether the variance of contrasts (..., p) is unknown: it never is."""
        return np.zeros(contrasts.shape[:-1], dtype=bool)

    def df(self, contrast):
        """Degrees of freedom of a contrast, shape (p,), see `contrast_df`."""
        return float(contrast_df(self.slopes, contrast))

    def restricted(self, basis):
        """The covariance of contrasts (q, p), shape (q, q)."""
        return basis @ self.covariance @ basis.T

    def joint(self, whitened, basis):
        """
        Denominator degrees of freedom and scale of an F test of several contrasts.

        Parameters
        ----------
        whitened, basis : ndarray
            The contrasts, and orthonormal ones with the same span, shape (q, p).

        Returns
        -------
        df, scale : float
        """
        principal = np.linalg.svd(whitened, full_matrices=False)[2][: len(basis)]
        return joint_df(self.slopes, principal), 1.0


@dataclass(frozen=True)
class AdjustedCovariance(UncertainCovariance):
    """The adjusted covariance of Kenward and Roger, see `UncertainCovariance`."""

    def joint(self, whitened, basis):
        """As for `UncertainCovariance`, see `scaled_f`; NaN if there are none."""
        return scaled_f(self.slopes, basis)


def satterthwaite(deviance):
    """
    The covariance, with the uncertainty implied by the criterion's curvature.

    The covariance of the estimates of L is 2 H^-1, where H is the Hessian of the
    profiled criterion. Given L, the residual variance has variance 2 sigma^4 / nu, and
    the derivative of its estimate with respect to L is -sigma^2 working / nu, see
    `Derivatives`. Together these give the inverse of the Hessian with respect to L and
    sigma^2.

    Parameters
    ----------
    deviance : ProfiledDeviance
        The criterion at the optimum, ML or REML, or at many optima.

    Returns
    -------
    UncertainCovariance
    """
    derivatives = deviance.derivatives(exact=True)
    nu = np.asarray(deviance.nu, dtype=float)
    identity = np.eye(deviance.coefficients.shape[-1])
    slopes = deviance.variance_forms.free_slopes()
    share = derivatives.working / nu[..., None]
    slopes = slopes - share[..., None, None] * identity
    slopes = _combined(np.sqrt(2.0) * inverse_root(derivatives.curvature), slopes)
    of_scale = np.sqrt(2.0 / nu)[..., None, None, None] * identity
    of_scale = np.broadcast_to(of_scale, (*slopes.shape[:-3], 1, *identity.shape))
    return UncertainCovariance(identity, np.concatenate([slopes, of_scale], axis=-3))


def kenward_roger(deviance, information=None, linear=False):
    """
    The adjusted covariance of Kenward and Roger (1997).

    The parameters are the covariances sigma^2 S themselves, even on the boundary, those
    of the errors' covariance, and sigma^2; their covariance W is the inverse of their
    information. With V_r and V_rs the derivatives of sigma^2 V,

        Phi_A = Phi + 2 Phi {sum_rs W_rs X'V^-1 (V_r P V_s - V_rs / 4) V^-1 X} Phi.

    Only the span of the V_r matters, so V may replace I = V - Z S Z' as the derivative
    with respect to sigma^2; V then drops out of the first sum because P X = 0. The
    second depends on what the parameters are: covariances of random effects, of a
    structure what `block.CovarianceBlock.natural_bend` says, and of the errors what
    `residuals.natural` does.

    Parameters
    ----------
    deviance : ProfiledDeviance
        The REML criterion at the optimum.
    information : {None, "expected", "observed"}, optional
        The information about the parameters. Default is the expected one for
        independent errors, as in pbkrtest, and the observed one for a covariance of
        errors, as in SAS.
    linear : bool, optional
        Whether to leave out the second derivatives, as SAS does for ``KR(LINEAR)``.
        Default is False.

    Returns
    -------
    AdjustedCovariance

    Raises
    ------
    MemoryError
        If there are several grouping factors and Z'PZ does not fit.
    """
    products, forms = deviance.elimination.products, deviance.variance_forms
    identity = np.eye(products.k_fixed)
    if not products.k_fixed:
        return AdjustedCovariance(identity, np.zeros((0, 0, 0)))
    forms.require(
        "Kenward and Roger's method",
        "df_method='satterthwaite' needs no such matrix",
    )
    twice = twice_information(deviance, information or forms.usual_information)
    root = np.sqrt(2.0) * inverse_root(twice)
    count = len(root) - 1 - forms.n_coordinates
    changes = of_all_factors(forms.unit_changes)
    changes = [_combined(root[:count], change) for change in changes]
    along = root[count:-1].T
    slopes = root[-1][:, None, None] * identity
    for each in forms.slopes(changes, along):
        slopes = slopes + each
    covariance = identity
    for i, coordinates in enumerate(along):
        direction = [change[i] for change in changes]
        covariance = covariance + 2.0 * forms.products(direction, coordinates)
    if not linear:
        covariance = covariance - 0.5 * forms.curvature(root)
    return AdjustedCovariance(covariance, slopes)


def contrast_df(slopes, contrasts):
    """
    Degrees of freedom of single contrasts, 2 E^2 / Var of their estimated variance.

    Parameters
    ----------
    slopes : ndarray
        See `UncertainCovariance`, shape (r, p, p).
    contrasts : ndarray
        Coefficients of R'beta, shape (p,) or (q, p).

    Returns
    -------
    ndarray
        Shape () or (q,); infinite for a contrast of zeros, which has no error.
    """
    rows = np.atleast_2d(contrasts)
    forms = ((rows @ slopes) * rows).sum(axis=-1).T
    forms = forms.reshape(*contrasts.shape[:-1], len(slopes))
    variance = (contrasts**2).sum(axis=-1)
    zero = variance == 0.0
    spread = (forms**2).sum(axis=-1) / np.where(zero, 1.0, variance) ** 2
    return np.where(zero, np.inf, 2.0 / np.where(zero, 1.0, spread))


def joint_df(slopes, basis):
    """
    Denominator degrees of freedom of a Wald F statistic (Fai and Cornelius 1996).

    The statistic is a mean of q squared t statistics; the F distribution with these
    degrees of freedom has the same expectation. As in lmerTest, the result is 2 where
    that expectation does not exist.

    Parameters
    ----------
    slopes : ndarray
        See `UncertainCovariance`, shape (r, p, p).
    basis : ndarray
        Orthonormal contrasts of R'beta, shape (q, p).

    Returns
    -------
    float
    """
    each = contrast_df(slopes, basis)
    if np.ptp(each) < 1e-8:
        return float(each.mean())
    if (each <= 2.0).any():
        return 2.0
    excess = (2.0 / (each - 2.0)).sum()
    return float(2.0 * (len(each) + excess) / excess)


def scaled_f(slopes, basis):
    """
    Degrees of freedom and scale of the F statistic of Kenward and Roger (1997).

    Both match the first two moments of the statistic, and are exact for Hotelling's T^2
    and for the F statistics of balanced designs. The scale is 1 if the degrees of
    freedom are at most 2, where there is no first moment; in pbkrtest it is 1 only
    close to 2, and negative below. With very little information about the variances no
    F distribution may have these moments: the degrees of freedom would be negative.

    Parameters
    ----------
    slopes : ndarray
        See `UncertainCovariance`, shape (r, p, p).
    basis : ndarray
        Orthonormal contrasts of R'beta, shape (q, p).

    Returns
    -------
    df : float
        Denominator degrees of freedom, NaN if no F distribution has these moments.
    scale : float
        Multiplier of the statistic, NaN if the degrees of freedom are.
    """
    q = len(basis)
    inner = basis @ slopes @ basis.T
    a1 = (np.trace(inner, axis1=1, axis2=2) ** 2).sum()
    a2 = (inner**2).sum()
    if q == 1:  # the rest would give the same, except for rounding
        return float(2.0 / a2), 1.0
    b = (a1 + 6.0 * a2) / (2.0 * q)
    g = ((q + 1) * a1 - (q + 4) * a2) / ((q + 2) * a2)
    denominator = 3.0 * q + 2.0 * (1.0 - g)
    v0 = 1.0 + g / denominator * b
    v1 = 1.0 - (q - g) / denominator * b
    v2 = 1.0 - (q + 2 - g) / denominator * b
    shrunk = 1.0 - a2 / q
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = 1.0 if max(abs(shrunk), abs(v1)) < 1e-14 else shrunk / v1
        rho = ratio**2 * (v0 if abs(v0) >= 1e-10 else 0.0) / (v2 * q)
        df = 4.0 + (q + 2) / (q * rho - 1.0)
        scale = df * shrunk / (df - 2.0) if df > 2.01 else 1.0
    if not df > 0.0:
        return np.nan, np.nan
    return float(df), float(scale)


def _combined(root, changes):
    """Changes along the columns of a root, shape (..., r, k, k)."""
    *batch, m, k, _ = changes.shape
    return (transpose(root) @ changes.reshape(*batch, m, k * k)).reshape(
        *root.shape[:-2], root.shape[-1], k, k
    )


def inverse_root(information):
    """
    A root B of the inverse B B', 0 for directions without information.

    Parameters
    ----------
    information : ndarray
        Symmetric, shape (..., m, m).

    Returns
    -------
    ndarray
        Shape (..., m, m).
    """
    diagonal = np.diagonal(information, axis1=-2, axis2=-1)
    largest = diagonal.max(axis=-1, initial=0.0)[..., None]
    size = np.sqrt(np.maximum(diagonal, NO_INFORMATION * largest))
    size = np.where(largest > 0.0, size, 1.0)
    scaled = information / size[..., :, None] / size[..., None, :]
    values, vectors = np.linalg.eigh(scaled)
    used = (values > NO_INFORMATION * values[..., -1:]) & (largest > 0.0)
    roots = used / np.sqrt(np.where(used, values, 1.0))
    return vectors * roots[..., None, :] / size[..., :, None]
