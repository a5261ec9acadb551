"""The only module that uses private names of statsmodels."""

import sys
import types
from contextlib import contextmanager
from copy import copy, deepcopy
from functools import partial

import numpy as np
import pandas as pd
from patsy import (
    EvalEnvironment,
    LookupFactor,
    ModelDesc,
    NAAction,
    Term,
    dmatrices,
    dmatrix,
)
from statsmodels.base.data import PandasData
from statsmodels.formula import options
from statsmodels.formula._manager import FormulaManager
from statsmodels.iolib.summary2 import _simple_tables as simple_tables

from statsmodels_lmm.formula.dialects import (
    engine_column,
    engine_text,
    readable,
    response_of,
)
from statsmodels_lmm.formula.engine_errors import told_of
from statsmodels_lmm.formula.packing import packed_value
from statsmodels_lmm.formula.pieces import join, sides
from statsmodels_lmm.formula.plain_names import plain_names
from statsmodels_lmm.formula.remembered import RememberedFactor
from statsmodels_lmm.formula.splines import checked
from statsmodels_lmm.formula.tokens import tokenize
from statsmodels_lmm.formula.transforms import default_scope
from statsmodels_lmm.formula.widths import model_terms, require_columns

__all__ = [
    "FormulaData",
    "caller_scope",
    "categorical_factors",
    "current_engine",
    "design_matrices",
    "formula_engine",
    "simple_tables",
    "term_columns",
]


@contextmanager
def formula_engine(name):
    """
    Set statsmodels' formula engine temporarily.

    Parameters
    ----------
    name : {"patsy", "formulaic"} or None
        The engine; None leaves the current one.
    """
    before = options.formula_engine
    if name is not None:
        options.formula_engine = name
    try:
        yield
    finally:
        options.formula_engine = before


def current_engine():
    """Name of statsmodels' formula engine, "patsy" or "formulaic"."""
    return FormulaManager().engine


def design_matrices(formula, frame, scope, engine, prediction=False):
    """
    Evaluate a formula on every row of a DataFrame.

    Parameters
    ----------
    formula : str or model specification
        A one- or two-sided formula, or the specification from an earlier evaluation.
    frame : DataFrame
        The data.
    scope : dict
        Names that are neither columns nor predefined in formulas.
    engine : {"patsy", "formulaic"}
        Formula engine.
    prediction : bool, optional
        Whether to evaluate the right-hand side only.

    Returns
    -------
    endog : DataFrame or None
        Left-hand side.
    exog : DataFrame
        Right-hand side.
    spec : DesignInfo or ModelSpec
        Specification for evaluating the right-hand side again.

    Raises
    ------
    FormulaError
        If the formula cannot be evaluated.
    DataError
        If the design would not fit in memory.
    """
    is_text = isinstance(formula, str)
    columns = dict(frame.items())  # a look-up in the frame would hash its names first
    if is_text:
        require_columns(engine_text(formula, "patsy"), columns, len(frame))
    scope = {name: checked(value) for name, value in scope.items()}
    text = engine_text(formula, engine) if is_text else formula
    evaluated = _by_patsy if engine == "patsy" else _by_formulaic
    with told_of(formula if is_text else "the formula", frame, engine):
        matrices, spec = evaluated(
            text, frame, columns, {**default_scope(engine), **scope}, prediction
        )
    frames: list = [None]
    for values, columns in matrices:
        names = [readable(str(name), engine) for name in columns]
        if is_text and len(matrices) == 2 and len(frames) == len(names) == 1:
            names = [response_of(formula)]
        names = plain_names(names)
        if isinstance(values, np.ndarray):
            values = np.asfortranarray(values)  # what follows goes down the columns
            matrix = pd.DataFrame(values, frame.index, names, copy=False)
        else:
            matrix = values.set_axis(frame.index).set_axis(names, axis=1)
        frames.append(matrix)
    return (*frames[-2:], spec)


