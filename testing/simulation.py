"""Greenroom's own actors under a seeded schedule: a random call, and what must hold all the time.

From one seed come the calls of a host, the outcomes of webhook attempts, how time passes and in
which of the allowed orders messages are delivered. `check(seed)` raises AssertionError when one of
these does not hold:

- every sample is handed over in exactly one flush, or counted as dropped;
- at most one worker of a participant is open;
- the webhooks of a room are delivered completely and in the order of the calls, one at a time;
- in the end no worker, queue, message or timer is left over.
"""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from dataclasses import replace
from typing import Final, TypeVar

from ..actors._base import GreenroomActor
from ..actors.guardian import ConfigureGuardian, Guardian
from ..actors.notifier import Notifier
from ..actors.recorder import Recorder
from ..actors.stats_worker import StatsWorker
from ..actors.supervisor import ConfigureSupervisor, Supervisor
from ..actors.timer import Timer
from ..config import Settings, WebhookSettings
from ..core.metrics import Metrics
from ..core.outbox import Outbox
from ..core.ports import Ports
from ..core.series import flatten
from ..core.times import NS_PER_SECOND
from ..runtime.base import InProcessBase
from ..runtime.clock import VirtualClock
from ..runtime.door import Door
from ..runtime.schedule import NO_FAULTS, Faults, SeededSchedule
from .fakes import (
    DELIVERED,
    REFUSED,
    FakePoster,
    Outcome,
    RecordingAnalytics,
    RecordingDeadLetters,
    RecordingHost,
    RecordingReporter,
)
from .simulated_host import SimulatedHost, Track

A = TypeVar("A", bound=GreenroomActor)

STEPS: Final = 40
MINUTES_MAX: Final = 1_000  # until the last webhook is delivered
MINUTE_NS: Final = 60 * NS_PER_SECOND
START_NS: Final = 1_700_000_000 * NS_PER_SECOND
URLS: Final = ("http://first.test/", "http://second.test/")
OUTCOMES: Final = (DELIVERED, DELIVERED, DELIVERED, REFUSED, Outcome(status=503))
PERMANENT: Final = 5  # guardian, supervisor, recorder, notifier, timer
WAKEUP_FAULTS: Final = Faults(late_wakeup=0.1, repeated_wakeup=0.1)


