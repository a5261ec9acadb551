"""Arguments of a scan that are unknown or do not go together."""

import pytest

from statsmodels_lmm.scan.question import Question

PLAIN = {
    "method": "exact",
    "test": "wald",
    "df_method": None,
    "reml": None,
    "missing": "mean",
    "adjust": None,
    "has_sets": False,
}


def asked(**options):
    return Question.of(**{**PLAIN, **options})


def test_adjustments_by_the_names_of_r():
    assert asked(adjust="BH").adjust == "fdr_bh"
    assert asked(adjust="none").adjust is None


def test_defaults():
    assert asked().reml is True
    assert asked().df_method == "asymptotic"
    assert asked(test="lr").reml is False
    assert asked(reml=False).reml is False
    assert asked(df_method="Satterthwaite").df_method == "satterthwaite"


@pytest.mark.parametrize(
    ("match", "options"),
    [
        ("method must be 'exact' or 'held'", {"method": "fast"}),
        ("test must be", {"test": "f"}),
        ("missing must be", {"missing": "none"}),
        ("adjust must be", {"adjust": "best"}),
        ("df_method must be", {"df_method": "none"}),
        ("not available for a scan", {"df_method": "kenward-roger"}),
        ("is for test='wald'", {"df_method": "residual", "test": "lr"}),
        ("needs ML", {"test": "lr", "reml": True}),
        ("method='held'", {"test": "score"}),
        ("without sets", {"df_method": "satterthwaite", "has_sets": True}),
        ("method='exact'", {"df_method": "satterthwaite", "method": "held"}),
    ],
)
def test_what_is_refused(match, options):
    with pytest.raises(ValueError, match=match):
        asked(**options)
