"""What one StatsWorker holds between two flushes, and when it is over.

    open ──close──► closed ──flush later than close + wait──► over (every such flush says so)

A closed worker goes on collecting and flushing. Invariant: a sample is in exactly one flush, the
first after it, unless it was not valid. Source: livekit pkg/telemetry/statsworker.go, StatsWorker
(OnTrackStat, Flush, Close); guards and `connected` are the supervisor's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from livekit.protocol.analytics import AnalyticsStat, StreamType

from ..messages.ids import TrackID
from ..messages.sample import Sample
from ..messages.stats import WorkerSpec
from .coalesce import TrackAccumulator
from .times import NS_PER_SECOND

Tracks: TypeAlias = "dict[TrackID, TrackAccumulator]"

UPSTREAM: Final = StreamType.UPSTREAM
DOWNSTREAM: Final = StreamType.DOWNSTREAM


@dataclass(frozen=True, slots=True)
class FlushResult:
    """What a flush hands over.

    Args:
        stats: One for each track and direction: upstream before downstream, each in the order
            in which the tracks came.
        closed: True if the worker was closed for longer than the wait.
    """

    stats: tuple[AnalyticsStat, ...]
    closed: bool


_NOTHING: Final = FlushResult((), closed=False)  # most flushes of most workers: made once
_OVER: Final = FlushResult((), closed=True)


@dataclass(frozen=True, slots=True)
class WorkerStatistics:
    """What waits for the next flush.

    Args:
        upstream_tracks: Tracks with samples that the participant sends.
        downstream_tracks: Tracks with samples that it receives.
        samples: Samples of all of them.
        skipped: How many of these were not valid.
        closed_at_ns: When it was closed (Unix ns), or None.
    """

    upstream_tracks: int
    downstream_tracks: int
    samples: int
    skipped: int
    closed_at_ns: int | None


class WorkerState:
    """The statistics of one incarnation of a worker.

    Args:
        spec: Whose they are; every flushed stat bears its ids.
    """

    __slots__ = ("_closed_at_ns", "_downstream", "_upstream", "incarnation", "key", "room_name")

    def __init__(self, spec: WorkerSpec) -> None:
        # its fields, not the spec itself: workers are many
        self.key = spec.key
        self.incarnation = spec.incarnation
        self.room_name = spec.room_name
        # None when empty: most are idle. A track without a sample is one that had some before the
        # last flush.
        self._upstream: Tracks | None = None
        self._downstream: Tracks | None = None
        self._closed_at_ns: int | None = None

    def __repr__(self) -> str:
        key, held = self.key, self.statistics()
        state = "open" if held.closed_at_ns is None else f"closed at {held.closed_at_ns}"
        return (
            f"<WorkerState {key.room_id}/{key.participant_id} #{self.incarnation}: {state}, "
            f"{held.samples} samples, {held.upstream_tracks} up, {held.downstream_tracks} down>"
        )

    def statistics(self) -> WorkerStatistics:
        """What it holds now."""
        upstream, downstream = (
            [track.statistics() for track in (tracks or {}).values() if track.samples]
            for tracks in (self._upstream, self._downstream)
        )
        return WorkerStatistics(
            upstream_tracks=len(upstream),
            downstream_tracks=len(downstream),
            samples=sum(track.samples for track in (*upstream, *downstream)),
            skipped=sum(track.skipped for track in (*upstream, *downstream)),
            closed_at_ns=self._closed_at_ns,
        )

    def add(self, track_id: TrackID, stream_type: int, sample: Sample) -> bool:
        """Take one sample; nothing of it on an error.

        Args:
            track_id: The track; the same one may be upstream and downstream.
            stream_type: Number of `livekit.StreamType`; any but DOWNSTREAM is upstream.
            sample: Its numbers, which are not kept.

        Returns:
            False if it is not valid; the track is flushed all the same.
        """
        if stream_type == DOWNSTREAM:
            tracks = self._downstream
            if tracks is None:
                tracks = self._downstream = {}
        else:
            tracks = self._upstream
            if tracks is None:
                tracks = self._upstream = {}
        accumulator = tracks.get(track_id)
        if accumulator is None:
            accumulator = TrackAccumulator()
        elif accumulator.samples:
            return accumulator.add(sample)
        valid = accumulator.add(sample)  # may raise: then there is no such track
        tracks.pop(track_id, None)  # comes last: the order is that of the first samples
        tracks[track_id] = accumulator
        return valid

    def close(self, at_ns: int) -> None:
        """Begin the wait at `at_ns` (Unix ns), unless it has begun."""
        if self._closed_at_ns is None:
            self._closed_at_ns = at_ns

    def flush(self, at_ns: int, close_wait_ns: int) -> FlushResult:
        """All that was collected, to be handed over; `clear()` then forgets it.

        Two steps, so that nothing is lost when the hand-over fails, and nothing comes twice.

        Args:
            at_ns: Time of the flush (Unix ns), the `time_stamp` of every stat.
            close_wait_ns: How long after the close the worker lives on.
        """
        closed = self._closed_at_ns is not None and at_ns - self._closed_at_ns > close_wait_ns
        if not (self._upstream or self._downstream):
            return _OVER if closed else _NOTHING
        stats = (
            *self._coalesced(self._upstream, UPSTREAM, at_ns),
            *self._coalesced(self._downstream, DOWNSTREAM, at_ns),
        )
        return FlushResult(stats, closed)

    def clear(self) -> None:
        """Forget what was collected: it has been handed over.

        A track that had a sample keeps its accumulator until the next time: an object made for
        each track after each flush costs more than it takes, most of it garbage collections.
        """
        self._upstream = _cleared(self._upstream)
        self._downstream = _cleared(self._downstream)

    def _coalesced(
        self, tracks: Tracks | None, kind: StreamType, at_ns: int
    ) -> Iterator[AnalyticsStat]:
        if tracks is None:
            return
        room_id, participant_id = self.key
        room_name = self.room_name
        seconds, nanos = divmod(at_ns, NS_PER_SECOND)
        for track_id, accumulator in tracks.items():
            if not accumulator.samples:
                continue
            stat = accumulator.result()
            stat.kind = kind
            time = stat.time_stamp
            time.seconds = seconds
            time.nanos = nanos
            stat.room_id = room_id
            stat.room_name = room_name
            stat.participant_id = participant_id
            stat.track_id = track_id
            yield stat


def _cleared(tracks: Tracks | None) -> Tracks | None:
    """Those that had a sample, without it; None: there are none."""
    if tracks is None:
        return None
    for idle in [track_id for track_id, track in tracks.items() if not track.samples]:
        del tracks[idle]
    for track in tracks.values():
        track.reset()
    return tracks or None
