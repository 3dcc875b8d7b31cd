"""Turns: who is next in a queue, and which queue of a lane may send."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..config import DeliveryPolicy
from ..messages.outputs import AttemptEnded
from .cold_keys import ColdKeys
from .delivery import (
    EXHAUSTED,
    TOO_OLD,
    Decision,
    Delivery,
    Done,
    Load,
    Outcome,
    Send,
    Wait,
    WakeLane,
)
from .gate import Breaker
from .lane import Lane, Limits, Queue, State
from .retry import wait_seconds
from .times import NS_PER_SECOND, to_ns

LOOK_SECONDS_MIN = 0.001  # a timer that rounds down must not make a loop without a wait
GIVEN_UP_UNTRIED = "the endpoint did not answer, and the event is too old to be tried any more"


class Turns:
    """The part of an outbox that moves queues on."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.by_head: dict[int, Queue] = {}
        self.emptied: list[Queue] = []  # since somebody looked
        self.ended: dict[Outcome, int] = dict.fromkeys(Outcome, 0)

    def next(self, queue: Queue, now_ns: int) -> list[Decision]:
        """If there is no head: find the next. The window is filled up on the way."""
        decisions: list[Decision] = []
        lane = queue.lane
        while queue.head is None and queue.waiting:
            head = queue.waiting.popleft()
            queue.head, queue.attempt = head, head.attempts + 1
            self.by_head[head.id] = queue
            if _is_older(head, lane.policy.max_age_seconds, now_ns):
                decisions.append(self.done(queue, Outcome.DROP, now_ns, reason=TOO_OLD))
            elif lane.gate.breaker is not Breaker.CLOSED and self.is_hopeless(
                head, lane.policy, now_ns
            ):
                decisions.append(self._given_up(queue, now_ns))
            elif head.next_at_ns > now_ns:
                queue.state = State.BACKING_OFF
                lane.backing_off[queue] = None
                queue.waits_since_ns, queue.due_at_ns = now_ns, head.next_at_ns
                seconds = (head.next_at_ns - now_ns) / NS_PER_SECOND
                decisions.append(Wait(head.id, queue.attempt, seconds))
            else:
                decisions += self.try_send(queue, now_ns)
        if queue.is_empty:
            self.emptied.append(queue)
        elif self._needs_loading(queue):
            queue.asked, queue.tail_since = lane.window(self._limits), 0
            decisions.append(Load(lane.endpoint_id, queue.key, queue.newest, queue.asked))
        return decisions

    def try_send(self, queue: Queue, now_ns: int) -> list[Decision]:
        """The head is due: send it, or let it wait for the lane."""
        lane = queue.lane
        lane.backing_off.pop(queue, None)
        queue.due_at_ns = 0
        if lane.is_enabled and not lane.blocked and lane.gate.try_pass(now_ns):
            return [self._send(queue, now_ns)]
        queue.state = State.BLOCKED
        lane.blocked.append(queue)
        return self._wake(lane, now_ns)

    def release(self, lane: Lane, now_ns: int) -> list[Decision]:
        """Send as many of the blocked heads as may pass now, the longest-waiting first."""
        decisions: list[Decision] = []
        while lane.blocked and lane.is_enabled and lane.gate.try_pass(now_ns):
            decisions.append(self._send(lane.blocked.popleft(), now_ns))
        if not lane.blocked and self._may_probe(lane) and lane.gate.try_pass(now_ns):
            probe = next(iter(lane.backing_off))
            del lane.backing_off[probe]
            decisions.append(self._send(probe, now_ns))
        elif lane.blocked and lane.gate.breaker is Breaker.OPEN:
            decisions += self._give_up_hopeless(lane, now_ns)
        return decisions + self._wake(lane, now_ns)

    def bring_forward(self, lane: Lane) -> None:
        """The endpoint is up again: whoever waits to try again need not wait any longer."""
        for queue in lane.backing_off:
            queue.state, queue.due_at_ns = State.BLOCKED, 0
            lane.blocked.append(queue)
        lane.backing_off.clear()

    def done(
        self,
        queue: Queue,
        outcome: Outcome,
        now_ns: int,
        *,
        reason: str = "",
        error: str = "",
        last: AttemptEnded | None = None,
        cause: str = "",
    ) -> Done:
        """The head has ended, and there is none for now."""
        head, queue.head = queue.head, None
        if head is None:
            raise ValueError("a queue without a head has nothing to end")
        del self.by_head[head.id]
        attempts = queue.attempt - 1 if last is None else last.attempt
        status = None if last is None else last.status
        queue.state, queue.attempt = State.IDLE, 0
        self.ended[outcome] += 1
        return Done(head, outcome, reason, error, attempts, status, now_ns, cause)

    def remove(self, lane: Lane) -> list[tuple[Delivery, int]]:
        """Only what is in flight stays; the rest in memory, each with its attempts. O(held)."""
        lane.is_enabled, lane.is_removed, lane.cold = False, True, ColdKeys()
        lane.blocked.clear()
        lane.backing_off.clear()
        left: list[tuple[Delivery, int]] = []
        for queue in lane.queues.values():
            if queue.head is not None and queue.state is not State.IN_FLIGHT:
                del self.by_head[queue.head.id]
                left.append((queue.head, queue.attempt - 1))
                queue.head, queue.state = None, State.IDLE
            left.extend((one, one.attempts) for one in queue.waiting)
            queue.waiting.clear()
            queue.unkept = queue.tail = queue.asked = 0
        lane.forget_idle()
        return left

    def removed(self) -> list[Lane]:
        """The lanes of removed endpoints of which something is in flight; O(heads)."""
        lanes = {id(one.lane): one.lane for one in self.by_head.values() if one.lane.is_removed}
        return list(lanes.values())

    def waits(self, lanes: Iterable[Lane], now_ns: int) -> Iterator[Decision]:
        """See `Outbox.waits`. Lanes that are held back are looked at at once."""
        for lane in lanes:
            for queue in lane.backing_off:
                if queue.head is not None:
                    since_ns = max(now_ns, queue.waits_since_ns)
                    seconds = max(queue.due_at_ns - since_ns, 0) / NS_PER_SECOND
                    yield Wait(queue.head.id, queue.attempt, seconds)
            if lane.wake_at_ns is not None:
                yield WakeLane(lane.endpoint_id, lane.wake_number, 0.0)

    def is_hopeless(self, head: Delivery, policy: DeliveryPolicy, now_ns: int) -> bool:
        """It has been tried for long enough."""
        return _is_older(head, policy.give_up_after_seconds, now_ns)

    def back_off(self, queue: Queue, ended: AttemptEnded, now_ns: int, fraction: float) -> Wait:
        """Its head waits for another attempt."""
        queue.state, queue.attempt = State.BACKING_OFF, ended.attempt + 1
        queue.lane.backing_off[queue] = None
        seconds = wait_seconds(
            queue.lane.policy,
            ended.attempt,
            now_s=now_ns / NS_PER_SECOND,
            status=ended.status,
            retry_after=ended.retry_after,
            fraction=fraction,
        )
        started_at_ns = queue.head.started_at_ns if queue.head is not None else None
        queue.waits_since_ns, queue.due_at_ns = now_ns, now_ns + to_ns(seconds)
        return Wait(
            ended.delivery_id,
            queue.attempt,
            seconds,
            ended.status,
            ended.error,
            started_at_ns or 0,
        )

    def wait_on(self, queue: Queue, head: Delivery, now_ns: int) -> Wait:
        """Its head was a probe before its own time, which costs no attempt: it waits as before."""
        queue.state = State.BACKING_OFF
        queue.lane.backing_off[queue] = None  # behind the others: the next probe is another's
        return Wait(head.id, queue.attempt, (queue.due_at_ns - now_ns) / NS_PER_SECOND)

    def _may_probe(self, lane: Lane) -> bool:
        """Nobody is due while the breaker is open: one that waits longer finds out for all."""
        return lane.gate.breaker is Breaker.OPEN and bool(lane.backing_off) and lane.is_enabled

    def _send(self, queue: Queue, now_ns: int) -> Send:
        head = queue.head
        if head is None:
            raise ValueError("a queue without a head has nothing to send")
        queue.state = State.IN_FLIGHT
        if head.started_at_ns is None:
            head.started_at_ns = now_ns
        return Send(head, queue.attempt)

    def _give_up_hopeless(self, lane: Lane, now_ns: int) -> list[Decision]:
        decisions: list[Decision] = []
        for queue in list(lane.blocked):
            if queue.head is not None and self.is_hopeless(queue.head, lane.policy, now_ns):
                lane.blocked.remove(queue)
                decisions.append(self._given_up(queue, now_ns))
                decisions += self.next(queue, now_ns)
        return decisions

    def _given_up(self, queue: Queue, now_ns: int) -> Done:
        return self.done(queue, Outcome.FAILURE, now_ns, error=GIVEN_UP_UNTRIED, cause=EXHAUSTED)

    def _wake(self, lane: Lane, now_ns: int) -> list[Decision]:
        """Have the lane looked at when its gate may open again by the passing of time."""
        if not lane.is_enabled or not (lane.blocked or self._may_probe(lane)):
            return []
        seconds = lane.gate.seconds_until_due(now_ns)
        if seconds is None:
            return []
        seconds = max(seconds, LOOK_SECONDS_MIN)
        at_ns = now_ns + to_ns(seconds)
        if lane.wake_at_ns is not None and lane.wake_at_ns <= at_ns:
            return []
        lane.wake_number += 1
        lane.wake_at_ns = at_ns
        return [WakeLane(lane.endpoint_id, lane.wake_number, seconds)]

    def _needs_loading(self, queue: Queue) -> bool:
        """A quarter of the window is left, and what follows is in the store."""
        return (
            queue.tail > 0
            and not queue.is_loading
            and not queue.unkept
            and len(queue.waiting) <= queue.lane.window(self._limits) // 4
        )


def _is_older(delivery: Delivery, seconds: float | None, now_ns: int) -> bool:
    return seconds is not None and now_ns - delivery.queued_at_ns > to_ns(seconds)
