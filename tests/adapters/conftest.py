from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from greenroom.adapters.http import HttpPoster
from greenroom.adapters.reporter import LoggingReporter
from greenroom.adapters.store import Store
from greenroom.core.metrics import Metrics
from greenroom.runtime.clock import VirtualClock
from greenroom.testing.analytics_bench import AnalyticsBench
from greenroom.testing.fakes import RecordingReporter
from greenroom.testing.journal_bench import JournalBench
from greenroom.testing.loopback import LoopThread, RawServer, WaitingDoor
from greenroom.testing.stored import OutboxBench


@pytest.fixture
def raw_server(thread: LoopThread) -> Iterator[Callable[..., RawServer]]:
    servers: list[RawServer] = []

    def start(*answers: bytes | None) -> RawServer:
        servers.append(RawServer(thread, *answers))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def door() -> WaitingDoor:
    return WaitingDoor()


@pytest.fixture
def new_poster(door: WaitingDoor) -> Iterator[Callable[..., HttpPoster]]:
    """Makes posters that log their holds at the door; they must have no faults of their own."""
    posters: list[HttpPoster] = []
    reporter = RecordingReporter()

    def start(**options: Any) -> HttpPoster:
        poster = HttpPoster(
            door,
            hold=lambda: door.log.append("hold"),
            release=lambda: door.log.append("release"),
            reporter=reporter,
            **options,
        )
        posters.append(poster)
        return poster

    yield start
    for poster in posters:
        poster.close(0.0)
    assert reporter.failures == []
    assert not any(one.name == "greenroom-http" for one in threading.enumerate())


@pytest.fixture
def poster(new_poster: Callable[..., HttpPoster]) -> HttpPoster:
    return new_poster()


@pytest.fixture
def open_store() -> Iterator[Callable[[Path], Store]]:
    """Opens stores that look often for what other processes wrote; they are closed afterwards."""
    stores: list[Store] = []

    def open_it(directory: Path) -> Store:
        metrics, reporter = Metrics(threading.Lock()), LoggingReporter(VirtualClock())
        stores.append(Store(directory, metrics, reporter, poll_seconds=0.01))
        return stores[-1]

    yield open_it
    for store in stores:
        assert store.close(30.0)


@pytest.fixture
def outbox_bench(tmp_path: Path) -> Iterator[OutboxBench]:
    bench = OutboxBench(tmp_path)
    yield bench
    bench.end()
    assert bench.held == 0


@pytest.fixture
def new_journal_bench(tmp_path: Path) -> Iterator[Callable[..., JournalBench]]:
    benches: list[JournalBench] = []

    def start(**options: float) -> JournalBench:
        benches.append(JournalBench(tmp_path, **options))
        return benches[-1]

    yield start
    for bench in benches:
        bench.end()
        assert (bench.held, bench.held_min) == (0, 0)


@pytest.fixture
def journal_bench(new_journal_bench: Callable[..., JournalBench]) -> JournalBench:
    return new_journal_bench()


@pytest.fixture
def analytics_bench(tmp_path: Path) -> Iterator[AnalyticsBench]:
    bench = AnalyticsBench(tmp_path)
    yield bench
    bench.end()
    assert (bench.held, bench.held_min) == (0, 0)
