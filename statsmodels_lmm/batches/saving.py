"""
Sums as bytes: arrays of numbers, and a text in JSON, without pickles.

Nothing is evaluated while they are read; the formula is when rows are added.
"""

import io
import json
import zipfile

import numpy as np
import pandas as pd
import patsy.builtins
from scipy import sparse

from statsmodels_lmm.batches.complete_rows import Counts, Wanted
from statsmodels_lmm.batches.levels import Factor, Values
from statsmodels_lmm.batches.recipe import Recipe, formulas_of
from statsmodels_lmm.batches.sums import Sums
from statsmodels_lmm.core.algebra.whole_numbers import compact
from statsmodels_lmm.core.rows.growing_links import total
from statsmodels_lmm.core.rows.growing_sums import GrowingSums
from statsmodels_lmm.exceptions import DataError, FormulaError
from statsmodels_lmm.formula.chunks import ChunkDesigns
from statsmodels_lmm.formula.gate import check_formula
from statsmodels_lmm.formula.parser import parse
from statsmodels_lmm.formula.remembered import RememberedFactor
from statsmodels_lmm.formula.saved_design import (
    plain_design,
    plain_levels,
    plain_states,
    restore_states,
    restored_design,
)
from statsmodels_lmm.formula.splines import checked
from statsmodels_lmm.formula.transforms import default_scope
from statsmodels_lmm.inputs.saved_values import levels, number, text, whole

FORMAT, VERSION = "statsmodels_lmm sums", 2

LINKS = "data", "indices", "indptr"
"""Parts of the sparse matrices of pairs of levels."""


def own_names(scope):
    """Names of the caller in a formula that mean something else than predefined."""
    known = {name: getattr(patsy.builtins, name) for name in patsy.builtins.__all__}
    known |= default_scope("patsy")
    return {n: v for n, v in scope.items() if checked(v) is not known.get(n)}


def packed(sums):
    """
    Sums as the bytes of an npz archive of `arrays_of`.

    Parameters
    ----------
    sums : Sums
        The sums.

    Returns
    -------
    bytes
    """
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays_of(sums))
    return file.getvalue()


def arrays_of(sums, with_values=True):
    """
    Sums as arrays, without the names of the caller and the user's structures.

    Parameters
    ----------
    sums : Sums
        The sums.
    with_values : bool, optional
        Whether the values of columns are among them, which a pickle can have of types
        that a file cannot.

    Returns
    -------
    dict of ndarray

    Raises
    ------
    DataError
        If the state of a transform cannot be saved, or levels are of another type than
        text, numbers and dates.
    """
    recipe, wanted = sums.recipe, sums.recipe.wanted
    arrays: dict = {}
    used = set(wanted.names)
    head = {
        "format": FORMAT,
        "version": VERSION,
        "formula": recipe.text,
        "names": wanted.names,
        "roles": [[name, sorted(role)] for name, role in wanted.roles.items()],
        "coded": [name for name in wanted.names if name in wanted.coded & used],
        "sides": wanted.sides,
        "subset": wanted.subset,
        "missing": wanted.missing,
        "kinds": recipe.kinds,
        "types": {name: str(kind) for name, kind in recipe.types.items()},
        "levels": {
            name: [plain_levels(kind.categories, name), bool(kind.ordered)]
            for name, kind in recipe.levels.items()
        },
        "designs": {t: plain_design(i) for t, i in recipe.designs.infos.items()},
        "groupings": {
            t: [list(g.columns), plain_states(g.state, t)]
            for t, g in recipe.groupings.items()
        },
        "counts": [
            *(sums.counts.read, sums.counts.chosen),
            *(sums.counts.weightless, sums.counts.complete),
        ],
        "gaps": list(sums.counts.missing.items()),
        "offsets": sums.offsets,
        "values": [],
        "seen": [],
        "filled": sums.levels is not None,
    }
    if with_values:
        for what, found in ("values", sums.values), ("seen", sums.seen):
            head[what] = [_plain_values(n, v, arrays) for n, v in found.items()]
    for i, factor in enumerate(sums.factors):
        for j, pairs in enumerate(factor.pairs):
            arrays[f"pairs {i} {j}"] = pairs.index.to_numpy(np.int64)
    if sums.levels is not None:
        _pack_levels(sums, arrays)
    arrays["head"] = _coded(head)
    return arrays


def _coded(plain):
    """JSON as an array of bytes."""
    return np.frombuffer(json.dumps(plain, allow_nan=False).encode(), np.uint8)


