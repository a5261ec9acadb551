"""
Count fits that end in a local optimum, by a dense search from random starts.

    python benchmarks/local_optima.py --fits 2000 --seed 0 --best best.json
    python benchmarks/local_optima.py --only 1371 --best best.json

Random models of many kinds with 8 to 400 rows are fitted, and their criterion is also
minimized from 20 random starts by `dense_search`, which shares no code with the
package. A fit counts as a miss if its criterion exceeds the lowest known by more than
1e-4 or the rounding error; the miss is bad if the fit claims to be an optimum. The file
keeps the lowest criteria, so that a second run needs only the fits.

If [X Z] has rank n, nothing remains for the residual variance, and the likelihood may
have no maximum; such fits have a table of their own.
"""

import argparse
import json
import time
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from dense_search import Block, DenseCriterion, lowest

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.random.terms import random_effects
from statsmodels_lmm.structures import AutoRegressive, CompoundSymmetry, Diagonal

GAP = 1e-4
"""Height above the lowest criterion at which a fit counts as a miss."""

STARTS = 20
"""Number of random starts of the dense search."""

KINDS = {
    # form and number of effects of each term; "/" is nested in the one before
    "1 | a": ["us 1"],
    "x | a": ["us 2"],
    "x + z | a": ["us 3"],
    "x || a": ["diag 2"],
    "x + z || a": ["diag 3"],
    "diag": ["diag 2-3"],
    "cs": ["cs 3-4"],
    "ar1": ["ar1 3-5"],
    "1 | a, 1 | b": ["us 1", "us 1"],
    "x | a, 1 | b": ["us 2", "us 1"],
    "x | a, z | b": ["us 2", "us 2"],
    "x || a, 1 | b": ["diag 2", "us 1"],
    "x || a, z || b": ["diag 2", "diag 2"],
    "diag, 1 | b": ["diag 2-3", "us 1"],
    "cs, 1 | b": ["cs 2-3", "us 1"],
    "ar1, 1 | b": ["ar1 3-4", "us 1"],
    "1 | a/b": ["us 1", "/us 1"],
    "x | a, 1 | a:b": ["us 2", "/us 1"],
    "x | a/b": ["us 2", "/us 2"],
    "1 | a, 1 | b, 1 | c": ["us 1", "us 1", "us 1"],
}


@dataclass(frozen=True)
class Case:
    """One data set and its model."""

    number: int
    kind: str
    endog: np.ndarray
    exog: np.ndarray
    blocks: list
    weights: np.ndarray | None
    reml: bool

    def criterion(self):
        """The dense criterion."""
        weights = np.ones(len(self.endog)) if self.weights is None else self.weights
        return DenseCriterion(self.endog, self.exog, self.blocks, weights, self.reml)

    def fit(self):
        """The package's fit."""
        random = [
            random_effects(codes, effects, structure_of(block), name)
            for name, (block, codes, effects) in zip("abc", self.blocks)
        ]
        model = CrossedMixedLM(self.endog, self.exog, random, weights=self.weights)
        return model.fit(reml=self.reml)

    def __str__(self):
        n, p = self.exog.shape
        levels = "+".join(str(codes.max() + 1) for _, codes, _ in self.blocks)
        forms = "+".join(
            f"{b.form}{b.k}{' hom' if b.hom else ''}" for b, _, _ in self.blocks
        )
        method = "REML" if self.reml else "ML"
        weighted = "" if self.weights is None else ", weights"
        return f"{method}, n {n}, p {p}, {forms}, levels {levels}{weighted}"


def structure_of(block):
    """The package's structure."""
    if block.form == "us":
        return None
    forms = {"diag": Diagonal, "cs": CompoundSymmetry, "ar1": AutoRegressive}
    return forms[block.form](block.hom)


