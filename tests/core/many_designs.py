"""Small designs and arbitrary responses, for fits of many at once."""

import numpy as np
import pandas as pd

from statsmodels_lmm.formula.api import crossedmixedlm

FORMULAS = {
    "slopes": "y ~ x + (x | g)",
    "unbalanced": "y ~ x + f + (1 | g)",
    "blocks": "y ~ x + (1 | g) + (0 + x | g)",
    "three": "y ~ x + (x + z | g)",
    "crossed": "y ~ x + (1 | g) + (1 | h)",
    "crossed slopes": "y ~ x + (x | g) + (z | h)",
    "nested": "y ~ x + (1 | g) + (1 | g:c)",
    "nested crossed": "y ~ x + (1 | g:c) + (1 | g) + (1 | h)",
}


def rows(seed=3, groups=12, each=10):
    """The rows of all designs; the response is a placeholder."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), each)
    n = len(g)
    frame = pd.DataFrame({"g": g, "h": rng.permutation(np.arange(n) % 7)})
    frame["c"] = np.tile(np.repeat(["p", "q"], each // 2), groups)
    frame["x"] = np.tile(np.linspace(-1.0, 1.0, each), groups)
    frame["z"] = np.tile(rng.permutation(np.linspace(-1.0, 1.0, each)), groups)
    frame["f"] = np.where(g % 3 == 0, "a", "b")
    frame["y"] = rng.standard_normal(n)
    return frame


def design(name):
    """A model, of unbalanced rows where its name says so."""
    frame = rows()
    if name == "unbalanced":
        frame = frame[np.random.default_rng(1).random(len(frame)) < 0.8]
    return crossedmixedlm(FORMULAS[name], frame)


def responses_of(model, count, seed=5):
    """Responses for the rows of a model, see `responses`."""
    return responses(rows().loc[model.data.row_labels], count, seed)


def responses(frame, count, seed=5):
    """
    Responses with variances that may be zero, counts, heavy tails and odd units.

    Returns
    -------
    ndarray
        Shape (count, n).
    """
    rng, n = np.random.default_rng(seed), len(frame)
    out = rng.standard_normal((count, n)) + rng.normal(size=(count, 1)) * 3.0
    for code in (frame["g"], frame["h"]):
        for values in (np.ones(n), frame["x"].to_numpy()):
            sd = np.exp(rng.normal(size=(count, 1)) - 0.5) * (
                rng.random((count, 1)) > 0.3
            )
            effects = rng.standard_normal((count, code.max() + 1)) * sd
            out += effects[:, code] * values
    kind = np.arange(count) % 6
    heavy = rng.standard_t(3, size=out.shape)
    out = np.where((kind == 1)[:, None], out + heavy, out)
    counts = rng.poisson(0.5, size=out.shape).astype(float)
    out = np.where((kind == 2)[:, None], counts, out)
    out[kind == 3] = 1e4 + 1e-3 * out[kind == 3]
    out[kind == 4] *= 1e6
    return out
