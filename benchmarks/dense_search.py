"""
A dense criterion and a search for its lowest optimum.

It is independent of the package: the criterion comes from a QR decomposition of the
penalized least-squares problem, its gradient from that of the triangular factor, and
BFGS minimizes it from many random starts simultaneously.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Block:
    """
    The relative covariance S = L L' of correlated effects, by parameters.

    Any real numbers are allowed, and every S can be reached, including singular ones.

    Parameters
    ----------
    k : int
        Number of effects.
    form : {"us", "diag", "cs", "ar1"}
        "us": the lower triangle of L, column by column. Otherwise one or k deviations
        and, for "cs" and "ar1", an angle.
    hom : bool
        Whether there is a single deviation.
    """

    k: int
    form: str = "us"
    hom: bool = False

    @property
    def deviations(self):
        """Number of deviations."""
        return 1 if self.hom else self.k

    @property
    def size(self):
        """Number of parameters."""
        if self.form == "us":
            return self.k * (self.k + 1) // 2
        return self.deviations + (self.form != "diag")

    @property
    def triangle(self):
        """Rows and columns of the lower triangle, column by column."""
        columns, rows = np.triu_indices(self.k)
        return rows, columns

    def correlation_root(self, angle):
        """A root of the correlation matrices and its derivatives in the angles."""
        k, shape = self.k, (len(angle), self.k, self.k)
        sine, cosine = np.sin(angle)[:, None, None], np.cos(angle)[:, None, None]
        if self.form == "diag":
            return np.broadcast_to(np.eye(k), shape), np.zeros(shape)
        if self.form == "cs":
            # 1 - rho and 1 + (k - 1) rho are the squares of these
            mean, rest = np.full((k, k), 1.0 / k), np.eye(k) - 1.0 / k
            low, high = np.sqrt(k / (k - 1.0)), np.sqrt(k)
            root = low * cosine * rest + high * sine * mean
            return root, -low * sine * rest + high * cosine * mean
        # rho is the sine; later columns carry each place's innovation, the cosine
        lag = np.subtract.outer(np.arange(k), np.arange(k))
        lag, below = np.maximum(lag, 0), lag >= 0
        later = below & (np.arange(k) > 0)
        first = below & ~later
        power = sine**lag
        slope = lag * sine ** np.maximum(lag - 1, 0) * cosine
        root = first * power + later * cosine * power
        return root, first * slope + later * (cosine * slope - sine * power)

    def root(self, values):
        """L, shape (starts, k, k), and its derivatives, (starts, size, k, k)."""
        count, k = len(values), self.k
        slopes = np.zeros((count, self.size, k, k))
        if self.form == "us":
            rows, columns = self.triangle
            root = np.zeros((count, k, k))
            root[:, rows, columns] = values
            slopes[:, np.arange(self.size), rows, columns] = 1.0
            return root, slopes
        m = self.deviations
        which = np.ones((1, k)) if self.hom else np.eye(k)
        # deviations are absolute values, as signs would change correlations
        sd = (np.abs(values[:, :m]) @ which)[:, :, None]
        angle = values[:, m] if self.size > m else np.zeros(count)
        inner, turned = self.correlation_root(angle)
        sign = np.where(values[:, :m] < 0.0, -1.0, 1.0)[:, :, None, None]
        slopes[:, :m] = sign * which[None, :, :, None] * inner[:, None]
        slopes[:, m:] = (sd * turned)[:, None][:, : self.size - m]
        return sd * inner, slopes

    def from_theta(self, theta):
        """The parameters of this block from deviations over sigma and rho."""
        theta = np.array(theta, dtype=float)
        if self.form in ("us", "diag"):
            return theta
        rho, k = theta[-1], self.k
        if self.form == "cs":
            sine = np.sqrt(max(0.0, 1.0 + (k - 1) * rho) / k)
            cosine = np.sqrt(max(0.0, 1.0 - rho) * (k - 1.0) / k)
            theta[-1] = np.arctan2(sine, cosine)
        else:
            theta[-1] = np.arcsin(np.clip(rho, -1.0, 1.0))
        return theta

    def random(self, rng, count):
        """Random parameters, with deviations over many orders of magnitude."""
        m = self.k if self.form == "us" else self.deviations
        high = np.where(rng.random((count, m)) < 0.1, 3.0, 2.0)
        sd = 10.0 ** rng.uniform(-2.0, high)
        if self.form == "us":
            rows, columns = self.triangle
            root = np.tril(rng.standard_normal((count, m, m)))
            root *= (sd / np.linalg.norm(root, axis=2))[:, :, None]
            return root[:, rows, columns]
        if self.form == "diag":
            return sd
        low = 0.0 if self.form == "cs" else -0.5 * np.pi
        return np.column_stack([sd, rng.uniform(low, 0.5 * np.pi, count)])


class DenseCriterion:
    """
    Profiled deviance or REML criterion of one data set.

    With weights in the rows, rotating the rows of [Z X y] changes nothing, so all but
    the first q + p + 1 rows of its triangle are zero and left out.

    Parameters
    ----------
    endog, exog : ndarray
        Response and fixed design.
    blocks : sequence of (Block, codes, effects)
        Parameters, level of each row and effect columns.
    weights : ndarray
        Prior weights.
    reml : bool
        Whether to use the REML criterion.
    """

    def __init__(self, endog, exog, blocks, weights, reml):
        self.blocks = [block for block, _, _ in blocks]
        n, p = exog.shape
        parts, self.levels = [], []
        for block, codes, effects in blocks:
            count = codes.max() + 1
            z = np.zeros((n, count, block.k))
            z[np.arange(n), codes] = effects
            parts.append(z.reshape(n, -1))
            self.levels.append(count)
        self.z_width = sum(z.shape[1] for z in parts)
        rows = np.column_stack([*parts, exog, endog]) * np.sqrt(weights)[:, None]
        values = np.linalg.svd(rows[:, :-1], compute_uv=False)
        self.saturated = (values > values[0] * n * 1e-13).sum() == n
        fixed = np.linalg.qr(rows[:, self.z_width :], mode="r")
        self.least_squares = fixed[-1, -1] ** 2 / n
        rows = np.linalg.qr(rows, mode="r")
        self.rows, ends = rows, np.cumsum([0] + [z.shape[1] for z in parts])
        self.z = [
            rows[:, a:b].reshape(len(rows), count, block.k)
            for a, b, count, block in zip(ends, ends[1:], self.levels, self.blocks)
        ]
        self.slices = [slice(a, b) for a, b in zip(ends, ends[1:])]
        self.reml, self.nu = reml, n - p if reml else n
        self.shift = -np.log(weights).sum()
        self.size = sum(b.size for b in self.blocks)
        self.nobs = n

    def split(self, values):
        """Parameters of each block."""
        ends = np.cumsum([b.size for b in self.blocks])[:-1]
        return np.split(values, ends, axis=-1)

    def share(self, rss):
        """Residual variance over that of the least-squares fit."""
        return rss / self.nu / self.least_squares

    def at_theta(self, theta):
        """The criterion and the residual variance's share at the theta of a fit."""
        parts = zip(self.blocks, self.split(np.asarray(theta)))
        point = np.concatenate([b.from_theta(t) for b, t in parts])
        value, _, rss = self(point[None])
        return float(value[0]), float(self.share(rss[0]))

    def __call__(self, values):
        """
        The criterion and its gradient.

        Parameters
        ----------
        values : ndarray
            Parameters of several points, shape (points, size).

        Returns
        -------
        value, gradient, rss : ndarray
        """
        count, q, (r, width) = len(values), self.z_width, self.rows.shape
        roots = [b.root(v) for b, v in zip(self.blocks, self.split(values))]
        whole = np.zeros((count, r + q, width))
        whole[:, :r, q:] = self.rows[:, q:]
        whole[:, r:, :q] = np.eye(q)
        for z, part, (root, _) in zip(self.z, self.slices, roots):
            whole[:, :r, part] = (z @ root[:, None]).reshape(count, r, -1)
        # the triangle of [ZL X y; I 0 0] holds everything
        triangle = np.linalg.qr(whole, mode="r")
        logs = 2.0 * np.log(np.abs(np.diagonal(triangle, axis1=1, axis2=2)))
        rss = triangle[:, -1, -1] ** 2
        kept = width - 1 if self.reml else q
        value = logs[:, :kept].sum(axis=1) + self.shift
        value += self.nu * (1.0 + np.log(2.0 * np.pi * rss / self.nu))

        inverse = np.linalg.inv(triangle[:, :-1, :-1])
        solution = inverse @ triangle[:, :-1, -1:]
        errors = whole[:, :r, -1:] - whole[:, :r, :-1] @ solution
        own = inverse if self.reml else inverse[:, :q, :q]
        slope = whole[:, :r, :kept] @ (own @ own[:, :q].swapaxes(1, 2))
        factor = (self.nu / rss)[:, None, None]
        slope = slope - factor * errors * solution[:, None, :q, 0]
        gradient = []
        for z, part, (_, slopes) in zip(self.z, self.slices, roots):
            k = z.shape[2]
            by_level = slope[:, :, part].reshape(count, -1, k)
            dual = 2.0 * z.reshape(-1, k).T @ by_level
            gradient.append(np.einsum("bij,bmij->bm", dual, slopes))
        return value, np.concatenate(gradient, axis=1), rss


