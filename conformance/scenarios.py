"""Scenario vectors: calls made to a whole greenroom, with real actors in virtual time.

After each step everything that came out since the last one is compared: analytics, webhooks as
handed to the notifier, and the workers; after the last step the metrics.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import ClassVar, Final, Self

from ..actors._base import Configure, GreenroomActor
from ..actors.children import ChildClasses
from ..actors.recorder import Recorder
from ..actors.stats_worker import StatsWorker
from ..config import Settings
from ..core.ports import AnalyticsService
from ..messages.outputs import Notify
from ..runtime.clock import VirtualClock
from ..runtime.schedule import SeededSchedule
from ..system import Telemetry
from ..testing.fakes import RecordingAnalytics, recording_notifier
from .compare import Difference, diff, node_labels
from .findings import Findings
from .outputs import Outputs, diff_outputs, observed
from .steps import START_NS, Advance, CallStep, read_steps
from .vectors import Json, Vector

FAILURES: Final = "greenroom_input_failures_total"


def check_scenario(vector: Vector, worker: type[GreenroomActor] = StatsWorker) -> Findings:
    """Make the calls and compare, step by step.

    Args:
        vector: The scenario.
        worker: The class of the workers.
    """
    totals, steps = read_totals(vector), read_steps(vector)
    found: list[Difference] = []
    with Stage(worker=worker) as stage:
        for step in steps:
            if isinstance(step, Advance):
                stage.advance(step.duration_ns)
            else:
                stage.call(step)
                found += diff_outputs(step.expected, stage.outputs(), step.path)
        found += stage.diff_totals(totals)
    return Findings(tuple(found))


@dataclass(frozen=True, slots=True)
class Totals:
    """What a scenario comes to: LiveKit's series and the counters of its node that are not 0."""

    metrics: Json
    node_stats: Json


def read_totals(vector: Vector) -> Totals:
    """Those of a vector.

    Raises:
        RecordingError: They are missing.
    """
    return Totals(vector.read("metrics", dict), vector.read("node_stats", dict))


class DirectRecorder(Recorder):
    """The recorder without the thread before its service: a step then needs no other thread.

    Use `direct_recorder()`: Thespian makes an actor from its class alone.
    """

    service: ClassVar[AnalyticsService]

    def on_configure(self, configure: Configure) -> None:
        """Take the service itself."""
        self.analytics = self.service


def direct_recorder(service: AnalyticsService) -> type[GreenroomActor]:
    """An actor class for `ChildClasses(recorder=…)` that hands everything to `service`."""
    return type("DirectRecorder", (DirectRecorder,), {"service": service, "__module__": __name__})


class Stage:
    """A fresh greenroom, and all that comes out of it.

    Args:
        schedule: Another order of delivery than the usual one.
        worker: The class of its workers.
    """

    def __init__(
        self,
        schedule: SeededSchedule | None = None,
        worker: type[GreenroomActor] = StatsWorker,
    ) -> None:
        self._clock = VirtualClock(START_NS)
        self._analytics = RecordingAnalytics()
        self._webhooks: list[Notify] = []
        self._telemetry = Telemetry(
            Settings(flush_interval_seconds=None),
            clock=self._clock,
            children=ChildClasses(
                recorder=direct_recorder(self._analytics),
                notifier=recording_notifier(self._webhooks),
                worker=worker,
            ),
            schedule=schedule,
        )

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the greenroom."""
        self._telemetry.close()

    def call(self, step: CallStep) -> None:
        """Make the call; the actors have not run yet when this returns."""
        getattr(self._telemetry, step.call)(**step.arguments)

    def advance(self, duration_ns: int) -> None:
        """Run the actors until they are idle, and let time pass."""
        self._telemetry.advance_to(self._clock.now_ns() + duration_ns)

    def outputs(self) -> Outputs:
        """Run the actors until they are idle; what came out since this was last called."""
        self.advance(0)
        kept, webhooks = self._analytics, self._webhooks
        workers = self._telemetry.workers().current
        outputs = observed(kept.events, webhooks, kept.node_rooms, kept.batches, workers)
        for done in (kept.events, webhooks, kept.node_rooms, kept.batches, kept.sends):
            done.clear()
        return outputs

    def diff_totals(self, totals: Totals) -> list[Difference]:
        """What is not as it should be at the end, inputs that could not be digested included."""
        return [
            *diff(totals.metrics, self.series(totals.metrics), "metrics"),
            *diff(totals.node_stats, self.node_stats(), "node_stats"),
            *diff({}, self.failures(), "dropped inputs"),
        ]

    def series(self, like: Json) -> dict[str, float]:
        """LiveKit's series that are not 0, of the node whose series are in `like`."""
        return self._telemetry.metrics.series(node_labels(like))

    def node_stats(self) -> dict[str, int]:
        """The counters behind GetNodeStats that are not 0."""
        return {name: n for name, n in self._telemetry.metrics.node_stats().items() if n}

    def failures(self) -> dict[str, str]:
        """How many inputs each actor could not digest."""
        families = self._telemetry.metrics.snapshot()
        (family,) = (family for family in families if family.name == FAILURES)
        return {str(labels): str(value) for labels, value in family.samples}
