"""Terms of the fixed effects and hypotheses about them."""

from dataclasses import dataclass
from functools import reduce

import numpy as np
import pandas as pd

from statsmodels_lmm.core.rows.standardize import RANK_TOLERANCE, independent_columns
from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.formula.artificial_rows import artificial_rows, row_products
from statsmodels_lmm.formula.backend import (
    categorical_factors,
    design_matrices,
    term_columns,
)
from statsmodels_lmm.formula.pieces import term_key
from statsmodels_lmm.formula.plain_names import plain_names
from statsmodels_lmm.formula.random_terms import term_names
from statsmodels_lmm.formula.tokens import written
from statsmodels_lmm.inference.requirements import as_fit, names_lost, require_sums

TYPES = {"I": 1, "II": 2, "III": 3}


@dataclass(frozen=True)
class FixedTerm:
    """
    One term of the fixed effects.

    Parameters
    ----------
    name : str
        Name of the term, such as "recipe:temp (C)".
    text : str
        The term as in a formula, such as "recipe:Q('temp (C)')".
    columns : tuple of int
        Columns in the fixed-effects design.
    categorical : frozenset of str
        Categorical factors of the term, as in a formula.
    numeric : frozenset of str
        Numeric factors of the term, as in a formula.
    """

    name: str
    text: str
    columns: tuple
    categorical: frozenset = frozenset()
    numeric: frozenset = frozenset()

    @property
    def factors(self):
        """Names of all factors of the term; none for the constant."""
        return self.categorical | self.numeric

    @property
    def is_constant(self):
        """Whether this is the constant."""
        return not self.factors

    def contains(self, other):
        """
        Whether another term is contained in this one, as defined by SAS.

        Parameters
        ----------
        other : FixedTerm
            The other term.

        Returns
        -------
        bool
            True if both have the same numeric factors, and this one has all
            categorical factors of the other and at least one more.
        """
        return self.numeric == other.numeric and self.categorical > other.categorical


def fixed_terms(results):
    """
    Terms of the fixed effects, in the order of the formula.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.

    Returns
    -------
    tuple of FixedTerm
        The terms, including the constant. Terms of fewer factors come first, as in R,
        even where the formula engine orders the columns differently. Without a
        formula every column is a term.
    """
    model = as_fit(results).model
    if not has_formula(model):
        constant = model.data.const_idx
        return tuple(
            FixedTerm(
                name, name, (j,), numeric=frozenset(() if j == constant else (name,))
            )
            for j, name in enumerate(model.exog_names)
        )
    spec, engine = model.data.model_spec, model.data.engine
    if spec is None:
        raise names_lost(model)
    coded = set(categorical_factors(spec, engine))
    frame = model.data.frame
    coded |= {written(c) for c in frame if pd.api.types.is_bool_dtype(frame[c])}
    found = term_columns(spec, engine)
    names = plain_names([text for text, _, _ in found])
    terms = []
    for name, (text, columns, factors) in zip(names, found):
        categorical = coded.intersection(factors)
        numeric = set(factors) - categorical
        inside = tuple(range(columns.start, columns.stop))
        terms.append(
            FixedTerm(name, text, inside, frozenset(categorical), frozenset(numeric))
        )
    return tuple(sorted(terms, key=_as_written(model._parsed.fixed)))


def _as_written(text):
    """A sorting key for terms, by position in the formula."""
    try:
        names = term_names(text)
    except FormulaError:  # text that only one of the engines can read
        names = []
    places = {term_key(name): position for position, name in enumerate(names)}

    def key(term):
        place = places.get(term_key(term.text), len(places))
        return not term.is_constant, len(term.factors), place

    return key


def has_formula(model):
    """Whether a model was built from a formula."""
    return getattr(model, "_parsed", None) is not None


def anova_type(value):
    """The type of an analysis of variance as a number; the type may be "I" for 1."""
    kind = TYPES.get(value, value) if isinstance(value, str) else value
    if kind not in (1, 2, 3):
        raise ValueError(f"type must be 1, 2, 3, 'I', 'II' or 'III', not {value!r}")
    return int(kind)


