"""Data and fits that many tests share."""

import functools
import warnings

import numpy as np
import pandas as pd

from statsmodels_lmm import datasets
from statsmodels_lmm.formula.api import crossedmixedlm

ENGINES = ["patsy", "formulaic"]
"""statsmodels' formula engines."""
N = 120


@functools.cache
def _read(name):
    return getattr(datasets, name).load_pandas().data


def load(name):
    """One of the data sets, new each time."""
    return _read(name).copy()


@functools.cache
def _sample(seed):
    rng = np.random.default_rng(seed)
    g, h = rng.permutation(np.arange(N) % 10), rng.permutation(np.arange(N) % 12)
    x, z = rng.uniform(1.0, 4.0, N), rng.standard_normal(N)
    f = rng.permutation(np.repeat(["a", "b", "c"], [60, 36, 24]))
    k = rng.permutation(np.repeat(["p", "q"], [48, 72]))
    u, v = rng.standard_normal((10, 3)), rng.standard_normal(12)
    y = 2.0 + 0.5 * x + 0.6 * (f == "b") + u[g, 0] + 0.6 * u[g, 1] * x
    y += 0.5 * u[g, 2] * z + 0.8 * v[h] + rng.standard_normal(N)
    y += 0.7 * rng.standard_normal((10, 3))[g, np.arange(N) % 3]
    frame = pd.DataFrame({"y": y, "x": x, "z": z, "f": f, "k": k, "h": h})
    frame["g"], frame["c"] = [f"g{i}" for i in g], np.arange(N) % 3
    frame["m"] = rng.permutation(40)[g + 10 * (np.arange(N) % 4)]
    frame["w"], frame["o"] = rng.uniform(0.5, 2.0, N), rng.standard_normal(N)
    frame["flat"] = rng.standard_normal(N) + 3.0
    return frame.assign(twice=2.0 * frame["x"], same=frame["f"].str.upper())


def sample(seed=7):
    """
    Rows of a model with slopes by g crossed with h, new each time.

    x is positive; f and k are factors of unequal sizes, same is f in capitals; c
    crosses all, m is nested in g; w are weights, o is an offset, twice is 2 x, and
    nothing varies with flat.
    """
    return _sample(seed).copy()


def quiet(formula, data=None, reml=True, **options):
    """A fit that may warn, of the shared sample if there are no data."""
    options.setdefault("eval_env", 1)  # names are those of the caller
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = sample() if data is None else data
        return crossedmixedlm(formula, data, **options).fit(reml=reml)


@functools.cache
def sleepstudy():
    """The fit of slopes by subject."""
    formula = "Reaction ~ Days + (Days | Subject)"
    return crossedmixedlm(formula, load("sleepstudy")).fit()


@functools.cache
def dyestuff(name="dyestuff"):
    """The fit of one variance by batch."""
    return crossedmixedlm("Yield ~ 1 + (1 | Batch)", load(name)).fit()
