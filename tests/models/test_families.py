"""Families and links by name, by class and by object."""

import warnings

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

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
from statsmodels_lmm.models.families import FAMILIES, LINKS, family_of

links = sm.families.links

SAME = [
    ("binomial", sm.families.Binomial(), Binomial(Logit())),
    ("Poisson", sm.families.Poisson(), Poisson(Log())),
    ("gamma", sm.families.Gamma(), Gamma(Power(-1.0))),
    ("inverse_gaussian", sm.families.InverseGaussian(), InverseGaussian(Power(-2.0))),
    ("Inverse.Gaussian", sm.families.InverseGaussian(), InverseGaussian(Power(-2.0))),
]


@pytest.mark.parametrize(("name", "given", "expected"), SAME, ids=[s[0] for s in SAME])
def test_name_class_and_object(name, given, expected):
    assert family_of(name) == expected
    assert family_of(type(given)) == expected
    assert family_of(given) == expected
    assert expected.name == type(given).__name__


LINKED = [
    ("logit", links.Logit, Logit()),
    ("probit", links.Probit, Probit()),
    ("cloglog", links.CLogLog, CLogLog()),
    ("loglog", links.LogLog, LogLog()),
    ("cauchy", links.Cauchy, Cauchy()),
    ("cauchit", links.Cauchy, Cauchy()),
    ("log", links.Log, Log()),
    ("identity", links.Identity, Power(1.0)),
]


@pytest.mark.parametrize(
    ("name", "given", "expected"), LINKED, ids=[row[0] for row in LINKED]
)
def test_links(name, given, expected):
    assert family_of("binomial", link=name).link_function == expected
    assert family_of("binomial", link=given).link_function == expected
    assert family_of("binomial", link=given()).link_function == expected
    assert family_of(sm.families.Binomial(given())).link_function == expected


def test_powers_of_the_mean():
    for given, power in (
        (links.Sqrt(), 0.5),
        (links.InversePower(), -1.0),
        (links.InverseSquared(), -2.0),
        (links.Power(3.0), 3.0),
    ):
        family = sm.families.Gamma(given, check_link=False)
        assert family_of(family) == Gamma(Power(power))
    assert family_of("Gamma", "inverse") == Gamma(Power(-1.0))
    assert family_of("InverseGaussian", "1/mu^2") == InverseGaussian(Power(-2.0))


def test_every_name_makes_its_link():
    for name, (_, named) in FAMILIES.items():
        for link in named:
            if (name, link) != ("gaussian", "identity"):
                assert family_of(name, link).link_name == link
    assert all(link.name == name for name, link in LINKS.items())


def test_alpha():
    """A name or class estimates it, an object has one."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for family in ("negativebinomial", "NegativeBinomial", "negative-binomial"):
            assert family_of(family) == NegativeBinomial(Log())
        assert family_of(sm.families.NegativeBinomial) == NegativeBinomial(Log())
    assert family_of("negativebinomial", alpha=0.5) == NegativeBinomial(Log(), 0.5)
    given = sm.families.NegativeBinomial(alpha=0.5)
    assert family_of(given) == NegativeBinomial(Log(), 0.5)
    with pytest.warns(match="alpha not set"):
        given = sm.families.NegativeBinomial()
    assert family_of(given) == NegativeBinomial(Log(), 1.0)


def test_gaussian():
    given = sm.families.Gaussian(links.Log())
    assert family_of(given) == family_of("gaussian", link="log") == Gaussian(Log())
    for family in ("gaussian", sm.families.Gaussian, sm.families.Gaussian()):
        with pytest.raises(ValueError, match="use crossedmixedlm"):
            family_of(family)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("zip", "glmmTMB"),
        ("ZeroInflatedPoisson", "statsmodels.discrete"),
        ("hurdle_poisson", "glmmTMB"),
        ("beta_family", "BetaModel"),
        ("ordered", "OrderedModel"),
        ("cumulative", "OrderedModel"),
        ("multinomial", "MNLogit"),
        ("tweedie", "glmmTMB"),
        ("nbinom1", "'negativebinomial'"),
        ("quasipoisson", "not a likelihood"),
        ("t", "glmmTMB"),
        ("betabinomial", "each row allows for overdispersed proportions"),
        ("nbinom2", "write 'negativebinomial'"),
        ("nb", "write 'negativebinomial'"),
        ("bernoulli", "are 'binomial'"),
        ("normal", "use crossedmixedlm"),
        ("lognormal", "logarithm of the response"),
        ("weibull", "there are 'binomial', 'poisson'.*links.Probit"),
    ],
)
def test_families_that_are_not_here(name, advice):
    with pytest.raises(ValueError, match=advice):
        family_of(name)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"family": "poisson", "link": "logit"}, "it has 'log', 'sqrt', 'identity'"),
        ({"family": "poisson", "link": "logg"}, "no link 'logg'"),
        ({"family": "poisson", "alpha": 1.0}, "only the family 'negativebinomial'"),
        ({"family": "negativebinomial", "alpha": -1.0}, "from 0 on"),
        ({"family": "negativebinomial", "alpha": np.nan}, "from 0 on"),
        ({"family": sm.families.Poisson(), "link": "log"}, r"Poisson\(link=\.\.\.\)"),
        (
            {"family": sm.families.NegativeBinomial(alpha=2.0), "alpha": 1.0},
            r"NegativeBinomial\(alpha=\.\.\.\)",
        ),
        ({"family": sm.families.Tweedie(var_power=1.5)}, "glmmTMB"),
        ({"family": "binomial", "link": object()}, "inverse_deriv2"),
        ({"family": 3}, r"sm\.families\.Poisson\(\), not 3"),
        ({"family": type("Half", (), {"link": links.Log()})}, "Half lacks variance"),
    ],
    ids=range(11),
)
def test_arguments_that_do_not_fit(arguments, words):
    with pytest.raises(ValueError, match=words):
        family_of(**arguments)


class WithScale(sm.families.Gamma):
    """A subclass may be another family."""


class WithoutLikelihood(sm.families.Family):
    """A variance function alone."""

    def __init__(self):
        super().__init__(links.Log(), sm.families.Poisson.variance, check_link=False)


def test_families_of_a_user():
    given = WithScale(links.Log())
    family = family_of(given)
    assert isinstance(family, GenericFamily)
    assert family.has_extra
    assert family.link_function == Log()
    y, mu = np.array([0.3, 2.0]), np.array([1.0, 1.5])
    own = Gamma(Log())
    np.testing.assert_allclose(
        family.half_deviance(y, 2.0, np.log(mu), 0.3),
        own.half_deviance(y, 2.0, np.log(mu), 0.3),
    )

    class Counts(sm.families.Poisson):
        pass

    assert not family_of(Counts()).has_extra
    assert family_of(Counts()).is_discrete
    assert isinstance(family_of(Counts).given, Counts)
    with pytest.raises(ValueError, match="no log-likelihood"):
        family_of(WithoutLikelihood())


def test_a_link_of_a_user():
    given = links.CDFLink(stats.logistic)
    family = family_of(sm.families.Binomial(given))
    assert family == Binomial(UserLink(given))
    assert family_of("binomial", link=given) == family
    eta = np.array([-2.0, 0.4])
    np.testing.assert_allclose(
        family.slopes(np.ones(2), 1.0, eta).first,
        Binomial(Logit()).slopes(np.ones(2), 1.0, eta).first,
    )
