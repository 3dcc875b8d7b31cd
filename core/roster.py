"""Who is alive: which worker is current for a key, its guards, connected and closed.

    open ──(a release brings the count to exactly 0)──► closed ──► over ──► gone

- At most one worker is *current* for a key. A closed one stays current, and still gets samples,
  until a successor replaces it, or it expires: closed before a given time, it is found no more.
- A closed worker is never reopened: the next `open` makes a new incarnation, which inherits
  `connected`. Retiring the old incarnation never touches the new one's entry.
- A guard counts once in its life: where it is first activated. A released guard never counts
  again, a never activated one releases nothing, and a guard released at another worker takes one
  from *that* worker's count.

Source: livekit telemetryservice.go (getOrCreateWorker, FlushStats), statsworker.go
(ReferenceCount, Close, Closed).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from ..messages.checkpoint import WorkerRecord
from ..messages.control import WorkerStatus
from ..messages.handoff import WorkerFacts
from ..messages.ids import (
    GuardID,
    Incarnation,
    ParticipantID,
    RoomID,
    RoomName,
    WorkerKey,
)
from .roster_changes import Changes

# a host may give a guard to a new worker after the old one was retired: odd, but seen in vectors
REMEMBERED_GUARDS: Final = 65_536
NO_NAME: Final = RoomName("")

A = TypeVar("A")  # how the owner of the roster reaches a worker


@dataclass(slots=True, eq=False)
class Entry(Generic[A]):
    """One worker. Whoever opened it sets `address`; nothing here looks into that."""

    key: WorkerKey
    incarnation: Incarnation
    connected: bool
    room_name: RoomName
    address: A = field(init=False, repr=False)
    closed: bool = False
    closed_at_ns: int = 0
    flushed: int = 0  # the number of the last flush that it was told
    count: int = 0
    guards: tuple[GuardID, ...] = ()  # mostly none or one: a list is 40 bytes more


@dataclass(frozen=True, slots=True)
class Opened(Generic[A]):
    """The worker that is current now, and whether it was made by this call."""

    entry: Entry[A]
    is_new: bool


@dataclass(frozen=True, slots=True)
class Closed(Generic[A]):
    """A worker that was closed, and when (Unix ns)."""

    entry: Entry[A]
    at_ns: int


@dataclass(frozen=True, slots=True)
class Left(Generic[A]):
    """What a participant's leaving found: `closed` is the worker that it closed, if any."""

    was_connected: bool
    closed: Entry[A] | None


@dataclass(frozen=True, slots=True)
class RosterStatistics:
    """Sizes: current workers, workers kept (closed predecessors included), known guards."""

    current: int
    retained: int
    guards: int