def _by_patsy(formula, frame, columns, scope, _):
    """Pairs of a design matrix and names, and the specification of the last."""
    if isinstance(formula, str):
        formula, data = _looked_up(model_terms(formula), frame, columns)
    else:
        data = frame.reset_index(drop=True)
    two_sided = isinstance(formula, ModelDesc) and formula.lhs_termlist
    matrices = (dmatrices if two_sided else dmatrix)(
        formula, data, EvalEnvironment([scope]), NAAction("raise", NA_types=[])
    )
    infos = [matrix.design_info for matrix in _as_tuple(matrices)]
    pairs = zip(map(np.asarray, _as_tuple(matrices)), (i.column_names for i in infos))
    return list(pairs), infos[-1]


def _looked_up(formula, frame, columns):
    """
    A formula in which a column by itself is looked up, not evaluated, and its data.

    patsy compiles the text of every other factor, and takes several times as long for a
    Series as for an array, so only expressions get Series. It counts the rows of a
    factor, or of a frame where there is none.
    """
    sides = formula.lhs_termlist, formula.rhs_termlist
    factors = {f.code: f for terms in sides for term in terms for f in term.factors}
    # log(x) is an expression, even if a column is called so
    names = {name for name in columns if str(name).isidentifier()}
    alone = {code: f for code, f in factors.items() if code in names}
    if not alone:
        return formula, frame.reset_index(drop=True)
    expressions, found = factors.keys() - alone.keys(), {}
    if expressions:
        found = {n: column.reset_index(drop=True) for n, column in columns.items()}
    for name, factor in alone.items():
        factors[name] = LookupFactor(name, origin=factor.origin)
        if not any(name in code for code in expressions):
            found[name] = _plain(columns[name])
    looked_up = [
        [Term([factors[f.code] for f in term.factors]) for term in terms]
        for terms in sides
    ]
    return ModelDesc(*looked_up), found


def _plain(column):
    """The values of a column, or a Series where an array of them is another type."""
    values = column.values
    if isinstance(values, pd.Categorical):
        return values
    plain = isinstance(values, np.ndarray) and values.dtype.kind in "fiubO"
    return values if plain else column.reset_index(drop=True)


def _by_formulaic(formula, frame, _, scope, prediction):
    """Pairs of a design matrix and names, and the specification of the last."""
    data = frame.reset_index(drop=True)
    data.columns = [engine_column(name, "formulaic") for name in frame.columns]
    manager = FormulaManager(engine="formulaic")
    output = manager.get_matrices(
        formula,
        data,
        eval_env=scope,
        pandas=True,
        na_action="ignore",
        prediction=prediction,
    )
    return [(pd.DataFrame(m), m.columns) for m in _as_tuple(output)], manager.spec


def _as_tuple(output):
    return output if isinstance(output, tuple) else (output,)


def categorical_factors(spec, engine):
    """
    Categorical factors of a model specification.

    Parameters
    ----------
    spec : DesignInfo or ModelSpec
        Specification of an evaluated design.
    engine : {"patsy", "formulaic"}
        Formula engine.

    Returns
    -------
    dict
        Tuple of the levels of each factor, by name.
    """
    if engine == "patsy":
        return {
            readable(factor.name(), engine): tuple(info.categories)
            for factor, info in spec.factor_infos.items()
            if info.type == "categorical"
        }
    return {
        readable(str(name), engine): tuple(
            spec.encoder_state[name][1].get("categories", ())
        )
        for name in spec.factor_contrasts
    }


def term_columns(spec, engine):
    """
    Terms of a model specification.

    Parameters
    ----------
    spec : DesignInfo or ModelSpec
        Specification of an evaluated design.
    engine : {"patsy", "formulaic"}
        Formula engine.

    Returns
    -------
    list of tuple
        Name, slice of columns and names of factors for each term; the constant is
        "Intercept" and has no factors.
    """
    terms = []
    for term, columns in spec.term_slices.items():
        if engine == "patsy":
            factors = tuple(factor.name() for factor in term.factors)
            name = term.name()
        else:
            factors = tuple(str(f) for f in term.factors) if term.degree else ()
            name = str(term) if factors else "Intercept"
        factors = tuple(readable(factor, engine) for factor in factors)
        terms.append((readable(name, engine), columns, factors))
    return terms


