"""StatsWorker: the statistics of one participant in one room, for one incarnation.

The supervisor tells it samples, ticks and that it was closed; it tells the recorder what a tick
coalesced, and the supervisor which samples it left out and when it was closed for long.
When it is retired, it hands over what it still holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..core.worker_state import WorkerState
from ..messages.outputs import RecordStats
from ..messages.stats import (
    Close,
    Flush,
    Retire,
    SampleSkipped,
    TrackStat,
    WorkerClosed,
    WorkerSpec,
)
from ._base import ActorAddress, GreenroomActor, told


@dataclass(frozen=True, slots=True)
class ConfigureWorker:
    """A StatsWorker's first message."""

    spec: WorkerSpec
    recorder: ActorAddress
    close_wait_ns: int


@dataclass(frozen=True, slots=True)
class RecorderMoved:
    """There is another recorder now."""

    recorder: ActorAddress


class StatsWorker(GreenroomActor):
    """A thin shell over `WorkerState`."""

    state: WorkerState
    recorder: ActorAddress
    close_wait_ns: int
    _retire: Retire | None = None  # under way
    inherited: ClassVar[tuple[str, ...]] = ("state", "_retire")

    @classmethod
    def configured_by(cls) -> type:
        """Workers are many: they get a message of their own, without settings and ports."""
        return ConfigureWorker

    def on_configure(self, configure: ConfigureWorker) -> None:
        """Begin with nothing collected."""
        self.state = WorkerState(configure.spec)
        self.recorder = configure.recorder
        self.close_wait_ns = configure.close_wait_ns

    @told(TrackStat)
    def on_track_stat(self, stat: TrackStat, sender: ActorAddress) -> None:
        """Keep it until the next flush, also when closed."""
        if not self.state.add(stat.track_id, stat.stream_type, stat.sample):
            self.send(self.parent, SampleSkipped())

    @told(Close)
    def on_close(self, close: Close, sender: ActorAddress) -> None:
        """Remember since when."""
        self.state.close(close.at_ns)

    @told(Flush)
    def on_flush(self, flush: Flush, sender: ActorAddress) -> None:
        """Hand over, then say whether the wait after the close is over."""
        if self._hand_over(flush.at_ns, flush.number):
            self.send(self.parent, WorkerClosed(self.state.incarnation, flush.at_ns))

    @told(RecorderMoved)
    def on_recorder_moved(self, moved: RecorderMoved, sender: ActorAddress) -> None:
        """What was told to the old one reaches the new one too."""
        self.recorder = moved.recorder

    @told(Retire)
    def on_retire(self, retire: Retire, sender: ActorAddress) -> None:
        """Hand over what came after the last flush; the original loses that."""
        self._retire = retire
        self._hand_over(retire.at_ns, 0)
        self.exit()

    def on_restart(self) -> None:
        """To be retired is not forgotten."""
        if self._retire is not None:
            self.on_retire(self._retire, self.parent)

    def describe(self) -> tuple[str, int]:
        """Of which participant, in which life."""
        return self.state.key.text, self.state.incarnation

    def _hand_over(self, at_ns: int, flush: int) -> bool:
        flushed = self.state.flush(at_ns, self.close_wait_ns)
        if flushed.stats:
            key = f"worker {self.state.incarnation}/{flush}/{at_ns}"
            self.send(self.recorder, RecordStats(flushed.stats, key))
        self.state.clear()
        return flushed.closed
