"""Genomic relationships against loops over markers."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm.exceptions import DataError, DataWarning
from statsmodels_lmm.relationship import genomic_relationship

KINDS = ["vanraden1", "vanraden2"]


@pytest.fixture(scope="module")
def genotypes():
    rng = np.random.default_rng(5)
    copies = rng.binomial(2, rng.uniform(0.1, 0.9, 30), (12, 30)).astype(float)
    markers = [f"snp{j}" for j in range(30)]
    return pd.DataFrame(copies, [f"id{i}" for i in range(12)], markers)


def by_loops(copies, p, kind):
    """G one entry and one marker at a time; a missing value is the mean 2p."""
    n, k = copies.shape
    g = np.zeros((n, n))
    total = sum(2 * p[j] * (1 - p[j]) for j in range(k))
    for i in range(n):
        for h in range(n):
            for j in range(k):
                a, b = (0 if np.isnan(m) else m - 2 * p[j] for m in copies[[i, h], j])
                own = 2 * p[j] * (1 - p[j]) * k
                g[i, h] += a * b / (total if kind == "vanraden1" else own)
    return g


@pytest.mark.parametrize("kind", KINDS)
def test_against_loops(genotypes, kind):
    g = genomic_relationship(genotypes, kind=kind)
    assert g.index.equals(genotypes.index)
    assert g.columns.equals(genotypes.index)
    copies = genotypes.to_numpy()
    expected = by_loops(copies, copies.mean(axis=0) / 2, kind)
    assert_allclose(g, expected, rtol=1e-12, atol=1e-14)
    assert_allclose(g.sum(), 0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_missing_values_are_means(genotypes, kind):
    holes = genotypes.mask(np.random.default_rng(1).uniform(size=(12, 30)) < 0.2)
    g = genomic_relationship(holes, kind=kind)
    filled = holes.fillna(holes.mean())
    assert_allclose(g, genomic_relationship(filled, kind=kind), atol=1e-14)
    expected = by_loops(holes.to_numpy(), holes.mean().to_numpy() / 2, kind)
    assert_allclose(g, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_given_frequencies(genotypes, kind):
    p = np.linspace(0.2, 0.7, 30)
    g = genomic_relationship(genotypes, p, kind)
    assert_allclose(g, by_loops(genotypes.to_numpy(), p, kind), atol=1e-13)
    named = pd.Series(p, genotypes.columns)[::-1]
    assert_allclose(genomic_relationship(genotypes, named, kind), g, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_invariances(genotypes, kind):
    g = genomic_relationship(genotypes, kind=kind)
    other_allele = genomic_relationship(2 - genotypes, kind=kind)
    assert_allclose(other_allele, g, atol=1e-13)
    shuffled = genotypes.sample(frac=1, random_state=0).sample(
        frac=1, random_state=1, axis=1
    )
    found = genomic_relationship(shuffled, kind=kind)
    assert_allclose(found.loc[g.index, g.index], g, atol=1e-13)
    doubled = pd.concat([genotypes, genotypes.add_suffix("b", axis=1)], axis=1)
    assert_allclose(genomic_relationship(doubled, kind=kind), g, atol=1e-13)


def test_expected_relationships_of_a_family():
    # with the frequencies of the base: 1 for itself, 1/2 for parent and progeny
    rng = np.random.default_rng(8)
    p = rng.uniform(0.2, 0.8, 20_000)
    parents = rng.uniform(size=(2, 2, 20_000)) < p
    gametes = [np.where(rng.uniform(size=20_000) < 0.5, *pair) for pair in parents]
    copies = np.array([*parents.sum(axis=1), sum(g.astype(int) for g in gametes)])
    expected = [[1, 0, 0.5], [0, 1, 0.5], [0.5, 0.5, 1]]
    for kind in KINDS:
        g = genomic_relationship(copies, p, kind)
        assert_allclose(g, expected, atol=0.04)


@pytest.mark.parametrize("kind", KINDS)
def test_markers_without_variation_are_dropped(genotypes, kind):
    expected = genomic_relationship(genotypes, kind=kind)
    more = genotypes.assign(same=2.0, none=0.0, unknown=np.nan)
    with pytest.warns(DataWarning, match="3 of 33 .*: 'same', 'none', 'unknown'"):
        found = genomic_relationship(more, kind=kind)
    assert_allclose(found, expected, atol=1e-14)
    with pytest.raises(DataError, match="no marker has two alleles"):
        genomic_relationship(more[["same", "none"]], kind=kind)


def test_kinds_of_tables(genotypes):
    expected = genomic_relationship(genotypes).to_numpy()
    integers = genotypes.astype(int)
    tables = [
        integers,
        genotypes.astype("Int64"),
        pl.DataFrame(integers.to_dict("list")),
    ]
    for table in [*tables, integers.to_numpy("int8"), integers.to_numpy().tolist()]:
        assert_allclose(genomic_relationship(table), expected, atol=1e-14)
    assert genomic_relationship(integers.to_numpy()).index.tolist() == list(range(12))


def test_errors(genotypes):
    wrong = genotypes.copy()
    wrong.loc["id3", "snp7"] = 9
    with pytest.raises(DataError, match=r"genotype 9 of individual 'id3' at .*'snp7'"):
        genomic_relationship(wrong)
    with pytest.raises(DataError, match="table of numbers"):
        genomic_relationship(genotypes.astype(object).replace(2.0, "AA"))
    with pytest.raises(DataError, match="label 'id0' appears more than once"):
        genomic_relationship(pd.concat([genotypes, genotypes[:1]]))
    with pytest.raises(DataError, match="rows and columns"):
        genomic_relationship(genotypes[:0])
    with pytest.raises(ValueError, match="vanraden1, vanraden2"):
        genomic_relationship(genotypes, kind="yang")
    p = pd.Series(0.5, genotypes.columns)
    with pytest.raises(DataError, match="frequencies lack marker 'snp0'"):
        genomic_relationship(genotypes, p[1:])
    with pytest.raises(DataError, match="frequency of 'snp1' is outside 0 to 1"):
        genomic_relationship(genotypes, p.where(p.index != "snp1", 1.5))
    with pytest.raises(DataError, match=r"shape \(3,\) for 30 markers"):
        genomic_relationship(genotypes, [0.1, 0.2, 0.3])
