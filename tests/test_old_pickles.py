"""Pickles of earlier versions of the package are read and answer as they did."""

import json
import lzma
import pathlib
import pickle
import re
import warnings
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec

import numpy as np
import pytest
from numpy.testing import assert_allclose
from reference.pickles.answers import answers

import statsmodels_lmm
from statsmodels_lmm import old_names

FOLDER = pathlib.Path(__file__).parent / "reference/pickles"
NAMES = sorted(path.name.partition(".")[0] for path in FOLDER.glob("*.pickle.xz"))

DIGITS = {"statsmodels": 2, "patsy": 1, "pandas": 1, "numpy": 1, "scipy": 1}
"""
Digits of the version of a package that count. The pickles hold objects of these
packages, too, which older versions cannot read.
"""

EXACT = 1e-8
SEARCHED = 1e-6
"""Relative differences of what is computed and of what is searched for anew."""

pytestmark = pytest.mark.filterwarnings("ignore:the fixed effects are not linearly")

NUMBER = re.compile(r"-?\d+\.?\d*(?:e[-+]\d+)?")


def saved(name):
    """Content of a pickle and what it answered, if the packages are new enough."""
    frozen = json.loads((FOLDER / f"{name}.json").read_text())
    for package, digits in DIGITS.items():
        then, now = (
            tuple(map(int, re.findall(r"\d+", text)[:digits]))
            for text in (frozen["packages"][package], version(package))
        )
        if now < then:
            pytest.skip(f"the pickle holds objects of {package} {then}, this is {now}")
    content = lzma.decompress((FOLDER / f"{name}.pickle.xz").read_bytes())
    return content, frozen["answers"]


def silently(content):
    """Read a pickle; any warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return pickle.loads(content)


def assert_same(found, wanted, where="", rtol=EXACT):
    """Compare what JSON keeps, numbers to their digits, those in text to one unit."""
    if {"fit", "refit"} & set(where.split(" > ")):
        rtol = SEARCHED
    if isinstance(wanted, dict):
        assert list(found) == list(wanted), where
        for name in wanted:
            assert_same(found[name], wanted[name], f"{where} > {name}", rtol)
    elif isinstance(wanted, list) and wanted and all_numbers(wanted):
        size = np.abs(np.array(wanted)).max()
        assert_allclose(found, wanted, rtol, rtol * size, err_msg=where)
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), where
        for at, (one, other) in enumerate(zip(found, wanted)):
            assert_same(one, other, f"{where} > {at}", rtol)
    elif isinstance(wanted, float):
        assert_allclose(found, wanted, rtol, 1e-12, err_msg=where)
    elif isinstance(wanted, str):
        assert_same_text(found, wanted, where)
    else:
        assert found == wanted, where


def all_numbers(values):
    return all(isinstance(v, float) for v in values)


def assert_same_text(found, wanted, where):
    """The same words; numbers may differ in their last digit."""
    words = [NUMBER.sub("#", text).split() for text in (found, wanted)]
    assert words[0] == words[1], where
    for one, other in zip(NUMBER.findall(found), NUMBER.findall(wanted)):
        digits = len(other.partition("e")[0].partition(".")[2])
        power = int(other.partition("e")[2] or 0)
        assert abs(float(one) - float(other)) <= 1.01 * 10.0 ** (power - digits), where


@pytest.mark.parametrize("name", NAMES)
def test_old_pickles_answer(name):
    content, wanted = saved(name)
    assert_same(answers(silently(content)), wanted)


@pytest.mark.parametrize("name", NAMES)
def test_old_pickles_are_pickled_again(name):
    content, wanted = saved(name)
    again = pickle.dumps(silently(content))
    assert_same(answers(silently(again)), wanted)


def test_no_pickle_is_missing():
    assert NAMES == sorted(path.stem for path in FOLDER.glob("*.json")) != []


def test_old_modules_are_found_and_give_all_their_names():
    names: dict = {}
    exec("from statsmodels_lmm.model import *", names)
    assert names["CrossedMixedLM"] is statsmodels_lmm.CrossedMixedLM
    assert find_spec("statsmodels_lmm.model").name == "statsmodels_lmm.model"


@pytest.mark.parametrize("name", old_names.NAMES)
def test_every_renamed_class_or_function_is_there(name):
    module, _, old = name.rpartition(".")
    found = getattr(import_module(f"statsmodels_lmm.{module}"), old)
    assert found.__name__ == old_names.NAMES[name]