def _plain_values(name, values, arrays):
    """The values of a column; those that are no text go to the arrays."""
    index, key = values.index, f"values {name}"
    kinds = [k and [plain_levels(k[0], name), k[1]] for k in values.plain_kinds()]
    plain = {"name": name, "dtype": str(index.dtype), "kinds": kinds}
    kind = index.dtype.kind if isinstance(index.dtype, np.dtype) else "O"
    if kind in "iufb":
        arrays[key] = index.to_numpy()
    elif kind in "mM":
        arrays[key] = index.to_numpy().view(np.int64)
    else:
        arrays[key] = _coded(plain_levels(index, name))
    return plain


def _pack_levels(sums, arrays):
    """The sums by level, and the links in one part."""
    found = sums.levels
    arrays["shift"] = sums.shift
    for name in ("triangle", "lowest", "highest"):
        arrays[name] = getattr(found, name)
    arrays["numbers"] = np.array([found.nobs, found.log_weights])
    for i in range(len(sums.factors)):
        arrays[f"effect shift {i}"] = sums.effect_shifts[i]
        arrays[f"level sums {i}"] = found.level_sums[i]
        arrays[f"diagonal {i}"] = found.diagonal[i]
        arrays[f"ones {i}"] = found.ones[i]
        if found.plain is not None:
            arrays[f"moments {i}"] = found.plain[1][i]
    if found.plain is not None:
        arrays["plain"], arrays["inverse"] = found.plain[0], np.array(found.plain[2])
    for (i, j), parts in sums.links.items():
        matrix = total(parts)
        for part in LINKS:
            arrays[f"links {i} {j} {part}"] = compact(getattr(matrix, part))
        arrays[f"links {i} {j} shape"] = np.array(matrix.shape)


def unpacked(content):
    """
    Sums from the output of `packed`, whose formula must pass `check_formula`.

    Parameters
    ----------
    content : bytes
        The archive.

    Returns
    -------
    Sums

    Raises
    ------
    FormulaError
        If the formula is not allowed.
    DataError
        If these are no saved sums, damaged ones, or of a newer version.
    """
    try:
        if not zipfile.is_zipfile(io.BytesIO(content)):
            raise DataError("not saved sums, or damaged ones: no archive of arrays")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            head = json.loads(arrays["head"].tobytes())
            if head["format"] != FORMAT:
                raise KeyError("format")
            if whole(head["version"], "version", 1) > VERSION:
                raise DataError(
                    f"the sums were saved in version {head['version']} of the format; "
                    f"this package reads up to {VERSION}: upgrade it"
                )
            names = [n for n in head["names"] if isinstance(n, str)]
            check_formula(head["formula"], names, subset=head["subset"])
            return sums_from(arrays, {}, {})
    except (DataError, FormulaError):
        raise
    except Exception as error:  # damaged bytes can make the libraries raise anything
        raise DataError(f"not saved sums, or damaged ones: {error}") from error


def sums_from(arrays, scope, structures, values=None, seen=None):
    """
    Sums from the output of `arrays_of`.

    Parameters
    ----------
    arrays : mapping of ndarray
        The arrays.
    scope, structures : dict
        Names of the caller, and the user's covariance structures.
    values, seen : dict of Values, optional
        The values of columns, if they are not among the arrays.

    Returns
    -------
    Sums
    """
    head = json.loads(arrays["head"].tobytes())
    if values is None:
        values = {plain["name"]: _values(plain, arrays) for plain in head["values"]}
        seen = {plain["name"]: _values(plain, arrays) for plain in head["seen"]}
    return _sums(head, arrays, _recipe(head, scope, structures), values, seen)


def _recipe(head, scope, structures):
    parsed = parse(text(head["formula"], "formula"), structures)
    roles = {name: set(role) for name, role in head["roles"]}
    wanted = Wanted(
        roles=roles,
        coded=frozenset(head["coded"]),
        sides={what: head["sides"][what] for what in ("weights", "offset")},
        subset=head["subset"],
        missing=text(head["missing"], "missing"),
        scope=scope,
        names=list(head["names"]),
    )
    kinds = {
        name: pd.CategoricalDtype(pd.Index(levels(found, name), dtype=object), ordered)
        for name, (found, ordered) in head["levels"].items()
    }
    infos = {
        t: restored_design(head["designs"][t], t, scope) for t in formulas_of(parsed)
    }
    groupings = {}
    for expression in parsed.grouping_expressions:
        columns, states = head["groupings"][expression]
        blank, _ = RememberedFactor.blank(expression, columns, scope)
        restore_states(blank.state, states, blank.factor)
        groupings[expression] = blank
    types = {n: pd.api.types.pandas_dtype(kind) for n, kind in head["types"].items()}
    return Recipe(
        text=head["formula"],
        parsed=parsed,
        structures=structures,
        wanted=wanted,
        levels=kinds,
        kinds={n: text(kind, n) for n, kind in head["kinds"].items()},
        types=types,
        designs=ChunkDesigns(infos),
        groupings=groupings,
    )


