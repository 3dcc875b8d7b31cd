"""With a store, whatever happens in whatever order, and however often the process dies."""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import pytest
from livekit.protocol.webhook import WebhookEvent

from greenroom.config import DEFAULT_POLICY
from greenroom.core.delivery import (
    Decision,
    Delivery,
    Disable,
    Done,
    Keep,
    Load,
    LoadKeys,
    Outcome,
    Queued,
    Send,
    Wait,
    WakeLane,
)
from greenroom.core.lane import Limits
from greenroom.core.outbox import Outbox
from greenroom.core.times import to_ns
from greenroom.messages.outputs import AttemptEnded, LaneDue, RetryDue

ENDPOINTS: Final = ("EP_a", "EP_b")
KEYS: Final = ("r1", "r2", "r3", "r4", "r5")
LIMITS: Final = Limits(window=4, window_min=2, deliveries=9, queues=3, page=2)
POLICY: Final = replace(
    DEFAULT_POLICY,
    max_attempts=4,
    give_up_after_seconds=400.0,
    breaker_failures=3,
    max_in_flight=2,
)
STEPS: Final = 300
SEEDS: Final = range(150)


@dataclass(slots=True)
class Row:
    """A delivery on the disk."""

    delivery: Delivery
    state: str = "pending"


@dataclass(slots=True)
class Disk:
    """What outlives a crash."""

    rows: dict[int, Row] = field(default_factory=dict)
    last: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))

    def pending(self, endpoint_id: str, key: str | None = None) -> list[Delivery]:
        return [
            row.delivery
            for row in self.rows.values()
            if row.state == "pending"
            and row.delivery.endpoint_id == endpoint_id
            and key in {None, row.delivery.key}
        ]


