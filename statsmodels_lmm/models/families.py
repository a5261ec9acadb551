"""Families and links by name, and from objects of statsmodels or of the user."""

import inspect
import re

import numpy as np
from statsmodels.genmod.families import family as sm_families
from statsmodels.genmod.families import links as sm_links

from statsmodels_lmm.core.families.binomial import Binomial
from statsmodels_lmm.core.families.gamma import Gamma
from statsmodels_lmm.core.families.gaussian import Gaussian
from statsmodels_lmm.core.families.generic import GenericFamily, UserLink
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

FAMILIES: dict = {
    "binomial": (
        Binomial,
        ("logit", "probit", "cloglog", "loglog", "cauchy", "log", "identity"),
    ),
    "poisson": (Poisson, ("log", "sqrt", "identity")),
    "negativebinomial": (NegativeBinomial, ("log", "sqrt", "identity")),
    "gamma": (Gamma, ("inverse_power", "log", "identity")),
    "inversegaussian": (
        InverseGaussian,
        ("inverse_squared", "inverse_power", "log", "identity"),
    ),
    "gaussian": (Gaussian, ("identity", "log", "inverse_power")),
}
"""Families and their links by name; the first is the default, as in statsmodels."""

LINKS = {
    "logit": Logit(),
    "probit": Probit(),
    "cloglog": CLogLog(),
    "loglog": LogLog(),
    "cauchy": Cauchy(),
    "log": Log(),
    "sqrt": Power(0.5),
    "identity": Power(1.0),
    "inverse_power": Power(-1.0),
    "inverse_squared": Power(-2.0),
}

IN_R = {"cauchit": "cauchy", "inverse": "inverse_power", "1/mu^2": "inverse_squared"}
"""Names of links in R."""

ELSEWHERE = {
    "zi|zero|hurdle|trunc": "zero inflation and truncation are not available; see the "
    "zero-inflated models of statsmodels.discrete without random effects, and glmmTMB "
    "in R with them",
    "betabin": "beta-binomial distributions are not available; a random effect for "
    "each row allows for overdispersed proportions",
    "beta": "beta regression is not available; see "
    "statsmodels.othermod.betareg.BetaModel without random effects, and glmmTMB in R "
    "with them",
    "ord|cumul|clm|polr": "ordinal responses are not available; see "
    "statsmodels.miscmodels.ordinal_model.OrderedModel without random effects, and "
    "clmm of the package ordinal in R with them",
    "multinom|categor": "multinomial responses are not available; see "
    "statsmodels.discrete.discrete_model.MNLogit without random effects, and the "
    "package mclogit in R with them",
    "tweedie": "Tweedie distributions are not available; see glmmTMB in R",
    "nbinom1|nb1|compois|genpois|conway": "overdispersed counts can have the family "
    "'negativebinomial' with variance mu + alpha mu^2; for others see glmmTMB in R",
    "quasi": "a quasi-likelihood is not a likelihood; a random effect for each row or, "
    "for counts, family='negativebinomial' allows for overdispersion",
    "nb$|nbinom2?$|negb": "write 'negativebinomial', with variance mu + alpha mu^2",
    "bern": "zeros and ones are 'binomial'",
    "normal$|linear": "a normal response has a linear mixed model; use crossedmixedlm",
    "lognormal": "the logarithm of the response has a linear mixed model; use "
    "crossedmixedlm",
    "student|^t$": "t distributions are not available; see glmmTMB in R",
}
"""Families that are not available, and where to find them."""

NEEDED = ("link", "variance", "loglike_obs", "resid_dev", "starting_mu")
"""Attributes required of the user's family."""

COUNTS = (sm_families.Binomial, sm_families.Poisson, sm_families.NegativeBinomial)
"""Families for which statsmodels does not estimate a scale."""


def family_of(family, link=None, alpha=None):
    """
    The family of a generalized mixed model.

    Parameters
    ----------
    family : str, class or object
        A name, "binomial", "poisson", "negativebinomial", "gamma", "inversegaussian" or
        "gaussian", in any spelling; a family of statsmodels, as in
        ``sm.families.Binomial()``; or an object with the same attributes (`link`,
        `variance`, `loglike_obs`, `resid_dev`, `starting_mu`).
    link : str or object, optional
        A name, such as "probit", or a link of statsmodels. Default is that of
        statsmodels. Not allowed with a family object, which has its own link.
    alpha : float, optional
        Known alpha of the negative binomial family, at least 0. By default it is
        estimated. An object ``sm.families.NegativeBinomial(alpha=...)`` has a known
        alpha, 1 if it was made without; write ``family="negativebinomial"`` to
        estimate it.

    Returns
    -------
    Family
        See `core.families.base.Family`.

    Raises
    ------
    ValueError
        If there is no such family or link, or none with a likelihood.
    """
    if isinstance(family, str) or inspect.isclass(family):
        found = _named(family, link, alpha)
    elif link is not None or alpha is not None:
        what = "link" if link is not None else "alpha"
        name = type(family).__name__
        raise ValueError(
            f"a family object has its own {what}: write {name}({what}=...), or give "
            f"the family by name"
        )
    else:
        found = _from_object(family)
    if isinstance(found, Gaussian) and found.link_name == "identity":
        raise ValueError(
            "a Gaussian family with identity link is a linear mixed model; use "
            "crossedmixedlm"
        )
    return found