def hypotheses(results, type=3):
    r"""
    Hypothesis matrices for the terms of the fixed effects.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    type : {1, 2, 3, "I", "II", "III"}, optional
        Type of hypotheses; see the notes.

    Returns
    -------
    dict
        L by name for each term except the constant, shape (q, p), in the units of the
        coefficients and zero for dropped columns. The hypothesis of a term is
        :math:`L \beta = 0`; q is 0 if nothing about it can be estimated.

    Raises
    ------
    DataError
        If the data of the model have been removed.

    Notes
    -----
    The rows of L span those of :math:`A' X` for orthonormal directions A, of dimension
    n, in the span of X:

    - Type 1, sequential: the directions that the term adds to the terms before it.
    - Type 2: those that it adds to all terms that do not contain it.
    - Type 3: write :math:`X \beta = \tilde X \gamma` with one indicator for every
      level and combination of levels. Of the directions orthogonal to all terms but
      T and those that contain it, A has those whose functions
      :math:`A' \tilde X \gamma` are orthogonal, as coefficients of gamma, to the
      functions that involve only terms that contain T (Goodnight 1978).

    The hypotheses depend on the span of the columns of a term, not on the contrasts
    that code it, and also apply with empty cells. A term without any remaining columns
    counts as absent. As in lmerTest, orthogonality ignores weights and random effects.
    In a generalized model, whose rows differ in how much they tell, orthogonality is
    that of the information about the coefficients, as in R's package car; infinite
    coefficients have none, and then rows count alike.

    References
    ----------
    Goodnight, J. H. (1978). Tests of hypotheses in fixed effects linear models. SAS
    Technical Report R-101.
    """
    kind = anova_type(type)
    results = as_fit(results)
    require_sums(results.model, "a hypothesis")
    kept = np.isfinite(results.params)
    every = fixed_terms(results)
    terms = tuple(t for t in every if kept[list(t.columns)].any())
    x = results.model.spanning
    covariance = results._estimates.fixed_covariance[np.ix_(kept, kept)]
    if kind < 3 and not results._is_gaussian and np.isfinite(covariance).all():
        # R with R'R the information
        x = np.zeros((len(covariance), len(kept)))
        x[:, kept] = np.linalg.inv(np.linalg.cholesky(covariance))
    elif any(t.is_constant for t in terms):
        # every hypothesis is orthogonal to the constant; a large mean would mask this
        constants = [t.columns[0] for t in terms if t.is_constant]
        x = _centered(results.model, constants)
    basis, _ = np.linalg.qr(_unit_columns(x[:, kept]))
    back = basis.T @ x * kept
    if kind == 3:
        find = _marginal(results, x, terms, basis)
    else:
        find = _added(x, terms, basis)
    by_term = {t.name: np.zeros((0, len(kept))) for t in every if not t.is_constant}
    alone = sum(not t.is_constant for t in terms) == 1
    for position, term in enumerate(terms):
        if term.is_constant:
            continue
        if kind == 1:
            others = [other.name for other in terms[:position]]
        else:
            others = [o.name for o in terms if o != term and not o.contains(term)]
        containing = [o.name for o in terms if o.contains(term)]
        rows = find(term.name, others, containing) @ back
        columns = [column for column in term.columns if kept[column]]
        triangular = kind == 1 or alone or (kind == 2 and bool(containing))
        by_term[term.name] = _canonical_rows(rows, columns, triangular)
    return by_term


def _canonical_rows(rows, columns, triangular):
    """
    Combine the rows of a hypothesis so that they refer to single coefficients.

    All combinations state the same hypothesis and give the same F, but Satterthwaite's
    degrees of freedom for several rows depend on the choice. The choice is lmerTest's:
    each row is 1 in a column of the term and 0 in the columns before it; it is also 0
    in those after it, unless triangular, as for type 1, for contained terms in type 2
    and for a term that stands alone.
    """
    if not len(rows):
        return rows
    pivots = [columns[i] for i in independent_columns(rows[:, columns])]
    if len(pivots) < len(rows):
        return rows
    block = rows[:, pivots]
    if triangular:
        basis, triangle = np.linalg.qr(block)
        return basis.T @ rows / np.diag(triangle)[:, None]
    return np.linalg.solve(block, rows)