class World:
    """An outbox, a disk that takes its time, and endpoints that are up or down."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.disk = Disk()
        self.now_ns = to_ns(1_700_000_000)
        self.up = dict.fromkeys(ENDPOINTS, True)
        self.received: dict[tuple[str, str], list[int]] = defaultdict(list)
        self.given_up: set[tuple[str, str, int]] = set()  # a crash may forget that, as any end
        self.start()

    def start(self) -> None:
        """A new process on the old disk."""
        self.writes: deque[Callable[[], None]] = deque()  # queued for the disk, in order
        self.answers: deque[Callable[[], tuple[Decision, ...]]] = deque()
        self.timers: list[tuple[int, Callable[[int], tuple[Decision, ...]]]] = []
        self.in_flight: dict[int, Send] = {}
        self.outbox = Outbox(
            pending={one: len(self.disk.pending(one)) for one in ENDPOINTS},
            next_id=max(self.disk.rows, default=0) + 1,
            limits=LIMITS,
        )
        for one in ENDPOINTS:
            self.follow(self.outbox.set_lane(one, "http://h", POLICY, self.now_ns))

    # ── what the outbox decides ─────────────────────────────────────────────────────────────

    def follow(self, decisions: tuple[Decision, ...]) -> None:
        for decision in decisions:
            match decision:
                case Keep(delivery):
                    self.writes.append(partial(self.keep, delivery))
                case Load():
                    self.writes.append(partial(self.load, decision))
                case LoadKeys():
                    self.writes.append(partial(self.load_keys, decision))
                case Send(delivery):
                    assert self.disk.rows[delivery.id].state == "pending", "sent before it is kept"
                    assert not any(
                        (one.delivery.endpoint_id, one.delivery.key)
                        == (delivery.endpoint_id, delivery.key)
                        for one in self.in_flight.values()
                    ), "two of one queue in flight"
                    self.in_flight[delivery.id] = decision
                case Wait(delivery_id, attempt, seconds, _, error):
                    due = RetryDue(delivery_id, attempt)
                    self.after(seconds, partial(self.outbox.retry_due, due))
                    if error is not None:
                        at_ns = self.now_ns + to_ns(seconds)
                        write = partial(self.postpone, delivery_id, attempt - 1, at_ns)
                        self.writes.append(write)
                case WakeLane(endpoint_id, number, seconds):
                    lane = LaneDue(endpoint_id, number)
                    self.after(seconds, partial(self.outbox.lane_due, lane))
                case Done(delivery, outcome):
                    state = "delivered" if outcome is Outcome.SUCCESS else "dead"
                    if state == "dead":
                        self.given_up.add((delivery.endpoint_id, delivery.key, delivery.sequence))
                    self.writes.append(partial(self.end, delivery.id, state))
                case Queued() | Disable():
                    pass
        lanes = self.outbox.lanes.values()
        assert all(len(lane.queues) <= LIMITS.queues for lane in lanes)
        assert all(
            len(queue.waiting) + queue.unkept <= LIMITS.window + LIMITS.window // 4
            for lane in lanes
            for queue in lane.queues.values()
        )

    def after(self, seconds: float, what: Callable[[int], tuple[Decision, ...]]) -> None:
        self.timers.append((self.now_ns + to_ns(seconds), what))

    # ── the disk ────────────────────────────────────────────────────────────────────────────

    def keep(self, delivery: Delivery) -> None:
        queue = delivery.endpoint_id, delivery.key
        self.disk.last[queue] += 1
        row = replace(delivery, sequence=self.disk.last[queue])
        self.disk.rows[row.id] = Row(row)
        numbered = (row.id, row.sequence)
        self.answers.append(lambda: self.outbox.kept([numbered], self.now_ns))

    def load(self, asked: Load) -> None:
        rows = sorted(
            self.disk.pending(asked.endpoint_id, asked.key), key=lambda one: one.sequence
        )
        found = [replace(one) for one in rows if one.sequence > asked.after][: asked.limit]
        self.answers.append(
            lambda: self.outbox.loaded(asked.endpoint_id, asked.key, found, self.now_ns)
        )

    def load_keys(self, asked: LoadKeys) -> None:
        counts: dict[str, int] = defaultdict(int)
        for one in self.disk.pending(asked.endpoint_id):
            counts[one.key] += 1
        rows = [(key, counts[key]) for key in sorted(counts) if key > asked.after][: asked.limit]
        self.answers.append(
            lambda: self.outbox.keys_loaded(asked.endpoint_id, rows, asked.limit, self.now_ns)
        )

    def postpone(self, delivery_id: int, attempts: int, next_at_ns: int) -> None:
        delivery = self.disk.rows[delivery_id].delivery
        delivery.attempts, delivery.next_at_ns = attempts, next_at_ns

    def end(self, delivery_id: int, state: str) -> None:
        self.disk.rows[delivery_id].state = state

    # ── what happens ────────────────────────────────────────────────────────────────────────

    def offer(self) -> None:
        key = self.random.choice(KEYS)
        event = WebhookEvent(id="EV")
        endpoint_id = self.random.choice(ENDPOINTS)
        self.follow(self.outbox.offer(endpoint_id, key, event, b"", self.now_ns))

    def write(self) -> None:
        if self.writes:
            self.writes.popleft()()

    def answer(self) -> None:
        if self.answers:
            self.follow(self.answers.popleft()())

    def end_attempt(self) -> None:
        if not self.in_flight:
            return
        delivery_id = self.random.choice(list(self.in_flight))
        sent = self.in_flight.pop(delivery_id)
        delivery = sent.delivery
        status = self.random.choices((200, 404, 500), (12, 1, 2))[0]
        if not self.up[delivery.endpoint_id]:
            status = 503
        if status == 200:
            self.received[delivery.endpoint_id, delivery.key].append(delivery.sequence)
        ended = AttemptEnded(delivery_id, sent.attempt, status, "", "", True, True)
        self.follow(self.outbox.attempt_ended(ended, self.now_ns, self.random.random()))

    def pass_time(self, seconds: float | None = None) -> None:
        """On to the next timer, or so many seconds."""
        if seconds is None:
            seconds = self.random.choice((0.0, 1.0, 20.0))
        self.now_ns += to_ns(seconds)
        due = [timer for timer in self.timers if timer[0] <= self.now_ns]
        self.timers = [timer for timer in self.timers if timer[0] > self.now_ns]
        for _, what in due:
            self.follow(what(self.now_ns))

    def turn_over(self) -> None:
        one = self.random.choice(ENDPOINTS)
        self.up[one] = not self.up[one]

    def crash(self) -> None:
        """What is not on the disk is lost; an attempt in flight may have been received."""
        for sent in self.in_flight.values():
            delivery = sent.delivery
            if self.random.random() < 0.5:
                self.received[delivery.endpoint_id, delivery.key].append(delivery.sequence)
        self.start()

    def replay(self) -> None:
        """Somebody asks for a dead one, or for one that waits."""
        rows = [row for row in self.disk.rows.values() if row.state != "delivered"]
        if rows and not self.writes and not self.answers:
            row = self.random.choice(rows)
            row.state = "pending"
            delivery = row.delivery
            delivery.attempts, delivery.next_at_ns = 0, 0
            self.follow(self.outbox.requeued([replace(delivery)], self.now_ns))

    def settle(self) -> None:
        """Everything is up; until nothing more happens."""
        self.up = dict.fromkeys(ENDPOINTS, True)
        for _ in range(20_000):
            if self.writes:
                self.write()
            elif self.answers:
                self.answer()
            elif self.in_flight:
                self.end_attempt()
            elif self.timers:
                self.pass_time(
                    (min(at_ns for at_ns, _ in self.timers) - self.now_ns) / 1e9 + 0.001
                )
            else:
                return
        pytest.fail("it does not come to an end")


@pytest.mark.parametrize("course", ["undisturbed", "with replays"])
@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_kept_is_delivered_in_order_or_dead(seed: int, course: str) -> None:
    world = World(seed)
    replays = course == "with replays"
    steps = [world.offer, world.write, world.answer, world.end_attempt, world.pass_time]
    weights = [4.0, 6.0, 6.0, 6.0, 1.0]
    if replays:
        steps.append(world.replay)
        weights.append(0.5)
    for _ in range(STEPS):
        world.random.choices([*steps, world.turn_over, world.crash], [*weights, 0.1, 0.05])[0]()
    world.settle()

    assert not [row for row in world.disk.rows.values() if row.state == "pending"]
    assert world.outbox.statistics().held == 0
    for queue, last in world.disk.last.items():
        rows = [
            row
            for row in world.disk.rows.values()
            if (row.delivery.endpoint_id, row.delivery.key) == queue
        ]
        assert sorted(row.delivery.sequence for row in rows) == list(range(1, last + 1))
        delivered = {row.delivery.sequence for row in rows if row.state == "delivered"}
        received = world.received[queue]
        assert delivered <= set(received)
        if not replays:
            first_times = [
                sequence
                for sequence in dict.fromkeys(received)
                if (*queue, sequence) not in world.given_up
            ]
            assert first_times == sorted(first_times)