class Roster(Generic[A]):
    """The supervisor's table of workers.

    Every method is O(1), but for `retire`, O(guards), and a guard that is released at a worker
    that it is not of: O(workers).
    """

    def __init__(self, remembered_guards: int = REMEMBERED_GUARDS) -> None:
        self._current: dict[WorkerKey, Entry[A]] = {}
        self._entries: dict[Incarnation, Entry[A]] = {}
        self._closed: deque[Closed[A]] = deque()  # in the order of closing
        self._last_incarnation = 0
        self._released: dict[GuardID, bool] = {}  # a guard is in here once it was activated
        self._guards_of_retired: deque[GuardID] = deque()
        self._remembered_guards = remembered_guards
        self.changes = Changes(self._record_of)

    def __repr__(self) -> str:
        """One line for a debugger."""
        return f"<Roster {self.statistics()}>"

    def find(self, key: WorkerKey | tuple[RoomID, ParticipantID]) -> Entry[A] | None:
        """The current worker of `key`, open or closed; the hot path spares the named tuple."""
        return self._current.get(key)  # type: ignore[arg-type]  # both are equal, and hash so

    def open(
        self, key: WorkerKey, guard: GuardID | None, room_name: RoomName = NO_NAME
    ) -> Opened[A]:
        """Find the open worker of `key` or make one; the guard is activated on it.

        A new entry has no address yet.
        """
        entry = self._current.get(key)
        if entry is not None and not entry.closed:
            self._activate(guard, entry)
            return Opened(entry, is_new=False)
        connected = entry is not None and entry.connected
        fresh = self._add(key, room_name, connected=connected)
        self._activate(guard, fresh)
        return Opened(fresh, is_new=True)

    def adopt(self, facts: WorkerFacts) -> Entry[A]:
        """Make an entry, without an address yet, of what another roster knew of a worker."""
        fresh = self._add(facts.key, facts.room_name, connected=facts.connected)
        for guard in facts.guards:
            self._released.pop(guard, None)  # it may have been here before
            self._activate(guard, fresh)
        return fresh

    def connect(self, entry: Entry[A]) -> None:
        """The participant of a worker has a media connection."""
        if not entry.connected:
            self.changes.touch(entry)
            entry.connected = True

    def restore(self, record: WorkerRecord) -> Entry[A]:
        """Make an entry, without an address yet, of what this roster knew in a life before.

        In the order of their incarnations; those that are closed go on in that of their closing
        after `restored`.
        """
        entry: Entry[A] = Entry(record.key, record.incarnation, record.connected, record.room_name)
        entry.closed, entry.closed_at_ns = record.closed, record.closed_at_ns
        entry.count, entry.guards = record.count, record.guards
        self._entries[record.incarnation] = entry
        if record.is_current:
            self._current[record.key] = entry
        self._released.update(dict.fromkeys(record.guards, False))
        self._released.update(dict.fromkeys(record.released, True))
        return entry

    def restored(self, last_incarnation: int) -> None:
        """All are there again; the next one gets the number after this."""
        self._last_incarnation = last_incarnation
        closed = (entry for entry in self._entries.values() if entry.closed)
        self._closed.extend(
            Closed(entry, entry.closed_at_ns)
            for entry in sorted(closed, key=lambda entry: entry.closed_at_ns)
            if self._current.get(entry.key) is entry
        )

    @property
    def last_incarnation(self) -> int:
        """The number of the worker that was made last."""
        return self._last_incarnation

    def held_guards(self, entry: Entry[A]) -> tuple[GuardID, ...]:
        """Those of a worker that are not released."""
        return tuple(guard for guard in entry.guards if not self._released.get(guard, True))

    def leave(self, key: WorkerKey, guard: GuardID | None, at_ns: int) -> Left[A]:
        """Release the guard at the current worker of `key`; the last release closes it.

        Args:
            key: Who leaves.
            guard: What is released, if anything.
            at_ns: Now (Unix ns), never earlier than before.
        """
        entry = self._current.get(key)
        if entry is None:
            return Left(was_connected=False, closed=None)
        reached_zero = self._release(guard, entry)
        closes = reached_zero and not entry.closed
        if closes:
            self.close(entry, at_ns)
        return Left(entry.connected, entry if closes else None)

    def close(self, entry: Entry[A], at_ns: int) -> None:
        """A worker is over at that time (Unix ns), never earlier than before."""
        self.changes.touch(entry)
        entry.closed, entry.closed_at_ns = True, at_ns
        self._closed.append(Closed(entry, at_ns))

    def expire(self, before_ns: int) -> None:
        """Workers that were closed before that time (Unix ns) are current no longer.

        They are kept until they are retired, and flushed like the others.
        """
        while self._closed and self._closed[0].at_ns < before_ns:
            self._forget_current(self._closed.popleft().entry)

    def retire(self, incarnation: Incarnation) -> Entry[A] | None:
        """Forget a worker; None if it is already forgotten."""
        entry = self._entries.get(incarnation)
        if entry is None:
            return None
        self.changes.touch(entry)
        del self._entries[incarnation]
        self._forget_current(entry)
        self._guards_of_retired.extend(entry.guards)
        while len(self._guards_of_retired) > self._remembered_guards:
            self._released.pop(self._guards_of_retired.popleft(), None)  # it may be in it twice
        return entry

    def newest_first(self) -> list[Entry[A]]:
        """Every worker kept, in the order in which a flush visits them."""
        return list(reversed(self._entries.values()))

    def closing(self) -> tuple[Closed[A], ...]:
        """Workers that are closed and have not expired."""
        return tuple(self._closed)

    def keeper_of(self, incarnation: Incarnation) -> Entry[A] | None:
        """The worker of this incarnation; None: it is retired."""
        return self._entries.get(incarnation)

    def keeps(self, entry: Entry[A]) -> bool:
        """Whether this worker is not retired yet."""
        return entry.incarnation in self._entries

    def status(self) -> tuple[WorkerStatus, ...]:
        """The current workers, ordered by key."""
        return tuple(
            WorkerStatus(key, entry.incarnation, entry.connected, entry.closed)
            for key, entry in sorted(self._current.items())
        )

    def statistics(self) -> RosterStatistics:
        """Sizes of the tables."""
        return RosterStatistics(len(self._current), len(self._entries), len(self._released))

    def _add(self, key: WorkerKey, room_name: RoomName, *, connected: bool) -> Entry[A]:
        if (before := self._current.get(key)) is not None:
            self.changes.touch(before)
        self._last_incarnation += 1
        fresh: Entry[A] = Entry(key, Incarnation(self._last_incarnation), connected, room_name)
        self.changes.touch(fresh)
        self._current[key] = self._entries[fresh.incarnation] = fresh
        return fresh

    def _forget_current(self, entry: Entry[A]) -> None:
        if self._current.get(entry.key) is entry:
            self.changes.touch(entry)
            del self._current[entry.key]

    def _record_of(self, entry: Entry[A]) -> WorkerRecord | None:
        """What is to be remembered of a worker; None: it is retired."""
        if entry.incarnation not in self._entries:
            return None
        return WorkerRecord(
            entry.key,
            entry.incarnation,
            entry.room_name,
            entry.connected,
            self._current.get(entry.key) is entry,
            entry.closed,
            entry.closed_at_ns,
            entry.count,
            entry.guards,
            tuple(guard for guard in entry.guards if self._released.get(guard, True)),
        )

    def _activate(self, guard: GuardID | None, entry: Entry[A]) -> None:
        if guard is None or guard in self._released:
            return
        self.changes.touch(entry)
        self._released[guard] = False
        entry.guards = (*entry.guards, guard)
        entry.count += 1

    def _release(self, guard: GuardID | None, entry: Entry[A]) -> bool:
        """Whether this release brought the count to exactly 0."""
        if guard is None or self._released.get(guard, True):
            return False
        self.changes.touch(entry)
        if guard not in entry.guards:  # a host's mistake; rare, so it may take long
            for owner in self._entries.values():
                if guard in owner.guards:
                    self.changes.touch(owner)
        self._released[guard] = True
        entry.count -= 1
        return entry.count == 0
