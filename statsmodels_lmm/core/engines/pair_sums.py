"""The sums of `core.rows.pair_sums`, under the name by which engines import them."""

from statsmodels_lmm.core.rows.pair_sums import LinkedBlocks, PairSums

__all__ = ["LinkedBlocks", "PairSums"]
