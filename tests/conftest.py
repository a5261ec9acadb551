"""What holds for all tests."""

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
