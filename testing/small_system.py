"""`SmallSystem`: the actors on any Thespian base, with fakes around and stamps by hand.

    small = SmallSystem(ActorSystem("simpleSystemBase", transientUnique=True))
    small.enter(joined(), track_stats(packets=5), calls.FlushStats())
    small.eventually(small.packets, {ALICE: 5})

The actors may live in processes of their own, where live ports cannot be sent: `fake_ports()`
makes some that travel as the name of their factory, so each process has fakes of its own. Nobody
can look into another process either: the actors here answer a `Look` with what their fakes
recorded. What enters a fake door is stamped and told by the SmallSystem, as by the real door.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, Protocol, TypeVar

from google.protobuf.json_format import Parse
from livekit.protocol.analytics import AnalyticsEvent, AnalyticsStat
from livekit.protocol.webhook import WebhookEvent

from ..actors import guardian, notifier, recorder, stats_worker, supervisor, timer
from ..actors._base import ActorAddress, ActorExitRequest, GreenroomActor, told
from ..actors.children import ChildClasses
from ..config import Settings, WebhookSettings
from ..core.attempt import Attempt
from ..core.metrics import Metrics
from ..core.ports import Ports
from ..core.series import flatten
from ..messages.control import AskWorkers, DeadLetter, Input, Stamped, Workers
from ..messages.stats import TrackStat
from .fakes import (
    FakeDoor,
    FakePoster,
    RecordingAnalytics,
    RecordingDeadLetters,
    RecordingHost,
    RecordingReporter,
)

ASK_SECONDS: Final = 10.0
ROUNDS: Final = 5  # of looking, at least: more than hops from a call to the last port
UNLUCKY: Final = 13
SETTINGS: Final = Settings(
    node_id="ND_9",
    shard=2,
    flush_interval_seconds=None,
    flush_slice=1_000,
    webhook=WebhookSettings(urls=("http://a.example/",), api_key="key", keys={"key": "s" * 32}),
)

T = TypeVar("T")


class System(Protocol):
    """What a SmallSystem needs of Thespian's ActorSystem, or of what stands for one elsewhere."""

    def createActor(self, actorClass: Any) -> ActorAddress:  # noqa: N802, N803  # Thespian's names
        """Start an actor."""

    def tell(self, actorAddr: ActorAddress, msg: object) -> None:  # noqa: N803
        """Send a message."""

    def ask(self, actorAddr: ActorAddress, msg: object, timeout: float) -> object:  # noqa: N803
        """Send a message and return the next that comes, from whomever, or None."""

    def listen(self, timeout: float) -> object:
        """The next message that comes, or None."""


class FakePorts(Ports):
    """Ports made of fakes; in one process the objects themselves, in another new ones."""

    def __reduce__(self) -> tuple[Callable[[], FakePorts], tuple[()]]:
        """Pickled as the name of the factory."""
        return fake_ports, ()


def fake_ports() -> FakePorts:
    """Fakes that have recorded nothing yet."""
    door = FakeDoor()
    return FakePorts(
        door,
        Metrics(),
        RecordingAnalytics(),
        FakePoster(door),
        RecordingReporter(),
        RecordingDeadLetters(),
        RecordingHost(),
    )


@dataclass(frozen=True, slots=True)
class Look:
    """What did your ports record? Answered with `Seen`."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one actor's ports recorded so far; what entered the door is given out once."""

    children: dict[str, ActorAddress]  # the last of each class
    entered: tuple[tuple[Any, Input], ...]
    batches: tuple[tuple[AnalyticsStat, ...], ...]
    events: tuple[AnalyticsEvent, ...]
    attempts: tuple[Attempt, ...]
    failures: tuple[DeadLetter, ...]
    series: dict[str, float]


