import builtins
import platform
import re
from importlib import import_module, metadata

import numpy as np
import pytest

import statsmodels_lmm

# the package has a function of the same name
module = import_module("statsmodels_lmm.show_versions")
versions = module.versions


@pytest.fixture
def lines():
    return dict(line.split(maxsplit=1) for line in versions().splitlines())


def test_installed_packages_are_told_with_their_versions(lines):
    assert lines["statsmodels-lmm"] == metadata.version("statsmodels-lmm")
    assert lines["statsmodels-lmm"] == statsmodels_lmm.__version__
    assert lines["python"] == platform.python_version()
    assert lines["numpy"] == np.__version__
    assert {"scipy", "pandas", "patsy", "statsmodels"} <= set(lines)


def test_extras_of_users_are_told_and_those_of_developers_are_not(monkeypatch):
    stated = [
        'tqdm; extra == "parallel"',
        "numpy>=1.26",
        'joblib>=1.3; python_version > "3" and extra == "parallel"',
        "scipy (>=1.13)",
        'joblib>=1.3; extra == "test"',
        'narwhals[polars]~=1.17; extra == "frames"',
        'pytest; extra == "test"',
        "sphinx!=8 ; extra == 'docs'",
    ]
    monkeypatch.setattr(module, "requires", lambda name: stated)
    names = [line.split()[0] for line in versions().splitlines()]
    last = ["numpy", "scipy", "joblib", "narwhals", "tqdm"]
    assert names[-len(last) :] == last
    assert not {"pytest", "sphinx"} & set(names)


def test_the_names_are_those_of_the_metadata(lines):
    required = metadata.requires("statsmodels-lmm")
    stated = [r for r in required if "extra ==" not in r]
    names = [re.match(r"[\w.-]+", r)[0] for r in stated]
    assert names == [n for n in lines if n in names]
    assert next(iter(lines)) == "statsmodels-lmm"


def test_threads_of_blas_are_those_of_threadpoolctl():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        found = [line for line in versions().splitlines() if line.startswith("blas ")]
    assert all(line.endswith(", threads: 1") for line in found)


def test_what_is_missing_is_told(monkeypatch):
    def version(name):
        if name in ("tqdm", "statsmodels-lmm"):
            raise metadata.PackageNotFoundError
        return "1.0"

    def without_threadpoolctl(name, *args, **kwargs):
        if name == "threadpoolctl":
            raise ImportError
        return plain(name, *args, **kwargs)

    plain = builtins.__import__
    monkeypatch.setattr(module, "version", version)
    monkeypatch.setattr(builtins, "__import__", without_threadpoolctl)
    found = [line.split(maxsplit=1) for line in versions().splitlines()]
    assert ["tqdm", "not installed"] in found
    assert ["statsmodels-lmm", "not installed"] in found
    assert ["scipy", "1.0"] in found
    assert ["blas", "threads unknown: threadpoolctl is not installed"] in found


def test_a_source_tree_that_is_not_installed(monkeypatch):
    def requires(name):
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(module, "requires", requires)
    assert "python" in versions()
    assert "scipy" not in versions()


def test_it_prints(capsys):
    module.show_versions()
    assert capsys.readouterr().out == versions() + "\n"
