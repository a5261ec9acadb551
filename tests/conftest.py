"""What holds for all tests."""

import pytest
from samples import ENGINES

from statsmodels_lmm.compat import formula_engine

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


@pytest.fixture(params=ENGINES)
def engine(request):
    """Each of statsmodels' formula engines."""
    with formula_engine(request.param):
        yield request.param