def _centered(model, constants):
    """The columns of X minus their means, except for constants."""
    rows = model.standing_rows
    ones, x = rows[:, 0], rows[:, 1:]
    means = ones @ x / (ones @ ones)
    means[constants] = 0.0
    return x - np.outer(ones, means)


def _added(x, terms, basis):
    """A function for the directions that a term adds to others."""
    spans = {t.name: basis.T @ _unit_columns(x[:, list(t.columns)]) for t in terms}

    def find(term, others, containing):
        before = _range(_stack(spans, others, len(basis.T)))
        added = spans[term] - before @ (before.T @ spans[term])
        return _range(added, np.linalg.norm(spans[term], axis=0).max(initial=0.0)).T

    return find


def _marginal(results, x, terms, basis):
    """A function for the directions of a hypothesis of type 3."""
    spans = _full_codings(results, x, terms, basis)
    coefficients = _stack(spans, [t.name for t in terms], len(basis.T))

    def find(term, others, containing):
        mine = _complement(_stack(spans, others, len(basis.T)))
        theirs = _complement(_stack(spans, [*others, term], len(basis.T)))
        if not theirs.shape[1]:
            return mine.T
        functions, contained = mine.T @ coefficients, theirs.T @ coefficients
        # combinations of own directions, orthogonal to the terms that contain this one
        return _complement(functions @ contained.T).T @ mine.T

    return find


def _full_codings(results, x, terms, basis):
    """
    Columns of each term with an indicator for every level, in a basis of X.

    A term whose contrasts span less than the indicators keeps its own columns.
    """
    model = results.model
    factors: dict = {}
    change = None
    if has_formula(model) and model.summed is not None:
        artificial = artificial_rows(model.data.model_spec)
        factors, change = artificial.factors, np.linalg.pinv(artificial.design)
    elif has_formula(model):
        factors = {
            name: _factor_columns(model.data, name, name in term.categorical)
            for term in terms
            if term.categorical
            for name in term.factors
        }
    spans = {}
    for term in terms:
        spanned = _unit_columns(x[:, list(term.columns)])
        full = spanned
        if factors and term.categorical:
            parts = [factors[name] for name in sorted(term.factors)]
            full = reduce(row_products, parts)
        if full is not spanned and change is not None:
            own = change @ full
            left = np.linalg.norm(full - artificial.design @ own)
            known = left <= RANK_TOLERANCE * np.linalg.norm(full)
            full = model.spanning @ own if known else spanned
        inside = basis.T @ full
        lost = np.linalg.norm(full) ** 2 - np.linalg.norm(inside) ** 2
        if lost > RANK_TOLERANCE * np.linalg.norm(full) ** 2:
            inside = basis.T @ spanned
        spans[term.name] = inside
    return spans


def _factor_columns(data, name, is_categorical):
    """Indicators of the levels of a factor, or its columns if numeric."""
    columns = design_matrices(f"0 + {name}", data.frame, data.scope, data.engine)[1]
    values = columns.to_numpy(float)
    if not is_categorical:
        return _unit_columns(values) * np.sqrt(len(values))
    # without a constant the rows of any coding distinguish all levels
    levels, codes = np.unique(values, axis=0, return_inverse=True)
    return np.eye(len(levels))[codes.ravel()]


def _unit_columns(columns):
    norms = np.linalg.norm(columns, axis=0)
    return columns / np.where(norms > 0, norms, 1.0)


def _stack(spans, names, n_rows):
    return np.hstack([np.zeros((n_rows, 0)), *(spans[name] for name in names)])


def _range(columns, scale=None):
    """Orthonormal basis of the span of columns."""
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, : _numerical_rank(values, scale)]


def _complement(columns):
    """Orthonormal basis of the orthogonal complement of columns."""
    left, values, _ = np.linalg.svd(_unit_columns(columns), full_matrices=True)
    return left[:, _numerical_rank(values) :]


def _numerical_rank(values, scale=None):
    scale = values.max(initial=0.0) if scale is None else scale
    return int((values > RANK_TOLERANCE * scale).sum())