def descend(criterion, start, maxiter=300, tol=1e-9):
    """
    Descend from several points at once by BFGS.

    Parameters
    ----------
    criterion : callable
        Gives values and gradients of points, shape (points, size).
    start : ndarray
        Starting points, shape (points, size).
    maxiter : int, optional
        Largest number of steps.
    tol : float, optional
        A point stops when a step promises less.

    Returns
    -------
    points, values, rss : ndarray
    """
    x = start.copy()
    value, slope, rss = criterion(x)
    scale, inverse = np.zeros(x.shape), np.zeros((*x.shape, x.shape[1]))
    fresh = np.zeros(len(x), dtype=bool)
    stuck, renewals = fresh.copy(), np.zeros(len(x), dtype=int)

    def renew(points):
        scale[points] = np.maximum(np.abs(x[points]), 1e-2)
        inverse[points] = np.eye(x.shape[1]) * scale[points][:, :, None] ** 2
        fresh[points], stuck[points] = True, False
        renewals[points] += 1

    at = np.arange(len(x))
    renew(at)
    for _ in range(maxiter):
        step = -np.einsum("bij,bj->bi", inverse[at], slope[at])
        promised = -(step * slope[at]).sum(axis=1)
        # a point that stops tries once more with a fresh inverse
        idle = stuck[at] | ~(promised > tol)
        renewed = at[idle & (renewals[at] < 2)]
        renew(renewed)
        at, step, promised = at[~idle], step[~idle], promised[~idle]
        if len(at):
            # steps of at most a few scales, shortened until they descend
            length = np.linalg.norm(step / scale[at], axis=1)
            share = np.minimum(1.0, np.where(fresh[at], 0.5, 5.0) / length)
            before, bend = x[at].copy(), slope[at].copy()
            stuck[at] = True
            for _ in range(15):
                on = np.flatnonzero(stuck[at])
                trial = before[on] + share[on, None] * step[on]
                new_value, new_slope, new_rss = criterion(trial)
                good = new_value <= value[at[on]] - 1e-4 * share[on] * promised[on]
                to = at[on[good]]
                x[to], value[to], rss[to] = trial[good], new_value[good], new_rss[good]
                slope[to], stuck[to] = new_slope[good], False
                if good.all():
                    break
                share[on] *= 0.3
            change, bend = x[at] - before, slope[at] - bend
            curved = (change * bend).sum(axis=1)
            sizes = np.linalg.norm(change, axis=1) * np.linalg.norm(bend, axis=1)
            ok = curved > 1e-10 * sizes
            update(inverse, at[ok], change[ok], bend[ok], curved[ok])
            scale[at] = np.maximum(np.abs(x[at]), 1e-2)
            fresh[at] = False
        at = np.concatenate([at, renewed])
        if not len(at):
            break
    return x, value, rss


def update(inverse, at, change, bend, curved):
    """Update the inverse Hessians of points after a step."""
    rho = 1.0 / curved[:, None, None]
    left = np.eye(change.shape[1]) - change[:, :, None] * bend[:, None, :] * rho
    own = left @ inverse[at] @ left.swapaxes(1, 2)
    inverse[at] = own + rho * change[:, :, None] * change[:, None, :]


def lowest(criterion, rng, starts=20):
    """
    The lowest optimum found by descents from random starts.

    Returns
    -------
    dict
        ``best``, the criterion there, ``share`` of the residual variance, and
        ``found``, the share of the starts that end within 1e-4 of it.
    """
    points = [b.random(rng, starts) for b in criterion.blocks]
    x, value, _ = descend(criterion, np.concatenate(points, axis=1))
    best = int(np.argmin(value))
    _, polished, rss = descend(criterion, x[best : best + 1], tol=1e-12)
    return {
        "best": float(polished[0]),
        "share": float(criterion.share(rss[0])),
        "found": float((value < polished[0] + 1e-4).mean()),
    }