def _named(family, link, alpha):
    """The family with a given name, or of a given class."""
    name = family if isinstance(family, str) else family.__name__
    key = re.sub(r"[\W_]", "", name).lower()
    if inspect.isclass(family) and family not in _CLASSES.values():
        if link is not None or alpha is not None:
            raise ValueError("write the link and alpha into an object of the class")
        return _from_object(family())
    if key not in FAMILIES:
        for pattern, advice in ELSEWHERE.items():
            if re.match(pattern, key):
                raise ValueError(f"there is no family {name!r}: {advice}")
        known = ", ".join(map(repr, FAMILIES))
        raise ValueError(
            f"there is no family {name!r}; there are {known}, and for other links "
            "objects such as sm.families.Binomial(sm.families.links.Probit())"
        )
    kind, links = FAMILIES[key]
    link = _link_of(links[0] if link is None else link, name, links)
    if kind is not NegativeBinomial:
        if alpha is not None:
            raise ValueError("only the family 'negativebinomial' has an alpha")
        return kind(link)
    if alpha is not None and not (np.isfinite(alpha) and alpha >= 0.0):
        raise ValueError(f"alpha must be a number from 0 on, not {alpha!r}")
    return kind(link, None if alpha is None else float(alpha))


def _link_of(link, family, allowed):
    """A link by name, class or object."""
    if isinstance(link, str):
        name = IN_R.get(link.lower(), link.lower())
        if name not in allowed:
            known = ", ".join(map(repr, allowed))
            raise ValueError(
                f"the family {family!r} has no link {link!r}; it has {known}"
            )
        return LINKS[name]
    return _link_from_object(link() if inspect.isclass(link) else link)


def _link_from_object(link):
    """The core's link for one of statsmodels; any other object is wrapped."""
    kind = type(link)
    if kind in _LINKS:
        return LINKS[_LINKS[kind]]
    if isinstance(link, sm_links.Power) and kind.__module__ == sm_links.__name__:
        return Power(float(link.power))
    if not hasattr(link, "inverse_deriv2"):
        raise ValueError(
            f"a link needs inverse, inverse_deriv and inverse_deriv2; "
            f"{kind.__name__} lacks some of them"
        )
    return UserLink(link)


def _from_object(family):
    """The family for an object of statsmodels or of the user."""
    kind = type(family)
    name = next((n for n, known in _CLASSES.items() if kind is known), None)
    if name is not None:
        link = _link_from_object(family.link)
        if name == "negativebinomial":
            return NegativeBinomial(link, float(family.alpha))
        return FAMILIES[name][0](link)
    if isinstance(family, sm_families.Tweedie):
        raise ValueError(ELSEWHERE["tweedie"])
    lacking = [a for a in NEEDED if not hasattr(family, a)]
    if len(lacking) == len(NEEDED):
        raise ValueError(
            "family must be a name, such as 'poisson', or a family of statsmodels, "
            f"such as sm.families.Poisson(), not {family!r}"
        )
    if lacking:
        raise ValueError(f"the family {kind.__name__} lacks {', '.join(lacking)}")
    link = _link_from_object(family.link)
    mu = link.mean(np.array([0.5]))
    try:
        values = [family.loglike_obs(mu, mu, scale=s) for s in (1.0, 2.0)]
        usable = bool(np.isfinite(values).all())
    except NotImplementedError:
        usable = False
    if not usable:
        raise ValueError(
            f"the family {kind.__name__} has no log-likelihood, loglike_obs, to "
            f"maximize"
        )
    is_count = isinstance(family, COUNTS)
    has_extra = not is_count and not np.array_equal(*values)
    return GenericFamily(link, family, has_extra, is_count)


def statsmodels_family(family):
    """
    The family of statsmodels that corresponds to one of a mixed model.

    Parameters
    ----------
    family : Family
        As returned by `family_of`, with a known alpha.

    Returns
    -------
    statsmodels.genmod.families.Family
        The user's own object, if it was made from one.
    """
    if isinstance(family, GenericFamily):
        return family.given
    link = family.link_function
    if isinstance(link, UserLink):
        link = link.given
    elif isinstance(link, Power):
        link = sm_links.Power(link.power)
    else:
        name = link.name
        link = next(kind for kind, known in _LINKS.items() if known == name)()
    name = next(n for n, (kind, _) in FAMILIES.items() if type(family) is kind)
    known = {"alpha": family.alpha} if name == "negativebinomial" else {}
    return _CLASSES[name](link, check_link=False, **known)


_CLASSES = {
    "binomial": sm_families.Binomial,
    "poisson": sm_families.Poisson,
    "negativebinomial": sm_families.NegativeBinomial,
    "gamma": sm_families.Gamma,
    "inversegaussian": sm_families.InverseGaussian,
    "gaussian": sm_families.Gaussian,
}
"""Statsmodels' families; a subclass may be another family."""

_LINKS = {
    sm_links.Logit: "logit",
    sm_links.Probit: "probit",
    sm_links.CLogLog: "cloglog",
    sm_links.LogLog: "loglog",
    sm_links.Cauchy: "cauchy",
    sm_links.Log: "log",
}
