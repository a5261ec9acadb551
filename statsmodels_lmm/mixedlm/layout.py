"""MixedLM's parameters within a model, and its packed vector."""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from statsmodels.regression.mixed_linear_model import MixedLMParams

from statsmodels_lmm.core.algebra.dense import consecutive
from statsmodels_lmm.core.structures.roots import lower_root
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.parser import parse


@dataclass(frozen=True)
class Layout:
    """
    The place of MixedLM's random effects in a model.

    Parameters
    ----------
    group : str
        MixedLM's name for the outermost grouping factor.
    effects : tuple of int or None
        Positions of the factor and of the covariance block of the correlated effects.
    components : dict
        The same positions for each variance component, sorted by name.
    factors : dict, optional
        For each variance component over the levels of a factor within the group, that
        factor as written.
    n_independent : int, optional
        Number of independent effects, one block each, starting at that of `effects`.
    further : dict, optional
        Correlated effects of further grouping factors, by name; MixedLM has none.
    """

    group: str
    effects: tuple | None
    components: dict
    factors: dict = field(default_factory=dict)
    n_independent: int = 0
    further: dict = field(default_factory=dict)

    def with_independent(self, size):
        """The layout with each correlated effect in a block of its own."""
        factor, block = self._place
        moved = {
            name: (i, j + size - 1 if i == factor and j > block else j)
            for name, (i, j) in self.components.items()
        }
        return replace(self, components=moved, n_independent=size)

    @property
    def _place(self) -> tuple:
        return self.effects or (0, 0)

    def effect_names(self, model):
        """Names of the correlated effects; the intercept is named after the group."""
        if self.effects is None:
            return []
        factor, blocks = self._effect_blocks()
        names = [n for b in blocks for n in model.random[factor].block_names[b]]
        return [_by_group(n, self.group) for n in names]

    def _effect_blocks(self):
        factor, block = self._place
        return factor, range(block, block + max(1, self.n_independent))

    def columns(self, model):
        """Columns of the correlated effects within their factor."""
        factor, blocks = self._effect_blocks()
        slices = model.random[factor].grouped.block_slices
        return slice(slices[blocks[0]].start, slices[blocks[-1]].stop)

    def covariance_names(self, model):
        """Names of the variances and covariances of the correlated effects, by row."""
        return _lower_names(self.effect_names(model))

    def variance_names(self, model):
        """Names of all variance parameters."""
        names = self.covariance_names(model) + [f"{c} Var" for c in self.components]
        for group, (factor, block) in self.further.items():
            block_names = model.random[factor].block_names[block]
            names += _lower_names([_by_group(n, group) for n in block_names])
        return names

    def variances(self, parameters):
        """
        Values and standard errors of all variance parameters.

        Parameters
        ----------
        parameters : VarianceEstimates
            The variance parameters of a fit.

        Returns
        -------
        values, errors : ndarray
            In the order of `variance_names`.
        """
        places: list = []
        if self.effects and self.n_independent:
            factor, blocks = self._effect_blocks()
            places += [(factor, b) for b in blocks]
        elif self.effects:
            places.append(self.effects)
        places += [*self.components.values(), *self.further.values()]
        estimates = [parameters.covariances_of(*place) for place in places]
        values, errors = zip(*estimates) if estimates else ((), ())
        if self.n_independent:
            values, errors = (
                _with_zeros(x, self.n_independent) for x in (values, errors)
            )
        nothing = np.zeros(0)
        return np.concatenate([nothing, *values]), np.concatenate([nothing, *errors])

    def parameters(self, model, params, relative):
        """
        MixedLM's representation of the parameters.

        Parameters
        ----------
        model : MixedLM
            The model.
        params : ndarray
            Fixed effects.
        relative : sequence of ndarray
            Relative covariance matrix of each factor.

        Returns
        -------
        MixedLMParams
        """
        if self.further:
            raise DataError(
                "MixedLM's parameters cannot describe several grouping factors; use "
                "variance_components()"
            )
        covariance = np.zeros((0, 0))
        if self.effects is not None:
            columns = self.columns(model)
            covariance = relative[self.effects[0]][columns, columns]
        variances = [
            self._block(model, relative, place)[0, 0]
            for place in self.components.values()
        ]
        return MixedLMParams.from_components(
            fe_params=np.asarray(params),
            cov_re=covariance,
            vcomp=np.array(variances, dtype=float),
        )

    @staticmethod
    def _block(model, relative, place):
        factor, block = place
        columns = model.random[factor].grouped.block_slices[block]
        return relative[factor][columns, columns]

    def theta(self, model, parameters):
        """
        Convert MixedLM's parameters to the relative covariance parameters.

        Parameters
        ----------
        model : MixedLM
            The model.
        parameters : MixedLMParams
            Parameters with variances relative to the residual variance.

        Returns
        -------
        ndarray
            In the order of ``result.theta``.
        """
        components = dict(zip(self.components.values(), parameters.vcomp))
        covariance = np.asarray(parameters.cov_re, dtype=float)
        factor, effects = self._effect_blocks() if self.effects else (-1, range(0))
        theta: list = []
        for i, each in enumerate(model.random):
            for j, (_, names, _) in enumerate(each.blocks):
                if i == factor and j in effects:
                    place = j - effects[0]
                    part = covariance
                    if self.n_independent:
                        part = covariance[place : place + 1, place : place + 1]
                    root = lower_root(part)
                    column, row = np.triu_indices(len(names))
                    theta += root[row, column].tolist()
                elif (i, j) in components:
                    theta.append(np.sqrt(max(float(components[i, j]), 0.0)))
                else:
                    raise DataError(
                        "MixedLM's parameters cannot describe the random effects "
                        f"by {each.name}"
                    )
        return np.array(theta)

    def read(self, model, values, use_sqrt):
        """
        Read MixedLM's parameters from a packed vector, with or without fixed effects.

        Parameters
        ----------
        model : MixedLM
            The model.
        values : MixedLMParams or array_like
            The parameters.
        use_sqrt : bool
            Whether a vector holds square roots of the covariances.

        Returns
        -------
        MixedLMParams

        Raises
        ------
        ValueError
            If the length of the vector does not fit the model.
        """
        if isinstance(values, MixedLMParams):
            return values
        values = np.asarray(values, dtype=float)
        k_fe, k_re = model.k_fe, model.k_re
        for has_fe in (True, False):
            if len(values) == has_fe * k_fe + model.k_re2 + model.k_vc:
                return MixedLMParams.from_packed(values, k_fe, k_re, use_sqrt, has_fe)
        raise ValueError(
            f"invalid start_params: {len(values)} values for {k_fe} fixed effects and "
            f"{model.k_re2 + model.k_vc} variance parameters"
        )