def _values(plain, arrays):
    stored, kind = arrays[f"values {plain['name']}"], plain["dtype"]
    if kind.startswith(("datetime64", "timedelta64")):
        index = pd.Index(stored.view(kind))
    elif stored.dtype == np.uint8 and kind != "uint8":
        found = levels(json.loads(stored.tobytes()), plain["name"])
        index = pd.Index(found, dtype=kind, tupleize_cols=False)
    else:
        index = pd.Index(stored)
    if not index.is_unique:
        raise ValueError(f"'{plain['name']}' has a value twice")
    return Values.restored(index, plain["kinds"], plain["name"])


def _sums(head, arrays, recipe, values, seen):
    factors = []
    for i, terms in enumerate(recipe.parsed.by_factor):
        columns = [values[name] for name in terms[0].grouping]
        pairs = [
            Values.restored(pd.Index(arrays[f"pairs {i} {j}"]), [])
            for j in range(len(columns) - 1)
        ]
        factors.append(Factor(columns, pairs))
    read, chosen, weightless, complete = (whole(n, "counts") for n in head["counts"])
    gaps = {name: whole(n, "counts") for name, n in head["gaps"]}
    counts = Counts(read, chosen, weightless, complete, gaps)
    sums = Sums(recipe, counts, values, seen, factors)
    sums.offsets = number(head["offsets"], "offsets")
    if head["filled"]:
        _unpack_levels(sums, arrays)
    return sums


def _unpack_levels(sums, arrays):
    each = range(len(sums.factors))
    width = len(sums.recipe.exog_names) + 2
    n_levels = [factor.n_levels for factor in sums.factors]
    sizes = [len(sums.recipe.intercepts(i)) for i in each]

    def read(name, shape):
        found = arrays[name]
        if found.shape != shape or not np.isfinite(found).all():
            raise ValueError(f"{name} has shape {found.shape} instead of {shape}")
        return found

    sums.shift = read("shift", (width - 1,))
    sums.effect_shifts = [read(f"effect shift {i}", (sizes[i],)) for i in each]
    plain = None
    if "plain" in arrays:
        moments = tuple(read(f"moments {i}", (sizes[i], sizes[i])) for i in each)
        plain = read("plain", (width, width)), moments, float(read("inverse", ()))
    nobs, log_weights = read("numbers", (2,)).tolist()
    shapes = [(n_levels[i], sizes[i]) for i in each]
    sums.levels = GrowingSums(
        nobs=whole(nobs, "nobs", 1),
        triangle=read("triangle", (width, width)),
        level_sums=tuple(read(f"level sums {i}", (*shapes[i], width)) for i in each),
        diagonal=tuple(read(f"diagonal {i}", (*shapes[i], sizes[i])) for i in each),
        lowest=read("lowest", (width,)),
        highest=read("highest", (width,)),
        ones=tuple(read(f"ones {i}", (sizes[i],)).astype(bool) for i in each),
        log_weights=log_weights,
        plain=plain,
    )
    for j in each:
        for i in range(j):
            name = f"links {i} {j}"
            data, *places = (arrays[f"{name} {p}"] for p in LINKS)
            shape = tuple(arrays[f"{name} shape"].tolist())
            kind = np.int32 if max(*shape, len(data)) < 2**31 else np.int64
            places = [each.astype(kind) for each in places]
            if shape != (n_levels[i] * sizes[i], n_levels[j] * sizes[j]):
                raise ValueError(f"{name} have shape {shape}")
            if not np.isfinite(data).all():
                raise ValueError(f"{name} are not finite")
            parts = data.astype(float), *places
            matrix = sparse.csr_array(parts, shape=shape)
            matrix.check_format(full_check=True)
            sums.links[i, j] = (matrix,)
