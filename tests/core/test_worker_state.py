from __future__ import annotations

import math
import tracemalloc
from typing import Final

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from livekit.protocol.analytics import AnalyticsStat, AnalyticsStream, StreamType

from greenroom.core.coalesce import coalesce
from greenroom.core.worker_state import WorkerState, WorkerStatistics
from greenroom.messages.ids import (
    Incarnation,
    ParticipantID,
    RoomID,
    RoomName,
    TrackID,
    WorkerKey,
)
from greenroom.messages.sample import Sample, sample_of
from greenroom.messages.stats import WorkerSpec

UP: Final = int(StreamType.UPSTREAM)
DOWN: Final = int(StreamType.DOWNSTREAM)
SECOND_NS: Final = 1_000_000_000
WAIT_NS: Final = 180 * SECOND_NS
SPEC: Final = WorkerSpec(
    key=WorkerKey(RoomID("RM_1"), ParticipantID("PA_1")),
    incarnation=Incarnation(3),
    room_name=RoomName("lobby"),
)
AUDIO: Final = TrackID("TR_audio")
VIDEO: Final = TrackID("TR_video")


def sample(packets: int = 1, score: float = 0.0) -> Sample:
    return sample_of(stat_of(packets, score))


def stat_of(packets: int, score: float = 0.0) -> AnalyticsStat:
    return AnalyticsStat(score=score, streams=[AnalyticsStream(primary_packets=packets)])


def flushed(state: WorkerState, at_ns: int = SECOND_NS) -> list[tuple[str, int, int]]:
    """Track, direction and packets of each stat."""
    stats = state.flush(at_ns, WAIT_NS).stats
    state.clear()
    return [(stat.track_id, stat.kind, stat.streams[0].primary_packets) for stat in stats]


def test_a_flush_hands_over_each_track_upstream_first_in_the_order_they_came() -> None:
    state = WorkerState(SPEC)
    state.add(VIDEO, DOWN, sample(1))
    state.add(VIDEO, UP, sample(2))
    state.add(AUDIO, UP, sample(4))
    state.add(AUDIO, DOWN, sample(8))
    state.add(VIDEO, UP, sample(16))

    assert flushed(state) == [
        (VIDEO, UP, 18),
        (AUDIO, UP, 4),
        (VIDEO, DOWN, 1),
        (AUDIO, DOWN, 8),
    ]


def test_a_flushed_stat_bears_the_time_of_the_flush_and_the_ids_of_its_worker() -> None:
    state = WorkerState(SPEC)
    given = AnalyticsStat(id="AS_x", node="ND_x", room_id="RM_x", track_id="TR_x", mime="a/b")
    state.add(AUDIO, DOWN, sample_of(given))

    (stat,) = state.flush(1_700_000_000 * SECOND_NS + 7, WAIT_NS).stats

    unset = Timestamp(seconds=-62_135_596_800)  # no stream, so Go's zero time
    assert stat == AnalyticsStat(
        kind=StreamType.DOWNSTREAM,
        time_stamp=Timestamp(seconds=1_700_000_000, nanos=7),
        room_id="RM_1",
        room_name="lobby",
        participant_id="PA_1",
        track_id=AUDIO,
        mime="a/b",
        streams=[AnalyticsStream(start_time=unset, end_time=unset)],
    )


def test_a_flush_at_the_beginning_of_1970_still_sets_the_time() -> None:
    state = WorkerState(SPEC)
    state.add(AUDIO, UP, sample())

    (stat,) = state.flush(0, WAIT_NS).stats

    assert stat.HasField("time_stamp")


def test_every_stream_type_but_downstream_is_upstream() -> None:
    state = WorkerState(SPEC)
    for stream_type in (UP, 2, 77, -1):
        state.add(VIDEO, stream_type, sample())

    assert flushed(state) == [(VIDEO, UP, 4)]


def test_what_could_not_be_handed_over_is_in_the_next_flush_as_well() -> None:
    state = WorkerState(SPEC)
    state.add(VIDEO, UP, sample(1))
    state.flush(SECOND_NS, WAIT_NS)
    state.add(VIDEO, UP, sample(2))

    assert flushed(state) == [(VIDEO, UP, 3)]


def test_what_was_flushed_is_not_flushed_again() -> None:
    state = WorkerState(SPEC)
    state.add(VIDEO, UP, sample(1))
    state.flush(SECOND_NS, WAIT_NS)
    state.clear()
    state.add(AUDIO, UP, sample(2))

    assert flushed(state) == [(AUDIO, UP, 2)]
    assert flushed(state) == []


def test_a_track_that_pauses_holds_nothing_and_comes_back_where_it_comes() -> None:
    state = WorkerState(SPEC)
    state.add(VIDEO, UP, sample(1))
    state.add(AUDIO, UP, sample(2))
    assert len(flushed(state)) == 2

    held = state.statistics()
    assert (held.upstream_tracks, held.samples) == (0, 0)
    with pytest.raises(TypeError):
        state.add(VIDEO, UP, AnalyticsStream())  # type: ignore[arg-type]
    state.add(AUDIO, UP, sample(4))
    state.add(VIDEO, UP, sample(8))

    assert flushed(state) == [(AUDIO, UP, 4), (VIDEO, UP, 8)]


def test_a_track_with_only_invalid_samples_is_flushed_empty() -> None:
    state = WorkerState(SPEC)

    assert not state.add(VIDEO, UP, sample(2**31))

    assert state.statistics().skipped == 1
    assert flushed(state) == [(VIDEO, UP, 0)]


