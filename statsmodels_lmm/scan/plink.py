"""Genotypes in PLINK files, read by bed-reader a block at a time."""

import numpy as np
import pandas as pd


class BedColumns:
    """
    Genotypes of a PLINK file, which are read when they are sliced.

    Parameters
    ----------
    bed : bed_reader.open_bed
        The open file.
    """

    dtype = np.dtype(np.int8)

    def __init__(self, bed):
        self.bed, self.shape = bed, bed.shape

    def __getitem__(self, place):
        return self.bed.read(index=place, dtype="int8", num_threads=1)


def open_plink(path):
    """
    Open a PLINK file.

    Parameters
    ----------
    path : str
        The ``.bed`` file.

    Returns
    -------
    genotypes : BedColumns
        Shape (people, candidates).
    people, names : Index
        Their IDs.
    positions : DataFrame
        Chromosome and position of each candidate.

    Raises
    ------
    ImportError
        If bed-reader is not installed.
    """
    try:
        from bed_reader import open_bed
    except ImportError:
        raise ImportError(
            "PLINK files need bed-reader; install it with: "
            "pip install 'statsmodels_lmm[genotypes]'"
        ) from None
    bed = open_bed(path)
    names = pd.Index(bed.sid)
    positions = pd.DataFrame(
        {"chromosome": bed.chromosome, "position": bed.bp_position}, names
    )
    return BedColumns(bed), pd.Index(bed.iid), names, positions
