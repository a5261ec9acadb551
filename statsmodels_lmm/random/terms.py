"""Random effects from arrays: groups and effect columns, or a model matrix."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from statsmodels_lmm.core.algebra.dense import as_array
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.level_covariance import Relationship
from statsmodels_lmm.core.rows.raw_effects import RawEffects
from statsmodels_lmm.core.structures.base import Structure
from statsmodels_lmm.core.structures.by_name import STRUCTURES, covariance_blocks
from statsmodels_lmm.core.structures.checks import check_structure
from statsmodels_lmm.core.structures.function import RelativeFactorFunction
from statsmodels_lmm.display import Brief
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inputs.alignment import aligned, labels_of, row_positions
from statsmodels_lmm.inputs.plain_arrays import group_values, numeric
from statsmodels_lmm.random.random_effects import RandomEffects, group_levels
from statsmodels_lmm.relationship.labeled import check_unique


def random_effects(
    groups: Any,
    effects: Any = None,
    structure: Any = None,
    name: str | None = None,
    names: Any = None,
) -> "GroupTerm":
    """
    Random effects that vary over the levels of a grouping factor.

    Parameters
    ----------
    groups : array_like
        Group of each row, shape (n,).
    effects : array_like, optional
        Effect columns, shape (n, k). Default is a random intercept.
    structure : {"us", "diag", "cs", "ar1"} or Structure, optional
        Covariance of the effects of a level. Default is unstructured.
    name : str, optional
        Name of the factor. Default is that of a Series, or "Group".
    names : sequence of str, optional
        Names of the effects. Default is those of a DataFrame, or z1, z2, ...

    Returns
    -------
    GroupTerm
        An element of ``random=[...]`` of `CrossedMixedLM`.

    Raises
    ------
    DataError
        If the arrays do not fit together.
    """
    name = name or getattr(groups, "name", None) or "Group"
    labels = labels_of(groups)
    groups = group_values(groups, f"groups of {name}")
    columns = getattr(effects, "columns", None)
    if effects is None:
        effects, columns = np.ones(len(groups)), ["Intercept"]
    what = f"the effects by {name}"
    effect_labels = labels_of(effects) if labels is None else None
    effects = numeric(aligned(effects, labels, what), what)
    effects = effects[:, None] if effects.ndim == 1 else effects
    if columns is None:
        columns = [f"z{j + 1}" for j in range(effects.shape[1])]
    if len(effects) != len(groups):
        raise DataError(
            f"the effects by {name} have {len(effects)} rows, the groups {len(groups)}"
        )
    names = _checked_names(columns if names is None else names, effects.shape[1], name)
    parts = ((_structure(structure), names),)
    return GroupTerm(str(name), parts, groups, effects, labels, effect_labels)


def matrix_effects(
    z: Any, structure: Any = None, name: str = "Z", names: Any = None
) -> "MatrixTerm":
    """
    Random effects with a given model matrix.

    Parameters
    ----------
    z : array_like or sparse matrix
        Z, shape (n, q).
    structure : {"cs", "ar1"} or Structure, optional
        Covariance of the q random effects. As there is only one draw of them, it must
        have few parameters. Default is independent effects with a common variance;
        ``relationship={name: K}`` relates the columns.
    name : str, optional
        Name of the random effects.
    names : sequence of str, optional
        Names of the columns. Default is those of a DataFrame, or b1, b2, ...

    Returns
    -------
    MatrixTerm
        An element of ``random=[...]`` of `CrossedMixedLM`.
    """
    given, labels = getattr(z, "columns", None), labels_of(z)
    what = f"the matrix of {name}"
    if sparse.issparse(z):
        z = z.tocsr()
        parts = numeric(z.data, what), z.indices.copy(), z.indptr.copy()
        z = sparse.csr_array(parts, shape=z.shape)
    else:
        z = numeric(z, what)
    if z.ndim != 2 or not z.shape[1]:
        raise DataError(f"the matrix of {name} must have columns, not shape {z.shape}")
    if given is None:
        given = [f"b{j + 1}" for j in range(z.shape[1])]
    columns = pd.Index(given if names is None else names)
    if len(columns) != z.shape[1]:
        raise DataError(f"{len(columns)} names for {z.shape[1]} columns of {name}")
    check_unique(columns, f"column of {name}")
    return MatrixTerm(str(name), columns, _structure(structure), z, labels=labels)


def _checked_names(names, count, name):
    names = tuple(map(str, names))
    if len(names) != count:
        raise DataError(f"{len(names)} names for {count} effects by {name}")
    check_unique(pd.Index(names), f"effect by {name}")
    return names


def _structure(structure):
    """A structure, or the name of one."""
    if structure is None or isinstance(structure, Structure):
        return structure
    if isinstance(structure, str) and structure in STRUCTURES:
        return structure
    raise DataError(
        f"structure must be one of {', '.join(STRUCTURES)} or a Structure, not "
        f"{structure!r}"
    )


@dataclass(frozen=True, repr=False)
class GroupTerm(Brief):
    """
    The random effects that `random_effects` returns.

    Parameters
    ----------
    name : str
        Name of the grouping factor.
    parts : tuple
        (structure, names of effects) for each set of correlated effects, in the order
        of the columns.
    groups : ndarray
        Group of each row, shape (n,).
    effects : ndarray
        Effect columns, shape (n, k).
    labels : Index or None
        Labels of the rows.
    effect_labels : Index or None
        Row labels of the effects, if only these have labels.
    """

    name: str
    parts: tuple
    groups: np.ndarray
    effects: np.ndarray
    labels: pd.Index | None = None
    effect_labels: pd.Index | None = None

    def _brief(self):
        effects = ", ".join(str(name) for _, names in self.parts for name in names)
        return [f"{self.name}, {self.n_rows:,} rows; {effects}"]

    @property
    def n_rows(self):
        """Number of rows."""
        return len(self.groups)

    def incomplete(self):
        """Mask of the rows with missing values."""
        columns = (self.groups, self.effects)
        return np.any([pd.DataFrame(c).isna().any(axis=1) for c in columns], axis=0)

    def take(self, rows):
        """A copy with only the given rows."""
        labels = None if self.labels is None else self.labels[rows]
        return replace(
            self, groups=self.groups[rows], effects=self.effects[rows], labels=labels
        )

    def aligned(self, labels):
        """A copy in the order of the rows of a model."""
        what = f"the random effects {self.name}"
        order = row_positions(self.effect_labels, labels, what)
        effects = self.effects if order is None else self.effects[order]
        term = replace(self, effects=effects, effect_labels=None)
        order = row_positions(self.labels, labels, what)
        return term if order is None else term.take(order)

    def build(self, known=None):
        """Build the RandomEffects, with known relationships among the levels."""
        groups = pd.Series(self.groups, name=self.name).infer_objects()
        codes, levels, _ = group_levels([groups])
        relationship = None
        if known is not None:
            codes, levels, _ = known.place(codes, levels)
            relationship = known.relationship
        pairs = [covariance_blocks(*part) for part in self.parts]
        blocks, structures = (sum(each, ()) for each in zip(*pairs))
        grouped = GroupedEffects(
            codes, len(levels), self.effects, blocks, structures, relationship
        )
        names = sum((names for _, names in self.parts), ())
        return RandomEffects(self.name, levels, names, grouped)


@dataclass(frozen=True, repr=False)
class MatrixTerm(Brief):
    """The random effects that `matrix_effects` returns."""

    name: str
    names: pd.Index
    structure: Structure | str | None
    matrix: Any
    effect: str = "b"
    labels: pd.Index | None = None

    def _brief(self):
        return [f"{self.name}, {self.n_rows:,} rows, {len(self.names):,} columns"]

    @property
    def n_rows(self):
        """Number of rows."""
        return self.matrix.shape[0]

    def incomplete(self):
        """Mask of the rows with missing values."""
        if not sparse.issparse(self.matrix):
            return np.isnan(self.matrix).any(axis=1)
        gaps = np.zeros(self.n_rows, dtype=bool)
        entries = self.matrix.tocoo()
        gaps[entries.row[np.isnan(entries.data)]] = True
        return gaps

    def take(self, rows):
        """A copy with only the given rows."""
        labels = None if self.labels is None else self.labels[rows]
        return replace(self, matrix=self.matrix[rows], labels=labels)

    def aligned(self, labels):
        """A copy in the order of the rows of a model."""
        order = row_positions(self.labels, labels, f"the random effects {self.name}")
        return self if order is None else self.take(order)

    def build(self, known=None):
        """Build the RandomEffects, with known relationships among the columns."""
        z = self.matrix
        values = z.data if sparse.issparse(z) else z
        if not np.isfinite(values).all():
            raise DataError(f"the matrix of {self.name} has missing or infinite values")
        if self.structure is None:
            if known is None:
                raw = RawEffects(z)
                return RandomEffects(self.name, self.names, (self.effect,), raw)
            places, labels, _ = known.place(np.arange(len(self.names)), self.names)
            # labels without a column are levels without data
            entries = sparse.coo_array(z)
            shape = self.n_rows, len(labels)
            z = sparse.csr_array(
                (entries.data, (entries.row, places[entries.col])), shape
            )
            if isinstance(known.relationship, Relationship):
                z = z.toarray()
            raw = RawEffects(z, known.relationship)
            return RandomEffects(self.name, labels, (self.effect,), raw)
        if known is not None:
            raise DataError(f"{self.name} has a relationship and a structure; give one")
        if self.structure in ("us", "diag"):
            raise DataError(
                f"the covariances of the columns of {self.name} cannot be estimated "
                "from a single draw; give a structure, or groups"
            )
        names = tuple(map(str, self.names))
        z = as_array(z)
        blocks, structures = covariance_blocks(self.structure, names)
        codes = np.zeros(len(z), dtype=np.int64)
        grouped = GroupedEffects(codes, 1, z, blocks, structures)
        return RandomEffects(self.name, pd.Index([self.name]), names, grouped)


def as_terms(random):
    """
    The elements of ``random`` of `CrossedMixedLM`.

    Parameters
    ----------
    random : dict or sequence
        Dict by name, or sequence, of RandomEffects, of terms, or of arguments of
        `random_effects` or `matrix_effects`: groups, a matrix, or a tuple of either
        with effects and a structure.

    Returns
    -------
    list of GroupTerm, MatrixTerm or RandomEffects
    """
    if isinstance(random, GroupTerm | MatrixTerm | RandomEffects):
        random = [random]
    pairs = random.items() if isinstance(random, dict) else [(None, r) for r in random]
    terms: list = []
    for name, value in pairs:
        if isinstance(value, GroupTerm | MatrixTerm | RandomEffects):
            terms.append(value if name is None else replace(value, name=str(name)))
        elif isinstance(value, dict):
            build = matrix_effects if "z" in value else random_effects
            terms.append(build(**({} if name is None else {"name": name}), **value))
        else:
            terms.append(_from_tuple(name, value))
    names = [t.name for t in terms]
    for twice in {n for n in names if names.count(n) > 1}:
        raise DataError(f"two random effects are named {twice}; rename one with name=")
    return terms


def _from_tuple(name, value):
    """A term from a tuple that starts with groups or a matrix."""
    first, *rest = value if isinstance(value, tuple) else (value,)
    named = {} if name is None else {"name": name}
    if getattr(first, "ndim", 1) == 2:
        if len(rest) > 1:
            raise DataError(
                "a matrix of random effects can be followed only by a structure"
            )
        return matrix_effects(first, *rest, **named)
    if len(rest) > 2:
        raise DataError("groups can be followed only by effects and a structure")
    return random_effects(first, *rest, **named)


def function_term(
    z,
    function=None,
    start=None,
    lower=None,
    upper=None,
    names=None,
    derivative=None,
    name="Z",
):
    """
    Random effects whose relative covariance factor is a function of theta.

    A factor that is a number times a matrix is treated as a relationship among the
    columns of z, which is faster to fit. Without a function it is theta times the
    identity.

    Parameters
    ----------
    z : array_like or sparse matrix
        Z, shape (n, q).
    function, start, lower, upper, names, derivative
        As for `core.structures.function.RelativeFactorFunction`.
    name : str, optional
        Name of the random effects.

    Returns
    -------
    term : MatrixTerm
        An element of ``random=[...]``.
    relationship : dict
        Relationship among the columns, empty unless theta is a single number.

    Raises
    ------
    TypeError
        If a function comes without start, or something else without a function.
    """
    if function is None:
        if any(v is not None for v in (start, lower, upper, names, derivative)):
            raise TypeError(
                "start, lower, upper, names and derivative describe the theta of a "
                "relative_factor; give one"
            )
        return matrix_effects(z, name=name), {}
    if start is None:
        raise TypeError("give start, where the search for theta begins")
    structure = RelativeFactorFunction(function, start, lower, upper, names, derivative)
    term = matrix_effects(z, structure, name)
    q = len(term.names)
    root = structure.factor(structure.start, q)
    if root.ndim != 2 or len(root) != q:
        raise DataError(
            f"relative_factor returns a matrix of shape {root.shape}; it must have "
            f"{q} rows, one per column of Z"
        )
    scale = _scale_of(structure, root, q)
    if scale is None:
        check_structure(structure, term.names)
        return term, {}
    unit = root / scale
    known = (unit @ unit.T, term.names)
    effect = str(structure.names[0])
    return replace(term, structure=None, effect=effect), {name: known}


def _scale_of(structure, root, q):
    """The parameter if the factor is this number times a matrix, else None."""
    if len(structure.start) != 1 or structure.lower[0] not in (0.0, -np.inf):
        return None
    scale = float(structure.start[0])
    if scale == 0.0 or np.isfinite(structure.upper[0]):
        return None
    for other in (0.37, 1.618, 2.9):
        moved = structure.factor(structure.start * other, q)
        if moved.shape != root.shape or not np.allclose(
            moved, other * root, rtol=1e-12, atol=0.0
        ):
            return None
    return scale
