import pytest
from pandas import CategoricalDtype
from statsmodels.datasets.utils import Dataset

from statsmodels_lmm import datasets

# columns, numbers of levels, response and its mean
EXPECTED = {
    "sleepstudy": ("Reaction Days Subject", {"Subject": 18}, 298.5078916666667),
    "dyestuff": ("Batch Yield", {"Batch": 6}, 1527.5),
    "dyestuff2": ("Batch Yield", {"Batch": 6}, 5.6656),
    "penicillin": ("diameter plate sample", {"plate": 24, "sample": 6}, 22.97222222),
    "pastes": (
        "strength batch cask sample",
        {"batch": 10, "cask": 3, "sample": 30},
        60.05333333,
    ),
    "cake": (
        "replicate recipe temperature angle temp",
        {"replicate": 15, "recipe": 3, "temperature": 6},
        32.12222222,
    ),
    "insteval": (
        "s d studage lectage service dept y",
        {"s": 2972, "d": 1128, "studage": 4, "lectage": 6, "service": 2, "dept": 14},
        3.205744950354803,
    ),
    "machines": ("Worker Machine score", {"Worker": 6, "Machine": 3}, 59.65),
    "oats": ("Block Variety nitro yield", {"Block": 6, "Variety": 3}, 103.97222222),
    "cbpp": ("herd incidence size period", {"herd": 15, "period": 4}, 99 / 56),
    "contraception": (
        "woman district use livch age urban",
        {"woman": 1934, "district": 60, "use": 2, "livch": 4, "urban": 2},
        759 / 1934,
    ),
    "grouseticks": (
        "INDEX TICKS BROOD HEIGHT YEAR LOCATION cHEIGHT",
        {"INDEX": 403, "BROOD": 118, "YEAR": 3, "LOCATION": 63},
        2567 / 403,
    ),
    "orthodont": ("distance age Subject Sex", {"Subject": 27, "Sex": 2}, 24.02314815),
}


def test_catalog():
    assert sorted(EXPECTED) == datasets.__all__


@pytest.mark.parametrize("name", EXPECTED)
def test_contents(name):
    columns, n_levels, mean = EXPECTED[name]
    entry = getattr(datasets, name)
    dataset = entry.load_pandas()
    data = dataset.data
    assert isinstance(dataset, Dataset)
    assert dataset.names == list(data) == list(entry.variables) == columns.split()
    assert len(data) == entry.n_obs
    assert not data.isna().any(axis=None)
    for column in data:
        if column in n_levels:
            assert data[column].nunique() == n_levels[column]
            assert len(data[column].cat.categories) == n_levels[column]
        else:
            assert data[column].dtype == float
    assert dataset.endog.name == dataset.endog_name == entry.endog
    endog = dataset.endog
    numbers = endog.cat.codes if isinstance(endog.dtype, CategoricalDtype) else endog
    assert numbers.mean() == pytest.approx(mean, rel=1e-9)
    assert dataset.exog.equals(data.drop(columns=entry.endog))
    assert entry.load().data.equals(data)


@pytest.mark.parametrize(
    ("name", "column", "first", "last", "ordered"),
    [
        ("sleepstudy", "Subject", "308", "372", False),
        ("cbpp", "herd", "1", "15", False),
        ("contraception", "district", "1", "61", False),
        ("contraception", "use", "N", "Y", False),
        ("contraception", "livch", "0", "3+", False),
        ("grouseticks", "LOCATION", "1", "63", False),
        ("cake", "replicate", "1", "15", False),
        ("cake", "temperature", "175", "225", True),
        ("pastes", "sample", "A:a", "J:c", False),
        ("insteval", "s", "1", "2972", False),
        ("insteval", "d", "1", "2160", False),
        ("insteval", "studage", "2", "8", True),
        ("insteval", "lectage", "1", "6", True),
        ("insteval", "dept", "15", "2", False),
        ("machines", "Worker", "6", "5", False),
        ("oats", "Block", "VI", "I", False),
        ("oats", "Variety", "Golden Rain", "Victory", False),
        ("orthodont", "Subject", "M16", "F11", False),
        ("orthodont", "Sex", "Male", "Female", False),
    ],
)
def test_levels(name, column, first, last, ordered):
    factor = getattr(datasets, name).load_pandas().data[column]
    assert isinstance(factor.dtype, CategoricalDtype)
    assert factor.cat.categories[[0, -1]].tolist() == [first, last]
    assert factor.cat.ordered is ordered


def test_values_belong_to_their_levels():
    data = datasets.machines.load_pandas().data
    means = data.groupby(["Machine", "Worker"], observed=True)["score"].mean()
    assert means["B", "6"] == pytest.approx((43.7 + 44.2 + 43.0) / 3)
    data = datasets.cbpp.load_pandas().data
    assert data[["incidence", "size"]].sum().tolist() == [99.0, 842.0]
    data = datasets.contraception.load_pandas().data
    assert data.groupby("livch", observed=True).size()["3+"] == 743
    data = datasets.grouseticks.load_pandas().data
    assert data.groupby("YEAR", observed=True)["TICKS"].sum().tolist() == [
        696,
        1720,
        151,
    ]
    data = datasets.insteval.load_pandas().data
    assert data.groupby("dept", observed=True)["d"].nunique().sum() == 1128
    assert data["y"].groupby(data["dept"], observed=True).mean()["10"] == pytest.approx(
        2.990017, abs=1e-6
    )


@pytest.mark.parametrize("name", EXPECTED)
def test_texts(name):
    entry = getattr(datasets, name)
    texts = ["TITLE", "COPYRIGHT", "SOURCE", "DESCRSHORT", "DESCRLONG"]
    assert all(getattr(entry, text) for text in texts)
    assert f"Number of observations - {entry.n_obs}\n" in entry.NOTE
    assert all(f"  {variable} " in entry.NOTE for variable in entry.variables)
