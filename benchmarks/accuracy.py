"""
Count the digits that agree with exact answers, and write the page on accuracy.

For balanced data the analysis of variance is computed in fractions. For other data the
textbook criterion, with n x n matrices, is minimized in 60-digit arithmetic. Both start
from the floating-point numbers of the data as stored.

    python benchmarks/accuracy.py docs/accuracy.rst

needs mpmath, and takes half a minute if gmpy2 is installed as well.
"""

import sys
import warnings
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf

from statsmodels_lmm import datasets
from statsmodels_lmm.formula.api import crossedmixedlm

DIGITS = 60
"""Decimal digits of the arithmetic."""

ALL = 16.0
"""Digits of a number that agrees to the last bit."""


def load(name):
    """Give a data set."""
    return getattr(datasets, name).load_pandas().data


def digits(got, wanted):
    """Give the fewest correct digits among several numbers."""
    got, wanted = np.atleast_1d(got), np.atleast_1d(wanted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        error = [abs((type(w)(g) - w) / w) for g, w in zip(got, wanted, strict=True)]
    worst = float(max(error))
    return ALL if worst <= 10.0**-ALL else max(0.0, -np.log10(worst))


# ---------------------------------------------------------------------------
# Balanced data: the analysis of variance in fractions


def as_array(data, response, *columns):
    """Give the responses as fractions, with an axis per column and one for repeats."""
    codes = [data[c].astype("category").cat.codes.to_numpy() for c in columns]
    shape = [int(c.max()) + 1 for c in codes]
    order = np.lexsort(codes[::-1])
    values = [Fraction(y) for y in data[response].to_numpy(float)[order]]
    return np.array(values).reshape(*shape, -1)


def mean(y, *kept):
    """Give means over all axes except those kept; the others get length 1."""
    axes = tuple(a for a in range(y.ndim) if a not in kept)
    count = Fraction(int(np.prod([y.shape[a] for a in axes])))
    return y.sum(axis=axes, keepdims=True) / count


def mean_square(part, like, df):
    """Give the mean square of effects broadcast to the shape of the data."""
    return (np.broadcast_to(part, like.shape) ** 2).sum() / Fraction(df)


def one_way(y, reml=True):
    """Give the variances of (1 | a) and of the residuals."""
    a, n = y.shape
    between = mean_square(mean(y, 0) - mean(y), y, a - 1 if reml else a)
    within = mean_square(y - mean(y, 0), y, a * (n - 1))
    return [(between - within) / n], within


def nested(y):
    """Give the variances of (1 | a/b) and of the residuals."""
    a, b, n = y.shape
    outer = mean_square(mean(y, 0) - mean(y), y, a - 1)
    inner = mean_square(mean(y, 0, 1) - mean(y, 0), y, a * (b - 1))
    within = mean_square(y - mean(y, 0, 1), y, a * b * (n - 1))
    return [(outer - inner) / (b * n), (inner - within) / n], within


def crossed(y):
    """Give the variances of (1 | a) + (1 | b), with one row per pair."""
    a, b, _ = y.shape
    rows = mean_square(mean(y, 0) - mean(y), y, a - 1)
    columns = mean_square(mean(y, 1) - mean(y), y, b - 1)
    rest = y - mean(y, 0) - mean(y, 1) + mean(y)
    error = mean_square(rest, y, (a - 1) * (b - 1))
    return [(rows - error) / b, (columns - error) / a], error


def split_plot(y, repeats=False):
    """Give the variances of (1 | a/b) with fixed effects of b and of the rest."""
    a, b, n = y.shape
    block = mean_square(mean(y, 0) - mean(y), y, a - 1)
    rest = mean(y, 0, 1) - mean(y, 0) - mean(y, 1) + mean(y)
    whole = mean_square(rest, y, (a - 1) * (b - 1))
    if repeats:
        error = mean_square(y - mean(y, 0, 1), y, a * b * (n - 1))
    else:
        rest = y - mean(y, 0, 1) - mean(y, 1, 2) + mean(y, 1)
        error = mean_square(rest, y, (a - 1) * b * (n - 1))
    return [(block - whole) / (b * n), (whole - error) / n], error


BALANCED = {
    "dyestuff": (
        "Yield ~ 1 + (1 | Batch)",
        lambda d: one_way(as_array(d, "Yield", "Batch")),
    ),
    "penicillin": (
        "diameter ~ 1 + (1 | plate) + (1 | sample)",
        lambda d: crossed(as_array(d, "diameter", "plate", "sample")),
    ),
    "pastes": (
        "strength ~ 1 + (1 | batch/cask)",
        lambda d: nested(as_array(d, "strength", "batch", "cask")),
    ),
    "machines": (
        "score ~ Machine + (1 | Worker/Machine)",
        lambda d: split_plot(as_array(d, "score", "Worker", "Machine"), repeats=True),
    ),
    "oats": (
        "Q('yield') ~ C(nitro) * Variety + (1 | Block/Variety)",
        lambda d: split_plot(as_array(d, "yield", "Block", "Variety", "nitro")[..., 0]),
    ),
    "cake": (
        "angle ~ recipe * temperature + (1 | replicate/recipe)",
        lambda d: split_plot(
            as_array(d, "angle", "replicate", "recipe", "temperature")[..., 0]
        ),
    ),
}
"""Formulas and exact REML variances of balanced data."""


def balanced_digits():
    """Give the digits of variances and of the fixed part for all balanced data."""
    rows = []
    for name, (formula, solve) in BALANCED.items():
        data = load(name)
        result = crossedmixedlm(formula, data).fit()
        variances, error = solve(data)
        cells: dict = {}
        for x, y in zip(map(tuple, result.model.exog), result.model.endog):
            cells.setdefault(x, []).append(Fraction(float(y)))
        means = [sum(values) / len(values) for values in cells.values()]
        fitted = np.array(list(cells)) @ result.params.to_numpy()
        rows.append(
            [
                name,
                formula,
                digits(result.vcomp, variances),
                digits(result.scale, error),
                digits(fitted, means),
            ]
        )
    return rows


# ---------------------------------------------------------------------------
# Simon and Lesage's data, with an answer known by construction


def simon_lesage(rows, leading):
    """Nine treatments with rows at the mean, then 0.1 below and above it in turn."""
    treatment, response = [], []
    for t, tenths in enumerate([4, 3, 5, 3, 5, 3, 5, 3, 5], start=1):
        changes = [0] + [-1, 1] * ((rows - 1) // 2)
        treatment += [t] * rows
        response += [float(f"{leading}.{tenths + change}") for change in changes]
    return pd.DataFrame({"treatment": treatment, "response": response})


def simon_lesage_digits():
    """Give the digits of sigma^2 and of F here and in MixedLM."""
    found = []
    for leading in (1, 10**6, 10**12):
        for rows in (21, 201, 2001):
            data = simon_lesage(rows, leading)
            ours = crossedmixedlm("response ~ 1 + (1 | treatment)", data).fit()
            f_ours = 1 + rows * ours.theta.iloc[0] ** 2
            theirs = fit_mixedlm("response ~ 1", data, {"groups": "treatment"}, True)
            both = [min(digits(ours.scale, 0.01), digits(f_ours, float(rows)))]
            if theirs is None:
                both.append(None)
            else:
                f_theirs = 1 + rows * theirs.cov_re.iloc[0, 0] / theirs.scale
                pair = digits(theirs.scale, 0.01), digits(f_theirs, float(rows))
                both.append(min(pair))
            found.append([f"{leading:,}", rows, *both])
    return found


def fit_mixedlm(formula, data, arguments, reml):
    """Fit statsmodels' MixedLM with its defaults; None if it fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return smf.mixedlm(formula, data, **arguments).fit(reml=reml)
        except (np.linalg.LinAlgError, ValueError):
            return None


# ---------------------------------------------------------------------------
# Any data: the criterion with n x n matrices and 60 digits


class DenseCriterion:
    """
    -2 log-likelihood or the REML criterion as a function of theta, in mpmath.

    Parameters
    ----------
    result : CrossedMixedLMResults
        Supplies the data and the layout of the random effects.
    """

    def __init__(self, result):
        import mpmath

        self.mp = mpmath.mp
        self.mp.dps = DIGITS
        model = result.model
        self.reml, self.sizes = result.reml, []
        self.n, self.p = model.exog.shape
        self.blocks = []
        for effects in model.random:
            codes = np.asarray(effects.grouped.codes)
            same = codes[:, None] == codes
            self.blocks.append((self._exact(effects.grouped.effects), same))
            self.sizes.append(effects.grouped.effects.shape[1])
        self.right = self._exact(np.column_stack([model.exog, model.endog]))
        self.theta = self._exact(result.theta.to_numpy())

    def _exact(self, values):
        convert = np.frompyfunc(lambda v: self.mp.mpf(float(v)), 1, 1)
        return convert(np.asarray(values))

    def factors(self, theta):
        """Give the lower triangular L of each term."""
        found, start = [], 0
        for k in self.sizes:
            root = np.full((k, k), self.mp.zero, dtype=object)
            columns, rows = np.triu_indices(k)
            root[rows, columns] = theta[start : start + len(rows)]
            start += len(rows)
            found.append(root)
        return found

    def __call__(self, theta, whole=False):
        """Give the criterion and, if `whole`, the estimates at theta."""
        covariance = np.full((self.n, self.n), self.mp.zero, dtype=object)
        covariance[np.diag_indices(self.n)] = self.mp.one
        factors = self.factors(theta)
        for (effects, same), root in zip(self.blocks, factors):
            moved = effects @ root
            for i, j in zip(*np.nonzero(np.tril(same))):
                covariance[i, j] += moved[i] @ moved[j]
        root, half = self._eliminate(covariance, self.right)
        gram = half.T @ half
        small, _ = self._eliminate(gram, gram[:, :1])
        nu = self.n - self.p if self.reml else self.n
        scale = small[-1, -1] ** 2 / nu
        log = self.mp.log
        value = 2 * sum(log(d) for d in np.diagonal(root))
        value += nu * (1 + log(2 * self.mp.pi * scale))
        if self.reml:
            value += 2 * sum(log(d) for d in np.diagonal(small)[: self.p])
        if not whole:
            return value
        p = self.p
        _, inverse = self._eliminate(gram[:p, :p], np.eye(p, dtype=int))
        coefficients = inverse.T @ small[p, :p]
        errors = [self.mp.sqrt(scale * (c @ c)) for c in inverse.T]
        covariances = []
        for each in factors:
            matrix = scale * (each @ each.T)
            covariances.extend(matrix[np.tril_indices(len(matrix))])
        return value, coefficients, errors, covariances, scale

    def _eliminate(self, matrix, right):
        """Give the Cholesky factor, and its inverse times given columns."""
        n = len(matrix)
        root = np.full((n, n), self.mp.zero, dtype=object)
        half = np.full((n, right.shape[1]), self.mp.zero, dtype=object)
        first = [int(np.flatnonzero(row != 0)[0]) for row in matrix]
        for i in range(n):
            for j in range(first[i], i):
                a = max(first[i], first[j])
                total = matrix[i, j] - root[i, a:j] @ root[j, a:j]
                root[i, j] = total / root[j, j]
            a = first[i]
            row = root[i, a:i]
            root[i, i] = self.mp.sqrt(matrix[i, i] - row @ row)
            half[i] = (right[i] - row @ half[a:i]) / root[i, i]
        return root, half

    def minimize(self):
        """Give theta by Newton's method with finite differences as small as 1e-20."""
        theta, m = self.theta, len(self.theta)
        h = self.mp.mpf(10) ** -20
        unit = np.array([[h if a == b else h * 0 for a in range(m)] for b in range(m)])
        for _ in range(6):
            here = self(theta)
            up = [self(theta + e) for e in unit]
            down = [self(theta - e) for e in unit]
            gradient = [(u - d) / (2 * h) for u, d in zip(up, down)]
            hessian = self.mp.matrix(m)
            for a in range(m):
                hessian[a, a] = (up[a] + down[a] - 2 * here) / h**2
                for b in range(a):
                    both = self(theta + unit[a] + unit[b])
                    both += self(theta - unit[a] - unit[b])
                    both += 2 * here - up[a] - down[a] - up[b] - down[b]
                    hessian[a, b] = hessian[b, a] = both / (2 * h**2)
            step = self.mp.lu_solve(hessian, self.mp.matrix(gradient))
            theta = theta - np.array(list(step))
            if max(abs(s) for s in step) < self.mp.mpf(10) ** -18:
                return theta
        raise ArithmeticError("Newton's method did not end")


@dataclass(frozen=True)
class Case:
    """
    A model, and its specification for MixedLM.

    Parameters
    ----------
    data : str
        Name of the data set.
    formula : str
        Formula in lme4's language.
    mixedlm : dict
        Arguments of MixedLM.
    reml : bool, optional
        Whether to minimize the REML criterion.
    """

    data: str
    formula: str
    mixedlm: dict
    reml: bool = True

    @property
    def title(self):
        """The name in tables."""
        return self.data if self.reml else f"{self.data}, ML"


NESTED = {"groups": "batch", "re_formula": "1", "vc_formula": {"c": "0 + C(cask)"}}
CROSSED = {
    "groups": "one",
    "vc_formula": {"a": "0 + C(plate)", "b": "0 + C(sample)"},
}
CASES = [
    Case("dyestuff", "Yield ~ 1 + (1 | Batch)", {"groups": "Batch"}),
    Case("dyestuff", "Yield ~ 1 + (1 | Batch)", {"groups": "Batch"}, reml=False),
    Case("pastes", "strength ~ 1 + (1 | batch/cask)", NESTED),
    Case("penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)", CROSSED),
    Case(
        "sleepstudy",
        "Reaction ~ Days + (Days | Subject)",
        {"groups": "Subject", "re_formula": "~Days"},
    ),
    Case(
        "sleepstudy",
        "Reaction ~ Days + (Days | Subject)",
        {"groups": "Subject", "re_formula": "~Days"},
        reml=False,
    ),
    Case(
        "orthodont",
        "distance ~ C(Sex, Treatment('Female')) * age + (age | Subject)",
        {"groups": "Subject", "re_formula": "~age"},
    ),
]

# lmer of lme4 1.1-31 with its default settings, R 4.2.2 on x86_64: the criterion,
# fixed effects and their standard errors, lower triangles of the covariance matrices
# in the order of the formula, sigma^2
LME4 = {
    "dyestuff": (
        319.65427684225739,
        [1527.5000000000009],
        [19.383412178752796],
        [1764.050006427103],
        2451.2499986071457,
    ),
    "dyestuff, ML": (
        327.32705988113509,
        [1527.5000000000007],
        [17.694553502833045],
        [1388.3333425523556],
        2451.249997176852,
    ),
    "pastes": (
        246.99074585348703,
        [60.053333333335438],
        [0.67687021507403133],
        [1.6573109118337646, 8.433665931294847],
        0.67799994966875599,
    ),
    "penicillin": (
        330.86058899960437,
        [22.972222222221916],
        [0.80859536138634414],
        [0.71690514100060498, 3.7311318423044963],
        0.30241495624723286,
    ),
    "sleepstudy": (
        1743.6282719599519,
        [251.40510484848497, 10.467285959595987],
        [6.8245966949549057, 1.5457896439059811],
        [612.1001580247688, 9.6044089511577564, 35.071714450938842],
        654.94000825996079,
    ),
    "sleepstudy, ML": (
        1751.9393444889909,
        [251.40510484848565, 10.467285959595767],
        [6.6321227421902904, 1.5022302138320407],
        [565.47696613241919, 11.055122391953331, 32.681785248852677],
        654.94570576419108,
    ),
    "orthodont": (
        432.58166706460077,
        [
            17.372727272725918,
            -1.0321022727254909,
            0.47954545454558112,
            0.30482954545438151,
        ],
        [
            1.2280518561603291,
            1.5952861568992727,
            0.10369660676839224,
            0.13470584362151361,
        ],
        [5.7744873609835947, -0.28869623538992861, 0.032451597898350178],
        1.7166250181946292,
    ),
}


def triangles(matrices):
    """Give the lower triangles of covariance matrices, row by row."""
    each = [np.asarray(m)[np.tril_indices(len(m))] for m in matrices]
    return np.concatenate(each)


def of_ours(result):
    """Give criterion, fixed effects, standard errors, covariances and sigma^2."""
    matrices = list(result.cov_re.values())
    estimates = result.params.to_numpy(), result.bse.to_numpy()
    return -2.0 * result.llf, *estimates, triangles(matrices), result.scale


def of_mixedlm(case, data):
    """Give the same for MixedLM; None if it fails."""
    formula = case.formula[: case.formula.index(" + (")]
    fit = fit_mixedlm(formula, data.assign(one=1), case.mixedlm, case.reml)
    if fit is None:
        return None
    covariances = np.concatenate([triangles([fit.cov_re]), fit.vcomp])
    estimates = fit.fe_params.to_numpy(), fit.bse_fe.to_numpy()
    return -2.0 * fit.llf, *estimates, covariances, fit.scale, fit.converged


def dense_digits():
    """Give a row of digits for each model and package."""
    rows = []
    for case in CASES:
        data = load(case.data)
        result = crossedmixedlm(case.formula, data).fit(reml=case.reml)
        criterion = DenseCriterion(result)
        exact = criterion(criterion.minimize(), whole=True)
        packages = {
            "here": of_ours(result),
            "lme4": LME4[case.title],
            "MixedLM": of_mixedlm(case, data),
        }
        for package, numbers in packages.items():
            found = [digits(g, w) for g, w in zip(numbers, exact)]
            if numbers[5:] == (False,):
                package += ", not converged"
            rows.append([case.title if package == "here" else "", package, *found])
    return rows


# ---------------------------------------------------------------------------
# lme4 at its best


def against_lme4():
    """Give the differences of the criterion from the stored fits of the tests."""
    tests = Path(__file__).resolve().parents[1] / "tests"
    sys.path.insert(0, str(tests))
    import test_reference

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits = {name: test_reference.fit(name) for name in test_reference.FITS}
    gaps = [
        -2.0 * fit.llf - test_reference.FITS[name]["criterion"]
        for name, fit in fits.items()
    ]
    counts = [fit.optimum.evaluations for fit in fits.values()]
    singular = sum(fit.is_singular for fit in fits.values())
    certified = sum(bool(fit.converged) for fit in fits.values())
    return np.array(gaps), np.array(counts), singular, certified


# ---------------------------------------------------------------------------
# The page

PAGE = """\
Accuracy
========

This page shows how many digits of the results are correct. It is written by
``benchmarks/accuracy.py``, with the figures of a run of that script. A number has d
correct digits if its relative error is 10 to the power of -d; double precision has 16.
For several numbers, the worst one counts.

Balanced data
-------------

In balanced data the REML estimates are those of the analysis of variance, provided that
none of these is negative, and can be found without a search. Here they are computed
from the stored data in fractions, which do not round.

{balanced}

The fixed part is X times the fixed effects. Variances are computed from differences of
mean squares, which may cost a digit.

A known answer in the presence of large numbers
-----------------------------------------------

Simon and Lesage (1989) constructed data whose analysis of variance is known, with large
numbers before the decimal point. They are among the reference data sets of NIST. With
13 leading digits only about four digits are left for the data, and no program can do
better than that. The table shows the correct digits of sigma squared and of F, which is
one plus the number of rows in each treatment times the relative variance.

{simon}

MixedLM's search stops after a few digits, whatever the data contain. Here the response
is replaced by its least-squares residuals before anything is squared, so a large
constant costs no more digits than storing the data already did.

Any data
--------

The exact answer is found by minimizing the textbook criterion, with the n x n matrix V,
by Newton's method in arithmetic with {arithmetic} digits. This package, in the rows
``here``, and statsmodels' MixedLM were run with their defaults when this page was
written; lme4's results were stored beforehand, from ``lmer`` 1.1-31 with its defaults.
Covariances are those of the random effects.

{dense}

The criterion is flat at its minimum, so half the digits of a parameter are enough for
all digits of the criterion. A search that stops when the criterion no longer falls has
at best seven or eight digits of the parameters; the search used here ends with a Newton
step with exact derivatives. More than a few digits are of no use in data analysis. They
are useful for testing programs, and they ensure that reordering the rows or changing
the units of a column gives the same answer.

Orthodont is not balanced, and there MixedLM's standard errors also differ for another
reason, which is explained in `Coming from lme4, MixedLM or MixedModels.jl
<coming_from.html>`__.

lme4 at its best
----------------

The tests contain {count} stored fits, of which {singular} are singular here. Each
stored criterion is the lowest that lme4's function reached with several optimizers from
several starting points. The difference, ours minus lme4's, lies between {low:.0e} and
{high:.0e}. The optimum is certified in {certified}. The search took {median:.0f}
evaluations of the criterion in the median and {most} at most.

How to run
----------

::

    python -m pip install mpmath gmpy2
    python benchmarks/accuracy.py docs/accuracy.rst

The last digit depends on the machine.

References
----------

Simon, S. D. and Lesage, J. P. (1989). Assessing the accuracy of ANOVA calculations in
statistical software. Computational Statistics and Data Analysis 8, 325-332.
"""


def cell(value):
    """Give a cell of a table."""
    if value is None:
        return "fails"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def table(header, rows):
    """Give a table of reStructuredText."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in [header, *rows]:
        for at, value in enumerate(row):
            mark = "*" if at == 0 else " "
            lines.append(f"   {mark} - {cell(value)}".rstrip())
    return "\n".join(lines)


def page():
    """Give the text of the page."""
    gaps, counts, singular, certified = against_lme4()
    balanced = [[n, f"``{f}``", *found] for n, f, *found in balanced_digits()]
    return PAGE.format(
        balanced=table(
            ["data", "model", "variances", "sigma²", "fixed part"], balanced
        ),
        simon=table(
            ["before the decimal point", "rows per treatment", "here", "MixedLM"],
            simon_lesage_digits(),
        ),
        dense=table(
            [
                "data",
                "package",
                "criterion",
                "fixed effects",
                "standard errors",
                "covariances",
                "sigma²",
            ],
            dense_digits(),
        ),
        arithmetic=DIGITS,
        count=len(gaps),
        singular=singular,
        low=gaps.min(),
        high=gaps.max(),
        certified="all of them" if certified == len(gaps) else f"{certified} of them",
        median=np.median(counts),
        most=counts.max(),
    )


if __name__ == "__main__":
    text = page()
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text)
    else:
        print(text)