@pytest.mark.parametrize("stream_type", [UP, DOWN])
def test_a_sample_that_cannot_be_read_leaves_no_track_behind(stream_type: int) -> None:
    state = WorkerState(SPEC)
    before = state.statistics()

    with pytest.raises(TypeError):
        state.add(VIDEO, stream_type, AnalyticsStream())  # type: ignore[arg-type]

    assert state.statistics() == before
    assert flushed(state) == []


def test_a_flush_that_fails_loses_nothing() -> None:
    state = WorkerState(SPEC)
    state.add(VIDEO, UP, sample(5))

    with pytest.raises(ValueError, match="out of range"):
        state.flush(2**63 * SECOND_NS, WAIT_NS)

    assert flushed(state) == [(VIDEO, UP, 5)]


@pytest.mark.parametrize(("age_ns", "over"), [(WAIT_NS, False), (WAIT_NS + 1, True)])
def test_a_worker_is_over_only_when_closed_for_longer_than_the_wait(
    age_ns: int, *, over: bool
) -> None:
    state = WorkerState(SPEC)
    state.close(SECOND_NS)

    assert state.flush(SECOND_NS + age_ns, WAIT_NS).closed is over


def test_only_the_first_close_counts() -> None:
    state = WorkerState(SPEC)
    state.close(SECOND_NS)
    state.close(9 * SECOND_NS)

    assert state.statistics().closed_at_ns == SECOND_NS
    assert state.flush(SECOND_NS + WAIT_NS + 1, WAIT_NS).closed


def test_a_worker_that_was_not_closed_is_never_over() -> None:
    assert not WorkerState(SPEC).flush(2**62, 0).closed


def test_a_closed_worker_goes_on_collecting_and_hands_over_with_its_last_flush() -> None:
    state = WorkerState(SPEC)
    state.close(0)
    state.add(VIDEO, UP, sample(3))

    last = state.flush(WAIT_NS + 1, WAIT_NS)

    assert last.closed
    assert [stat.streams[0].primary_packets for stat in last.stats] == [3]


def test_a_worker_says_what_it_holds() -> None:
    state = WorkerState(SPEC)
    state.add(VIDEO, UP, sample())
    state.add(VIDEO, UP, sample())
    state.add(VIDEO, DOWN, sample(2**31))
    state.close(7)

    assert state.statistics() == WorkerStatistics(
        upstream_tracks=1, downstream_tracks=1, samples=3, skipped=1, closed_at_ns=7
    )
    assert repr(state) == "<WorkerState RM_1/PA_1 #3: closed at 7, 3 samples, 1 up, 1 down>"


def test_a_worker_without_a_sample_between_two_flushes_is_as_small_as_a_new_one() -> None:
    count = 200
    given = sample(5, 4.5)
    WorkerState(SPEC).add(VIDEO, UP, given)  # whatever is made on first use

    tracemalloc.start()
    try:
        workers = [WorkerState(SPEC) for _ in range(count)]
        new = tracemalloc.get_traced_memory()[0]
        for worker in workers:
            worker.add(VIDEO, UP, given)
            worker.add(VIDEO, DOWN, given)
            for at_ns in (SECOND_NS, 2 * SECOND_NS):
                worker.flush(at_ns, WAIT_NS)
                worker.clear()
        idle = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert new / count < 100
    assert (idle - new) / count < 10


class WorkerMachine(RuleBasedStateMachine):
    """Any course of samples, closes and flushes, against a model that keeps every sample."""

    @initialize()
    def begin(self) -> None:
        self.state = WorkerState(SPEC)
        self.held: dict[int, dict[TrackID, list[AnalyticsStat]]] = {UP: {}, DOWN: {}}
        self.closed_at_ns: int | None = None
        self.now_ns = 0
        self.added = self.flushed = 0

    @rule(
        track=st.sampled_from([AUDIO, VIDEO, TrackID("")]),
        stream_type=st.sampled_from([UP, DOWN, 2]),
        packets=st.integers(0, 1000),
        score=st.sampled_from([0.0, 1.1, 2.7, 4.4]),
    )
    def add(self, track: TrackID, stream_type: int, packets: int, score: float) -> None:
        given = stat_of(packets, score)
        assert self.state.add(track, stream_type, sample_of(given))
        self.added += packets
        direction = DOWN if stream_type == DOWN else UP
        self.held[direction].setdefault(track, []).append(given)

    @rule(seconds=st.sampled_from([1, 30, 179, 180, 181]))
    def wait(self, seconds: int) -> None:
        self.now_ns += seconds * SECOND_NS

    @rule()
    def close(self) -> None:
        self.state.close(self.now_ns)
        if self.closed_at_ns is None:
            self.closed_at_ns = self.now_ns

    @rule()
    def flush(self) -> None:
        result = self.state.flush(self.now_ns, WAIT_NS)

        expected = []
        for direction, tracks in self.held.items():
            for track, samples in tracks.items():
                stat = coalesce(samples)
                assert stat is not None
                stat.kind = StreamType.DOWNSTREAM if direction == DOWN else StreamType.UPSTREAM
                stat.time_stamp.FromNanoseconds(self.now_ns)
                stat.room_id, stat.room_name, stat.participant_id = "RM_1", "lobby", "PA_1"
                stat.track_id = track
                expected.append(stat)
            tracks.clear()
        assert list(result.stats) == expected
        over_at_ns = math.inf if self.closed_at_ns is None else self.closed_at_ns + WAIT_NS
        assert result.closed == (self.now_ns > over_at_ns)
        self.flushed += sum(stat.streams[0].primary_packets for stat in result.stats)
        self.state.clear()

    @precondition(lambda self: not any(self.held.values()))
    @rule()
    def everything_was_handed_over_once(self) -> None:
        assert self.flushed == self.added
        assert self.state.flush(self.now_ns, WAIT_NS).stats == ()


TestWorkerMachine = WorkerMachine.TestCase
