"""Greenroom's actors under many orders of delivery: see greenroom.testing.simulation."""

from __future__ import annotations

import pytest

from greenroom.testing.seeds import Check, describe, find_failing
from greenroom.testing.simulation import Simulation, check, check_ended, check_failing

COMMAND = "pytest tests/simulation --seed {seed}"


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "check",
    [check, check_failing, check_ended],
    ids=["any_order", "failing_actors", "ended_actors"],
)
def test_whatever_happens_every_sample_and_webhook_comes_once_and_nothing_is_left(
    check: Check, request: pytest.FixtureRequest
) -> None:
    seed: int | None = request.config.getoption("--seed")
    if seed is not None:
        check(seed)
        return

    failed = find_failing(check, range(request.config.getoption("--seeds")))

    if failed:
        pytest.fail(describe(failed, COMMAND), pytrace=False)


def test_the_same_seed_gives_the_same_run() -> None:
    runs = [Simulation(5), Simulation(5), Simulation(6)]

    for run in runs:
        run.run()

    first, again, other = (
        (run.analytics.sends, [attempt.body for attempt in run.poster.attempts]) for run in runs
    )
    assert first == again
    assert first != other
