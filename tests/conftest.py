from __future__ import annotations

from hypothesis import HealthCheck, settings

# the speed of a shared machine is no property of the code: only what is wrong may fail
settings.register_profile(
    "greenroom",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("greenroom")
