"""The one place that wires: ports, runtime and actors become a `Telemetry`."""

from __future__ import annotations

import atexit
import itertools
import secrets
import threading
from pathlib import Path
from typing import Final, Self, TypeVar

from thespian.actors import ActorSystem

from .actors.children import ChildClasses
from .actors.guardian import ConfigureGuardian, Guardian
from .actors.supervisor import ConfigureSupervisor, Supervisor
from .adapters.analytics import AnalyticsThread, NullAnalyticsService
from .adapters.endpoint_book import LastingBook
from .adapters.exposition import MetricsServer
from .adapters.http import HttpPoster
from .adapters.reporter import LoggingReporter
from .adapters.stored_dead_letters import box_in
from .config import Settings
from .core.dead_letters import input_of
from .core.metrics import Metrics
from .core.ports import AnalyticsService, Clock, Ports
from .core.webhook_checks import check_webhook
from .errors import LifecycleError, SystemBrokenError, SystemClosedError
from .messages.calls import Call, FlushStats, TrackStatsBatch
from .messages.control import AskWorkers, DeadLetter, Drain, Input, Started, Workers
from .messages.endpoints import EndpointInput, StopSending
from .runtime.base import InProcessBase
from .runtime.clock import SystemClock, VirtualClock
from .runtime.limit import NO_LIMIT, Limit
from .runtime.schedule import SeededSchedule
from .service.keeping import Keeping, make_door
from .service.sharing import SharedCalls
from .service.statistics import TelemetryStatistics
from .service.webhooks import Webhooks

EXIT_SECONDS: Final = 2.0  # sentry-sdk's bound for the flush at interpreter exit
ASK_SECONDS: Final = 10.0
DELIVERY_PART: Final = 0.5  # of the time that is left at close(), if there is a store
DIGEST_SECONDS: Final = 1.0  # at close(), for the notifier to learn which attempts were cut off
CLOSED: Final = "the telemetry is closed; start another one"

A = TypeVar("A")


