"""The functions and arguments allowed in untrusted formulas."""

import ast

from statsmodels_lmm.formula.widths import ARGUMENTS

MAX_BASIS = 50
"""Largest number of columns of a basis, bases of a tensor product, and knots."""

MAX_POWER = 20
"""Largest power of terms and of numbers."""

CODINGS = {"Diff", "Helmert", "Poly", "Sum", "Treatment"}
FUNCTIONS = {
    *("C", "I", "Q", "abs", "center", "exp", "log", "log10", "log1p", "log2"),
    *("offset", "scale", "sqrt", "standardize", "te", *ARGUMENTS, *CODINGS),
}
"""Functions that may be called by bare name."""

ATTRIBUTES = {
    "np": {
        *("abs", "arctan", "cbrt", "ceil", "clip", "cos", "exp", "expm1", "floor"),
        *("log", "log10", "log1p", "log2", "maximum", "minimum", "round", "sign"),
        *("sin", "sqrt", "square", "tan", "tanh", "where"),
    },
    "contr": {"custom", "diff", "helmert", "poly", "SAS", "sum", "treatment"},
}
"""Functions that may be called as ``np.log``."""

ACCESSORS = {
    "dt": {
        *("day", "dayofweek", "dayofyear", "hour", "minute", "month", "quarter"),
        *("weekday", "year"),
    },
}
"""Parts of a date that may be read as ``date.dt.year``."""

SEVERAL = {"C": 3, "clip": 3, "where": 3, "maximum": 2, "minimum": 2, "round": 2}
SEVERAL |= {"te": MAX_BASIS, **{name: 1 + len(a) for name, a in ARGUMENTS.items()}}
"""Numbers of arguments other than one; NumPy would write into a further argument."""

KEYWORDS = {
    "C": {"contrast", "contrasts", "levels"},
    "Treatment": {"base", "reference"},
    "Poly": {"scores"},
    "Sum": {"omit"},
    "scale": {"center", "ddof", "rescale", "scale"},
    "standardize": {"center", "ddof", "rescale"},
    "te": {"constraints"},
    "round": {"decimals"},
    **{name: set(arguments) for name, arguments in ARGUMENTS.items()},
}
"""Arguments that may be passed by keyword."""

OPERATORS = (
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.BitAnd),
    *(
        ast.UAdd,
        ast.USub,
        ast.Not,
        ast.In,
        ast.NotIn,
        ast.Eq,
        ast.NotEq,
        ast.Lt,
        ast.LtE,
        ast.Gt,
        ast.GtE,
    ),
)
