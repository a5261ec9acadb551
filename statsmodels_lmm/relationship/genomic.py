"""Relationships through shared alleles."""

from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.exceptions import DataError, DataWarning, warn
from statsmodels_lmm.inputs.plain_arrays import numeric
from statsmodels_lmm.relationship.labeled import (
    check_unique,
    labeled_rows,
    quoted,
    require_square,
)

VANRADEN = ("vanraden1", "vanraden2")


def genomic_relationship(
    genotypes: Any, frequencies: Any = None, kind: str = "vanraden1", labels: Any = None
) -> pd.DataFrame:
    """
    Genomic relationship matrix of individuals.

    With Z = M - 2p, where M counts the copies of an allele of frequency p, it is

    - "vanraden1": G = Z Z' / sum of 2p(1 - p) over the markers;
    - "vanraden2": G = Z D Z', with D the diagonal matrix of 1 / (k 2p(1 - p)) for k
      markers, so that each marker has the same weight.

    With the sample frequencies the columns of Z sum to zero, so that G is singular.

    Parameters
    ----------
    genotypes : DataFrame or array_like
        Copies of one allele, from 0 to 2, individuals by markers, shape (n, k); the
        index of a DataFrame labels the individuals. Expected numbers of copies need
        not be whole. A missing value is replaced by the mean of its marker, 2p.
    frequencies : Series or array_like, optional
        Frequencies p of the allele in the base population, shape (k,). A Series is
        matched by marker. Default is the sample frequencies.
    kind : {"vanraden1", "vanraden2"}, optional
        VanRaden's first or second method.
    labels : array_like, optional
        Labels of the individuals. Default is the index of a DataFrame, or 0, 1, ...

    Returns
    -------
    DataFrame
        G, symmetric and positive semi-definite, shape (n, n).

    Warns
    -----
    DataWarning
        If markers are dropped because only one allele occurs or no genotype is known.

    Raises
    ------
    DataError
        If a genotype is outside 0 to 2, a frequency is outside 0 to 1, or no marker
        is left.

    References
    ----------
    VanRaden, P. M. (2008). Efficient methods to compute genomic predictions.
    Journal of Dairy Science 91, 4414-4423.
    """
    if kind not in VANRADEN:
        raise ValueError(f"kind must be one of {', '.join(VANRADEN)}, not {kind!r}")
    copies, labels = labeled_rows(genotypes, "the genotypes", labels)
    require_square(len(labels), "the genomic relationship matrix")
    names = getattr(genotypes, "columns", None)
    markers = pd.RangeIndex(copies.shape[1]) if names is None else pd.Index(names)
    _check_copies(copies, labels, markers)
    if frequencies is None:
        known = np.count_nonzero(~np.isnan(copies), axis=0)
        p = np.nansum(copies, axis=0) / (2.0 * np.maximum(known, 1))
    else:
        p = _given_frequencies(frequencies, markers)
    variances = 2.0 * p * (1.0 - p)
    used = variances > 0
    if not used.any():
        raise DataError("no marker has two alleles")
    if not used.all():
        warn(
            f"{np.count_nonzero(~used):,} of {len(used):,} markers dropped because "
            f"only one allele occurs: {quoted(markers[~used])}",
            DataWarning,
        )
    p, variances = p[used], variances[used]
    z = copies[:, used] - 2.0 * p
    z[np.isnan(z)] = 0.0
    z /= np.sqrt(variances.sum() if kind == "vanraden1" else len(variances) * variances)
    return pd.DataFrame(z @ z.T, labels, labels)


def _check_copies(copies, labels, markers):
    """Reject genotypes outside 0 to 2."""
    wrong = np.argwhere((copies < 0) | (copies > 2))
    if len(wrong):
        i, j = wrong[0]
        raise DataError(
            f"genotype {copies[i, j]:g} of individual '{labels[i]}' at marker "
            f"'{markers[j]}': a genotype is a number of copies from 0 to 2"
        )


def _given_frequencies(frequencies, markers):
    """Frequencies in the order of the markers."""
    if isinstance(frequencies, pd.Series):
        check_unique(markers, "marker")
        check_unique(frequencies.index, "marker of the frequencies")
        absent = markers.difference(frequencies.index)
        if len(absent):
            raise DataError(f"the frequencies lack marker {quoted(absent)}")
        frequencies = frequencies.loc[markers]
    p = numeric(frequencies, "the frequencies")
    if p.shape != (len(markers),):
        raise DataError(f"frequencies have shape {p.shape} for {len(markers)} markers")
    wrong = ~((p >= 0) & (p <= 1))
    if wrong.any():
        raise DataError(f"the frequency of {quoted(markers[wrong])} is outside 0 to 1")
    return p
