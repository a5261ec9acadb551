"""The family of a generalized model in a saved fit."""

from statsmodels_lmm.core.families.binomial import Binomial
from statsmodels_lmm.core.families.gamma import Gamma
from statsmodels_lmm.core.families.gaussian import Gaussian
from statsmodels_lmm.core.families.inverse_gaussian import InverseGaussian
from statsmodels_lmm.core.families.links import Log, Power
from statsmodels_lmm.core.families.negative_binomial import NegativeBinomial
from statsmodels_lmm.core.families.poisson import Poisson
from statsmodels_lmm.core.families.probability_links import (
    Cauchy,
    CLogLog,
    Logit,
    LogLog,
    Probit,
)
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inputs.saved_values import number, text

FAMILIES: dict = {
    family.name: family
    for family in (
        Binomial,
        Poisson,
        NegativeBinomial,
        Gamma,
        InverseGaussian,
        Gaussian,
    )
}
LINKS: dict = {
    link.name: link for link in (Logit, Probit, CLogLog, LogLog, Cauchy, Log)
}
"""Families and links without parameters that can be saved, by name."""


def plain_family(family, alpha):
    """
    A family as names and numbers.

    Parameters
    ----------
    family : Family
        The family.
    alpha : float or None
        The alpha of the negative binomial family, estimated or known.

    Returns
    -------
    dict

    Raises
    ------
    DataError
        If the family or its link is the user's.
    """
    link = family.link_function
    if type(family) is not FAMILIES.get(family.name):
        raise DataError(f"a custom family, {family.name}, cannot be saved")
    power = link.power if type(link) is Power else None
    if power is None and type(link) is not LINKS.get(link.name):
        raise DataError(f"a custom link, {link.name}, cannot be saved")
    return {"name": family.name, "link": link.name, "power": power, "alpha": alpha}


def restored_family(plain):
    """
    The family of a saved fit.

    Parameters
    ----------
    plain : dict
        As made by `plain_family`.

    Returns
    -------
    Family

    Raises
    ------
    Exception
        Of any kind, if anything is missing or damaged.
    """
    kind = FAMILIES[text(plain["name"], "family")]
    if plain["power"] is None:
        link = LINKS[text(plain["link"], "link")]()
    else:
        link = Power(number(plain["power"], "power"))
        if link.power == 0.0:
            raise ValueError("the power of a link is zero")
    if kind is NegativeBinomial:
        return NegativeBinomial(link, number(plain["alpha"], "alpha", least=0.0))
    return kind(link)
