from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from greenroom.adapters.endpoint_book import LastingBook
from greenroom.cli.app import run
from greenroom.core.times import NS_PER_SECOND
from greenroom.messages.endpoints import Endpoint
from greenroom.testing.patience import PATIENCE_SECONDS
from greenroom.testing.stored import OutboxBench, dead, delivered, kept_delivery

from .deliveries import BODY
from .endpoints import URL, started


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Of a greenroom with one URL, which has ended; a test's file may have another."""
    assert started(tmp_path, URL).close()
    return tmp_path


@pytest.fixture
def webhooks(data_dir: Path) -> Callable[..., int]:
    """Runs one of the commands `greenroom webhooks` on the `data_dir`."""

    def command(name: str, *arguments: str) -> int:
        return run(["webhooks", name, *arguments, "--data-dir", str(data_dir)])

    return command


@pytest.fixture
def answer(webhooks: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """What a command that succeeds prints as JSON."""

    def answer(*arguments: str) -> Any:
        capsys.readouterr()
        assert webhooks(*arguments, "--json") == 0
        return json.loads(capsys.readouterr().out)

    return answer


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[OutboxBench]:
    """A running process with two endpoints, of which b is disabled, and six deliveries.

    id         1      2      3        4      5        6
    endpoint   a      a      b        a      a        a
    key        x      y      x        x      x        x
    sequence   1      1      1        2      3        4
    state      deliv  dead   pending  dead   waiting  pending
    """
    bench = OutboxBench(tmp_path)
    outbox = bench.open()
    book = LastingBook(bench.store)
    book.put(Endpoint(id="a", url="http://a", keys=("key",)))
    book.put(Endpoint(id="b", url="http://b", keys=("key",), is_enabled=False, reason="Friday"))
    for delivery_id, queue in enumerate(["ax", "ay", "bx", "ax", "ax", "ax"], 1):
        endpoint, key = queue[0], queue[1]
        outbox.keep([kept_delivery(delivery_id, key, endpoint, BODY)], "notifier")
    bench.door.kept(6)
    for ended in (delivered(1), dead(2), dead(4)):
        outbox.end(ended)
    outbox.postpone(5, 3, 1_700_000_000 * NS_PER_SECOND, 503, "busy\x1b[31m", 2_500)
    assert outbox.wait_idle(PATIENCE_SECONDS)
    yield bench
    bench.end()
