"""Gateways of several nodes while shards come and go: see `testing/moving_rooms.py`."""

from __future__ import annotations

from functools import partial
from typing import Final

import pytest

from greenroom.testing.moving_parts import Risks
from greenroom.testing.moving_rooms import check
from greenroom.testing.seeds import describe, find_failing

SEEDS: Final = 40
RISKS: Final = {
    "nothing": Risks(),
    "lost and repeated messages": Risks(loss=0.05, repeats=0.05),
    "and clients that reconnect": Risks(loss=0.05, repeats=0.05, reconnects=1.0),
    "and shards and nodes that die": Risks(loss=0.05, repeats=0.05, reconnects=1.0, crashes=True),
}


@pytest.mark.parametrize("risks", RISKS.values(), ids=RISKS)
def test_calls_take_effect_once_in_order_and_meet_their_worker_while_shards_come_and_go(
    risks: Risks,
) -> None:
    failed = find_failing(partial(check, risks=risks), range(SEEDS), processes=1)

    command = f"python -c 'from greenroom.testing.moving_rooms import *; check({{seed}}, {risks})'"
    assert not failed, describe(failed, command)


def test_a_simulation_has_many_calls_moves_and_crashes() -> None:
    worlds = [check(seed, RISKS["and shards and nodes that die"]) for seed in range(10)]

    assert sum(len(world.nodes) for world in worlds) > 25
    assert sum(len(numbers) for world in worlds for numbers in world.effects.values()) > 2_000
    assert any(world.has_crashed for world in worlds)
