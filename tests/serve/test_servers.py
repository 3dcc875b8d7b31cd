"""The examples with servers: every worker's calls reach the one node of the machine."""

from __future__ import annotations

import configparser
import json
import os
import shlex
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from greenroom.cli.app import run
from greenroom.testing.loopback import unused_port
from greenroom.testing.nodes import RunningNode, serving
from greenroom.testing.patience import PATIENCE_SECONDS, wait_until

SERVERS = Path(__file__).parents[2] / "examples" / "servers"
REQUESTS = 60


@contextmanager
def started(node: RunningNode, *command: str) -> Iterator[None]:
    """A server in a process group of its own, ended with it."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        env={**os.environ, "GREENROOM_ADDRESS": node.address},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()


def ask(port: int, path: str, method: str = "GET") -> dict[str, object]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        return dict(json.load(answer))


def answers(port: int) -> bool:
    try:
        return bool(ask(port, "/synced"))
    except OSError:
        return False


def workers_of(node: RunningNode) -> int:
    return sum(shard["workers"] for shard in node.shards())


GUNICORN = ("gunicorn", "--workers", "4", "--chdir", str(SERVERS), "flask_app:app", "--bind")
UVICORN = ("uvicorn", "--workers", "2", "--app-dir", str(SERVERS), "starlette_app:app", "--port")


@pytest.mark.parametrize(
    ("command", "more"),
    [(GUNICORN, ()), (GUNICORN, ("--preload",)), (UVICORN, ())],
    ids=["gunicorn", "gunicorn --preload", "uvicorn"],
)
def test_what_all_workers_of_a_server_call_takes_effect_in_one_node(
    command: tuple[str, ...], more: tuple[str, ...]
) -> None:
    port = unused_port()
    where = f"127.0.0.1:{port}" if command is GUNICORN else str(port)
    with serving("--shards", "2") as node, started(node, *command, where, *more):
        wait_until(lambda: answers(port))

        served = {
            ask(port, f"/rooms/room-{number % 5}/who-{number}", "POST")["worker"]
            for number in range(REQUESTS)
        }

        assert served, "somebody answered"
        wait_until(lambda: workers_of(node) == REQUESTS)


def test_the_children_of_a_celery_worker_call_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CELERY_FOLDER", str(tmp_path))
    celery = ("celery", "--workdir", str(SERVERS), "--app", "celery_tasks", "worker")
    quiet = ("--concurrency", "3", "--without-gossip", "--without-mingle")
    with serving("--shards", "1") as node, started(node, *celery, *quiet):
        ordered = subprocess.run(
            [sys.executable, str(SERVERS / "celery_tasks.py")],
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=True,
        )
        assert ordered.stdout == "12 tasks ordered\n"
        wait_until(lambda: node.shards()[0]["link"].get("calls") == 12)


def test_what_a_pools_children_call_arrives_though_they_end_at_once() -> None:
    with serving("--shards", "1") as node:
        done = subprocess.run(
            [sys.executable, str(SERVERS / "pool.py")],
            env={**os.environ, "GREENROOM_ADDRESS": node.address},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

        assert done.returncode == 0, done.stderr
        assert "spawn: 20 jobs" in done.stdout
        assert workers_of(node) == 40


def test_the_unit_and_the_image_start_a_node_with_options_that_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    unit.read(SERVERS / "greenroom.service")
    command = shlex.split(unit["Service"]["ExecStart"])
    image = (SERVERS / "Dockerfile").read_text("utf-8")
    used = {word for word in command if word.startswith("--")}
    used |= {"--http", "--listen", "--data-dir"}

    assert run(["serve", "--help"]) == 0
    text = capsys.readouterr().out
    assert command[1] == "serve"
    assert all(option in text for option in used)
    assert unit["Service"]["KillMode"] == "mixed", "the watcher drains the others"
    assert 'ENTRYPOINT ["greenroom", "serve"' in image
