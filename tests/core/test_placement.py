from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.core.placement import REMEMBERED, Placement, room_route

SHARDS = st.sets(st.text(min_size=1, max_size=12), min_size=1, max_size=12)
ROUTES = st.lists(st.text(max_size=12), max_size=30)


@given(SHARDS, st.text(min_size=1, max_size=12), ROUTES)
def test_a_shard_that_comes_or_goes_moves_only_its_own_share(
    shards: set[str], other: str, routes: list[str]
) -> None:
    without = Placement(shards - {other} or {"last"})
    having = Placement({*without.shards, other})

    for route in routes:
        assert having.owner(route) in (other, without.owner(route))


@given(SHARDS, ROUTES, st.randoms())
def test_whoever_asks_in_whatever_order_gets_the_same_answer(
    shards: set[str], routes: list[str], random: object
) -> None:
    backwards = Placement(sorted(shards, reverse=True) * 2)
    placement = Placement(shards)

    asked = {route: placement.owner(route) for route in routes}

    assert asked == {route: backwards.owner(route) for route in reversed(routes)}
    assert asked == {route: placement.owner(route) for route in routes}, "the second time, too"


def test_another_process_gives_the_same_answer() -> None:
    code = (
        "from greenroom.core.placement import Placement;"
        "print(*(Placement(['a/0', 'a/1', 'b/0']).owner(f'room:{n}') for n in range(50)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    placement = Placement(["b/0", "a/1", "a/0"])

    assert said.stdout.split() == [placement.owner(f"room:{number}") for number in range(50)]


def test_each_shard_gets_about_the_same_share() -> None:
    placement = Placement(f"node/{number}" for number in range(4))
    owners = [placement.owner(f"room:{number}") for number in range(4_000)]

    assert all(850 < owners.count(shard) < 1_150 for shard in placement.shards)


def test_more_routes_than_are_remembered_keep_their_answers() -> None:
    placement = Placement(["a", "b"])
    first = placement.owner("room:0")
    for number in range(REMEMBERED + 10):
        placement.owner(f"room:{number}")

    assert placement.owner("room:0") == first


def test_without_shards_there_is_no_owner() -> None:
    with pytest.raises(LookupError, match="no shards"):
        Placement([]).owner("room:a")


def test_a_room_goes_by_its_name_or_else_by_its_id_and_both_are_kept_apart() -> None:
    assert room_route("a", "RM_1") == room_route("a", "RM_2")
    assert room_route("", "RM_1") != room_route("", "RM_2")
    assert room_route("", "a") != room_route("a", "")
