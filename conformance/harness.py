"""The real Notifier and HttpPoster without the rest of a greenroom, in virtual time.

Vectors about webhooks bring events with ids and times of their own, which the supervisor would
replace; so a host actor stands in its place, passes on what it is told and keeps what comes back.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from livekit.protocol.analytics import WebhookInfo
from livekit.protocol.models import WebhookConfig
from livekit.protocol.webhook import WebhookEvent

from ..actors._base import ActorAddress, Configure, GreenroomActor, stamped, told
from ..actors.notifier import Notifier
from ..adapters.http import HttpPoster
from ..config import LIVEKIT_POLICY, DeliveryPolicy, Settings, WebhookSettings
from ..core.metrics import Metrics
from ..core.ports import Ports
from ..core.times import NS_PER_SECOND, to_ns
from ..messages import calls
from ..messages.control import ChildFailed, DeadLetter, Input, Stamped
from ..messages.outputs import AttemptEnded, Notify
from ..runtime.base import InProcessBase
from ..runtime.clock import VirtualClock
from ..runtime.door import Door
from ..testing.fakes import (
    RecordingAnalytics,
    RecordingDeadLetters,
    RecordingHost,
    RecordingReporter,
)
from .receiver import HOST, Receiver, Request, Script, Status, in_turn

# not on a whole second, so that what is cut to seconds is told from what is not
START_NS: Final = 1_760_000_000 * NS_PER_SECOND + 500_000_000
API_KEY: Final = "APIpubKey1"
SETTLE_SECONDS: Final = 3600.0  # of virtual time: longer than all the retries of any vector
REAL_SECONDS: Final = 30.0  # only a defect lasts so long
LOOK_SECONDS: Final = 0.01
CLOSE_SECONDS: Final = 1.0


def secret_of(api_key: str) -> str:
    """Made up."""
    return f"the-secret-of-{api_key}-0123456789abcdef"


@dataclass(slots=True)
class Kept:
    """What the host was told.

    Attributes:
        infos: The record of each webhook's fate, in order.
        ended: Attempts that `Harness.post` made.
        queues: Answers to `AskQueues`.
        failures: Inputs that an actor could not digest.
    """

    infos: list[WebhookInfo] = field(default_factory=list)
    ended: list[AttemptEnded] = field(default_factory=list)
    queues: list[int] = field(default_factory=list)
    failures: list[DeadLetter] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ConfigureHost:
    """The host's first message."""

    settings: Settings
    ports: Ports
    kept: Kept


@dataclass(frozen=True, slots=True)
class AskQueues:
    """How many queues are there? Answered with `Queues`."""


@dataclass(frozen=True, slots=True)
class Queues:
    """So many, idle ones included."""

    count: int


class ObservedNotifier(Notifier):
    """The notifier, which also tells how many queues it has."""

    @told(AskQueues)
    def on_ask_queues(self, ask: AskQueues, sender: ActorAddress) -> None:
        """Count them."""
        self.send(sender, Queues(len(self.outbox)))


class Host(GreenroomActor):
    """The notifier's parent, in the supervisor's place."""

    @classmethod
    def configured_by(cls) -> type:
        """It also learns where to keep things."""
        return ConfigureHost

    def on_configure(self, configure: ConfigureHost) -> None:
        """Start the notifier."""
        self.kept = configure.kept
        self.notifier = self.createActor(ObservedNotifier)
        self.send(self.notifier, Configure(configure.settings, configure.ports))

    @told(Notify, AskQueues)
    def on_for_notifier(self, message: object, sender: ActorAddress) -> None:
        """Pass it on."""
        self.send(self.notifier, message)

    @told(Queues)
    def on_queues(self, queues: Queues, sender: ActorAddress) -> None:
        """Keep it."""
        self.kept.queues.append(queues.count)

    @stamped(calls.Webhook)
    def on_webhook(self, call: calls.Webhook, stamp: Stamped) -> None:
        """Keep it."""
        if call.webhook_info is not None:
            self.kept.infos.append(call.webhook_info)

    @stamped(AttemptEnded)
    def on_attempt_ended(self, ended: AttemptEnded, stamp: Stamped) -> None:
        """Keep it."""
        self.kept.ended.append(ended)

    @told(ChildFailed)
    def on_input_failed(self, failure: ChildFailed, sender: ActorAddress) -> None:
        """Keep it."""
        self.kept.failures.append(failure.letter)


