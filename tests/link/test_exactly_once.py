from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom import connect
from greenroom.errors import LifecycleError
from greenroom.link.batches import Packer
from greenroom.link.intake import RECENT, SESSIONS, Intake
from greenroom.messages.calls import Call, RoomStarted, TrackStats
from greenroom.testing.linked import Cutter, FakeNode, FakeShard, fake_node, short_directory
from greenroom.testing.patience import wait_until
from greenroom.testing.samples import key, room, stat

CLIENTS = 3
CALLS = 40
CUTS = st.tuples(st.integers(0, 6_000), st.integers(0, 400))


def names_of(node: FakeNode, client: int) -> list[str]:
    """What one client's calls were numbered, in the order of their taking effect."""
    names = []
    for call in node.shard.taken:
        name = call.room_name if isinstance(call, TrackStats) else call.room.name  # type: ignore[union-attr]
        if name.startswith(f"{client} "):
            names.append(name.partition(" ")[2])
    return names


@settings(max_examples=12)
@given(st.lists(CUTS, max_size=9), st.integers(1, 4), st.integers(1, 2_000))
def test_each_call_takes_effect_once_and_in_order_however_connections_break(
    cuts: list[tuple[int, int]], window: int, batch_bytes: int
) -> None:
    with (
        short_directory() as directory,
        fake_node(directory, window=window, batch_bytes=batch_bytes) as node,
    ):
        cutter = Cutter(directory, node.path, cuts)
        clients = [connect(f"unix:{cutter.path}") for _ in range(CLIENTS)]
        try:
            for number in range(CALLS):
                for client, telemetry in enumerate(clients):
                    name = f"{client} {number}"
                    if number % 3:
                        telemetry.track_stats("RM_1", name, key(), stat(number))
                    else:
                        started = room()
                        started.name = name
                        telemetry.room_started(started)
                    if number == CALLS // 2:
                        telemetry.sync(0.0)  # so that some are on their way in between
            assert all(telemetry.sync() for telemetry in clients)
        finally:
            for telemetry in clients:
                telemetry.close()
            cutter.close()

        expected = [str(number) for number in range(CALLS)]
        for client in range(CLIENTS):
            assert names_of(node, client) == expected
        assert not node.shard.lost


def payload(*them: Call) -> bytes:
    packer = Packer()
    return packer.payload([value for call in them for value in packer.item(call)])


CLIENT = b"c" * 16


def test_a_batch_that_comes_again_is_acknowledged_again_and_has_no_effect() -> None:
    shard = FakeShard()
    intake = Intake(shard)
    acknowledged: list[int] = []

    for number in (1, 2, 1, 2):
        intake.take(CLIENT, number, payload(RoomStarted(room())), lambda: acknowledged.append(1))

    assert len(shard.taken) == 2
    assert len(acknowledged) == 4


def test_batches_of_another_client_are_other_batches() -> None:
    shard = FakeShard()
    intake = Intake(shard)

    for client in (CLIENT, b"d" * 16):
        intake.take(client, 1, payload(RoomStarted(room())), lambda: None)

    assert len(shard.taken) == 2


def test_a_batch_far_below_the_latest_is_taken_for_one_that_came_before() -> None:
    shard = FakeShard()
    intake = Intake(shard)
    intake.take(CLIENT, RECENT + 1, payload(RoomStarted(room())), lambda: None)

    intake.take(CLIENT, 1, payload(RoomStarted(room())), lambda: None)

    assert len(shard.taken) == 1


def test_a_batch_that_a_closed_shard_refused_is_new_when_it_comes_again() -> None:
    shard = FakeShard()
    intake = Intake(shard)
    shard.is_closed = True
    with pytest.raises(LifecycleError):
        intake.take(CLIENT, 1, payload(RoomStarted(room())), lambda: None)
    shard.is_closed = False

    intake.take(CLIENT, 1, payload(RoomStarted(room())), lambda: None)

    assert len(shard.taken) == 1


def test_clients_that_were_not_heard_of_for_longest_are_forgotten() -> None:
    shard = FakeShard()
    intake = Intake(shard)
    empty = payload()
    intake.take(CLIENT, 1, payload(RoomStarted(room())), lambda: None)
    intake.take(b"d" * 16, 1, payload(RoomStarted(room())), lambda: None)
    for number in range(SESSIONS - 2):
        intake.take(number.to_bytes(16, "big"), 1, empty, lambda: None)
        if number % 1_000 == 0:
            intake.take(CLIENT, 1, empty, lambda: None)
    intake.take(b"e" * 16, 1, empty, lambda: None)

    for client in (CLIENT, b"d" * 16):
        intake.take(client, 1, payload(RoomStarted(room())), lambda: None)

    assert len(shard.taken) == 3


def test_a_client_that_left_with_calls_on_their_way_has_them_taken(directory: Path) -> None:
    with fake_node(directory) as node:
        node.shard.is_holding = True
        telemetry = connect(node.address)
        telemetry.room_started(room())
        wait_until(lambda: len(node.shard.taken) == 1)

        assert not telemetry.close(0.0)
        wait_until(lambda: not node.server.peers)
        node.shard.release()

        assert len(node.shard.taken) == 1
