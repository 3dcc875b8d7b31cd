"""Scenario vectors: calls made to a whole greenroom, with real actors in virtual time.

After each step everything that came out since the last one is compared: analytics, webhooks as
handed to the notifier, and the workers; after the last step the metrics.
"""

from __future__ import annotations

from types import TracebackType
from typing import ClassVar, Final, Self

from ..actors._base import Configure, GreenroomActor
from ..actors.recorder import Recorder
from ..actors.supervisor import ChildClasses
from ..config import Settings
from ..core.ports import AnalyticsService
from ..core.times import NS_PER_SECOND, to_ns
from ..errors import RecordingError
from ..messages.outputs import Notify
from ..replay.arguments import to_arguments
from ..runtime.clock import VirtualClock
from ..system import Telemetry
from ..testing.fakes import RecordingAnalytics, recording_notifier
from .compare import Difference, diff, node_labels
from .findings import Findings
from .outputs import Outputs, diff_outputs, observed, recorded
from .vectors import Json, Vector, typed

# not on a whole second, so that what is cut to seconds is told from what is not
START_NS: Final = 1_760_000_000 * NS_PER_SECOND + 500_000_000
FAILURES: Final = "greenroom_input_failures_total"


def check_scenario(vector: Vector) -> Findings:
    """Make the calls and compare, step by step."""
    steps = vector.read_list("steps", dict)
    metrics, node_stats = vector.read("metrics", dict), vector.read("node_stats", dict)
    found: list[Difference] = []
    with Stage() as stage:
        for number, step in enumerate(steps):
            found += stage.take(step, f"steps[{number}]", vector.where)
        found += diff(metrics, stage.series(metrics), "metrics")
        found += diff(node_stats, stage.node_stats(), "node_stats")
        found += diff({}, stage.failures(), "dropped inputs")
    return Findings(tuple(found))


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
    """A fresh greenroom, and all that comes out of it."""

    def __init__(self) -> None:
        self._clock = VirtualClock(START_NS)
        self._analytics = RecordingAnalytics()
        self._webhooks: list[Notify] = []
        self._telemetry = Telemetry(
            Settings(flush_interval_seconds=None),
            clock=self._clock,
            children=ChildClasses(
                recorder=direct_recorder(self._analytics),
                notifier=recording_notifier(self._webhooks),
            ),
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

    def take(self, step: Json, path: str, where: str) -> list[Difference]:
        """Do one step; what differs.

        Args:
            step: A call with its expectations, or the seconds that pass.
            path: Of the step in its scenario.
            where: `file:line` of the scenario.

        Raises:
            RecordingError: The step is not understood.
        """
        here = f"{where} {path}"
        if step.keys() == {"advance"}:
            self._advance(typed(step["advance"], float, here), here)
            return []
        if step.keys() != {"call", "args", "expect"}:
            raise RecordingError(here, f"neither a call nor an advance: {', '.join(step)}")
        call = typed(step["call"], str, f"{here} call")
        expect = typed(step["expect"], dict, f"{here} expect")
        expected = recorded(expect, self._clock.now_ns(), here)
        try:
            arguments = to_arguments(call, typed(step["args"], dict, f"{here} args"))
        except (TypeError, ValueError) as error:
            raise RecordingError(here, str(error)) from None
        getattr(self._telemetry, call)(**arguments)
        self._telemetry.advance_to(self._clock.now_ns())  # runs the actors until they are idle
        return diff_outputs(expected, self._outputs(), f"{path} {call}")

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

    def _advance(self, seconds: float, where: str) -> None:
        if seconds < 0:
            raise RecordingError(where, f"time only goes forward, not by {seconds}")
        self._telemetry.advance_to(self._clock.now_ns() + to_ns(seconds))

    def _outputs(self) -> Outputs:
        """What came out since the last step."""
        kept, webhooks = self._analytics, self._webhooks
        workers = self._telemetry.workers().current
        outputs = observed(kept.events, webhooks, kept.node_rooms, kept.batches, workers)
        for done in (kept.events, webhooks, kept.node_rooms, kept.batches, kept.sends):
            done.clear()
        return outputs
