"""
Time a step of iteratively reweighted least squares on a kept engine.

With new weights, either everything is formed anew (standardization, plan,
cross-products, elimination, selected inverse), or the engine of the design gathers the
weighted rows, eliminates and solves for the conditional modes. Beside them LAPACK
factorizes a dense matrix with a column for each effect that is not eliminated level by
level. Times are CPU times of one thread, the smallest of several rounds in which all
take turns.
"""

import argparse
import os
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from scipy.linalg import lapack

from statsmodels_lmm import datasets
from statsmodels_lmm.core.criteria.start import start_at
from statsmodels_lmm.core.engines.choice import engine_for, sufficient_statistics
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.rows.row_transforms import RowWeights
from statsmodels_lmm.core.rows.standardize import standardize
from statsmodels_lmm.formula.api import crossedmixedlm

FORMULA = "y ~ service + (1 | s) + (1 | d) + (1 | dept)"


def main():
    """Print the time of each step, and the ratio of their sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--formula", default=FORMULA, help="of columns of insteval")
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()

    model = crossedmixedlm(arguments.formula, datasets.insteval.load_pandas().data)
    terms = [random.grouped for random in model.random]
    data = standardize(model.endog, model.exog, terms)
    rows, engine = Rows(data.endog, data.exog), engine_for(data.terms, model.nobs)
    sizes = [1.0] * len(terms)
    roots = [f.matrix for f in start_at(engine.gather(rows), sizes)]
    draw = np.random.default_rng(1)

    def anew(weights):
        with_weights = standardize(model.endog, model.exog, terms, weights)
        yield "standardize"
        products = sufficient_statistics(
            with_weights.endog, with_weights.exog, with_weights.terms
        )
        yield "cross-products"
        elimination = products.eliminate(roots)
        yield "eliminate"
        elimination.selected_inverse()
        yield "selected inverse"

    def kept(weights):
        products = engine.gather(rows, RowWeights(np.sqrt(weights)))
        yield "gather"
        elimination = products.eliminate(roots)
        yield "eliminate"
        elimination.solve()
        yield "solve"

    size = engine.plan.n_tail
    dense = np.asfortranarray(size * np.eye(size) + 1.0)
    copies = iter([dense.copy(order="F") for _ in range(arguments.rounds)])

    def alone(_):
        lapack.dpotrf(next(copies), lower=1, overwrite_a=1)
        yield "dpotrf"

    weights = [draw.uniform(0.5, 1.5, model.nobs) for _ in range(arguments.rounds)]
    rounds = [[timed(step(w)) for step in (anew, kept, alone)] for w in weights]
    totals = []
    for name, each in zip(("anew", "kept engine", "LAPACK alone"), zip(*rounds)):
        best = min(each, key=lambda times: sum(times.values()))
        totals.append(sum(best.values()))
        steps = ", ".join(f"{what} {1e3 * t:.1f}" for what, t in best.items())
        print(f"{name}: {1e3 * totals[-1]:.1f} ms ({steps})")
    anew_total, kept_total, _ = totals
    print(f"ratio {kept_total / anew_total:.3f}, one in {anew_total / kept_total:.1f}")


def timed(steps):
    """CPU time of each step, by the name yielded when it is done."""
    out, before = {}, time.process_time()
    for name in steps:
        now = time.process_time()
        out[name], before = now - before, now
    return out


if __name__ == "__main__":
    main()
