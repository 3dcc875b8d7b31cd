"""What is recorded of LiveKit, under many orders of delivery: see greenroom.conformance.seeded."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from greenroom.actors._base import ActorAddress, told
from greenroom.actors.stats_worker import StatsWorker
from greenroom.conformance import seeded, seeded_webhooks
from greenroom.conformance.scenarios import check_scenario
from greenroom.conformance.vectors import Vector, read_vectors
from greenroom.messages.stats import TrackStat
from greenroom.testing.seeds import Check, describe, find_failing

COMMAND = "pytest tests/simulation --seed {seed}"
DATA = Path(__file__).parents[1] / "data"
SCENARIOS = DATA / "scenarios.jsonl.gz"
WEBHOOKS = DATA / "webhook.jsonl.gz"


def try_seeds(check: Check, request: pytest.FixtureRequest) -> None:
    seed: int | None = request.config.getoption("--seed")
    if seed is not None:
        check(seed)
        return

    failed = find_failing(check, range(request.config.getoption("--seeds")))

    if failed:
        pytest.fail(describe(failed, COMMAND), pytrace=False)


@pytest.mark.timeout(600)
def test_whatever_the_order_every_scenario_comes_out_as_recorded(
    request: pytest.FixtureRequest,
) -> None:
    try_seeds(partial(seeded.check_seed, path=SCENARIOS), request)


@pytest.mark.timeout(600)
def test_whatever_the_order_every_webhook_is_delivered_as_recorded(
    request: pytest.FixtureRequest,
) -> None:
    try_seeds(partial(seeded_webhooks.check_seed, path=WEBHOOKS), request)


def scenario(name: str) -> Vector:
    return next(vector for vector in read_vectors(SCENARIOS) if vector.name == name)


def test_an_altered_expectation_fails_in_every_order() -> None:
    vector = scenario("left_connected")
    content: dict[str, Any] = copy.deepcopy(dict(vector.content))
    content["steps"][1]["expect"]["webhooks"][0]["event"]["event"] = "room_started"
    altered = seeded.read_scenario(replace(vector, content=content))

    found = [seeded.play(altered, seed) for seed in range(20)]

    assert all("webhooks" in one.path for differences in found for one in differences)
    assert [len(differences) for differences in found] == [1] * 20


def test_an_altered_statistic_fails_also_where_batches_are_compared_without_order() -> None:
    vector = scenario("random-20260216047")
    content: dict[str, Any] = copy.deepcopy(dict(vector.content))
    batches = content["steps"][61]["expect"]["stats"]
    whose = [(batch[0]["room_id"], batch[0]["participant_id"]) for batch in batches]
    shared = [index for index, key in enumerate(whose) if whose.count(key) > 1]
    batches[shared[0]][0]["streams"][0]["frames"] = 7
    altered = seeded.read_scenario(replace(vector, content=content))

    assert len(shared) == 2  # an open worker's and a closed one's
    assert all(seeded.play(altered, seed) for seed in range(20))


class PonderingWorker(StatsWorker):
    """Sends itself each sample first: right only where nothing overtakes that message."""

    @told(TrackStat)
    def on_track_stat(self, sample: TrackStat, sender: ActorAddress) -> None:
        if sender == self.myAddress:
            super().on_track_stat(sample, sender)
        else:
            self.send(self.myAddress, sample)


def test_an_actor_that_relies_on_the_usual_order_is_found_out() -> None:
    vector = scenario("stats_up_and_down_same_track")
    played = seeded.read_scenario(vector)

    found = [seeded.play(played, seed, PonderingWorker) for seed in range(20)]

    assert any(found)
    assert not any(seeded.play(played, seed) for seed in range(20))
    assert not check_scenario(vector, PonderingWorker).differences


def test_every_scenario_meets_one_of_as_many_seeds_as_there_are_shares() -> None:
    scenarios = seeded.read_scenarios(SCENARIOS)
    shares = [scenarios[seed % seeded.SHARES :: seeded.SHARES] for seed in range(seeded.SHARES)]

    assert len(scenarios) == 348
    assert sorted(one.where for share in shares for one in share) == sorted(
        one.where for one in scenarios
    )