def case(number):
    """The random case with a given number."""
    rng = np.random.default_rng(number)
    kind = list(KINDS)[number % len(KINDS)]
    n = int(np.exp(rng.uniform(np.log(8), np.log(120))))
    if rng.random() < 0.15:
        n = int(rng.integers(120, 401))
    x, z = rng.standard_normal((2, n))
    if rng.random() < 0.3:  # a covariate with few values
        x = np.round(x)
    blocks, parent, endog = [], None, np.zeros(n)
    for text in KINDS[kind]:
        form, effects = text.strip("/").split()
        low, _, high = effects.partition("-")
        k = int(rng.integers(int(low), int(high or low) + 1))
        codes = random_levels(rng, n, k, kind, parent if text[0] == "/" else None)
        hom = form == "ar1"
        if form == "cs" or (form == "diag" and kind.startswith("diag")):
            hom = bool(rng.random() < 0.4)
        block = Block(k, form, hom)
        if form in ("cs", "ar1"):  # indicators of conditions or times
            columns = np.eye(k)[rng.permutation(np.arange(n) % k)]
        else:
            slopes = (x, z) if parent is None else (z, x)
            columns = np.column_stack([np.ones(n), *slopes])[:, :k]
        root, _ = block.root(true_values(rng, block)[None])
        modes = rng.standard_normal((codes.max() + 1, k)) @ root[0].T
        endog = endog + (modes[codes] * columns).sum(axis=1)
        blocks.append((block, codes, columns))
        parent = codes
    weights = rng.gamma(2.0, 0.5, n) + 0.05 if rng.random() < 0.15 else None
    noise = rng.standard_normal(n)
    endog = endog + (noise if weights is None else noise / np.sqrt(weights))
    # there is a mean and a slope, whether or not X has them
    endog = endog + rng.normal(0.0, 2.0) + rng.normal(0.0, 1.0) * x
    fixed = [np.ones(n), x, z]
    chosen = [[0], [0, 1], [0, 1, 2], [1], [1, 2]][rng.integers(5)]
    exog = np.column_stack([fixed[j] for j in chosen])
    return Case(number, kind, endog, exog, blocks, weights, bool(rng.random() < 0.5))


