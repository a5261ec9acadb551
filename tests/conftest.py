"""What holds for all tests."""

import gc
from collections import defaultdict

import pytest
from samples import ENGINES, sample

from statsmodels_lmm.formula.backend import formula_engine

try:
    from hypothesis import HealthCheck, settings
except ImportError:
    pass
else:
    # the same data each time, and as much time as a busy machine needs
    settings.register_profile(
        "steady",
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("steady")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Of a test with many cases all but a few, spread evenly, are slow."""
    cases = defaultdict(list)
    for item in items:
        cases[item.nodeid.partition("[")[0]].append(item)
    for same in cases.values():
        # an odd step does not meet one of two alternatives only
        few = same[:: len(same) // 2 | 1]
        for item in set(same).difference(few):
            item.add_marker("slow")


def pytest_collection_finish():
    """Of what lives to the end no search for garbage looks at anything again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


@pytest.fixture(params=ENGINES)
def engine(request):
    """Each of statsmodels' formula engines."""
    with formula_engine(request.param):
        yield request.param


@pytest.fixture(scope="module")
def data():
    """The shared sample."""
    return sample()
