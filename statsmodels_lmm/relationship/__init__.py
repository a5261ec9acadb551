"""Known covariance matrices for levels that are relatives, species or locations."""

from statsmodels_lmm.relationship.genomic import genomic_relationship
from statsmodels_lmm.relationship.labeled import LabeledMatrix
from statsmodels_lmm.relationship.pedigree import (
    inbreeding,
    numerator_relationship,
    numerator_relationship_inverse,
)
from statsmodels_lmm.relationship.phylogeny import (
    phylogenetic_covariance,
    phylogenetic_covariance_inverse,
)
from statsmodels_lmm.relationship.spatial import spatial_covariance

__all__ = [
    "LabeledMatrix",
    "genomic_relationship",
    "inbreeding",
    "numerator_relationship",
    "numerator_relationship_inverse",
    "phylogenetic_covariance",
    "phylogenetic_covariance_inverse",
    "spatial_covariance",
]