class _Watched(GreenroomActor):
    """Put before a real actor's class: it answers a `Look`, and says whom it started."""

    def __init__(self) -> None:
        self._ports: Any = None
        self._asking: list[ActorAddress] = []  # a Look may overtake the configuration
        self._started: dict[str, ActorAddress] = {}

    def receiveMessage(self, message: object, sender: ActorAddress) -> None:  # noqa: N802
        """Thespian's entry."""
        if isinstance(message, Look):
            self._asking.append(sender)
        else:
            configure = getattr(message, "configure", message)  # the guardian's is inside
            self._ports = getattr(configure, "ports", self._ports)
            super().receiveMessage(message, sender)
        while self._asking and self._ports is not None:
            self.send(self._asking.pop(0), self._seen())

    def createActor(self, actorClass: Any, *args: Any, **kwargs: Any) -> ActorAddress:  # noqa: N802, N803
        """Remember the address."""
        address = super().createActor(actorClass, *args, **kwargs)
        self._started[actorClass.__name__] = address
        return address

    def _seen(self) -> Seen:
        door, analytics = self._ports.door, self._ports.analytics
        entered = tuple(door.entered)
        del door.entered[: len(entered)]
        return Seen(
            children=dict(self._started),
            entered=entered,
            batches=tuple(analytics.batches),
            events=tuple(analytics.events),
            attempts=tuple(self._ports.poster.attempts),
            failures=tuple(self._ports.reporter.failures),
            series=flatten(self._ports.metrics.snapshot(), {}),
        )


# Named as the real ones, because the names are labels of metrics.


class Guardian(_Watched, guardian.Guardian):
    """The real one, that can be looked at."""


class Supervisor(_Watched, supervisor.Supervisor):
    """The real one, that can be looked at."""


class Recorder(_Watched, recorder.Recorder):
    """The real one, that can be looked at."""


class Notifier(_Watched, notifier.Notifier):
    """The real one, that can be looked at."""


def packets_of(stat: TrackStat) -> int:
    """The primary packets of a sample with one stream."""
    ((numbers, *_),) = stat.sample.streams
    return numbers[0]


class FragileWorker(stats_worker.StatsWorker):
    """A StatsWorker that cannot digest a sample of `UNLUCKY` packets."""

    @told(TrackStat)
    def on_track_stat(self, sample: TrackStat, sender: ActorAddress) -> None:
        """Fail, or go on."""
        if packets_of(sample) == UNLUCKY:
            raise ArithmeticError("an unlucky number")
        super().on_track_stat(sample, sender)


