from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from greenroom import ConnectedTelemetry, SystemClosedError, connect
from greenroom.link.server import LinkServer
from greenroom.messages.calls import RoomStarted, TrackStats
from greenroom.testing.linked import FakeNode, fake_node
from greenroom.testing.patience import wait_until
from greenroom.testing.samples import key, room, stat


def started(telemetry: ConnectedTelemetry, count: int) -> None:
    for _ in range(count):
        telemetry.room_started(room())


def packets(telemetry: ConnectedTelemetry, *numbers: int) -> None:
    for number in numbers:
        telemetry.track_stats("RM_1", "stage", key(), stat(number))


def test_calls_take_effect_in_their_order(node: FakeNode) -> None:
    with connect(node.address) as telemetry:
        telemetry.room_started(room())
        packets(telemetry, *range(1, 2_000))
        telemetry.room_ended(room())

        assert telemetry.sync()

        assert len(node.shard.taken) == 2_001
        sent = [stat(number).SerializeToString() for number in range(1, 2_000)]
        assert [call.stat for call in node.shard.taken[1:-1]] == sent  # type: ignore[union-attr]


def test_calls_made_while_no_node_is_there_arrive_when_one_is(directory: Path) -> None:
    with connect(f"{directory}/n.sock") as telemetry:
        started(telemetry, 3)

        assert not telemetry.sync(0.0)
        with fake_node(directory) as node:
            assert telemetry.sync()
            assert len(node.shard.taken) == 3


def test_calls_made_between_two_lives_of_a_node_arrive_in_the_second(directory: Path) -> None:
    with connect(f"{directory}/n.sock") as telemetry:
        with fake_node(directory) as node:
            started(telemetry, 1)
            assert telemetry.sync()
        packets(telemetry, 1, 2)
        with fake_node(directory) as node:
            assert telemetry.sync()
            assert [type(call) for call in node.shard.taken] == [TrackStats, TrackStats]


def test_what_was_not_acknowledged_is_sent_to_the_next_node(directory: Path) -> None:
    with connect(f"{directory}/n.sock") as telemetry:
        with fake_node(directory) as node:
            node.shard.is_holding = True
            started(telemetry, 1)
            wait_until(lambda: len(node.shard.taken) == 1)
        with fake_node(directory) as node:
            assert telemetry.sync()
            assert len(node.shard.taken) == 1
    assert telemetry.statistics().resent == 1


def test_sync_waits_for_the_effect(node: FakeNode) -> None:
    with connect(node.address) as telemetry:
        node.shard.is_holding = True
        started(telemetry, 1)
        wait_until(lambda: len(node.shard.taken) == 1)

        assert not telemetry.sync(0.0)
        node.shard.release()
        assert telemetry.sync()


def test_sync_with_nothing_to_wait_for_starts_nothing(directory: Path) -> None:
    before = threading.active_count()
    with connect(f"{directory}/n.sock") as telemetry:
        assert telemetry.sync(0.0)
        assert threading.active_count() == before


@pytest.mark.parametrize("threads", [8])
def test_each_thread_that_syncs_finds_its_own_calls_in_the_node(
    node: FakeNode, threads: int
) -> None:
    wrong: list[str] = []

    def work(number: int) -> None:
        name = f"room {number}"
        for each in range(1, 30):
            started_room = room()
            started_room.name = name
            telemetry.room_started(started_room)
            if not telemetry.sync():
                wrong.append("timeout")
            mine = [
                call
                for call in [*node.shard.taken]
                if isinstance(call, RoomStarted) and call.room.name == name
            ]
            if len(mine) != each:
                wrong.append(f"{name}: {len(mine)} of {each}")

    with connect(node.address) as telemetry:
        workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    assert not wrong


def test_tasks_of_asyncio_may_call(node: FakeNode) -> None:
    async def work() -> None:
        started(telemetry, 1)
        await asyncio.to_thread(telemetry.sync)

    async def play() -> None:
        await asyncio.gather(*(work() for _ in range(20)))

    with connect(node.address) as telemetry:
        asyncio.run(play())
        assert len(node.shard.taken) == 20


@pytest.mark.parametrize("calls_before", [0, 1])
def test_calls_after_close_raise(node: FakeNode, calls_before: int) -> None:
    telemetry = connect(node.address)
    started(telemetry, calls_before)

    assert telemetry.close()

    for _ in range(3):
        with pytest.raises(SystemClosedError):
            started(telemetry, 1)
    assert telemetry.close()


def test_close_without_a_node_says_what_is_lost(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    telemetry = connect(f"{directory}/n.sock")
    started(telemetry, 2)

    assert not telemetry.close(0.0)

    assert telemetry.statistics().dropped == {"closed": 2}
    assert "2 calls were lost" in caplog.text
    assert not telemetry.close()


def test_close_during_the_pause_between_two_attempts_ends_the_thread(directory: Path) -> None:
    telemetry = connect(f"{directory}/n.sock")
    started(telemetry, 1)
    wait_until(lambda: "greenroom-link" in names())

    telemetry.close(0.0)

    wait_until(lambda: "greenroom-link" not in names())


def names() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def test_close_releases_whoever_waits_for_ever(directory: Path) -> None:
    telemetry = connect(f"{directory}/n.sock")
    started(telemetry, 1)
    answers: list[bool] = []
    waiter = threading.Thread(target=lambda: answers.append(telemetry.sync(None)))
    waiter.start()

    telemetry.close(0.0)
    waiter.join()

    assert answers == [False]


def test_a_node_that_drains_takes_what_it_had_and_the_next_one_the_rest(directory: Path) -> None:
    with connect(str(directory)) as telemetry:
        with fake_node(directory) as node:
            node.shard.is_holding = True
            started(telemetry, 1)
            wait_until(lambda: len(node.shard.taken) == 1)
            drained: list[bool] = []
            draining = threading.Thread(target=lambda: drained.append(drain(node.server)))
            draining.start()
            wait_until(lambda: node.server.is_draining)
            started(telemetry, 1)
            node.shard.release()
            draining.join()
            wait_until(lambda: not node.server.peers)
            assert drained == [True]
            assert len(node.shard.taken) == 1
        with fake_node(directory) as node:
            assert telemetry.sync()
            assert len(node.shard.taken) == 1
        assert telemetry.statistics().acknowledged == 2


def drain(server: LinkServer) -> bool:
    return server.drain(30.0)


def test_a_node_that_takes_few_at_once_gets_all_the_same(directory: Path) -> None:
    with (
        fake_node(directory, calls_max=1, bytes_max=1, batch_bytes=500, window=1) as node,
        connect(node.address) as telemetry,
    ):
        packets(telemetry, *range(1, 300))
        assert telemetry.sync()
        assert len(node.shard.taken) == 299


def test_a_call_that_cannot_travel_is_dropped_and_counted_and_no_other(node: FakeNode) -> None:
    with connect(node.address) as telemetry:
        started(telemetry, 1)
        huge = room()
        huge.metadata = "x" * 17_000_000
        telemetry.room_started(huge)
        started(telemetry, 1)

        assert telemetry.sync()

        assert len(node.shard.taken) == 2
        assert telemetry.statistics().dropped == {"unsendable": 1}
