"""Versions to state when reporting a problem."""

import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version

PACKAGE = "statsmodels-lmm"
DEVELOPER = ("docs", "test")
"""Extras that only developers need."""


def show_versions() -> None:
    """
    Print the versions of this package, of Python and of the dependencies.

    The dependencies and extras are those that the installed package declares. The
    number of BLAS threads is printed if threadpoolctl is installed.

    Examples
    --------
    >>> from statsmodels_lmm import show_versions
    >>> show_versions()  # doctest: +SKIP
    """
    print(versions())


def versions():
    """
    The text that `show_versions` prints.

    Returns
    -------
    str
        One line per package or library, with its name and version.
    """
    lines = [
        (PACKAGE, _version(PACKAGE)),
        ("python", platform.python_version()),
        ("platform", platform.platform()),
        *(("blas", pool) for pool in _pools()),
        *((name, _version(name)) for name in _requirements()),
    ]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:{width}}  {number}" for name, number in lines)


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _requirements():
    """Names of the packages used, each once, those of extras last."""
    try:
        stated = requires(PACKAGE) or []
    except PackageNotFoundError:
        return []
    names: dict = {False: [], True: []}
    for requirement in stated:
        name = re.split(r"[\s;<>=!~\[(]", requirement, maxsplit=1)[0]
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", requirement)
        if extra is None or extra[1] not in DEVELOPER:
            names[extra is not None].append(name)
    return list(dict.fromkeys(names[False] + sorted(names[True])))


def _pools():
    """What threadpoolctl reports about each BLAS library loaded."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return ["threads unknown: threadpoolctl is not installed"]
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return [
        f"{pool['internal_api']} {pool['version']}, threads: {pool['num_threads']}"
        for pool in pools
    ]