class SmallSystem:
    """The supervisor, its guardian and its children on a system, and what leaves them.

    Args:
        system: Where to start them; whoever made it shuts it down.
        worker: The class of the StatsWorkers.
        patience_seconds: For how long `eventually` waits: 0 where an ask runs all actors.

    Attributes:
        at_ns: The time of the next stamps (Unix ns); move it at will.
        supervisor: The supervisor's address.
    """

    def __init__(
        self,
        system: System,
        *,
        worker: type[GreenroomActor] = stats_worker.StatsWorker,
        patience_seconds: float = 0.0,
    ) -> None:
        self.at_ns = 1_700_000_000_000_000_000
        self._system = system
        self._patience_seconds = patience_seconds
        self._position = 0
        classes = ChildClasses(Recorder, Notifier, timer.Timer, worker)
        self.supervisor = system.createActor(Supervisor)
        self._guardian = system.createActor(Guardian)
        configure = supervisor.ConfigureSupervisor(SETTINGS, fake_ports(), classes)
        system.tell(self._guardian, guardian.ConfigureGuardian(self.supervisor, configure))
        self._look()

    def enter(self, *bodies: Input) -> tuple[Stamped, ...]:
        """Stamp each and tell the supervisor; then let in what this makes the actors enter."""
        stamps = tuple(self._stamp(self.supervisor, body) for body in bodies)
        for _ in range(ROUNDS):
            self._look()
        return stamps

    def tell(self, message: object) -> None:
        """Tell the supervisor something that has no stamp."""
        self._system.tell(self.supervisor, message)

    def end(self, actor: str) -> None:
        """Somebody ends the supervisor's child of this class, the last one if there are several.

        Only one that is no port's: the others are looked at all the time.
        """
        seen = self._ask(self.supervisor, Look(), Seen)
        for target, body in seen.entered:
            self._stamp(target, body)
        self._system.tell(seen.children[actor], ActorExitRequest())

    def eventually(self, read: Callable[[], object], expected: object) -> None:
        """Look until `read()` gives `expected`, and once more: it has to stay so.

        Raises:
            AssertionError: It never did, or not for long.
        """
        deadline = time.monotonic() + self._patience_seconds
        for number in count(1):
            found = read()
            if found == expected:
                break
            if number >= ROUNDS and time.monotonic() > deadline:
                raise AssertionError(f"{found!r} is not {expected!r}")
        found = read()
        assert found == expected, f"{found!r} is no longer {expected!r}"

    # ── what left so far ────────────────────────────────────────────────────────────────────

    def packets(self) -> dict[str, int]:
        """Packets of all statistics that were handed over, by participant."""
        found: dict[str, int] = {}
        for batch in self.batches():
            for stat in batch:
                packets = sum(stream.primary_packets for stream in stat.streams)
                found[stat.participant_id] = found.get(stat.participant_id, 0) + packets
        return found

    def batches(self) -> tuple[tuple[AnalyticsStat, ...], ...]:
        """Statistics as they were handed over: one worker's of one flush together."""
        return self._look()["Recorder"].batches

    def events(self, room_id: str | None = None) -> list[AnalyticsEvent]:
        """Analytics events in the order in which they were handed over; of one room or all."""
        events = self._look()["Recorder"].events
        return [each for each in events if room_id is None or each.room.sid == room_id]

    def webhooks(self) -> list[WebhookEvent]:
        """What was posted, in that order."""
        attempts = self._look()["Notifier"].attempts
        return [Parse(attempt.body, WebhookEvent()) for attempt in attempts]

    def series(self) -> dict[str, float]:
        """Each series of the metrics that is not 0; all who count have the same, or their own."""
        looks = self._look()
        counting = (looks[name].series for name in ("Guardian", "Notifier", "Supervisor"))
        return {name: value for each in counting for name, value in each.items() if value}

    def count(self, name: str) -> float:
        """The value of one series, by its full name; 0 if there is none."""
        return self.series().get(name, 0.0)

    def failures(self) -> list[tuple[str, str]]:
        """Of which actor and at which message, as people are told; the supervisor's own last."""
        return [(each.actor, each.message) for each in self.reports()]

    def reports(self) -> list[DeadLetter]:
        """All that is known of these failures."""
        looks = self._look()
        of_children = [e for e in looks["Supervisor"].failures if e.actor != "Supervisor"]
        own = [e for e in looks["Guardian"].failures if e.actor == "Supervisor"]
        return of_children + own

    def workers(self) -> Workers:
        """The current workers."""
        return self._ask(self.supervisor, AskWorkers(), Workers)

    # ── helpers ─────────────────────────────────────────────────────────────────────────────

    def _look(self) -> dict[str, Seen]:
        """Look at all that have ports, and let in what entered their doors."""
        above = {"Guardian": self._guardian, "Supervisor": self.supervisor}
        seen = {name: self._ask(address, Look(), Seen) for name, address in above.items()}
        for name in ("Recorder", "Notifier"):
            seen[name] = self._ask(seen["Supervisor"].children[name], Look(), Seen)
        for each in seen.values():
            for target, body in each.entered:
                self._stamp(target, body)
        return seen

    def _stamp(self, target: ActorAddress, body: Input) -> Stamped:
        self._position += 1
        stamp = Stamped(self._position, self.at_ns, body)
        self._system.tell(target, stamp)
        return stamp

    def _ask(self, target: ActorAddress, question: object, kind: type[T]) -> T:
        answer = self._system.ask(target, question, ASK_SECONDS)
        while not isinstance(answer, kind):  # an ask returns whatever comes next
            if answer is None:
                raise AssertionError(f"no answer to {question!r} within {ASK_SECONDS} s")
            answer = self._system.listen(ASK_SECONDS)
        return answer