@dataclass(frozen=True)
class FormulaGroups:
    """
    The groups of a formula in MixedLM's terms, before their rows are known.

    Parameters
    ----------
    name : str
        MixedLM's name for the grouping factor.
    terms : tuple of MixedTerm
        The terms into which MixedLM's arguments were translated.
    column : str
        The column of the groups.
    data : DataFrame
        The user's data.
    """

    name: str
    terms: tuple
    column: str
    data: pd.DataFrame

    def of(self, model):
        """
        The places of MixedLM's parameters in the model, and the groups of the rows.

        Parameters
        ----------
        model : CrossedMixedLM
            The model of the formula.

        Returns
        -------
        layout : Layout
            The places of the parameters.
        codes : ndarray
            Group of each row.
        labels : array_like
            The groups.
        """
        layout, frame = layout_of_terms(model, self.name, self.terms), model.data.frame
        if self.column not in frame.columns:  # all rows are one group
            codes = np.zeros(len(frame), dtype=np.intp)
            return layout, codes, self.data[self.column].iloc[:1]
        return layout, *pd.factorize(frame[self.column], sort=True)


def layout_of_arrays(model, names, has_effects):
    """
    The layout of a model from `variance_components.group_term`.

    Parameters
    ----------
    model : CrossedMixedLM
        The model, with one factor.
    names : list of str
        Names of the variance components, sorted.
    has_effects : bool
        Whether the first block holds the correlated effects.

    Returns
    -------
    Layout
    """
    start = int(has_effects)
    components = {n: (0, start + j) for j, n in enumerate(names)}
    return Layout("Group", (0, 0) if has_effects else None, components)


def layout_of_terms(model, group, terms):
    """
    The layout of a model from a formula.

    Parameters
    ----------
    model : CrossedMixedLM
        The model.
    group : str
        MixedLM's name for the grouping factor.
    terms : sequence of MixedTerm
        The terms built from MixedLM's arguments.

    Returns
    -------
    Layout
    """
    places = {}
    for i, each in enumerate(model.random):
        counts = [
            size if term.structure == "diag" and not term.hom else 1
            for term, size in each.terms
        ]
        for (term, _), blocks in zip(each.terms, consecutive(counts)):
            places[term] = i, blocks.start
    effects: tuple | None = None
    components, factors, further = {}, {}, {}
    for named in terms:
        (term,) = parse(f"y ~ {named.text}").random
        if named.component is not None:
            components[named.component] = places[term]
            factors[named.component] = named.factor
        elif effects is None:
            effects = places[term]
        else:
            further[term.group] = places[term]
    return Layout(group, effects, components, factors, further=further)


def _by_group(name, group):
    """The name of an effect; the intercept is named after the group."""
    return name.replace("Intercept", group)


def _lower_names(names):
    """Names of the variances and covariances of some effects, row by row."""
    out: list = []
    for i, name in enumerate(names):
        out += [f"{names[j]} x {name} Cov" for j in range(i)] + [f"{name} Var"]
    return out


def _with_zeros(variances, size):
    """Variances of independent effects as a lower triangle, then the others."""
    matrix = np.diag(np.concatenate(variances[:size]))
    return (matrix[np.tril_indices(size)], *variances[size:])