class Simulation:
    """One shard, all fakes around it, and a host that makes random calls.

    Args:
        seed: What decides everything.
        faults: What goes wrong inside; the hook for failing and ended actors.
    """

    def __init__(self, seed: int, faults: Faults = NO_FAULTS) -> None:
        self.random = random.Random(seed)
        self.clock = VirtualClock(START_NS)
        self.schedule = SeededSchedule(seed, faults=faults)
        self.base = InProcessBase(self.clock, schedule=self.schedule)
        self.dropped: Counter[str] = Counter()
        self.door = self.base.door = Door(
            self.clock,
            inputs_per_turn=self.random.randrange(3),
            on_drop=lambda reason, body: self.dropped.update([reason]),
        )
        self.metrics = Metrics()
        self.analytics = RecordingAnalytics()
        self.poster = FakePoster(self.door, holds=True)
        self.reporter = RecordingReporter()
        self.supervisor = self.base.newPrimaryActor(Supervisor)
        self.door.lead_to(self.supervisor)
        webhook = WebhookSettings(urls=URLS, api_key="key", keys={"key": "s" * 32})
        settings = Settings(webhook=webhook, flush_slice=self.random.randint(1, 3))
        self.dead_letters = RecordingDeadLetters()
        self.shard_host = RecordingHost()
        ports = Ports(
            self.door,
            self.metrics,
            self.analytics,
            self.poster,
            self.reporter,
            self.dead_letters,
            self.shard_host,
        )
        configure = ConfigureGuardian(self.supervisor, ConfigureSupervisor(settings, ports))
        self.base.tell(self.base.newPrimaryActor(Guardian), configure)
        self.host = SimulatedHost(self.random)
        self.posted: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)

    def run(self) -> None:
        """Everything from the first call to the last wake-up.

        Raises:
            AssertionError: Something that must hold does not.
        """
        for _ in range(STEPS):
            if self.random.random() < 0.5:  # timers and calls come at once, as on a busy machine
                self.clock.set_ns(self.clock.now_ns() + self._some_time_ns())
            for _ in range(self.random.randrange(6)):
                self.door.enter(self.supervisor, self.host.next_call())
            if self.random.random() < 0.3:
                self.end_attempts(self.random.randrange(4))
            self.pass_time(self._some_time_ns())
            self.check_always()
        self.wind_up()
        self.check_in_the_end()

    def wind_up(self) -> None:
        """All leave, all webhooks arrive, and time passes until nothing is left to do."""
        for call in self.host.last_calls():
            self.door.enter(self.supervisor, call)
        self.pass_time(0)
        for _ in range(MINUTES_MAX):
            if not self.unfinished():
                break
            self.end_attempts(len(self.poster.in_flight), DELIVERED)
            self.pass_time(MINUTE_NS)
            self.check_always()
        for _ in range(15):
            self.pass_time(MINUTE_NS)

    def pass_time(self, duration_ns: int) -> None:
        """Run what there is, and let time pass."""
        self.base.advance_to(self.clock.now_ns() + duration_ns)

    def end_attempts(self, count: int, outcome: Outcome | None = None) -> None:
        """End some of the attempts in flight, each by `outcome` or by chance."""
        for _ in range(min(count, len(self.poster.in_flight))):
            self.random.shuffle(self.poster.in_flight)
            ending = outcome or self.random.choice(OUTCOMES)
            attempt = self.poster.finish(ending)
            if ending is DELIVERED:
                event = json.loads(attempt.body)
                key = (attempt.url, event["room"]["name"])
                identity = event.get("participant", {}).get("identity", "")
                self.posted[key].append((_kind(event["event"]), identity))

    def unfinished(self) -> bool:
        """Whether a webhook is still on its way, or a notifier has not begun."""
        outbox = self.outbox()
        return outbox is None or outbox.statistics().held > 0

    def outbox(self) -> Outbox | None:
        """The notifier's; None: it has just ended, and its heir waits for its turn."""
        return getattr(self.the(Notifier), "outbox", None)

    def the(self, actor_class: type[A]) -> A:
        """The only actor of this class."""
        (found,) = (actor for actor in self.base.actors() if isinstance(actor, actor_class))
        return found

    def _some_time_ns(self) -> int:
        return round(self.random.choice((0.0, 0.001, 5.0, 31.0, 200.0)) * NS_PER_SECOND)

    def check_always(self) -> None:
        """What holds whenever nothing is left to do."""
        workers = [actor for actor in self.base.actors() if isinstance(actor, StatsWorker)]
        states = [worker.state for worker in workers if hasattr(worker, "state")]
        is_open = Counter(s.key for s in states if s.statistics().closed_at_ns is None)
        twice = [key for key, count in is_open.items() if count > 1]
        assert not twice, f"several open workers of {twice}"
        retained = self.the(Supervisor).roster.statistics().retained
        standing = self.the(Supervisor).standing  # one that is to be retired may be among them
        assert 0 <= len(workers) - retained <= standing, f"{len(workers)} workers, not {retained}"
        outbox = self.outbox()
        backing_off = 0 if outbox is None else outbox.statistics().backing_off
        waits = backing_off + self.the(Supervisor).standing + self.the(Guardian).standing
        timers = self.base.statistics().timers
        assert timers <= 2 + waits, f"{timers} timers: a flush, a sweep, {waits} waits"
        targets = [
            (attempt.url, json.loads(attempt.body)["room"]["name"])
            for attempt, _ in self.poster.in_flight
        ]
        assert len(targets) == len(set(targets)), "two attempts at once for one room"

    def check_in_the_end(self) -> None:
        """What holds when all have left."""
        self._check_samples()
        self._check_webhooks()
        seen = self.base.statistics()
        retained = self.the(Supervisor).roster.statistics().retained
        assert seen.actors == PERMANENT + retained, f"{seen.actors} actors, {retained} workers"
        assert (seen.queued, seen.timers) == (0, 1), f"left over: {seen}"
        assert seen.dead_letters == 0, f"{seen.dead_letters} dead letters"
        # a call about a participant that became a dead letter may have been the one to close it
        lost = sum(each.message.startswith("Participant") for each in self.dead_letters.letters)
        assert retained <= lost, f"{retained} workers are retained, {lost} calls are dead letters"
        outbox = self.outbox()
        assert outbox is not None, "there is no notifier"
        assert len(outbox) == 0, "queues are left over"
        assert not self.dropped, f"the door dropped {self.dropped}"
        failures = [each for each in self.reporter.failures if "InjectedError" not in each.error]
        assert not failures, failures[0].traceback
        assert not self.shard_host.given_up, self.shard_host.given_up

    def _check_samples(self) -> None:
        got: Counter[Track] = Counter()
        for stat in self.analytics.stats:
            track = Track(stat.room_id, stat.participant_id, stat.track_id, stat.kind)
            got[track] += sum(stream.primary_bytes for stream in stat.streams)
        missing = 0
        for track, count in self.host.samples.items():
            all_of_them = (1 << count) - 1
            assert got[track] | all_of_them == all_of_them, f"{track}: a sample came twice"
            missing += (all_of_them & ~got[track]).bit_count()
        series = flatten(self.metrics.snapshot(), {})
        assert not any('"undeliverable"' in name for name in series), "told to nobody"
        dropped = sum(series[name] for name in series if '"unknown_participant"' in name)
        poison = sum(letter.message == "TrackStats" for letter in self.dead_letters.letters)
        assert dropped <= missing <= dropped + poison, (
            f"{missing} samples are missing, {dropped} were dropped, {poison} are dead letters"
        )

    def _check_webhooks(self) -> None:
        poison = sum(letter.actor == "Supervisor" for letter in self.dead_letters.letters)
        for url in URLS:
            for room, expected in self.host.webhooks.items():
                got = self.posted[url, room]
                rest = iter(expected)
                assert all(webhook in rest for webhook in got), (
                    f"{url} {room}: expected {expected}, in this order, got {got}"
                )
                missing = len(expected) - len(got)
                assert missing <= poison, f"{url} {room}: {missing} missing of {expected}"


