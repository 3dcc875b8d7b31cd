"""The same with a process that has greenroom in it: killed while it calls, and started again."""

from __future__ import annotations

import random
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from ..patience import wait_until
from .plan import FLUSH_SECONDS
from .processes import Helper, left_over, pause
from .records import Records, Summary

RATE: Final = 400.0
LOAD_SECONDS: Final = 1.5
EARLY_PART: Final = 0.25
EARLY_SECONDS: Final = 0.9


class EmbeddedTorture:
    """One data directory, and one process after the other that uses it.

    Args:
        directory: For all files.
        seed: Of the calls and the times of the kills.
    """

    def __init__(self, directory: Path, seed: int) -> None:
        self._directory = directory
        self._seed = seed
        self._chance = random.Random(seed)
        self._records = Records(directory, seed)
        self.summary = self._records.summary
        self._name = ""
        self._host: Helper | None = None

    def start(self) -> Helper:
        """A process that takes over the data directory, and calls."""
        began = time.monotonic()
        host = self._spawn()
        caller = self._records.books.callers[self._name]
        self._records.wait_for(lambda: caller.begun or not host.is_alive)
        assert caller.begun, (self._directory / "helpers.log").read_text("utf-8", "replace")
        self.summary.recovered("host", time.monotonic() - began)
        return host

    def _spawn(self) -> Helper:
        self._name = f"host{self.summary.rounds + 1}"
        self._host = Helper(
            "client",
            self._records.ledger(self._name),
            *(self._name, self._seed, RATE, self._directory / "data"),
            *(self._records.analytics_dir / "lines.jsonl", self._records.url),
            self._chance.choice(FLUSH_SECONDS),
            directory=self._directory,
        )
        return self._host

    def play(self) -> None:
        """A process calls, and is killed; some before they have taken over."""
        if self._chance.random() < EARLY_PART:
            host = self._spawn()
            pause(self._chance.uniform(0.0, EARLY_SECONDS))
        else:
            host = self.start()
            pause(self._chance.uniform(0.0, LOAD_SECONDS))
        host.kill()
        self.summary.killed["host"] += 1
        self.summary.rounds += 1

    def account(self, when: str) -> bool:
        """Start it once more, have it pause, and account for everything; whether all is right."""
        host = self.start()
        self._records.pause({self._name: host})
        found = self._records.account(when, self._metrics)
        host.kill()
        self.summary.rounds += 1
        return not found

    def progress(self) -> str:
        """A line about it."""
        return self._records.progress()

    def close(self) -> list[int]:
        """End everything; the processes that are left over all the same."""
        if self._host is not None and self._host.is_alive:
            self._host.kill()
        self._records.site.close()
        with suppress(AssertionError):
            wait_until(lambda: not left_over(self._directory))
        return left_over(self._directory)

    def _metrics(self) -> str:
        url = f"http://127.0.0.1:{self._records.books.callers[self._name].port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return str(answer.read().decode())


def torture_embedded(
    directory: Path,
    seed: int,
    count: int,
    *,
    each: int = 25,
    say: Callable[[str], None] = print,
    keep_going: bool = False,
) -> Summary:
    """As `torture.torture`, with processes that have greenroom in them."""
    run = EmbeddedTorture(directory, seed)
    try:
        for number in range(1, count + 1):
            run.play()
            if number % each == 0 or number == count:
                is_right = run.account(f"after round {number}")
                say(run.progress())
                if not is_right and not keep_going:
                    break
    finally:
        orphans = run.close()
    assert not orphans, f"left over: {orphans}"
    return run.summary
