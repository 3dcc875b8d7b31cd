from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from greenroom.adapters.database import DATABASE_NAME, DirectoryLock, holder
from greenroom.adapters.endpoint_book import LastingBook
from greenroom.adapters.schema import MIGRATIONS
from greenroom.adapters.store_trouble import TroubleFile
from greenroom.adapters.stored_dead_letters import SqliteDeadLetters
from greenroom.cli.app import run
from greenroom.errors import ConfigError, StoreError
from greenroom.messages.control import DeadLetter
from greenroom.messages.endpoints import Endpoint
from greenroom.testing.patience import PATIENCE_SECONDS
from greenroom.testing.stored import OutboxBench, dead, delivered, kept_delivery


def fill(directory: Path) -> OutboxBench:
    """Endpoint a has one delivery of each kind, b none; c was removed and has one pending."""
    bench = OutboxBench(directory)
    outbox = bench.open()
    book = LastingBook(bench.store)
    book.put(Endpoint(id="a", url="http://user:pass@a", keys=("key",)))
    book.put(Endpoint(id="b", url="http://b", keys=("key",), is_enabled=False, reason="Friday"))
    for delivery_id, endpoint in enumerate("aaaac", 1):
        outbox.keep([kept_delivery(delivery_id, endpoint=endpoint)], "notifier")
    bench.door.kept(5)
    outbox.end(delivered(1))
    outbox.end(dead(2))
    SqliteDeadLetters(bench.store).add(DeadLetter("Notifier", "", "Notify", 1, 1, "E", "T", b""))
    assert outbox.wait_idle(PATIENCE_SECONDS)
    assert bench.store.wait_idle(PATIENCE_SECONDS)
    return bench


def status(directory: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert run(["status", "--json", "--data-dir", str(directory)]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_it_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "--help"]) == 0

    assert "Example: greenroom status --data-dir" in " ".join(capsys.readouterr().out.split())


def test_a_directory_in_use_is_told_with_its_process_and_each_endpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = fill(tmp_path)
    found = status(tmp_path, capsys)

    assert found["process"] == str(os.getpid())
    assert found["schema"] == len(MIGRATIONS)
    assert found["bytes"]["greenroom.db"] > 0
    assert found["dead_letters"] == {"total": 1, "new": 1}
    rows = {row["id"]: row for row in found["endpoints"]}
    assert rows["a"].pop("oldest_pending_seconds") > 1_000_000
    assert rows["a"] == {
        "id": "a",
        "url": "http://user:xxxxx@a",
        "state": "active",
        "reason": "",
        "pending": 2,
        "delivered": 1,
        "dead": 1,
    }
    assert (rows["b"]["state"], rows["b"]["reason"]) == ("disabled", "Friday")
    assert (rows["b"]["pending"], rows["b"]["oldest_pending_seconds"]) == (0, None)
    assert (rows["c"]["state"], rows["c"]["pending"]) == ("removed", 1)
    bench.end()


def test_a_directory_that_nobody_uses_is_told_and_left_free(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    fill(tmp_path).end()

    assert run(["status", "--data-dir", str(tmp_path)]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == ["held by         no process", f"schema          {len(MIGRATIONS)}"]
    assert lines[4] == "dead letters    1 (1 new)"
    head = "endpoint state pending oldest pending delivered dead url reason"
    assert " ".join(lines[6].split()) == head
    assert lines[7].split()[:3] == ["a", "active", "2"]
    assert lines[8].split()[-4:] == ["0", "0", "http://b", "Friday"]
    DirectoryLock(tmp_path).release()


def test_who_looks_for_the_holder_takes_nothing_from_it(tmp_path: Path) -> None:
    assert holder(tmp_path) == ""
    lock = DirectoryLock(tmp_path)
    assert holder(tmp_path) == str(os.getpid())
    with pytest.raises(ConfigError, match=f"in use by process {os.getpid()}"):
        DirectoryLock(tmp_path)
    lock.release()

    assert holder(tmp_path) == ""


def test_a_directory_without_a_database_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["status", "--data-dir", str(tmp_path)]) == 2

    assert "there is no greenroom.db in" in " ".join(
        capsys.readouterr().err.replace("│", " ").split()
    )


# ── what its process cannot do ──────────────────────────────────────────────────────────────


def test_the_store_error_of_a_running_process_is_told_until_it_is_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = fill(tmp_path)
    assert status(tmp_path, capsys)["store_error"] is None
    before_ns = time.time_ns()
    bench.run("PRAGMA max_page_count = 1")

    failed = bench.store.submit(lambda one: one.execute("CREATE TABLE more (body)"))

    assert failed.exception(PATIENCE_SECONDS) is not None
    said = status(tmp_path, capsys)["store_error"]
    assert before_ns <= said.pop("at_ns") <= time.time_ns()
    assert said == {
        "kind": "disk_full",
        "reason": "not written: database or disk is full",
        "pid": os.getpid(),
    }
    assert run(["status", "--data-dir", str(tmp_path)]) == 0
    line = capsys.readouterr().out.splitlines()[5]
    assert line.startswith("store error     disk_full, since 20")
    assert line.endswith(f" UTC, process {os.getpid()}: not written: database or disk is full")

    bench.run("PRAGMA max_page_count = 1000000")

    assert status(tmp_path, capsys)["store_error"] is None
    bench.end()


def test_a_database_that_cannot_be_read_is_shown_with_what_its_process_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = fill(tmp_path)
    bench.end()
    TroubleFile(tmp_path).leave(StoreError(tmp_path, "malformed", "corrupt"), 7, wrote=True)
    (tmp_path / DATABASE_NAME).write_bytes(b"no database" * 1_000)

    assert run(["status", "--data-dir", str(tmp_path)]) != 0

    said = capsys.readouterr().err
    assert "store error     corrupt, since 1970-01-01 00:00:00 UTC" in said
    assert "malformed" in said
