"""Dead letters in the database: they outlive the process, and another one can ask for a replay."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from typing import Final, TypeAlias

from ..core.metrics import Metrics
from ..messages.control import DeadLetter
from .database import transaction
from .dead_letters import (
    CAPACITY,
    FULL,
    DeadLetterStatistics,
    KeptLetter,
    LetterState,
    MemoryDeadLetters,
    check_capacity,
)
from .store import Store

OnReplay: TypeAlias = Callable[[int, DeadLetter], bool]
REPLAY_MAX: Final = 100  # letters between two commits: so many may come twice after a crash
TAKE_SECONDS: Final = 10.0  # a disk that is slower than this is broken

_Told: TypeAlias = tuple[str, str, str, int, int, bytes, int]

_FIELDS: Final = "actor, key, message, position, at_ns, error, traceback, body, incarnation"


class SqliteDeadLetters:
    """A `DeadLetters` in a store. A letter can be read as soon as its group is committed.

    Args:
        store: Writes it; closed by whoever made it.
        capacity: How many letters are kept.
        metrics: Counts `greenroom_dropped_total{reason="dead_letters_full"}`.
        comes_again: Whether what a life before was told is told again now: then each letter
            that is kept of it is ignored once.

    Raises:
        ConfigError: The capacity is not at least 1.
    """

    def __init__(
        self,
        store: Store,
        capacity: int = CAPACITY,
        *,
        metrics: Metrics | None = None,
        comes_again: Callable[[], bool] = lambda: False,
    ) -> None:
        check_capacity(capacity)
        self._store = store
        self._capacity = capacity
        self._metrics = metrics
        self._dropped = 0
        self._ends: dict[int, LetterState] = {}  # of the store's thread
        self._lock = threading.Lock()
        self._to_come_again: Counter[_Told] = Counter()  # of the dispatch thread
        self._comes_again = comes_again
        if comes_again():
            self._to_come_again.update(_told(kept.letter) for kept in self.list())

    def add(self, letter: DeadLetter) -> None:
        """Queue it; what the store cannot write, it counts and logs."""
        if self._to_come_again and self._comes_again():
            told = _told(letter)
            self._to_come_again[told] -= 1
            if self._to_come_again[told] >= 0:
                return
        done = self._store.submit(partial(insert, letter=letter, capacity=self._capacity))
        done.add_done_callback(self._on_added)

    def list(self) -> tuple[KeptLetter, ...]:
        """Every letter, oldest first.

        Raises:
            StoreError: The database cannot be read.
        """
        return self._store.read(select)

    def get(self, letter_id: int) -> KeptLetter | None:
        """One letter; None if there is none with this id.

        Raises:
            StoreError: The database cannot be read.
        """
        return self._store.read(partial(find, letter_id=letter_id))

    def take(self, letter_id: int) -> DeadLetter | None:
        """A letter to be replayed, which is "replayed" from now on; None: unknown, or it was.

        Waits for the disk: not for an actor, nor for the callback of a replay.

        Raises:
            StoreError: The database cannot be written.
            TimeoutError: It took longer than 10 s.
        """
        taken = self._store.submit(partial(_take, letter_id=letter_id))
        try:
            return taken.result(TAKE_SECONDS)
        finally:
            taken.cancel()  # what nobody waits for any more shall not become "replayed"

    def statistics(self) -> DeadLetterStatistics:
        """How full it is; what was dropped is counted from this process's start.

        Raises:
            StoreError: The database cannot be read.
        """
        kept = self._store.read(_count)
        with self._lock:
            return DeadLetterStatistics(kept, self._dropped)

    def watch(self, on_replay: OnReplay) -> None:
        """From now on, take the letters that somebody asks to be replayed, oldest first.

        Args:
            on_replay: Gets id and letter on the store's thread, once a second at most. True: it
                took the letter, which is "replayed" then; after a crash in between it comes
                again. False: it cannot now and is asked again. If it raises, that is logged,
                and the letter is "new" again.
        """
        self._store.watch(partial(self._replay, on_replay))

    def _on_added(self, done: Future[int]) -> None:
        if done.exception() is None and (dropped := done.result()):
            with self._lock:
                self._dropped += dropped
            if self._metrics is not None:
                self._metrics.dropped(FULL, dropped)

    def _replay(self, on_replay: OnReplay, connection: sqlite3.Connection) -> bool:
        self._settle(connection)
        while letters := select(connection, state=LetterState.REPLAY, limit=REPLAY_MAX):
            refused = False
            for kept in letters:
                try:
                    refused = not on_replay(kept.id, kept.letter)
                except Exception as error:  # noqa: BLE001  # the host's code: its faults stop nothing
                    self._store.reporter.replay_failed(kept.id, error)
                    self._ends[kept.id] = LetterState.NEW
                else:
                    if refused:
                        break
                    self._ends[kept.id] = LetterState.REPLAYED
            self._settle(connection)
            if refused:
                return True
        return False

    def _settle(self, connection: sqlite3.Connection) -> None:
        """Write what became of letters; if that fails they wait here, and do not come again."""
        if self._ends:
            with transaction(connection):
                for letter_id, state in self._ends.items():
                    mark(connection, [letter_id], state)
            self._ends.clear()


def box_in(
    store: Store | None, metrics: Metrics, comes_again: Callable[[], bool] = lambda: False
) -> MemoryDeadLetters | SqliteDeadLetters:
    """The box of a telemetry: in its store, if it has one."""
    if store is None:
        return MemoryDeadLetters(metrics=metrics)
    return SqliteDeadLetters(store, metrics=metrics, comes_again=comes_again)


def insert(connection: sqlite3.Connection, letter: DeadLetter, capacity: int) -> int:
    """Add one letter, and delete the oldest beyond the capacity: how many were deleted."""
    added = connection.execute(
        f"INSERT INTO dead_letters ({_FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            _storable(letter.actor),
            _storable(letter.key),
            _storable(letter.message),
            letter.position,
            letter.at_ns,
            _storable(letter.error),
            _storable(letter.traceback),
            letter.body,
            letter.incarnation,
        ),
    )
    # ids have no gaps, because only the oldest are ever deleted
    last = added.lastrowid or 0
    return connection.execute(
        "DELETE FROM dead_letters WHERE id <= ?", (last - capacity,)
    ).rowcount


def select(
    connection: sqlite3.Connection,
    *,
    actor: str | None = None,
    message: str | None = None,
    state: LetterState | None = None,
    limit: int = -1,
) -> tuple[KeptLetter, ...]:
    """The letters that agree with all that is given, oldest first."""
    wanted = [
        (column, value)
        for column, value in (("actor", actor), ("message", message), ("state", state))
        if value is not None
    ]
    where = " AND ".join(f"{column} = ?" for column, _ in wanted) or "TRUE"
    rows = connection.execute(
        f"SELECT id, state, {_FIELDS} FROM dead_letters WHERE {where} ORDER BY id LIMIT ?",
        (*(value for _, value in wanted), limit),
    )
    return tuple(
        KeptLetter(letter_id, LetterState(kept_state), DeadLetter(*fields))
        for letter_id, kept_state, *fields in rows
    )


def find(connection: sqlite3.Connection, letter_id: int) -> KeptLetter | None:
    """One letter; None if there is none with this id."""
    row = connection.execute(
        f"SELECT state, {_FIELDS} FROM dead_letters WHERE id = ?", (letter_id,)
    ).fetchone()
    if row is None:
        return None
    state, *fields = row
    return KeptLetter(letter_id, LetterState(state), DeadLetter(*fields))


def mark(connection: sqlite3.Connection, ids: Iterable[int], state: LetterState) -> int:
    """Give letters another state, inside a transaction; how many of them there are."""
    rows = [(state, letter_id) for letter_id in ids]
    return connection.executemany("UPDATE dead_letters SET state = ? WHERE id = ?", rows).rowcount


def _take(connection: sqlite3.Connection, letter_id: int) -> DeadLetter | None:
    kept = find(connection, letter_id)
    if kept is None or kept.state is LetterState.REPLAYED:
        return None
    mark(connection, [letter_id], LetterState.REPLAYED)
    return kept.letter


def _count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM dead_letters").fetchone()[0])


def _told(letter: DeadLetter) -> _Told:
    """What is the same when its input is told again: the texts of a failure need not be."""
    names = (_storable(letter.actor), _storable(letter.key), _storable(letter.message))
    return *names, letter.position, letter.at_ns, letter.body, letter.incarnation


def _storable(text: str) -> str:
    """Without lone surrogates, which an exception's text may have and UTF-8 has not."""
    return text.encode("utf-8", "replace").decode("utf-8")
