from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from greenroom.adapters.database import open_beside, transaction
from greenroom.adapters.dead_letters import LetterState
from greenroom.adapters.store import Store
from greenroom.adapters.stored_dead_letters import SqliteDeadLetters, mark
from greenroom.messages.control import DeadLetter
from greenroom.testing.patience import PATIENCE_SECONDS

NEW, REPLAY, REPLAYED = LetterState


class Replayed(queue.SimpleQueue[tuple[int, int]]):
    """Takes every letter: its id and position."""

    def on_replay(self, letter_id: int, letter: DeadLetter) -> bool:
        self.put((letter_id, letter.position))
        return True


def letter(position: int) -> DeadLetter:
    return DeadLetter("StatsWorker", "", "TrackStat", position, 5, "E", "T", b"body")


def ask_for_replay(data_dir: Path, *ids: int) -> None:
    with closing(open_beside(data_dir, write=True)) as connection, transaction(connection):
        mark(connection, ids, REPLAY)


def states(box: SqliteDeadLetters) -> list[LetterState]:
    return [kept.state for kept in box.list()]


@pytest.fixture
def store(open_store: Callable[[Path], Store], tmp_path: Path) -> Store:
    return open_store(tmp_path)


@pytest.fixture
def box(store: Store) -> SqliteDeadLetters:
    box = SqliteDeadLetters(store)
    for position in (11, 12, 13):
        box.add(letter(position))
    assert store.wait_idle(PATIENCE_SECONDS)
    return box


def test_a_letter_that_another_process_asks_for_comes_once_and_is_replayed_then(
    box: SqliteDeadLetters, store: Store
) -> None:
    replayed = Replayed()
    box.watch(replayed.on_replay)
    assert store.wait_idle(PATIENCE_SECONDS)

    ask_for_replay(store.data_dir, 3, 1)

    assert replayed.get(timeout=PATIENCE_SECONDS) == (1, 11)
    assert replayed.get(timeout=PATIENCE_SECONDS) == (3, 13)
    assert store.close(PATIENCE_SECONDS)
    assert replayed.empty()
    assert states(box) == [REPLAYED, NEW, REPLAYED]


def test_what_was_asked_for_while_nobody_ran_comes_at_the_next_start(
    box: SqliteDeadLetters, store: Store, open_store: Callable[[Path], Store]
) -> None:
    assert store.close(PATIENCE_SECONDS)
    ask_for_replay(store.data_dir, 2)
    replayed = Replayed()

    again = SqliteDeadLetters(open_store(store.data_dir))
    again.watch(replayed.on_replay)

    assert replayed.get(timeout=PATIENCE_SECONDS) == (2, 12)


def test_a_letter_that_is_not_taken_now_comes_again_and_holds_up_those_behind_it(
    box: SqliteDeadLetters, store: Store
) -> None:
    calls = Replayed()
    answers = iter([False, False, True, True])

    def on_replay(letter_id: int, letter: DeadLetter) -> bool:
        return calls.on_replay(letter_id, letter) and next(answers)

    ask_for_replay(store.data_dir, 1, 2)
    box.watch(on_replay)

    came = [calls.get(timeout=PATIENCE_SECONDS)[0] for _ in range(4)]
    assert came == [1, 1, 1, 2]
    assert store.close(PATIENCE_SECONDS)
    assert states(box) == [REPLAYED, REPLAYED, NEW]


def test_a_letter_whose_replay_raises_is_new_again_and_the_others_come(
    box: SqliteDeadLetters, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    done = threading.Event()

    def on_replay(letter_id: int, letter: DeadLetter) -> bool:
        if letter_id == 1:
            raise ValueError("no such actor")
        done.set()
        return True

    box.watch(on_replay)
    ask_for_replay(store.data_dir, 1, 2)

    assert done.wait(PATIENCE_SECONDS)
    assert store.close(PATIENCE_SECONDS)
    assert states(box) == [NEW, REPLAYED, NEW]
    assert "dead letter 1 was not replayed" in caplog.text
    assert "no such actor" in caplog.text


def test_a_letter_that_was_taken_but_cannot_be_marked_does_not_come_twice(
    box: SqliteDeadLetters, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    replayed = Replayed()
    forbid = (
        "CREATE TRIGGER forbid BEFORE UPDATE ON dead_letters WHEN NEW.state = 'replayed' "
        "BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
    )
    ask_for_replay(store.data_dir, 1)
    with closing(open_beside(store.data_dir, write=True)) as other:
        other.execute(forbid)
        box.watch(replayed.on_replay)
        assert replayed.get(timeout=PATIENCE_SECONDS) == (1, 11)
        assert store.wait_idle(PATIENCE_SECONDS)
        other.execute("DROP TRIGGER forbid")
    ask_for_replay(store.data_dir, 2)

    assert replayed.get(timeout=PATIENCE_SECONDS) == (2, 12)
    assert store.close(PATIENCE_SECONDS)
    assert replayed.empty()
    assert states(box) == [REPLAYED, REPLAYED, NEW]
    assert "disk is full" in caplog.text
