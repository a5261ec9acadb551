"""What a report of a problem should say about the machine."""

import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version

PACKAGE = "statsmodels-lmm"
DEVELOPER = ("docs", "test")
"""Extras that no analysis needs."""


def show_versions():
    """
    Print the versions of the package, of Python and of what it uses.

    The dependencies and the extras are those that the installed package names. How
    many threads BLAS has is told if threadpoolctl is installed.

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
        A line for each thing, its name and its version.
    """
    lines = [
        (PACKAGE, _version(PACKAGE)),
        ("python", platform.python_version()),
        ("platform", platform.platform()),
        *(("blas", pool) for pool in _pools()),
        *((name, _version(name)) for name in _requirements()),
    ]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:{width}}  {found}" for name, found in lines)


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _requirements():
    """Names of the packages that are used, those of extras last, each once."""
    try:
        stated = requires(PACKAGE) or []
    except PackageNotFoundError:
        return []
    found: dict = {False: [], True: []}
    for requirement in stated:
        name = re.split(r"[\s;<>=!~\[(]", requirement, maxsplit=1)[0]
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", requirement)
        if extra is None or extra[1] not in DEVELOPER:
            found[extra is not None].append(name)
    return list(dict.fromkeys(found[False] + sorted(found[True])))


def _pools():
    """What threadpoolctl says of each library of linear algebra that is loaded."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return ["threads unknown: threadpoolctl is not installed"]
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return [
        f"{pool['internal_api']} {pool['version']}, threads: {pool['num_threads']}"
        for pool in pools
    ]
