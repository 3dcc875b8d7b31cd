"""What the actors need of the world, as Protocols: adapters and fakes implement them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from livekit.protocol.analytics import AnalyticsEvent, AnalyticsNodeRooms, AnalyticsStat

from ..messages.checkpoint import Checkpoint
from ..messages.control import DeadLetter, Input
from ..messages.deliveries import EndedDelivery, KeptDelivery
from ..messages.endpoints import Endpoint
from .attempt import Attempt
from .endpoints import MemoryBook
from .journal import Past
from .metrics import Metrics


class Clock(Protocol):
    """A source of time. Actors never see one: the door stamps their inputs with it."""

    def now_ns(self) -> int:
        """Unix time in ns."""

    def monotonic_ns(self) -> int:
        """Time for durations and timers, in ns: never goes back."""


class Entrance(Protocol):
    """Where inputs enter a shard: each gets a position and a time, once."""

    def enter(self, target: object, body: Input) -> bool:
        """Queue `body` for the actor at address `target`; any thread, never blocks.

        Returns:
            False when it was dropped because the door is full (and counted).
        """


class Door(Entrance, Protocol):
    """The entrance as the actors behind it know it."""

    def take_turn(self, target: object, message: object) -> None:
        """Have `message` told to the actor at `target` between two inputs.

        For work that is done in parts, so that no input waits for all of it.
        """


class AnalyticsService(Protocol):
    """Where analytics go. Yours can be passed to `greenroom.start(analytics=…)`.

    The methods run on one background thread, in order, one at a time; what they raise is counted
    and logged, and stops nothing. Source: livekit pkg/telemetry/analyticsservice.go.
    """

    def send_stats(self, stats: Sequence[AnalyticsStat]) -> None:
        """Take one worker's statistics of one flush."""

    def send_event(self, event: AnalyticsEvent) -> None:
        """Take one event."""

    def send_node_room_states(self, node_rooms: AnalyticsNodeRooms | None) -> None:
        """Take the state of a node's rooms."""

    def room_project_reporter(self) -> object:
        """An object that reports per project, or None. Not called by greenroom itself."""


class Poster(Protocol):
    """Makes one HTTP attempt and reports `AttemptEnded` through the door."""

    def post(self, attempt: Attempt, reply_to: object) -> None:
        """Start the attempt; returns at once.

        Its outcome enters the door for the actor at `reply_to`, exactly once.
        """


class OutboxStore(Protocol):
    """Keeps the webhooks that are on their way, beyond the process's life.

    Every method returns at once, on any thread, and takes effect in the order of the calls: what
    `load` sees includes every keep, end and postpone before it. Answers enter the door for the
    actor at `reply_to`, and none is lost; while the disk refuses, they wait.
    """

    @property
    def next_id(self) -> int:
        """The smallest id beyond all that were ever kept."""

    @property
    def pending(self) -> Mapping[str, int]:
        """How many deliveries were pending when the store was opened, per endpoint id."""

    @property
    def oldest_ns(self) -> Mapping[str, int]:
        """When the oldest of those was accepted (Unix ns), per endpoint id."""

    def keep(self, rows: Sequence[KeptDelivery], reply_to: object) -> None:
        """Write new deliveries, each with the next sequence of its (endpoint, key).

        Answered with `Kept` once they are on the disk (one answer may be for several calls), or
        with `NotKept`: there was no room, or the store is closed.
        """

    def end(self, ended: EndedDelivery) -> None:
        """Write that a delivery is over."""

    def postpone(
        self,
        delivery_id: int,
        attempts: int,
        next_at_ns: int,
        status: int | None,
        error: str,
        started_at_ns: int = 0,
    ) -> None:
        """Write that an attempt failed and the next one is due then (Unix ns)."""

    def load(self, endpoint: str, key: str, after: int, limit: int, reply_to: object) -> None:
        """Ask for the pending deliveries of a queue beyond that sequence: `Loaded`."""

    def load_keys(self, endpoint: str, after: str, limit: int, reply_to: object) -> None:
        """Ask for an endpoint's queues with pending deliveries beyond that key: `KeysLoaded`."""

    def bury(
        self,
        endpoint: str,
        last_id: int,
        spared: tuple[int, ...],
        at_ns: int,
        reply_to: object,
    ) -> None:
        """Have an endpoint's pending deliveries dead at `at_ns` (Unix ns), little by little.

        All up to `last_id` but the `spared` ones. Answered with `Buried`, some of them at a time.
        """

    def watch(self, reply_to: object) -> None:
        """From now on, `Requeued` enters for what somebody outside asks to be sent again.

        A delivery may come in it that is held already, or in an earlier answer. What is left of
        endpoints that were removed before is buried from now on: `Buried`.
        """


class EndpointBook(Protocol):
    """Knows the endpoints that the settings do not have, or have in another state.

    With a store it knows them beyond the process's life.
    """

    def endpoints(self) -> Sequence[Endpoint]:
        """Those that there are now, in the order in which they were added."""

    def put(self, endpoint: Endpoint) -> None:
        """There is a new one, or one is other than before; returns at once."""


class OutputStore(Protocol):
    """Keeps analytics until the sink has had them, beyond the process's life."""

    def put(self, key: str, kind: str, value: object) -> None:
        """Take an output; returns at once.

        Args:
            key: Tells it from all others; one that was put before is ignored.
            kind: "stats" (a sequence of AnalyticsStat), "event" or "node_rooms".
            value: What the sink gets.
        """


class CheckpointStore(Protocol):
    """Keeps the state of the shard."""

    @property
    def is_busy(self) -> bool:
        """Whether one is being saved."""

    def save(self, checkpoint: Checkpoint) -> None:
        """Save it when all that came of the inputs before it is on the disk; returns at once."""


class Reporter(Protocol):
    """Tells people what went wrong."""

    def input_failed(self, letter: DeadLetter) -> None:
        """An actor dropped an input that it could not digest."""


class DeadLetterBox(Protocol):
    """Keeps the inputs that killed an actor, for people to look at."""

    def add(self, letter: DeadLetter) -> None:
        """Keep it; returns at once. A full box drops its oldest letter, and counts that."""


class Host(Protocol):
    """Whoever started the shard."""

    def shard_given_up(self, reason: str) -> None:
        """The supervisor cannot be restarted any more: nothing is processed from here on."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything of the world that the actors of one shard may touch."""

    door: Door
    metrics: Metrics
    analytics: AnalyticsService
    poster: Poster
    reporter: Reporter
    dead_letters: DeadLetterBox
    host: Host
    endpoints: EndpointBook = field(default_factory=MemoryBook)
    outbox: OutboxStore | None = None  # None: webhooks are kept in memory
    outputs: OutputStore | None = None  # None: analytics go to the sink at once
    checkpoints: CheckpointStore | None = None  # None: there is no journal
    past: Past = field(default_factory=Past)  # what a journal has of a life before
