"""Where MixedLM's parameters are in a model, and its packed vector."""

from dataclasses import dataclass

import numpy as np
from statsmodels.regression.mixed_linear_model import MixedLMParams

from statsmodels_lmm.core.covariance import lower_root
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.parser import parse


@dataclass(frozen=True)
class Layout:
    """
    Where MixedLM's random effects are.

    Parameters
    ----------
    group : str
        What MixedLM calls the outermost grouping factor.
    effects : tuple of int or None
        Positions of the factor and of the covariance block of the correlated effects.
    components : dict
        For each variance component, sorted by name, the same.
    n_independent : int, optional
        Number of effects that take one block each, from that of `effects` on.
    """

    group: str
    effects: tuple | None
    components: dict
    n_independent: int = 0

    def with_independent(self, size):
        """The layout with each correlated effect in a block of its own."""
        factor, block = self.effects
        moved = {
            name: (i, j + size - 1 if i == factor and j > block else j)
            for name, (i, j) in self.components.items()
        }
        return Layout(self.group, self.effects, moved, size)

    def effect_names(self, model):
        """Names of the correlated effects; the intercept goes by the group."""
        if self.effects is None:
            return []
        factor, blocks = self._effect_blocks()
        names = [n for b in blocks for n in model.random[factor].block_names[b]]
        return [n.replace("Intercept", self.group) for n in names]

    def _effect_blocks(self):
        factor, block = self.effects
        return factor, range(block, block + max(1, self.n_independent))

    def columns(self, model):
        """Columns of the correlated effects within their factor."""
        factor, blocks = self._effect_blocks()
        slices = model.random[factor].grouped.block_slices
        return slice(slices[blocks[0]].start, slices[blocks[-1]].stop)

    def covariance_names(self, model):
        """Names of the variances and covariances of these, row by row."""
        names, out = self.effect_names(model), []
        for i, name in enumerate(names):
            out += [f"{names[j]} x {name} Cov" for j in range(i)] + [f"{name} Var"]
        return out

    def variance_names(self, model):
        """Names of all variance parameters."""
        return self.covariance_names(model) + [f"{c} Var" for c in self.components]

    def parameters(self, model, params, relative):
        """
        The parameters as MixedLM holds them.

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
        covariance = np.zeros((0, 0))
        if self.effects is not None:
            own = self.columns(model)
            covariance = relative[self.effects[0]][own, own]
        variances = [
            self._block(model, relative, at)[0, 0] for at in self.components.values()
        ]
        return MixedLMParams.from_components(
            fe_params=np.asarray(params),
            cov_re=covariance,
            vcomp=np.array(variances, dtype=float),
        )

    @staticmethod
    def _block(model, relative, at):
        factor, block = at
        own = model.random[factor].grouped.block_slices[block]
        return relative[factor][own, own]

    def theta(self, model, parameters):
        """
        Our parameters from MixedLM's.

        Parameters
        ----------
        model : MixedLM
            The model.
        parameters : MixedLMParams
            Its variances are relative to the residual variance.

        Returns
        -------
        ndarray
            In the order of ``result.theta``.
        """
        components = dict(zip(self.components.values(), parameters.vcomp))
        covariance = np.asarray(parameters.cov_re, dtype=float)
        factor, effects = self._effect_blocks() if self.effects else (None, ())
        theta: list = []
        for i, each in enumerate(model.random):
            for j, (_, names, _) in enumerate(each.blocks):
                if i == factor and j in effects:
                    at = j - effects[0]
                    part = covariance
                    if self.n_independent:
                        part = covariance[at : at + 1, at : at + 1]
                    root = lower_root(part)
                    column, row = np.triu_indices(len(names))
                    theta += root[row, column].tolist()
                elif (i, j) in components:
                    theta.append(np.sqrt(max(float(components[i, j]), 0.0)))
                else:
                    raise DataError(
                        f"the random effects by {each.name} are not MixedLM's"
                    )
        return np.array(theta)

    def read(self, model, values, use_sqrt):
        """
        MixedLM's parameters from a packed vector, with or without fixed effects.

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
            If the vector has another length.
        """
        if isinstance(values, MixedLMParams):
            return values
        values = np.asarray(values, dtype=float)
        k_fe, k_re = model.k_fe, model.k_re
        for has_fe in (True, False):
            if len(values) == has_fe * k_fe + model.k_re2 + model.k_vc:
                return MixedLMParams.from_packed(values, k_fe, k_re, use_sqrt, has_fe)
        raise ValueError(
            f"invalid start_params: {len(values)} numbers for {k_fe} fixed effects and "
            f"{model.k_re2 + model.k_vc} variance parameters"
        )


def layout_of_arrays(model, has_effects):
    """
    The layout of a model from `components.group_term`.

    Parameters
    ----------
    model : CrossedMixedLM
        The model; it has one factor.
    has_effects : bool
        Whether its first block is that of correlated effects.

    Returns
    -------
    Layout
    """
    (effects,) = model.random
    names = [n[0].split("[")[0] for n in effects.block_names]
    start = int(has_effects)
    components = {n: (0, start + j) for j, n in enumerate(names[start:])}
    return Layout("Group", (0, 0) if has_effects else None, components)


def layout_of_terms(model, group, terms):
    """
    The layout of a model from a formula.

    Parameters
    ----------
    model : CrossedMixedLM
        The model.
    group : str
        What MixedLM calls the grouping factor.
    terms : sequence of MixedTerm
        The terms that its arguments became.

    Returns
    -------
    Layout
    """
    places = {}
    for i, effects in enumerate(model.random):
        block = 0
        for term, size in effects.terms:
            places[term] = i, block
            block += size if term.structure == "diag" and not term.hom else 1
    effects, components = None, {}
    for each in terms:
        (term,) = parse(f"y ~ {each.text}").random
        if each.component is None:
            effects = effects or places[term]
        else:
            components[each.component] = places[term]
    return Layout(group, effects, components)
