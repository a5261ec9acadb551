"""
Time scans of SNPs in relatives: exact and held variances, dense K and families.

The same trait, covariates, relationships and genotypes are given to statsmodels_lmm, to
`jamma <https://pypi.org/project/jamma/>`_, GEMMA's algorithm in C, and to `fastlmm
<https://pypi.org/project/fastlmm/>`_, in one run and process by process. Tests must
agree: p-values of jamma with those of the exact scan, to the digits that it prints.
Times are from the genotypes to the p-values. Ours are without K's eigendecomposition,
which is printed apart; jamma's ``lmm`` includes it, and so does fastlmm's. Seconds of
the processor are printed beside those of the clock: with one thread they tell what a
busy machine hides.

Each peer needs an environment of its own; give its Python::

    python -m venv jamma && jamma/bin/pip install jamma
    python -m venv fastlmm && fastlmm/bin/pip install six
    fastlmm/bin/pip install fastlmm
    python benchmarks/scan.py --jamma jamma/bin/python --fastlmm fastlmm/bin/python
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

FATHERS = [-1, -1, 0, 0, -1, -1, 2, 2, 2, 5, 5, 5]
MOTHERS = [-1, -1, 1, 1, -1, -1, 4, 4, 4, 3, 3, 3]

# ---------------------------------------------------------------------------
# Data


def kinship_of_family():
    """Relationships of grandparents, children, spouses and grandchildren."""
    size = len(FATHERS)
    a = np.eye(size)
    for i, parents in enumerate(zip(FATHERS, MOTHERS)):
        if parents[0] >= 0:
            a[i, :i] = a[:i, i] = 0.5 * a[list(parents), :i].sum(axis=0)
            a[i, i] = 1.0 + 0.5 * a[parents]
    return a


def simulated(n_families, n_snps, folder):
    """Write genotypes inherited by Mendel's laws, a trait, covariates and two Ks."""
    rng = np.random.default_rng(1)
    size = len(FATHERS)
    n = size * n_families
    frequency = rng.uniform(0.1, 0.5, n_snps)
    alleles = np.zeros((n_families, size, 2, n_snps), dtype=np.int8)
    for i, parents in enumerate(zip(FATHERS, MOTHERS)):
        for side, parent in enumerate(parents):
            if parent < 0:
                alleles[:, i, side] = rng.random((n_families, n_snps)) < frequency
            else:
                which = rng.integers(2, size=(n_families, n_snps), dtype=np.int8)
                own = alleles[:, parent]
                alleles[:, i, side] = np.where(which, own[:, 1], own[:, 0])
    counts = alleles.sum(axis=2, dtype=np.int8).reshape(n, n_snps)
    families = np.kron(np.eye(n_families), kinship_of_family())
    some = counts[:, : min(n_snps, 10_000)].astype(float)
    some = (some - some.mean(axis=0)) / np.maximum(some.std(axis=0), 0.1)
    genomic = some @ some.T / some.shape[1]
    x = np.column_stack([np.ones(n), rng.integers(2, size=n), rng.uniform(20, 60, n)])
    genes = np.linalg.cholesky(families) @ rng.normal(size=n)
    trait = x @ [10.0, 0.5, 0.02] + genes + rng.normal(size=n)
    trait += 0.3 * counts[:, n_snps // 3]
    np.save(folder / "counts.npy", counts)
    for name, k in (("families", families), ("genomic", genomic)):
        np.save(folder / f"{name}.npy", k)
        np.savetxt(folder / f"{name}.txt", k, fmt="%.17g")
    np.save(folder / "x.npy", x)
    np.save(folder / "trait.npy", trait)
    np.savetxt(folder / "x.txt", x, fmt="%.17g")
    write_bed(folder / "data", counts, trait)


def write_bed(path, counts, trait):
    """Write genotypes in PLINK's format: two bits each, person by person in a SNP."""
    n, m = counts.shape
    code = np.array([3, 2, 0], dtype=np.uint8)  # copies of the first allele
    padded = np.zeros((m, -(-n // 4) * 4), dtype=np.uint8)
    padded[:, :n] = code[counts.T]
    quads = padded.reshape(m, -1, 4)
    packed = (
        quads[..., 0] | quads[..., 1] << 2 | quads[..., 2] << 4 | quads[..., 3] << 6
    )
    path.with_suffix(".bed").write_bytes(b"\x6c\x1b\x01" + packed.tobytes())
    lines = (f"1\ts{j}\t0\t{j + 1}\tA\tC\n" for j in range(m))
    path.with_suffix(".bim").write_text("".join(lines))
    lines = (f"p{i} p{i} 0 0 1 {value:.17g}\n" for i, value in enumerate(trait))
    path.with_suffix(".fam").write_text("".join(lines))


# ---------------------------------------------------------------------------
# Tools


class Clock:
    """Seconds by the clock and of the processor since it was started."""

    def __init__(self):
        self.start = np.array([time.perf_counter(), time.process_time()])

    def read(self):
        """Give both since the start."""
        now = np.array([time.perf_counter(), time.process_time()])
        return (now - self.start).tolist()


def ours(folder, n_jobs):
    """Times of scans, of the rotation alone and of the eigendecomposition."""
    import pandas as pd

    from statsmodels_lmm import crossedmixedlm
    from statsmodels_lmm.scan.standard_models import standard_model

    counts = np.load(folder / "counts.npy")
    x, trait = np.load(folder / "x.npy"), np.load(folder / "trait.npy")
    labels = [f"p{i}" for i in range(len(trait))]
    data = pd.DataFrame({"id": labels, "trait": trait, "sex": x[:, 1], "age": x[:, 2]})
    times = {}
    for name in ("genomic", "families"):
        k = pd.DataFrame(np.load(folder / f"{name}.npy"), labels, labels)
        model = crossedmixedlm(
            "trait ~ sex + age + (1 | id)", data, relationship={"id": k}
        )
        clock = Clock()
        rotation = standard_model(model, True).core.rotation
        alone = times[f"{name}: eigendecomposition"] = clock.read()
        clock = Clock()
        for first in range(0, counts.shape[1], 500):
            rotation.times(counts[:, first : first + 500].astype(float))
        times[f"{name}: rotation alone"] = clock.read()
        for method in ("exact", "held"):
            clock = Clock()
            scan = model.scan_predictors(
                counts, method, df_method="residual", n_jobs=n_jobs
            )
            spent = np.subtract(clock.read(), alone)
            times[f"{name}: {method}"] = spent.tolist()
            np.save(folder / f"ours_{name}_{method}.npy", scan.table["p"].to_numpy())
    return times


def jamma(folder, name):
    """Time of jamma's scan, its eigendecomposition apart."""
    from jamma import gwas

    clock = Clock()
    result = gwas(
        folder / "data",
        kinship_file=folder / f"{name}.txt",
        covariate_file=folder / "x.txt",
        maf=0.0,
        miss=1.0,
        output_dir=folder / "jamma",
        show_progress=False,
        no_telemetry=True,
        check_memory=False,
    )
    total = clock.read()
    lines = next((folder / "jamma").glob("*.assoc.txt")).read_text().splitlines()
    header = lines[0].split("\t")
    at = header.index("p_wald"), header.index("rs")
    p = {line.split("\t")[at[1]]: float(line.split("\t")[at[0]]) for line in lines[1:]}
    np.save(folder / "jamma.npy", [p.get(f"s{j}", np.nan) for j in range(len(p))])
    timing = result.timing
    return {
        f"{name}: jamma in all": total,
        f"{name}: jamma lmm": [timing.lmm_s, float("nan")],
        f"{name}: jamma rotation": [timing.rotation_s, float("nan")],
    }


def fastlmm(folder, name):
    """Time of FaST-LMM's scan with its rotation of K."""
    from fastlmm.association import single_snp
    from pysnptools.kernelreader import KernelData
    from pysnptools.snpreader import Bed, SnpData

    k, x = np.load(folder / f"{name}.npy"), np.load(folder / "x.npy")
    ids = [[f"p{i}"] * 2 for i in range(len(k))]
    trait = SnpData(ids, ["trait"], np.load(folder / "trait.npy")[:, None])
    covariates = SnpData(ids, ["sex", "age"], x[:, 1:])
    clock = Clock()
    found = single_snp(
        Bed(str(folder / "data.bed"), count_A1=True),
        trait,
        K0=KernelData(iid=ids, val=k),
        covar=covariates,
        leave_out_one_chrom=False,
        count_A1=True,
    )
    spent = clock.read()
    p = dict(zip(found["SNP"], found["PValue"]))
    np.save(folder / "fastlmm.npy", [p.get(f"s{j}", np.nan) for j in range(len(p))])
    return {f"{name}: fastlmm in all": spent}


def in_process(python, options, *arguments):
    """Run a tool in a process of its own, and return its times."""
    command = [python, __file__, "--worker", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    environment["OPENBLAS_NUM_THREADS"] = str(options.threads)
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[1])
    parser.add_argument("--families", type=int, default=100)
    parser.add_argument("--snps", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--jamma", help="Python of jamma's environment")
    parser.add_argument("--fastlmm", help="Python of fastlmm's environment")
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        tool, folder, argument = options.worker
        argument = int(argument) if tool == "ours" else argument
        times = {"ours": ours, "jamma": jamma, "fastlmm": fastlmm}[tool]
        print(json.dumps(times(Path(folder), argument)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulated(options.families, options.snps, folder)
        size = options.families * len(FATHERS)
        print(f"{size:,} people, {options.snps:,} SNPs, {options.threads} thread(s)")
        times = in_process(sys.executable, options, "ours", name, str(options.threads))
        exact = np.load(folder / "ours_genomic_exact.npy")
        if options.jamma:
            times |= in_process(options.jamma, options, "jamma", name, "genomic")
            theirs = np.load(folder / "jamma.npy")
            worst = np.nanmax(np.abs(np.log(theirs) - np.log(exact)))
            print(f"largest difference of log p to jamma: {worst:.1e}")
        if options.fastlmm:
            times |= in_process(options.fastlmm, options, "fastlmm", name, "genomic")
            theirs = np.load(folder / "fastlmm.npy")
            held = np.load(folder / "ours_genomic_held.npy")
            worst = np.nanmax(np.abs(np.log(theirs) - np.log(held)))
            print(f"largest difference of log p to fastlmm: {worst:.1e}")
        print(f"{'':34s}    clock  processor")
        for what, (clock, processor) in times.items():
            print(f"{what:34s} {clock:7.2f} s  {processor:7.2f} s")


if __name__ == "__main__":
    main()
