"""Fakes of everything that greenroom's actors touch: they record, and answer as they are told.

For tests of greenroom, of sinks and of hosts. All are safe to read once the telemetry is synced;
those that are called on several threads are safe from any.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from livekit.protocol.analytics import AnalyticsEvent, AnalyticsNodeRooms, AnalyticsStat

from ..actors._base import ActorAddress, Configure, GreenroomActor, told
from ..core.attempt import Attempt
from ..core.ports import Door
from ..messages.calls import Call
from ..messages.checkpoint import Checkpoint
from ..messages.control import DeadLetter, Input
from ..messages.outputs import AttemptEnded, Notify
from ..service.calls import TelemetryCalls


class RecordingAnalytics:
    """An `AnalyticsService` that keeps what it is given.

    Attributes:
        batches: One tuple for each `send_stats`: one worker's statistics of one flush.
        events: One for each `send_event`.
        node_rooms: One for each `send_node_room_states`.
        sends: All of them in order: the method's name, and what it was given.
    """

    def __init__(self) -> None:
        self.batches: list[tuple[AnalyticsStat, ...]] = []
        self.events: list[AnalyticsEvent] = []
        self.node_rooms: list[AnalyticsNodeRooms | None] = []
        self.sends: list[tuple[str, object]] = []

    @property
    def stats(self) -> list[AnalyticsStat]:
        """Every statistic of every batch, in order."""
        return [stat for batch in self.batches for stat in batch]

    def send_stats(self, stats: Sequence[AnalyticsStat]) -> None:
        """Keep one batch."""
        self.batches.append(tuple(stats))
        self.sends.append(("send_stats", tuple(stats)))

    def send_event(self, event: AnalyticsEvent) -> None:
        """Keep one event."""
        self.events.append(event)
        self.sends.append(("send_event", event))

    def send_node_room_states(self, node_rooms: AnalyticsNodeRooms | None) -> None:
        """Keep one node's rooms."""
        self.node_rooms.append(node_rooms)
        self.sends.append(("send_node_room_states", node_rooms))

    def room_project_reporter(self) -> object:
        """There is none."""
        return None


class RecordingTelemetry(TelemetryCalls):
    """A `TelemetryService` that keeps the calls, checked and copied, and does nothing with them.

    Attributes:
        calls: The message of each call, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def _tell(self, call: Call) -> None:
        self.calls.append(call)


class RecordingNotifier(GreenroomActor):
    """In the notifier's place: keeps what the supervisor tells it, and sends no webhook.

    Use `recording_notifier()`: Thespian makes an actor from its class alone, so each test needs a
    class of its own.
    """

    log: ClassVar[list[Notify]]

    def on_configure(self, configure: Configure) -> None:
        """Nothing is needed."""

    @told(Notify)
    def on_notify(self, notify: Notify, sender: ActorAddress) -> None:
        """Keep it."""
        self.log.append(notify)


def recording_notifier(log: list[Notify]) -> type[GreenroomActor]:
    """An actor class for `ChildClasses(notifier=…)` that appends each `Notify` to `log`."""
    return type("RecordingNotifier", (RecordingNotifier,), {"log": log, "__module__": __name__})


class RecordingReporter:
    """A `Reporter` that keeps the failures it is told of."""

    def __init__(self) -> None:
        self.failures: list[DeadLetter] = []

    def input_failed(self, letter: DeadLetter) -> None:
        """Keep it."""
        self.failures.append(letter)


class RecordingDeadLetters:
    """A `DeadLetterBox` that keeps all letters."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []

    def add(self, letter: DeadLetter) -> None:
        """Keep it."""
        self.letters.append(letter)


class RecordingHost:
    """A `Host` that keeps why its shard was given up."""

    def __init__(self) -> None:
        self.given_up: list[str] = []

    def shard_given_up(self, reason: str) -> None:
        """Keep it."""
        self.given_up.append(reason)


class RecordingOutputs:
    """An `OutputStore` that keeps what it is given: key, kind and value."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str, object]] = []

    def put(self, key: str, kind: str, value: object) -> None:
        """Keep it."""
        self.taken.append((key, kind, value))


class RecordingCheckpoints:
    """A `CheckpointStore` that keeps what it is given.

    Attributes:
        is_busy: Whether one is being saved; may be changed at any time.
        saved: All, in order.
    """

    def __init__(self) -> None:
        self.is_busy = False
        self.saved: list[Checkpoint] = []

    def save(self, checkpoint: Checkpoint) -> None:
        """Keep it."""
        self.saved.append(checkpoint)


class FakeDoor:
    """A `Door` without an inside: it keeps what enters, in order.

    Args:
        is_full: Refuse everything; may be changed at any time.

    Attributes:
        entered: Target and body of every input taken.
        refused: Those of every input not taken.
        turns: Target and message of every turn that was asked for.
    """

    def __init__(self, *, is_full: bool = False) -> None:
        self.is_full = is_full
        self.entered: list[tuple[object, Input]] = []
        self.refused: list[tuple[object, Input]] = []
        self.turns: list[tuple[object, object]] = []
        self._lock = threading.Lock()

    def enter(self, target: object, body: Input) -> bool:
        """Keep it, unless the door is full."""
        with self._lock:
            (self.refused if self.is_full else self.entered).append((target, body))
            return not self.is_full

    def take_turn(self, target: object, message: object) -> None:
        """Keep it in `turns`."""
        self.turns.append((target, message))

    def take(self) -> list[Input]:
        """The bodies that entered since the last `take()`."""
        with self._lock:
            taken = [body for _, body in self.entered]
            self.entered.clear()
            return taken


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ends: an answer's status, or None and the error's text.

    `retry_after`, `retryable` and `sent` are those of `AttemptEnded`.
    """

    status: int | None = 200
    error: str = ""
    retry_after: str = ""
    retryable: bool = True
    sent: bool = True


DELIVERED: Final = Outcome()
REFUSED: Final = Outcome(status=None, error="connection refused")


class FakePoster:
    """A `Poster` that posts nothing: each attempt ends as the script says.

    Args:
        door: Where outcomes enter.
        outcomes: The script, one for each attempt in order; afterwards every attempt is delivered.
        holds: Keep attempts in flight until `finish()` is called, as a slow endpoint does.

    Attributes:
        attempts: Every attempt that was started, in order.
        in_flight: Those that have not ended yet, oldest first, with their `reply_to`.
    """

    def __init__(
        self, door: Door, outcomes: Iterable[Outcome] = (), *, holds: bool = False
    ) -> None:
        self._door = door
        self._outcomes = iter(outcomes)
        self._holds = holds
        self.attempts: list[Attempt] = []
        self.in_flight: list[tuple[Attempt, object]] = []

    def post(self, attempt: Attempt, reply_to: object) -> None:
        """Record the attempt; it ends at once, or when `finish()` says so."""
        self.attempts.append(attempt)
        self.in_flight.append((attempt, reply_to))
        if not self._holds:
            self.finish()

    def finish(self, outcome: Outcome | None = None) -> Attempt:
        """End the oldest attempt in flight, by `outcome` or else by the script.

        Raises:
            IndexError: None is in flight.
        """
        attempt, reply_to = self.in_flight.pop(0)
        ending = outcome or next(self._outcomes, DELIVERED)
        self._door.enter(
            reply_to,
            AttemptEnded(
                delivery_id=attempt.delivery_id,
                attempt=attempt.number,
                status=ending.status,
                retry_after=ending.retry_after,
                error=ending.error,
                retryable=ending.retryable,
                sent=ending.sent,
            ),
        )
        return attempt
