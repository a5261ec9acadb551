"""Names in plots: short, and never two of them the same."""

import pytest

from statsmodels_lmm.graphics.labels import distinct, short, wrapped

DEEP = [
    f"irrigation[T.flooded]:density[T.{d}]:fertilizer[T.{f}]"
    for d in ("low", "medium")
    for f in ("N", "P", "NP")
]
LONG = [f"C(variety, Treatment('Golden rain'))[T.{i:03d}]{'x' * 90}" for i in range(20)]


def test_long_names_lose_their_middle():
    assert short("a" * 28) == "a" * 28
    name = short("recipe[T.B]:temperature[T.185]", 20)
    assert len(name) == 20
    assert name.startswith("recipe[T.B")
    assert name.endswith("re[T.185]")


def test_names_that_would_be_the_same_keep_more():
    names = [*LONG, "short", LONG[0]]
    assert len({short(name, 20) for name in names}) == 2
    labels = distinct(names, 20)
    assert len(set(labels)) == 21
    assert labels[0] == labels[-1]
    assert labels[-2] == "short"
    assert max(map(len, labels)) < 100
    # one that reads like a shortened other
    pair = ["a" * 30, short("a" * 30)]
    assert distinct(pair) == pair


@pytest.mark.parametrize("names", [DEEP, LONG, ["été:" * 30, "été:" * 31]])
def test_lines_are_not_long_and_labels_not_the_same(names):
    labels = wrapped(names, 28, 2)
    assert len(set(labels)) == len(names)
    assert all(len(line) <= 28 for label in labels for line in label.split("\n"))


def test_lines_end_at_colons_or_else_at_other_marks():
    assert wrapped(DEEP[:1]) == [
        "irrigation[T.flooded]:\ndensity[T.low]:\nfertilizer[T.N]"
    ]
    assert wrapped(["a:b", "$x"]) == ["a:b", r"\$x"]
    (label,) = wrapped(["C(variety_of_the_field)[T.Golden rain]:x"])
    assert label == "C(variety_of_the_field)\n[T.Golden rain]:x"
    assert wrapped(["one of two three"], 8) == ["one of \ntwo \nthree"]
    assert wrapped(["b" * 40], 30) == ["b" * 30 + "\n" + "b" * 10]
