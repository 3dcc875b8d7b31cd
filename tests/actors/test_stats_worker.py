from __future__ import annotations

from typing import Final

from livekit.protocol.analytics import AnalyticsStat, AnalyticsStream, StreamType

from greenroom.actors.stats_worker import ConfigureWorker, StatsWorker
from greenroom.core.times import timestamp
from greenroom.messages.control import ChildFailed, Restart
from greenroom.messages.ids import (
    Incarnation,
    ParticipantID,
    RoomID,
    RoomName,
    TrackID,
    WorkerKey,
)
from greenroom.messages.outputs import RecordStats
from greenroom.messages.sample import sample_of
from greenroom.messages.stats import (
    Close,
    Flush,
    Retire,
    SampleSkipped,
    TrackStat,
    WorkerClosed,
    WorkerSpec,
)
from greenroom.testing.harness import ActorHarness, FakeAddress, Sent

SECOND: Final = 1_000_000_000
START_NS: Final = 1_700_000_000 * SECOND
KEY: Final = WorkerKey(RoomID("RM_1"), ParticipantID("PA_1"))
SPEC: Final = WorkerSpec(KEY, Incarnation(4), RoomName("lobby"))


def started() -> tuple[ActorHarness[StatsWorker], FakeAddress]:
    worker = ActorHarness(StatsWorker)
    recorder = worker.address_of("recorder")
    assert worker.tell(ConfigureWorker(SPEC, recorder, close_wait_ns=180 * SECOND)) == []
    return worker, recorder


def sample(packets: int, track: str = "TR_1", kind: int = StreamType.UPSTREAM) -> TrackStat:
    stream = AnalyticsStream(primary_packets=packets)
    return TrackStat(TrackID(track), kind, sample_of(AnalyticsStat(streams=[stream])))


def packets_of(sent: list[Sent]) -> list[int]:
    """What the one batch in `sent` has, by track."""
    ((_, batch),) = sent
    assert isinstance(batch, RecordStats)
    return [stat.streams[0].primary_packets for stat in batch.stats]


def test_samples_are_kept_until_the_flush_and_leave_as_one_batch() -> None:
    worker, recorder = started()

    kept = [worker.tell(sample(packets)) for packets in (3, 4)]
    sent = worker.tell(Flush(1, START_NS))

    assert kept == [[], []]
    ((target, batch),) = sent
    assert target is recorder
    assert isinstance(batch, RecordStats)
    (stat,) = batch.stats
    assert stat.streams[0].primary_packets == 7
    assert (stat.room_id, stat.room_name) == ("RM_1", "lobby")
    assert (stat.participant_id, stat.track_id) == ("PA_1", "TR_1")
    assert stat.time_stamp == timestamp(START_NS)


def test_upstream_leaves_before_downstream() -> None:
    worker, _ = started()
    worker.tell(sample(1, "TR_down", StreamType.DOWNSTREAM))
    worker.tell(sample(2, "TR_up", StreamType.UPSTREAM))

    assert packets_of(worker.tell(Flush(1, START_NS))) == [2, 1]


def test_a_worker_without_samples_sends_nothing() -> None:
    worker, _ = started()

    assert worker.tell(Flush(1, START_NS)) == []


def test_a_sample_is_flushed_once() -> None:
    worker, _ = started()
    worker.tell(sample(3))
    worker.tell(Flush(1, START_NS))

    assert worker.tell(Flush(2, START_NS + 30 * SECOND)) == []


def test_a_closed_worker_goes_on_collecting_and_flushing() -> None:
    worker, _ = started()
    worker.tell(Close(START_NS))
    worker.tell(sample(3))

    assert packets_of(worker.tell(Flush(1, START_NS + SECOND))) == [3]


def test_a_closed_worker_is_retired_only_after_the_wait() -> None:
    worker, _ = started()
    worker.tell(Close(START_NS))

    assert worker.tell(Flush(1, START_NS + 180 * SECOND)) == []
    assert worker.tell(Flush(2, START_NS + 180 * SECOND + 1)) == [
        Sent(worker.parent, WorkerClosed(Incarnation(4), START_NS + 180 * SECOND + 1))
    ]


def test_the_flush_that_finds_it_closed_still_hands_over() -> None:
    worker, recorder = started()
    worker.tell(Close(START_NS))
    worker.tell(sample(3))

    batch, closed = worker.tell(Flush(1, START_NS + 181 * SECOND))

    assert batch.target is recorder
    assert closed.target is worker.parent
    assert isinstance(closed.message, WorkerClosed)


def test_a_second_close_does_not_restart_the_wait() -> None:
    worker, _ = started()
    worker.tell(Close(START_NS))
    worker.tell(Close(START_NS + 100 * SECOND))

    assert len(worker.tell(Flush(1, START_NS + 181 * SECOND))) == 1


def test_an_open_worker_is_never_over_however_old() -> None:
    worker, _ = started()

    assert worker.tell(Flush(1, START_NS + 10**9 * SECOND)) == []


def test_at_its_end_a_worker_hands_over_what_is_left_and_exits() -> None:
    worker, recorder = started()
    worker.tell(sample(3))

    sent = worker.tell(Retire(START_NS))

    assert packets_of(sent) == [3]
    assert sent[0].target is recorder
    assert worker.has_exited


def test_a_worker_with_nothing_left_just_exits() -> None:
    worker, _ = started()

    assert worker.tell(Retire(START_NS)) == []
    assert worker.has_exited


def test_a_sample_that_is_not_valid_is_reported_and_does_not_count() -> None:
    worker, _ = started()

    skipped = worker.tell(sample(2**31))
    worker.tell(sample(3))

    assert skipped == [Sent(worker.parent, SampleSkipped())]
    assert packets_of(worker.tell(Flush(1, START_NS))) == [3]


def test_a_message_that_cannot_be_digested_leaves_the_samples_alone() -> None:
    worker, _ = started()
    worker.tell(sample(3))

    ((target, failure),) = worker.tell(TrackStat(TrackID("TR_1"), 0, None))  # type: ignore[arg-type]  # to fail

    assert target is worker.parent
    assert isinstance(failure, ChildFailed)
    assert (failure.letter.key, failure.letter.incarnation) == ("RM_1/PA_1", SPEC.incarnation)
    assert worker.tell(Restart()) == []
    assert packets_of(worker.tell(Flush(1, START_NS))) == [3]


def test_samples_that_come_before_the_first_message_are_not_lost() -> None:
    worker = ActorHarness(StatsWorker)
    worker.tell(sample(3))

    worker.tell(ConfigureWorker(SPEC, worker.address_of("recorder"), close_wait_ns=0))

    assert packets_of(worker.tell(Flush(1, START_NS))) == [3]