class Telemetry(SharedCalls):
    """A running greenroom in this process; made by `launch.start()`. A `TelemetryService`.

    With a `VirtualClock` nothing runs by itself: `advance_to()` and `sync()` run the actors on
    the calling thread, and time stands still in between.

    Args:
        schedule: Another order of delivery, for tests; all others are those of `start()`.

    Raises:
        ConfigError: A setting is wrong, or the port is taken.
        LifecycleError: A schedule was given, and the clock is not virtual.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        analytics: AnalyticsService | None = None,
        metrics_port: int | None = None,
        clock: Clock | None = None,
        children: ChildClasses | None = None,
        data_dir: str | Path | None = None,
        schedule: SeededSchedule | None = None,
    ) -> None:
        super().__init__()
        check_webhook(settings.webhook)
        self.settings = settings
        self.clock = clock or SystemClock()
        limit = settings.handler_limit_seconds
        self._base = InProcessBase(self.clock, handler_limit_seconds=limit, schedule=schedule)
        self._base.watchdog.when_stuck = self.shard_given_up
        self.metrics = Metrics(threading.Lock(), self.clock.now_ns)
        self._reporter = LoggingReporter(self.clock)
        self._metrics_server: MetricsServer | None = None
        service = analytics or NullAnalyticsService()
        self._keeping: Keeping | None = None
        if data_dir is not None:
            self._keeping = Keeping(
                *(settings, Path(data_dir), self._base, self.metrics, self._reporter),
                *(service, self._on_drop),
            )
        keeping = self._keeping
        self._store = None if keeping is None else keeping.store
        self._outbox = None if keeping is None else keeping.outbox
        self._door = (
            make_door(settings, self.clock, self._on_drop) if keeping is None else keeping.door
        )
        self._base.door = self._door
        try:  # first, because the port may be taken, or a row be malformed
            self._book = LastingBook(self._store)
            if metrics_port is not None:
                self._metrics_server = MetricsServer(self.metrics, settings.node_id, metrics_port)
        except BaseException:
            if keeping is not None:
                keeping.close(NO_LIMIT, is_over=False)
            raise
        hold, release = self._base.hold, self._base.release
        self._analytics = AnalyticsThread(
            service, self.metrics, self._reporter, hold=hold, release=release
        )
        self._poster = HttpPoster(self._door, hold=hold, release=release, reporter=self._reporter)
        self._system = ActorSystem(self._base, transientUnique=True)
        self._supervisor = self._system.createActor(Supervisor)
        self._door.lead_to(self._supervisor)
        again = () if keeping is None else (keeping.is_told_again,)
        self.dead_letters = box_in(self._store, self.metrics, *again)
        self._given_up = ""
        self.webhooks = Webhooks(settings.webhook, self._book, self._enter, self._store)
        kept = () if keeping is None else (keeping.outputs, keeping.checkpoints, keeping.past)
        around = (self._analytics, self._poster, self._reporter, self.dead_letters, self)
        stored = (self._store, self._outbox, self._book, *kept)
        self._base.watchdog.spare(self.metrics, *stored, *around)
        configure = ConfigureSupervisor(
            settings,
            Ports(self._door, self.metrics, *around, self._book, self._outbox, *kept),
            children or ChildClasses(),
        )
        self._guardian = self._system.createActor(Guardian)
        self._system.tell(self._guardian, ConfigureGuardian(self._supervisor, configure))
        self._closing = threading.Lock()
        self._closed = self._handed_over = False
        if keeping is not None and keeping.checkpoints is not None:
            self._guards = itertools.count(secrets.randbits(62))  # not those of a life before
            self._door.enter(self._supervisor, Started(self.clock.now_ns()))  # before all ticks
        if not isinstance(self.clock, VirtualClock):
            self._base.start()
        if keeping is not None:
            try:
                keeping.take_up(self._base.barrier)
            except BaseException:
                self.close(EXIT_SECONDS, is_over=False)  # another start finds all as it was
                raise
        self.dead_letters.watch(self._replay)
        self._book.watch(self._enter)
        atexit.register(self.close, EXIT_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<Telemetry {self.settings.node_id} {state} {self._door!r}>"

    @property
    def metrics_port(self) -> int | None:
        """Where the metrics are served, also when port 0 asked for any free one."""
        return None if self._metrics_server is None else self._metrics_server.port

    @property
    def is_broken(self) -> bool:
        """Whether nothing goes on any more: the supervisor was given up, or its thread died."""
        return bool(self._given_up) or self._base.is_broken

    def sync(self, timeout: float | None = ASK_SECONDS) -> bool:
        """Wait until all calls made so far by this thread are processed.

        Processed means: counted, in the workers, given to the analytics service, and webhooks
        queued for delivery, in a data directory on the disk (not: delivered).

        Args:
            timeout: Seconds; None waits for as long as it takes.

        Returns:
            False when the time ran out, or the disk refuses what is to be written.

        Raises:
            SystemBrokenError: The dispatch thread died.
            LifecycleError: The AnalyticsService or an actor calls this: it would wait for itself.
            SystemClosedError: It was closed before.
        """
        self._check_open()
        self._refuse_called()
        limit = Limit(timeout)
        idle = self._base.barrier(timeout) and self._analytics.wait_idle(limit.left())
        return idle and (self._keeping is None or self._keeping.wait_idle(limit))

    def advance_to(self, at_ns: int) -> None:
        """Let virtual time pass until `at_ns` (Unix ns): every timer fires when it is due.

        Time moves on only when nothing is runnable and no delivery is in flight.

        Raises:
            TypeError: `at_ns` is not an int.
            LifecycleError: The clock is not a `VirtualClock`, or the AnalyticsService calls this.
            SystemClosedError: It was closed before.
        """
        self._check_open()
        self._refuse_called()
        if not isinstance(at_ns, int):
            raise TypeError(f"at_ns: expected int, got {type(at_ns).__name__}")
        self._base.advance_to(at_ns)

    def workers(self) -> Workers:
        """The current StatsWorkers, ordered by (room, participant)."""
        return self._ask(AskWorkers(), Workers)

    def statistics(self) -> TelemetryStatistics:
        """Sizes and totals of now."""
        workers = self.workers()
        return TelemetryStatistics(
            door=self._door.statistics(),
            runtime=self._base.statistics(),
            workers=len(workers.current),
            workers_retained=workers.retained,
            store=None if self._store is None else self._store.statistics(),
        )

    def close(self, timeout: float | None = ASK_SECONDS, *, is_over: bool = True) -> bool:
        """Flush, hand over what is in hand, and stop. Calls made afterwards raise.

        Args:
            timeout: Seconds in all; None: no limit. Webhooks not delivered by then are lost,
                but for those in a data directory.
            is_over: With a data directory, whether the participants are gone, too. False: the
                next start goes on with them.

        Returns:
            Whether everything was handed over in time; what was not is counted and logged. A
            second call does nothing more and returns the same.

        Raises:
            LifecycleError: The AnalyticsService or an actor calls this: it would wait for itself.
        """
        self._refuse_called()
        limit = Limit(timeout)
        with self._closing:  # whoever comes second waits for the first
            if not self._closed:
                self._closed = True
                atexit.unregister(self.close)
                self._handed_over = self._hand_over(limit, is_over=is_over)
            return self._handed_over

    def _hand_over(self, limit: Limit, *, is_over: bool) -> bool:
        lost_before, shorten = self.metrics.lost(), self._base.watchdog.shorten
        self._door.enter(self._supervisor, FlushStats())
        try:
            self._system.tell(self._guardian, Drain())
            complete = self._deliver(limit)
            self._base.barrier(shorten(DIGEST_SECONDS, limit.left()))
        except SystemBrokenError:
            complete = False
            self._poster.close(0.0)
        self._door.close()
        complete &= self._base.shutdown(shorten(ASK_SECONDS, limit.left()))
        complete &= self._analytics.close(limit.left())
        if self._keeping is not None:
            complete &= self._keeping.close(limit, is_over=is_over and complete)
        if self._metrics_server is not None:
            self._metrics_server.close()
        if lost := self.metrics.lost() - lost_before:
            self._reporter.lost_at_close(lost)
        return complete and not lost

    def _deliver(self, limit: Limit) -> bool:
        """Let webhooks be delivered as long as there is time; with a store the rest is kept."""
        if self._outbox is None:
            return self._base.quiesce(limit.left()) & self._poster.close(limit.left())
        if not self._base.quiesce(limit.part(DELIVERY_PART)):
            self._door.enter(self._supervisor, StopSending())
        self._poster.close(limit.part(DELIVERY_PART))
        return self._base.barrier(limit.left())

    def _tell(self, call: Call) -> None:
        if self._closed:  # as _check_open, without the price of a call
            raise SystemClosedError(CLOSED)
        self._door.enter(self._supervisor, call)

    def replay_dead_letter(self, letter_id: int) -> bool:
        """Let the message of this dead letter enter once more, as a new input.

        A call is made again. What a StatsWorker, the recorder or the notifier could not digest
        is given to it again: nothing is counted twice, a webhook keeps its id. A sample whose
        participant is gone by now is dropped: `greenroom_dropped_total` has its reason,
        "unknown_participant".

        Returns:
            False: there is no such letter, or it was replayed before.

        Raises:
            NotReplayableError: It holds nothing to be handled again; the text says why.
            SystemClosedError: It was closed before.
            SystemBrokenError: The supervisor was given up.
        """
        self._check_open()
        kept = self.dead_letters.get(letter_id)
        if kept is None:
            return False
        input_of(kept.letter)  # one that is refused stays as it is
        letter = self.dead_letters.take(letter_id)
        return letter is not None and self._replay(letter_id, letter)

    def _replay(self, letter_id: int, letter: DeadLetter) -> bool:
        body = input_of(letter)
        return not self._closed and self._door.enter(self._supervisor, body)

    def _enter(self, change: EndpointInput) -> bool:
        return not self._closed and self._door.enter(self._supervisor, change)

    def shard_given_up(self, reason: str, stack: str = "") -> None:
        """Nothing goes on any more: whoever waits is told so, what comes is dropped."""
        self._given_up = reason
        self._reporter.shard_given_up(reason, stack)
        self._door.close("broken")

    def _refuse_called(self) -> None:
        outputs = None if self._keeping is None else self._keeping.outputs
        threads = (self._analytics, self._base, *(() if outputs is None else (outputs,)))
        if any(one.is_current_thread() for one in threads):
            raise LifecycleError("nobody can wait for the telemetry that calls him")

    def _check_open(self) -> None:
        if self._closed:
            raise SystemClosedError(CLOSED)
        if self._given_up:
            raise SystemBrokenError(self._given_up)

    def _ask(self, question: object, answer: type[A]) -> A:
        self._check_open()
        with self._system.private() as asker:
            reply = asker.ask(self._supervisor, question, ASK_SECONDS)
        if not isinstance(reply, answer):
            raise SystemBrokenError(f"the supervisor did not answer within {ASK_SECONDS} s")
        return reply

    def _on_drop(self, reason: str, body: Input) -> None:
        count = len(body.calls) if isinstance(body, TrackStatsBatch) else 1
        self.metrics.dropped(reason, count)
        self._reporter.dropped(reason, type(body).__name__)