def caller_scope(names, functions, eval_env, depth):
    """
    Look up names where a formula was written.

    Parameters
    ----------
    names : iterable of str
        Names in the formula.
    functions : container of str
        Names that must be functions: ``Q('my column')`` does not mean a variable
        named Q.
    eval_env : int, dict or None
        Number of stack frames above the caller, a mapping of names, or -1 for none.
    depth : int
        Number of stack frames between this function and the caller.

    Returns
    -------
    dict
    """
    if eval_env == -1:
        return {}
    if isinstance(eval_env, dict):
        known = eval_env
    else:
        frame = sys._getframe(depth + 1 + (eval_env or 0))
        known = {**frame.f_globals, **frame.f_locals}
    scope = {n: known[n] for n in names if n in known}
    return {
        n: v
        for n, v in scope.items()
        if n not in functions or callable(v) or isinstance(v, types.ModuleType)
    }


def renamed_response(data, name):
    """
    A copy of a model's data with another name of the response.

    Parameters
    ----------
    data : ModelData
        The data of statsmodels.
    name : str
        The name.

    Returns
    -------
    ModelData
    """
    other = copy(data)
    other._cache = {}  # which keeps the names
    other.orig_endog = pd.Series(data.endog, data.row_labels, name=name)
    return other


class FormulaData(PandasData):
    """
    Data of a formula model that can be unpickled anywhere.

    statsmodels evaluates the formula again at some depth of the stack, which
    fails at the top level of a module. Here the pickle includes what the names in
    the formula stand for: modules by name, functions that cannot be imported
    elsewhere by value if cloudpickle is installed, the rest if it can be pickled.
    Names that cannot be pickled are `lost`; only predictions for new data need
    them. Copies lose nothing.
    """

    scope: dict
    engine: str
    column_specs: dict
    groupings: dict = {}
    lost: list

    @classmethod
    def adopt(cls, data, scope, engine, column_specs, groupings):
        """Turn a PandasData into an instance of this class."""
        data.__class__ = cls
        data.scope, data.engine, data.column_specs = scope, engine, column_specs
        data.groupings, data.lost = groupings, []
        return data

    @property
    def design_info(self):
        """The name of the specification in statsmodels before 0.15."""
        return self.model_spec

    def __copy__(self):
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def __deepcopy__(self, memo):
        other = copy(self)
        shared = {"model_spec", "column_specs", "groupings", "scope"}  # never modified
        unshared = {k: v for k, v in self.__dict__.items() if k not in shared}
        memo[id(self)] = other
        other.__dict__.update(deepcopy(unshared, memo))
        return other

    def __getstate__(self):
        state: dict = copy(self.__dict__)
        state.pop("model_spec", None)
        state["column_specs"] = list(self.column_specs)
        state["groupings"] = list(self.groupings)
        packed = {name: packed_value(value) for name, value in self.scope.items()}
        state["scope"] = {n: v for n, v in packed.items() if v is not None}
        state["lost"] = [*self.lost, *(n for n, v in packed.items() if v is None)]
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.scope = self._unpacked(state["scope"])
        right = join(sides(tokenize(self.formula))[1])
        self.model_spec = self._specify(right)
        self.column_specs = {text: self._specify(text) for text in self.column_specs}
        evaluated = partial(RememberedFactor.of, frame=self.frame, scope=self.scope)
        self.groupings = {
            text: self._unless_lost(partial(evaluated, text)) for text in self.groupings
        }

    def _unpacked(self, packed):
        """The names of a pickle that are still known."""
        scope = {}
        for name, value in packed.items():
            try:
                scope[name] = value.unpacked()
            except Exception:  # a module that is missing, or an earlier main module
                self.lost.append(name)
        return scope

    def _specify(self, formula):
        return self._unless_lost(
            lambda: design_matrices(formula, self.frame, self.scope, self.engine)[2]
        )

    def _unless_lost(self, evaluated):
        """An evaluation on the data, None if it needs names that are lost."""
        try:
            return evaluated()
        except Exception:
            if not self.lost:
                raise
            return None
