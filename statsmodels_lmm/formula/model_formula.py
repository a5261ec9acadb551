"""A parsed formula and its random-effects terms."""

from dataclasses import dataclass
from typing import Any

from statsmodels_lmm.formula.plain_names import in_backticks
from statsmodels_lmm.formula.tokens import Expression, written


@dataclass(frozen=True)
class RandomTerm:
    """
    One random-effects term, ``structure(effects | grouping)``.

    Parameters
    ----------
    effects : str
        Formula of the effect columns, such as "1 + x".
    grouping : tuple of str
        Columns, or each an `Expression`, whose observed combinations are the levels.
    structure : str
        "us" (unstructured), "diag", "cs", "ar1" or a user-defined name.
    effect_terms : frozenset of str
        Names of the terms in `effects`.
    double_bar : bool
        Whether the term is part of an expanded ``(effects || grouping)``.
    hom : bool or None
        Whether all effects have the same variance, None if not specified.
    """

    effects: str
    grouping: tuple
    structure: str
    effect_terms: frozenset
    double_bar: bool = False
    hom: bool | None = None

    @property
    def group(self):
        """Name of the grouping factor, such as "batch:cask"."""
        return ":".join(self.grouping)

    def __str__(self):
        return self.written(":".join(map(written, self.grouping)))

    def written(self, group):
        """The term with its grouping factor written differently."""
        prefix = "" if self.structure == "us" else self.structure
        ending = "" if self.hom is None else f", hom={self.hom}"
        return in_backticks(f"{prefix}({self.effects} | {group}{ending})")


@dataclass(frozen=True)
class ModelFormula:
    """
    A parsed formula of a mixed model.

    Parameters
    ----------
    text : str
        The whole formula as given.
    response : str
        Left-hand side; empty if the formula has none.
    fixed : str
        Fixed part of the right-hand side.
    random : tuple of RandomTerm
        Random-effects terms in the order of the text.
    offsets : tuple of str
        Arguments of ``offset(...)``.
    response_columns : tuple of str
        The columns of the response of a generalized model, each a single factor: one,
        or the successes and failures of a binomial response. Empty in a linear model.
    residual : Residual or None
        The correlations of the errors, with names of columns.
    dispersion : str
        Formula of the logarithms of their standard deviations; empty if equal.
    """

    text: str
    response: str
    fixed: str
    random: tuple
    offsets: tuple
    response_columns: tuple = ()
    residual: Any = None
    dispersion: str = ""

    def __setstate__(self, state):
        """Read pickles, including earlier ones, whose errors were independent."""
        self.__dict__.update({"residual": None, "dispersion": ""} | state)

    @property
    def fixed_formula(self):
        """The formula without its random part."""
        return f"{self.response} ~ {self.fixed}".lstrip()

    @property
    def fixed_pieces(self):
        """The formulas of the fixed effects and offsets."""
        return [self.fixed, *map(offset_formula, self.offsets)]

    @property
    def pieces(self):
        """All formulas to be evaluated."""
        effects = [term.effects for term in self.random]
        response = self.response_columns or [self.response][: bool(self.response)]
        spread = [self.dispersion] if self.dispersion else []
        groups = self.grouping_expressions
        return [*response, *self.fixed_pieces, *effects, *spread, *groups]

    @property
    def grouping_columns(self):
        """Columns used for grouping, each once."""
        return tuple(c for c in self._grouping if not isinstance(c, Expression))

    @property
    def grouping_expressions(self):
        """Expressions used for grouping, each once."""
        return tuple(c for c in self._grouping if isinstance(c, Expression))

    @property
    def _grouping(self):
        columns = [c for t in self.random for c in t.grouping]
        if self.residual is not None:
            columns += [*self.residual.group, *(self.residual.by or ())]
            columns += self.residual.when
        return dict.fromkeys(columns)

    @property
    def by_factor(self):
        """Lists of the random terms of each grouping factor; a:b is the same as b:a."""
        terms: dict = {}
        for term in self.random:
            terms.setdefault(frozenset(term.grouping), []).append(term)
        return list(terms.values())


def offset_formula(expression):
    """The formula whose single column is the offset."""
    return f"0 + I({expression})"
