from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from livekit.protocol.analytics import AnalyticsStat, AnalyticsStream
from livekit.protocol.models import Room

from greenroom.adapters.dead_letters import LetterState
from greenroom.adapters.reporter import LoggingReporter
from greenroom.adapters.store import Store
from greenroom.adapters.stored_dead_letters import SqliteDeadLetters
from greenroom.cli.app import run
from greenroom.core.metrics import Metrics
from greenroom.messages.calls import RoomStarted, TrackStats
from greenroom.messages.codec import encode
from greenroom.messages.control import DeadLetter
from greenroom.messages.ids import ParticipantID, RoomID, RoomName, StatsKey, TrackID
from greenroom.messages.stats import Flush
from greenroom.runtime.clock import VirtualClock
from greenroom.testing.patience import PATIENCE_SECONDS

NEW, REPLAY, REPLAYED = LetterState

STAT: Final = TrackStats(
    RoomID("RM_1"),
    RoomName("attic"),
    StatsKey("", 0, ParticipantID("PA_2"), TrackID("TR_3"), 1, 0, True),
    AnalyticsStat(mime="video/vp8", streams=[AnalyticsStream(ssrc=9)]).SerializeToString(),
)
STARTED: Final = RoomStarted(Room(name="Café"))
LETTERS: Final = (
    DeadLetter(
        *("Supervisor", "", "RoomStarted", 7, 1_700_000_000_000_000_000),
        *(
            "ValueError('first')",
            "Traceback (1)\n  line\n",
            encode(RoomStarted(Room(name="Café"))),
        ),
    ),
    DeadLetter(
        *("StatsWorker", "RM_1/PA_2", "TrackStats", 8, 1_700_000_001_000_000_000),
        *("KeyError('\x1b[31m')\nsecond", "Traceback (2)", encode(STAT)),
    ),
    DeadLetter("StatsWorker", "RM_1/PA_3", "Flush", 0, 0, "ValueError('third')", "T", b""),
    DeadLetter("Notifier", "", "Notify", 9, 5, "E", "T", b"\xc1 never msgpack"),
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    reporter = LoggingReporter(VirtualClock())
    store = Store(tmp_path, Metrics(threading.Lock()), reporter, poll_seconds=0.01)
    yield store
    assert store.close(PATIENCE_SECONDS)


@pytest.fixture
def box(store: Store) -> SqliteDeadLetters:
    box = SqliteDeadLetters(store)
    for letter in LETTERS:
        box.add(letter)
    assert store.wait_idle(PATIENCE_SECONDS)
    return box


@pytest.fixture
def data_dir(box: SqliteDeadLetters, store: Store) -> str:
    return str(store.data_dir)


def command(*arguments: str) -> int:
    return run(["dead-letters", *arguments])


def words(text: str) -> str:
    """Without the frame and the line breaks that depend on a terminal's width."""
    return " ".join(text.replace("│", " ").split())


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert command("list", "--json", *arguments) == 0
    letters: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return letters


def states(box: SqliteDeadLetters) -> list[LetterState]:
    return [kept.state for kept in box.list()]


@pytest.mark.parametrize("name", ["list", "show", "replay"])
def test_every_command_has_help_with_an_example(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert command(name, "--help") == 0

    assert f"Example: greenroom dead-letters {name}" in words(capsys.readouterr().out)


# ── list ────────────────────────────────────────────────────────────────────────────────────


def test_the_list_has_a_line_for_each_letter_beside_the_running_process(
    data_dir: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")

    assert command("list", "--data-dir", data_dir) == 0

    head, *lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert head == ["id", "state", "when", "(UTC)", "actor", "of", "message", "error"]
    assert [" ".join(line) for line in lines[:2]] == [
        "1 new 2023-11-14 22:13:20 Supervisor RoomStarted ValueError('first')",
        "2 new 2023-11-14 22:13:21 StatsWorker RM_1/PA_2 TrackStats KeyError('\ufffd[31m') second",
    ]
    assert len(lines) == 4


def test_the_list_as_json_has_every_field_but_the_long_ones(
    data_dir: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *_ = listed(capsys, "--data-dir", data_dir)

    assert first == {
        "id": 1,
        "state": "new",
        "actor": "Supervisor",
        "key": "",
        "message": "RoomStarted",
        "position": 7,
        "at_ns": 1_700_000_000_000_000_000,
        "error": "ValueError('first')",
        "body_bytes": len(LETTERS[0].body),
    }


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ([], [1, 2, 3, 4]),
        (["--actor", "StatsWorker"], [2, 3]),
        (["--message", "Flush"], [3]),
        (["--actor", "StatsWorker", "--message", "TrackStats"], [2]),
        (["--state", "replayed"], [1]),
        (["--state", "new", "--actor", "Supervisor"], []),
    ],
    ids=str,
)
def test_filters_are_all_met(
    data_dir: str,
    box: SqliteDeadLetters,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    ids: list[int],
) -> None:
    assert box.take(1) is not None

    letters = listed(capsys, "--data-dir", data_dir, *options)

    assert [letter["id"] for letter in letters] == ids


def test_an_empty_list_is_told_in_words(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("list", "--data-dir", str(store.data_dir)) == 0
    assert command("list", "--data-dir", str(store.data_dir), "--state", "new") == 0

    assert capsys.readouterr().out == "no dead letters\nno dead letter is like that\n"


# ── show ────────────────────────────────────────────────────────────────────────────────────


def test_a_letter_is_shown_with_its_error_its_traceback_and_its_message(
    data_dir: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("show", "1", "--data-dir", data_dir) == 0

    assert capsys.readouterr().out == (
        "dead letter 1, new\n"
        "Supervisor could not digest a RoomStarted (input 7, 2023-11-14 22:13:20 UTC)\n\n"
        "ValueError('first')\n\nTraceback (1)\n  line\n\n"
        'RoomStarted: {\n  "room": {\n    "name": "Café"\n  }\n}\n'
    )


def test_the_wire_form_of_a_statistic_is_shown_decoded_and_nothing_steers_the_terminal(
    data_dir: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("show", "2", "--data-dir", data_dir) == 0

    shown = capsys.readouterr().out
    assert '"mime": "video/vp8"' in shown
    assert '"participant_id": "PA_2"' in shown
    assert "KeyError('\ufffd[31m')\nsecond" in shown


@pytest.mark.parametrize(
    ("letter_id", "why"),
    [(3, "Flush: kept without the message"), (4, "Notify: cannot be decoded: malformed")],
)
def test_a_message_that_cannot_be_shown_says_why(
    data_dir: str, capsys: pytest.CaptureFixture[str], letter_id: int, why: str
) -> None:
    assert command("show", str(letter_id), "--data-dir", data_dir) == 0

    assert why in capsys.readouterr().out


def test_a_letter_as_json_has_the_traceback_and_the_message(
    data_dir: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("show", "1", "--json", "--data-dir", data_dir) == 0

    shown = json.loads(capsys.readouterr().out)
    assert shown["traceback"] == "Traceback (1)\n  line\n"
    assert shown["content"] == {"room": {"name": "Café"}}
    assert shown["problem"] == ""


# ── replay ──────────────────────────────────────────────────────────────────────────────────


def test_a_letter_is_marked_and_the_running_process_takes_it(
    data_dir: str, box: SqliteDeadLetters, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("replay", "2", "--data-dir", data_dir) == 0

    assert states(box) == [NEW, REPLAY, NEW, NEW]
    assert "marked 1 dead letter for replay" in (said := capsys.readouterr().out)
    assert "within a second, or the next one that starts with this data_dir" in said
    taken: list[tuple[int, int]] = []

    def on_replay(letter_id: int, letter: DeadLetter) -> bool:
        taken.append((letter_id, letter.position))
        return True

    box.watch(on_replay)
    assert store.close(PATIENCE_SECONDS)
    assert taken == [(2, 8)]
    assert states(box) == [NEW, REPLAYED, NEW, NEW]


def test_all_are_those_that_are_new_and_can_be_replayed_and_the_others_are_explained(
    data_dir: str, box: SqliteDeadLetters, capsys: pytest.CaptureFixture[str]
) -> None:
    assert box.take(1) is not None

    assert command("replay", "--all", "--data-dir", data_dir) == 0
    assert states(box) == [REPLAYED, REPLAY, NEW, NEW]
    said = capsys.readouterr().out
    assert "marked 1 dead letter for replay" in said
    assert "left 1: this Flush cannot be replayed: it was kept without its content" in said
    assert "left 1: this Notify cannot be replayed: it cannot be decoded" in said

    assert command("replay", "--all", "--data-dir", data_dir) == 0
    assert "nothing to replay" in capsys.readouterr().out


def test_letters_that_are_refused_for_one_reason_are_told_in_one_line(
    data_dir: str, box: SqliteDeadLetters, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    flush = encode(Flush(1, 7))
    for _ in range(3):
        box.add(DeadLetter("StatsWorker", "RM_1/PA_3", "Flush", 0, 0, "E", "T", flush))
    assert store.wait_idle(PATIENCE_SECONDS)

    assert command("replay", "--all", "--data-dir", data_dir) == 0

    said = capsys.readouterr().out
    assert "left 3: this Flush cannot be replayed: the next flush hands over all" in said
    assert states(box) == [REPLAY, REPLAY, NEW, NEW, NEW, NEW, NEW]


def test_a_letter_may_be_replayed_again(data_dir: str, box: SqliteDeadLetters) -> None:
    assert box.take(1) is not None

    assert command("replay", "1", "--data-dir", data_dir) == 0

    assert states(box)[0] is REPLAY


# ── mistakes ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["show", "7"], "no dead letter 7; they are 1 to 4"),
        (["replay", "7"], "no dead letter 7; they are 1 to 4"),
        (["replay", "3"], "3: this Flush cannot be replayed: it was kept without its content"),
        (["replay", "4"], "4: this Notify cannot be replayed: it cannot be decoded: malformed"),
        (["replay"], "give an ID, or --all"),
        (["replay", "1", "--all"], "give an ID, or --all"),
        (["show", "0"], "no dead letter 0; they are 1 to 4"),
        (["show", "99999999999999999999"], "no dead letter 99999999999999999999; they are"),
        (["list", "--state", "lost"], "'lost' is not one of"),
    ],
    ids=str,
)
def test_a_mistake_is_explained(
    data_dir: str,
    box: SqliteDeadLetters,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    why: str,
) -> None:
    assert command(*arguments, "--data-dir", data_dir) == 2

    assert why in words(capsys.readouterr().err)
    assert set(states(box)) == {NEW}


def test_an_id_in_an_empty_box_is_explained(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("show", "1", "--data-dir", str(store.data_dir)) == 2

    assert "no dead letter 1; there are none at all" in words(capsys.readouterr().err)


@pytest.mark.parametrize("name", ["list", "replay --all"])
def test_a_directory_that_is_not_there_or_not_greenrooms_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert command(*name.split(), "--data-dir", str(tmp_path / "no")) == 2
    assert "does not exist" in words(capsys.readouterr().err)

    assert command(*name.split(), "--data-dir", str(tmp_path)) == 2
    assert "there is no greenroom.db in" in words(capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "greenroom.db").write_bytes(b"no database at all" * 100)

    assert command("list", "--data-dir", str(tmp_path)) == 2

    assert "greenroom.db: file is not a database" in capsys.readouterr().err
