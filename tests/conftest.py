from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# the speed of a shared machine is no property of the code: only what is wrong may fail
settings.register_profile(
    "greenroom",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("greenroom")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of tests/simulation."""
    group = parser.getgroup("simulation")
    group.addoption("--seed", type=int, help="play only this seed, here and with its traceback")
    group.addoption("--seeds", type=int, default=1_000, help="how many seeds to play")