class Harness:
    """One notifier and the receiver it posts to.

    Args:
        receiver: Used by this harness alone until it is closed.
        script: The receiver's answers.
        paths: Every event goes to each of these paths of the receiver …
        urls: … and to these URLs, as they are.
        policy: How webhooks are tried and retried.
        keys: API key -> secret; None: `API_KEY` alone.
        api_key: Signs events for `paths` and `urls`.
        exclude_events: Not sent there.

    Attributes:
        clock: Everybody's time.
        metrics: What the notifier counts.
        kept: What it reports.
    """

    def __init__(
        self,
        receiver: Receiver,
        script: Script = in_turn(Status()),  # noqa: B008  # it holds nothing
        *,
        paths: Iterable[str] = (),
        urls: Iterable[str] = (),
        policy: DeliveryPolicy = LIVEKIT_POLICY,
        keys: Mapping[str, str] | None = None,
        api_key: str = API_KEY,
        exclude_events: tuple[str, ...] = (),
    ) -> None:
        self.clock = VirtualClock(START_NS)
        self.metrics = Metrics()
        self.kept = Kept()
        self._receiver = receiver
        receiver.begin(self.clock, script)
        self.settings = WebhookSettings(
            urls=(*(self.url(path) for path in paths), *urls),
            api_key=api_key,
            keys={api_key: secret_of(api_key)} if keys is None else keys,
            exclude_events=exclude_events,
            policy=policy,
            allow_private=True,
        )
        self._base = InProcessBase(self.clock, schedule=receiver.schedules())
        self._door = self._base.door = Door(self.clock, on_drop=_ignore)
        hold, release = self._base.hold, self._base.release
        reporter = self._reporter = RecordingReporter()
        self._poster = HttpPoster(self._door, reporter=reporter, hold=hold, release=release)
        ports = Ports(
            self._door,
            self.metrics,
            RecordingAnalytics(),
            self._poster,
            reporter,
            RecordingDeadLetters(),
            RecordingHost(),
        )
        self._host = self._base.newPrimaryActor(Host)
        self._base.tell(
            self._host, ConfigureHost(Settings(webhook=self.settings), ports, self.kept)
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
        """Let the receiver and everything else go."""
        self._receiver.end()
        self._poster.close(CLOSE_SECONDS)
        self._base.shutdown(CLOSE_SECONDS)
        faults = [*self.kept.failures, *self._reporter.failures]
        if faults and error is None:
            raise AssertionError(faults[0].traceback)

    def url(self, path: str) -> str:
        """Of a path of the receiver."""
        return f"http://{HOST}:{self._receiver.port}{path}"

    @property
    def requests(self) -> list[Request]:
        """What arrived at the receiver, in order."""
        return self._receiver.requests

    def release(self) -> None:
        """Let the receiver answer what it holds."""
        self._receiver.release()

    def notify(self, event: WebhookEvent, *extra_webhooks: WebhookConfig) -> None:
        """Tell the notifier, and wait until it has decided; not until anything is delivered."""
        notify = Notify(event, extra_webhooks, self.clock.now_ns())
        self._base.tell(self._host, notify)
        self.run()

    def run(self) -> None:
        """Do what can be done now, without waiting for answers."""
        while not self._base.run_until_idle(0) and (
            self._base.statistics().queued or self._door.statistics().waiting
        ):
            pass

    def run_until(self, condition: Callable[[], bool]) -> bool:
        """Go on, at this virtual time, until it holds; False: it did not, in (real) 30 s."""
        deadline = time.monotonic() + REAL_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                return False
            self._base.run_until_idle(LOOK_SECONDS)
        return True

    def advance(self, seconds: float) -> None:
        """Let virtual time pass; nothing may be held."""
        self._base.advance_to(self.clock.now_ns() + to_ns(seconds))

    def settle(self) -> None:
        """Until everything is delivered or given up; nothing may be held."""
        self.advance(SETTLE_SECONDS)

    def queues(self) -> int:
        """How many queues the notifier has."""
        self._base.tell(self._host, AskQueues())
        self.run()
        return self.kept.queues[-1]


def event_ids(infos: Iterable[WebhookInfo]) -> list[str]:
    """Which events these records are about."""
    return [info.event_id for info in infos]


def posted_ids(requests: Iterable[Request]) -> list[str]:
    """Which events these requests are about."""
    return [str(json.loads(request.body).get("id", "")) for request in requests]


def _ignore(reason: str, body: Input) -> None:
    """What the door refuses once everything is closing."""
