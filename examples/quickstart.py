"""
Fit five mixed models to data that come with the package, in a few seconds.

They have correlated intercepts and slopes, two crossed factors, a singular fit, three
factors with 73,421 rows, and a binary response. ``generalized.py`` has more of the last
kind, ``inference.py`` the tests and intervals.
"""

import time

from statsmodels_lmm import datasets
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm


def main():
    sleepstudy = datasets.sleepstudy.load_pandas().data
    penicillin = datasets.penicillin.load_pandas().data
    dyestuff2 = datasets.dyestuff2.load_pandas().data
    insteval = datasets.insteval.load_pandas().data
    contraception = datasets.contraception.load_pandas().data

    show("Reaction ~ Days + (Days | Subject)", sleepstudy)
    show("diameter ~ 1 + (1 | plate) + (1 | sample)", penicillin)
    show("Yield ~ 1 + (1 | Batch)", dyestuff2)
    show("y ~ 1 + service + (1 | s) + (1 | d) + (1 | dept)", insteval, reml=False)
    show("use ~ age + urban + (1 | district)", contraception, crossedmixedglm)


def show(formula, data, model=crossedmixedlm, **options):
    start = time.perf_counter()
    result = model(formula, data).fit(**options)
    seconds = time.perf_counter() - start
    print(f"\n{formula}: {len(data):,} rows in {seconds:.3f} seconds\n")
    print(result.summary())


if __name__ == "__main__":
    main()
