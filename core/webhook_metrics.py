"""What is counted of each endpoint of webhooks, beside LiveKit's own series.

The dispatch thread alone adds; any thread may read meanwhile. An endpoint is named by its id, as
URLs may hold secrets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from ..messages.endpoints import Endpoint
from ..messages.outputs import AttemptEnded
from . import metric_specs as specs
from .delivery import NOT_KEPT, QUEUE_FULL, TOO_OLD, Done, Outcome
from .families import Distribution, Family, FamilySpec, LabelValues
from .gate import Breaker
from .lane import Lane
from .times import NS_PER_SECOND
from .track_counters import Histogram
from .url import host_of

SHIFT: Final = 30  # a slice of time is 2 ** 30 ns: 1.07 s
SLICES_MAX: Final = 1_024
BREAKERS: Final = {Breaker.CLOSED: 0, Breaker.HALF_OPEN: 1, Breaker.OPEN: 2}
NETWORK: Final = "network"
REFUSED: Final = "refused"
DROPS: Final = {QUEUE_FULL: "queue_full", TOO_OLD: "age", NOT_KEPT: "not_kept"}


class Backlog:
    """How many deliveries of one endpoint are on their way, and since when the oldest of them.

    They are counted by slices of the time when they were accepted. There are so many slices at
    most: when there are more, each is made twice as long. So both numbers cost O(1) to keep, in
    bounded memory, and the second one is exact to a slice.
    """

    __slots__ = ("_shift", "_slices", "count")

    def __init__(self) -> None:
        self.count = 0
        self._shift = SHIFT
        self._slices: dict[int, tuple[int, int]] = {}  # -> how many, and when the first of them

    def add(self, at_ns: int, count: int = 1) -> None:
        """So many more, accepted then (Unix ns)."""
        self.count += count
        place = at_ns >> self._shift
        if (found := self._slices.get(place)) is not None:
            self._slices[place] = found[0] + count, min(found[1], at_ns)
            return
        self._slices[place] = count, at_ns
        if len(self._slices) > SLICES_MAX:
            self._coarsen()

    def remove(self, at_ns: int) -> None:
        """One less, which was accepted then (Unix ns)."""
        if self.count <= 1:
            self.clear()
            return
        self.count -= 1
        place = at_ns >> self._shift
        found = self._slices.get(place)
        if found is None:  # of those that were there at the start: they share the oldest slice
            place = min(self._slices)
            found = self._slices[place]
        if found[0] > 1:
            self._slices[place] = found[0] - 1, found[1]
        elif len(self._slices) > 1:
            del self._slices[place]

    def correct(self, count: int, oldest_ns: int | None) -> None:
        """It is known for sure that these are left.

        Args:
            count: How many.
            oldest_ns: Since when the oldest (Unix ns); None: not known.
        """
        if not count:
            self.clear()
            return
        self.count = count
        if oldest_ns is not None:
            kept = {one: held for one, held in self._slices.items() if held[1] > oldest_ns}
            rest = max(count - sum(held[0] for held in kept.values()), 1)
            self._slices = {oldest_ns >> self._shift: (rest, oldest_ns), **kept}

    def clear(self) -> None:
        """There are none."""
        self.count, self._shift, self._slices = 0, SHIFT, {}

    def oldest_ns(self) -> int | None:
        """When the oldest was accepted (Unix ns); None: there is none. From any thread."""
        return min((first_ns for _, first_ns in self._slices.copy().values()), default=None)

    def _coarsen(self) -> None:
        coarse: dict[int, tuple[int, int]] = {}  # whole before it is seen: others read meanwhile
        for place, (count, first_ns) in self._slices.items():
            before, before_ns = coarse.get(place >> 1, (0, first_ns))
            coarse[place >> 1] = before + count, min(before_ns, first_ns)
        self._shift += 1
        self._slices = coarse


class EndpointMetrics:
    """The numbers of one endpoint."""

    __slots__ = ("attempts", "backlog", "breaker", "dead", "host", "is_enabled", "seconds")

    def __init__(self) -> None:
        self.host = ""
        self.is_enabled = True
        self.breaker = Breaker.CLOSED
        self.backlog = Backlog()
        self.attempts: dict[str, int] = {}
        self.dead: dict[str, int] = {}
        self.seconds = Histogram(specs.DELIVERY_SECONDS_EDGES)


class WebhookMetrics:
    """The numbers of all endpoints; of one that it was not told of it counts nothing.

    Args:
        now_ns: Unix time, asked when somebody reads.
    """

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._endpoints: dict[str, EndpointMetrics] = {}

    def put(self, endpoint: Endpoint, lane: Lane, oldest_ns: int | None) -> None:
        """There is this endpoint, or it is other than before.

        Args:
            endpoint: Its URL's host and its state are shown.
            lane: What it holds already, if it is new.
            oldest_ns: When the oldest of that was accepted (Unix ns).
        """
        one = self._endpoints.get(endpoint.id)
        if one is None:
            one = EndpointMetrics()
            count, known_ns = lane.backlog()
            if count:
                one.backlog.add(known_ns or oldest_ns or self._now_ns(), count)
            self._endpoints[endpoint.id] = one
        one.host, one.is_enabled = host_of(endpoint.url), endpoint.is_enabled

    def forget(self, endpoint_id: str) -> None:
        """There is no such endpoint any more: its series end."""
        self._endpoints.pop(endpoint_id, None)

    def disabled(self, endpoint_id: str) -> None:
        """It does not want any more."""
        if (one := self._endpoints.get(endpoint_id)) is not None:
            one.is_enabled = False

    def accepted(self, endpoint_id: str, at_ns: int) -> None:
        """A delivery is on its way since then (Unix ns)."""
        if (one := self._endpoints.get(endpoint_id)) is not None:
            one.backlog.add(at_ns)

    def sent(self, lane: Lane) -> None:
        """An attempt began: it may be a breaker's probe."""
        if (one := self._endpoints.get(lane.endpoint_id)) is not None:
            one.breaker = lane.gate.breaker

    def attempted(self, lane: Lane, ended: AttemptEnded) -> None:
        """An attempt ended, and was judged."""
        if (one := self._endpoints.get(lane.endpoint_id)) is not None:
            one.breaker = lane.gate.breaker
            outcome = _outcome(ended)
            one.attempts[outcome] = one.attempts.get(outcome, 0) + 1

    def ended(self, done: Done) -> None:
        """A delivery is over."""
        delivery = done.delivery
        if (one := self._endpoints.get(delivery.endpoint_id)) is None:
            return
        one.backlog.remove(delivery.queued_at_ns)
        if done.outcome is Outcome.SUCCESS:
            one.seconds.observe((done.ended_at_ns - delivery.queued_at_ns) / NS_PER_SECOND)
        else:
            reason = DROPS.get(done.reason, done.cause)
            one.dead[reason] = one.dead.get(reason, 0) + 1

    def correct(self, lane: Lane) -> None:
        """Count anew what it holds; O(queues)."""
        if (one := self._endpoints.get(lane.endpoint_id)) is not None:
            one.backlog.correct(*lane.backlog())

    def families(self) -> Iterator[Family]:
        """Where all stand; from any thread."""
        every = sorted(self._endpoints.copy().items())
        now_ns = self._now_ns()
        for spec, value in _GAUGES:
            yield spec.family({(name,): float(value(one, now_ns)) for name, one in every})
        for spec, counts in _COUNTERS:
            series: dict[LabelValues, float] = {
                (name, label): float(number)
                for name, one in every
                for label, number in counts(one).items()
            }
            yield spec.family(series)
        hosts: dict[LabelValues, float] = {(name, one.host): 1.0 for name, one in every}
        yield specs.WEBHOOK_ENDPOINT_INFO.family(hosts)
        seconds: dict[LabelValues, float | Distribution] = {
            (name,): one.seconds.distribution() for name, one in every
        }
        yield specs.WEBHOOK_DELIVERY_SECONDS.family(seconds)


_GAUGES: Final[tuple[tuple[FamilySpec, Callable[[EndpointMetrics, int], float]], ...]] = (
    (specs.WEBHOOK_PENDING, lambda one, _: one.backlog.count),
    (specs.WEBHOOK_OLDEST_SECONDS, lambda one, now_ns: _age(one.backlog.oldest_ns(), now_ns)),
    (specs.WEBHOOK_BREAKER, lambda one, _: BREAKERS[one.breaker]),
    (specs.WEBHOOK_ENDPOINT_ENABLED, lambda one, _: one.is_enabled),
)
_COUNTERS: Final[tuple[tuple[FamilySpec, Callable[[EndpointMetrics], dict[str, int]]], ...]] = (
    (specs.WEBHOOK_ATTEMPTS_TOTAL, lambda one: one.attempts.copy()),
    (specs.WEBHOOK_DEAD_TOTAL, lambda one: one.dead.copy()),
)


def _age(since_ns: int | None, now_ns: int) -> float:
    return 0.0 if since_ns is None else max(now_ns - since_ns, 0) / NS_PER_SECOND


def _outcome(ended: AttemptEnded) -> str:
    if ended.status is not None:
        return f"{ended.status // 100}xx"
    return NETWORK if ended.retryable else REFUSED
