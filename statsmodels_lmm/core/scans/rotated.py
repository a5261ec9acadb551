"""
Scans of a model in whose coordinates V is diagonal.

With coordinates in place of rows, the forms of all candidates C at all nodes of a
window of ratios are two products of matrices,

    c'V^-1 c = sum_i c_i^2 w_ij,    c'V^-1 [X y] = sum_i c_i (w_ij [X y]_i),

with w_ij = 1 / (1 + r_j d_i). A row that is left out has a fixed effect of its own, e:
log |V| + log |e'V^-1 e| is then log |V| of the other rows.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from statsmodels_lmm.core.scans.base import ScanModel
from statsmodels_lmm.core.scans.estimates import NOT_FOUND
from statsmodels_lmm.core.scans.forms import Forms
from statsmodels_lmm.core.scans.rotation import Rotation, rotation_of
from statsmodels_lmm.core.scans.windows import Windows, lowest, weights

ROUNDS = 100
"""Largest number of windows in which a candidate is sought."""

UNBOUNDED = 1e8
"""Ratio above which the criterion changes no more, up to rounding."""

UNINFORMATIVE = 1e-10
"""Share of the levels' variance outside the span of X that is mere rounding."""


@dataclass(frozen=True, eq=False, kw_only=True)
class RotatedModel(ScanModel):
    """
    A model with one variance ratio, in coordinates in which V is diagonal.

    Parameters
    ----------
    exog, endog, reml, without
        See `ScanModel`.
    rotation : Rotation
        The coordinates.
    ratio : float, optional
        The ratio at which variances are held. Default is the best without candidates.
    is_known : bool, optional
        Whether the ratio is zero, because X accounts for all levels.
    """

    rotation: Rotation
    ratio: float | None = None
    is_known: bool = False
    _bases: dict = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, data, reml):
        """
        The model of standardized data with a term that `can_rotate`.

        Parameters
        ----------
        data : Standardized
            The data.
        reml : bool
            Whether the criterion is REML's.

        Returns
        -------
        RotatedModel
        """
        rotation, n = rotation_of(data.terms[0]), len(data.endog)
        inside = (rotation.times(data.exog) ** 2).sum(axis=1) / n
        left = rotation.values @ (1.0 - inside) / rotation.values.sum()
        return cls(
            exog=data.exog,
            endog=data.endog,
            reml=reml,
            rotation=rotation,
            is_known=bool(left <= UNINFORMATIVE),
        )

    def left_out(self, rows):
        """The model without some of its rows, see `ScanModel`."""
        return replace(super().left_out(rows), ratio=self.held_ratio)

    @cached_property
    def _coordinates(self):
        """Coordinates of the rows left out, X and y."""
        columns = np.column_stack([self._unit_columns(), self.exog, self.endog])
        return self.rotation.times(columns)

    def _base(self, ratios):
        """Weights, weighted columns, their root and determinants at ratios."""
        columns, values = self._coordinates, self.rotation.values
        scaled = 1.0 + np.outer(values, ratios)
        inverse = 1.0 / scaled
        weighted = inverse[:, :, None] * columns[:, None, :]
        gram = np.einsum("ia,ijb->jab", columns, weighted, optimize=True)
        root = np.linalg.cholesky(gram)
        diagonal = 2.0 * np.log(np.diagonal(root, axis1=1, axis2=2))
        lost = len(self.without)
        used = lost + self.k_fixed if self.reml else lost
        logdet = np.log(scaled).sum(axis=0) + diagonal[:, :used].sum(axis=1)
        return inverse, weighted.reshape(len(columns), -1), root, logdet

    def _base_of(self, window):
        if window not in self._bases:
            self._bases[window] = self._base(window.nodes)
        return self._bases[window]

    @staticmethod
    def _forms(base, coordinates):
        """Forms of candidates, one column each, from their coordinates (l, r)."""
        inverse, weighted, root, logdet = base
        own = (coordinates**2).T @ inverse
        cross = (coordinates.T @ weighted).reshape(*own.shape, root.shape[-1])
        return Forms.of(own[..., None, None], cross[:, :, None, :], root, logdet)

    @staticmethod
    def _forms_of_set(base, coordinates):
        """Forms of one set of columns, from their coordinates (l, q)."""
        inverse, weighted, root, logdet = base
        spread = inverse[:, :, None] * coordinates[:, None, :]
        own = np.tensordot(coordinates, spread, axes=(0, 0)).swapaxes(0, 1)
        cross = (coordinates.T @ weighted).reshape(
            coordinates.shape[1], len(logdet), -1
        )
        return Forms.of(own[None], cross.swapaxes(0, 1)[None], root, logdet)

    # the model without candidates ----------------------------------------------

    @cached_property
    def best_ratio(self):
        """The best ratio without candidates."""
        if self.is_known:
            return 0.0
        windows, before = Windows.around(1.0, float(self.rotation.values.max())), None
        place = windows.first
        for _ in range(ROUNDS):
            _, _, root, logdet = self._base_of(windows.each[place])
            value = logdet + 2.0 * self.nu(0) * np.log(root[:, -1, -1])
            x, side = lowest(value[None])
            further = place + int(side[0])
            if not 0 <= further < len(windows.each) or further in (place, before):
                break
            place, before = further, place
        return float(windows.each[place].ratio(x)[0])

    @property
    def held_ratio(self):
        """The ratio at which variances are held."""
        return self.best_ratio if self.ratio is None else self.ratio

    @cached_property
    def windows(self):
        """The windows, with the ratio that may be held at the center of one."""
        return Windows.around(self.held_ratio, float(self.rotation.values.max()))

    def _null(self, is_exact):
        ratio = self.best_ratio if is_exact else self.held_ratio
        _, _, root, logdet = self._base(np.array([ratio]))
        squares = float(root[0, -1, -1] ** 2)
        return float(logdet[0] + self.nu(0) * np.log(squares)), squares

    # candidates ------------------------------------------------------------------

    def _held(self, columns, is_set):
        forms_of = self._forms_of_set if is_set else self._forms
        base = self._base(np.array([self.held_ratio]))
        forms = forms_of(base, self.rotation.times(columns))
        df_resid = self.df_resid(columns.shape[1] if is_set else 1)
        return forms.held(self.held_ratio, self.nobs, df_resid, self.reml)

    def _exact(self, columns, is_set):
        """The search, window by window, for all candidates side by side."""
        if self.is_known:
            return self._held(columns, is_set)
        coordinates, each = self.rotation.times(columns), self.windows.each
        count, width = (1, columns.shape[1]) if is_set else (columns.shape[1], 1)
        forms_of = self._forms_of_set if is_set else self._forms
        place, before = np.full(count, self.windows.first), np.full(count, -1)
        todo, out = np.arange(count), self.nothing(width, np.zeros(count))
        for _ in range(ROUNDS):
            further = []
            for at in np.unique(place[todo]):
                which = todo[place[todo] == at]
                some = coordinates if len(which) == count else coordinates[:, which]
                found, side = self._within(each[at], forms_of, some, width)
                out.put(which, found)
                target = at + side
                goes_on = (side != 0) & (target >= 0) & (target < len(each))
                goes_on &= target != before[which]
                before[which[goes_on]] = at
                place[which[goes_on]] = target[goes_on]
                further.append(which[goes_on])
            todo = np.concatenate(further)
            if not len(todo):
                break
        out.reason[todo] = NOT_FOUND
        return out

    def _within(self, window, forms_of, coordinates, width):
        """Estimates at the lowest points of a window, and where it is left."""
        forms = forms_of(self._base_of(window), coordinates)
        values = forms.criterion(self.nu(width), self.reml)
        x, side = lowest(values)
        nodes = weights(x)
        out = forms.estimates(nodes, window.ratio(x), self.nobs, self.df_resid(width))
        out.value[:] = (nodes * values).sum(axis=1)
        if width == 1:
            out.spread[:] = _spread(forms, values, x)
        return out, np.where(forms.is_spanned, 0, side)


def _spread(forms, values, x):
    """
    Variance of log(sigma^2 / S) due to the ratio, of single candidates.

    With r^2 and S as functions of x, sigma^2 following x, it is
    2 (d log(r^2 / S) / dx)^2 / (second derivative of the criterion).
    """
    logs = np.log(forms.left()) - np.log(forms.information[..., 0, 0])
    slope = (weights(x, 1) * logs).sum(axis=1)
    curvature = (weights(x, 2) * values).sum(axis=1)
    is_inside = (np.abs(x) < 1.0) & (curvature > 0.0)
    return np.where(
        is_inside, 2.0 * slope**2 / np.where(is_inside, curvature, 1.0), 0.0
    )