def random_levels(rng, n, k, kind, parent):
    """Levels with k effects, in total fewer than rows; nested if there is a parent."""
    most = max(2, min((n - 1) // k, 12 if n < 60 else 40, n // 2))
    if parent is not None:
        most = max(2, min(4, most // (parent.max() + 1)))
    elif "/" in kind or ":" in kind:
        most = max(3, most // 3)
    count = int(rng.integers(min(3, most), most + 1))
    codes = np.arange(n) % count
    if rng.random() < 0.5:  # unbalanced, each at least once
        codes[count:] = rng.integers(count, size=n - count)
    codes = rng.permutation(codes)
    if parent is not None:
        codes = np.unique(parent * n + codes, return_inverse=True)[1]
    return codes


def true_values(rng, block):
    """True parameters of simulated data, with deviations from zero to huge."""
    m = block.k if block.form == "us" else block.deviations
    sd = 10.0 ** rng.uniform(-1.0, 1.0, m)
    sd[rng.random(m) < 0.3] = 0.0
    sd[rng.random(m) < 0.05] = 300.0
    values = block.random(rng, 1)[0]
    if block.form != "us":
        values[:m] = sd
        return values
    root, _ = block.root(values[None])
    rows, columns = block.triangle
    size = np.linalg.norm(root[0], axis=1)
    return (root[0] * (sd / size)[:, None])[rows, columns]


@dataclass
class Record:
    """The outcome of one case."""

    case: Case
    saturated: bool
    entry: dict
    refused: str = ""
    certified: bool = False
    singular: bool = False
    warned: tuple = ()
    evaluations: int = 0
    seconds: float = 0.0
    share: float = np.nan
    gap: float = np.nan
    limit: float = GAP
    error: float = 0.0

    @property
    def missed(self):
        """Whether the fit ended too high."""
        return self.gap > self.limit

    @property
    def bad(self):
        """Whether it claims to be an optimum nevertheless."""
        return self.missed and self.certified


def entry_of(one, criterion, known):
    """The lowest known criterion, from a search if there is none yet."""
    check = float(one.endog @ one.endog)
    entry = known.get(str(one.number))
    if entry is None or not np.isclose(entry["check"], check, rtol=1e-9, atol=0.0):
        entry = {"best": np.nan, "share": np.nan, "found": np.nan}
        if not criterion.saturated:
            rng = np.random.default_rng([one.number, 1])
            entry = lowest(criterion, rng, STARTS)
        known[str(one.number)] = entry = {**entry, "check": check}
    return entry


def run(number, known):
    """Fit one case, and search it densely unless its optimum is known."""
    one = case(number)
    criterion = one.criterion()
    entry = entry_of(one, criterion, known)
    record = Record(one, criterion.saturated, entry)
    start = time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = one.fit()
        except DataError as error:
            record.refused = str(error)
    record.seconds = time.process_time() - start
    record.warned = tuple(sorted({w.category.__name__ for w in caught}))
    if record.refused:
        return record
    record.certified = bool(result.converged)
    record.singular = bool(result.boundary_table()["singular"].any())
    record.evaluations = result.optimum.evaluations
    record.share = result.residual_share
    reached, own = criterion.at_theta(result.optimum.theta)
    # like the rounding of the search, with a digit to spare
    lost = 10.0 * np.finfo(float).eps * len(one.endog)
    error = abs(reached - result.deviance_criterion)
    record.error = error if error > max(1e-6, lost / own) else 0.0
    if not criterion.saturated:
        record.gap = reached - entry["best"]
        record.limit = max(GAP, lost / min(own, entry["share"]))
        if record.gap < -1e-6:
            entry.update(best=reached, share=own)
    return record


# ---------------------------------------------------------------------------
# Tables


def print_kinds(records):
    """Print regular fits by kind."""
    print(
        f"{'kind':22}{'fits':>6}{'satur.':>8}{'refused':>9}{'singular':>9}"
        f"{'misses':>8}{'bad':>5}{'largest gap':>13}{'evaluations':>18}{'seconds':>9}"
    )
    kinds = [*dict.fromkeys(r.case.kind for r in records)]
    for kind in [*kinds, "all"]:
        rows = [r for r in records if kind in (r.case.kind, "all")]
        own = [r for r in rows if not r.saturated]
        fitted = [r for r in own if not r.refused]
        misses = [r for r in fitted if r.missed]
        counts = [r.evaluations for r in fitted] or [0]
        print(
            f"{kind:22}{len(own):6}{len(rows) - len(own):8}"
            f"{len(own) - len(fitted):9}{sum(r.singular for r in fitted):9}"
            f"{len(misses):8}{sum(r.bad for r in misses):5}"
            f"{max((r.gap for r in misses), default=0.0):13.4g}"
            f"{np.median(counts):8.0f} of{sum(counts):7}"
            f"{sum(r.seconds for r in own):9.2f}"
        )


def print_saturated(records):
    """Print how fits end that have no row left for the residuals."""
    print(f"\n{'saturated':12}{'fits':>6}  how they end: residual share, claim")
    for method in ("ML", "REML"):
        rows = [r for r in records if r.saturated and r.case.reml == (method == "REML")]
        ends = Counter(map(end_of, rows))
        told = ", ".join(f"{end} {count}" for end, count in sorted(ends.items()))
        print(f"{method:12}{len(rows):6}  {told}")


def end_of(record):
    """How a saturated fit ended, in words."""
    if record.refused:
        return "refused"
    size = "below 1e-6" if record.share < 1e-6 else "above"
    claim = "certified" if record.certified else "not certified"
    warned = f" with {'+'.join(record.warned)}" if record.warned else ""
    return f"{size} {claim}{warned}"


def print_list(title, records, describe):
    """Print the cases of given records, one per line."""
    if records:
        print(f"\n{title}")
    for r in records:
        print(f"  {r.case.number:9}  {describe(r):28} {r.case.kind}: {r.case}")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--fits", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="which cases")
    parser.add_argument("--only", type=int, nargs="*", help="numbers of cases")
    parser.add_argument("--best", type=Path, help="JSON file of the lowest criteria")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    path = arguments.best
    known = json.loads(path.read_text()) if path and path.exists() else {}
    first = arguments.seed * 1_000_000
    numbers = arguments.only or range(first, first + arguments.fits)
    records = []
    for count, number in enumerate(numbers, 1):
        records.append(run(number, known))
        if path and (count % 100 == 0 or count == len(numbers)):
            path.write_text(json.dumps(known))
    print_kinds(records)
    print_saturated(records)
    regular = [r for r in records if not r.saturated]
    print_list(
        "Bad: certified, and above the lowest criterion; random starts that find it",
        [r for r in regular if r.bad],
        lambda r: f"{r.gap:.4g}, {r.entry['found']:.0%}{', singular' * r.singular}",
    )
    print_list(
        "Missed, and not certified",
        [r for r in regular if r.missed and not r.bad],
        lambda r: f"{r.gap:.4g}, share {r.share:.1e}",
    )
    print_list(
        "Refused",
        [r for r in regular if r.refused],
        lambda r: r.refused[:60],
    )
    print_list(
        "The criterion differs from the dense one at the same point",
        [r for r in records if r.error],
        lambda r: f"{r.error:.2g}, share {r.share:.1e}",
    )
    lower = [r for r in regular if r.gap < -r.limit]
    print_list("The dense search ended above the fit", lower, lambda r: f"{-r.gap:.4g}")


if __name__ == "__main__":
    main()
