from __future__ import annotations

import threading

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.errors import SystemClosedError
from greenroom.link.frames import BATCH_CALLS_MAX, PREAMBLE, Batch, FrameReader
from greenroom.link.outbound import Outbound
from greenroom.messages.calls import FlushStats, RoomStarted
from greenroom.testing.samples import room, track_stats


def made(capacity: int = 10) -> Outbound:
    return Outbound(capacity, lambda: None)


def batch_of(frame: bytes | None) -> Batch:
    assert frame is not None
    reader = FrameReader(2**25)
    reader.feed(PREAMBLE + frame)
    (batch,) = reader.frames()
    assert isinstance(batch, Batch)
    return batch


def test_statistics_are_dropped_first_and_other_calls_have_twice_the_room(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outbound = made(capacity=10)

    for _ in range(12):
        outbound.add(track_stats())
    for _ in range(12):
        outbound.add(RoomStarted(room()))

    seen = outbound.statistics()
    assert seen.waiting == 20
    assert seen.dropped == {"buffer_full": 2, "hard_limit": 2}
    assert "a TrackStats was dropped: buffer_full, 2 so far" in caplog.text


def test_room_comes_back_when_a_batch_leaves() -> None:
    outbound = made(capacity=1)
    outbound.add(track_stats())

    outbound.pack()
    outbound.add(track_stats())

    assert outbound.statistics().waiting == 1
    assert not outbound.statistics().dropped


def test_batches_are_numbered_and_wait_for_their_acks() -> None:
    outbound = made()
    outbound.batch_bytes = 1
    for _ in range(3):
        outbound.add(track_stats())

    numbers = [batch_of(outbound.pack()).sequence for _ in range(3)]
    outbound.acked(2)

    assert numbers == [1, 2, 3]
    assert outbound.pack() is None
    assert outbound.is_acked(2)
    assert not outbound.is_acked(3)
    assert outbound.statistics().acknowledged == 2
    assert outbound.statistics().unacknowledged == 1


def test_a_new_connection_gets_what_is_unacknowledged_in_order_within_its_window() -> None:
    outbound = made()
    outbound.batch_bytes = 1
    for _ in range(3):
        outbound.add(track_stats())
    frames = [outbound.pack() for _ in range(3)]

    assert outbound.again(9) is None
    outbound.begin_anew()
    assert [outbound.again(2) for _ in range(3)] == [frames[0], frames[1], None]
    outbound.acked(1)
    assert [outbound.again(2) for _ in range(2)] == [frames[2], None]
    assert outbound.statistics().resent == 3


def test_an_ack_of_what_was_never_sent_changes_nothing_more() -> None:
    outbound = made()
    outbound.add(track_stats())
    outbound.pack()

    outbound.acked(2**62)
    outbound.begin_anew()

    assert outbound.again(4) is None
    assert outbound.statistics().acknowledged == 1


def test_a_batch_is_about_as_long_as_it_should_be_and_a_large_call_goes_alone() -> None:
    outbound = made()
    outbound.batch_bytes = 1_000
    large = room()
    large.metadata = "x" * 5_000
    for call in (track_stats(), RoomStarted(large), track_stats(), track_stats()):
        outbound.add(call)

    batches = [batch_of(outbound.pack()) for _ in range(3)]

    assert [batch.calls for batch in batches] == [1, 1, 2]


def test_a_batch_never_holds_more_calls_than_a_server_takes() -> None:
    outbound = made(capacity=100_000)
    outbound.batch_bytes = 2**24
    for _ in range(BATCH_CALLS_MAX + 1):
        outbound.add(FlushStats())

    batch = batch_of(outbound.pack())

    assert batch.calls == BATCH_CALLS_MAX
    assert len(msgpack.unpackb(batch.payload)) == 2 * BATCH_CALLS_MAX


def test_closing_gives_up_everything_and_counts_it() -> None:
    outbound = made()
    outbound.add(track_stats())
    outbound.pack()
    outbound.add(track_stats())

    assert outbound.close() == 2

    outbound.sleep_until(None)  # the courier, which has not heard of it yet
    with pytest.raises(SystemClosedError):
        outbound.add(track_stats())
    assert outbound.pack() is None
    assert outbound.statistics().dropped == {"closed": 2}
    assert not outbound.wait(None)


def test_sync_does_not_overlook_calls_that_are_being_packed() -> None:
    outbound = Outbound(100_000, lambda: None)
    outbound.sleep_until(None)
    outbound.batch_bytes = 2_000
    ends = threading.Event()

    def carry() -> None:
        while not ends.is_set():
            frame = outbound.pack()
            if frame is not None:
                outbound.acked(batch_of(frame).sequence)

    courier = threading.Thread(target=carry)
    courier.start()
    early = 0
    for number in range(1, 1_000):
        outbound.add(track_stats())
        outbound.wait(30.0)
        early += outbound.statistics().acknowledged < number
    ends.set()
    courier.join()

    assert early == 0
    assert outbound.is_idle


@given(st.lists(st.sampled_from(["add", "pack", "ack", "anew", "again"]), max_size=60))
def test_every_call_is_waiting_unacknowledged_or_acknowledged(steps: list[str]) -> None:
    outbound = made(capacity=1_000)
    outbound.batch_bytes = 300
    added = acked = 0
    for step in steps:
        match step:
            case "add":
                outbound.add(track_stats())
                added += 1
            case "pack":
                outbound.pack()
            case "ack":
                acked += 1
                outbound.acked(acked)
            case "anew":
                outbound.begin_anew()
            case _:
                outbound.again(4)
        seen = outbound.statistics()
        assert seen.entered == added
        assert seen.waiting + seen.unacknowledged + seen.acknowledged == added
