"""Scans: many candidate predictors, each beside the effects of one model."""

from statsmodels_lmm.scan.scan_results import PredictorScan

__all__ = ["PredictorScan"]