def _kind(event: str) -> str:
    """An event's name; whether who left was ever connected is not what is checked here."""
    return "participant_left" if event == "participant_connection_aborted" else event


def has_begun(actor: object, message: object) -> bool:
    """For `Faults.exposed`: those with someone above, after their first message."""
    return isinstance(actor, GreenroomActor) and not (
        isinstance(actor, Guardian) or isinstance(message, actor.configured_by())
    )


def is_child(actor: object, message: object) -> bool:
    """For `Faults.exposed`: those who have a supervisor, also before their first message."""
    return isinstance(actor, StatsWorker | Recorder | Notifier | Timer)


def check_ended(seed: int) -> None:
    """One simulation in which somebody ends children of the supervisor, at any time.

    Raises:
        AssertionError: Something that must hold does not.
    """
    Simulation(seed, replace(WAKEUP_FAULTS, end=0.02, exposed=is_child)).run()


def check_failing(seed: int) -> None:
    """One simulation in which any actor also fails, each time in the midst of a handler.

    Raises:
        AssertionError: Something that must hold does not; what became a dead letter apart.
    """
    Simulation(seed, replace(WAKEUP_FAULTS, failure=0.02, exposed=has_begun)).run()


def check(seed: int) -> None:
    """One simulation with late and repeated wake-ups.

    Raises:
        AssertionError: Something that must hold does not.
    """
    Simulation(seed, WAKEUP_FAULTS).run()
