"""The files of a run, and the summary of what they say."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final

from ..patience import LOOK_SECONDS, wait_until
from .books import Books, Finding, first_few
from .ledger import Ledger, Tail
from .lines import whole
from .metrics_text import parsed
from .processes import Helper, pause

QUIET_SECONDS: Final = (
    12.0  # nothing came for so long: what is not here is lost; a retry waits 5 s
)
LOOK_FACTOR: Final = 50
EXAMPLES_MAX: Final = 200


@dataclass(slots=True)
class Summary:
    """What a run did and found.

    Args:
        seed: Of the plan and of the calls.
        rounds: That were played.
        killed: How often, by name.
        slowest_seconds: The slowest recovery, by what was killed.
        repeated: Analytics that came again, with the id that they had.
        findings: Calls by kind of finding.
        examples: The first of them, and when they were seen.
    """

    seed: int
    rounds: int = 0
    seconds: float = 0.0
    killed: Counter[str] = field(default_factory=Counter)
    slowest_seconds: dict[str, float] = field(default_factory=dict)
    made: int = 0
    acked: int = 0
    webhooks: int = 0
    repeated: int = 0
    findings: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def note(self, findings: list[Finding], when: str) -> None:
        """Add what was found."""
        for one in findings:
            self.findings[one.kind] += one.count
        room = EXAMPLES_MAX - len(self.examples)
        self.examples += [f"{when}:{line}" for line in first_few(findings, room).splitlines()]

    def recovered(self, name: str, seconds: float) -> None:
        """How long it took after this was killed."""
        self.slowest_seconds[name] = max(self.slowest_seconds.get(name, 0.0), round(seconds, 2))

    def table(self) -> str:
        """For people."""
        lines = [
            f"seed {self.seed}: {self.rounds} rounds in {self.seconds:.0f} s",
            f"{self.made:,} calls made, {self.acked:,} acknowledged; {self.webhooks:,} webhooks; "
            f"{self.repeated:,} analytics that came again",
            "killed: " + ", ".join(f"{name} {count}" for name, count in self.killed.most_common()),
            "slowest recovery: "
            + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self._slowest()),
            *(
                f"{kind:>14}  {self.findings[kind]}"
                for kind in ("lost", "doubled", "out of order", "invented", "differs", "counter")
            ),
        ]
        return "\n".join([*lines, *self.examples[:20]])

    def _slowest(self) -> list[tuple[str, float]]:
        return sorted(self.slowest_seconds.items(), key=lambda each: -each[1])[:8]

    def save(self, path: Path) -> None:
        """As JSON."""
        named = {one.name: getattr(self, one.name) for one in fields(self)}
        path.write_text(json.dumps(named, indent=1) + "\n", "utf-8")  # asdict breaks a Counter


class Records:
    """Reads the run's files into its books, and judges them.

    Args:
        directory: Of the run.
        seed: For the summary.
        has_analytics: Whether somebody writes analytics.
    """

    def __init__(self, directory: Path, seed: int, *, has_analytics: bool = True) -> None:
        self.directory = directory
        self.books = Books(has_analytics=has_analytics)
        self.summary = Summary(seed)
        self.analytics_dir = directory / "analytics"
        self._ledgers = directory / "ledgers"
        for each in (self.analytics_dir, self._ledgers):
            each.mkdir()
        self._tails: dict[Path, Tail] = {}
        self._known: set[tuple[str, str]] = set()
        self._webhooks = directory / "webhooks.jsonl"
        self._pauses = 0
        self._began = time.monotonic()
        self.site = Helper("site", self._webhooks, seed, directory=directory)
        wait_until(lambda: self._webhooks.exists() and b"\n" in self._webhooks.read_bytes())

    @property
    def url(self) -> str:
        """Of the site."""
        return str(json.loads(self._webhooks.read_text("utf-8").splitlines()[0])["url"])

    def ledger(self, name: str) -> Path:
        """The file of a caller."""
        return self._ledgers / name

    def open_ledger(self, name: str) -> Ledger:
        """For a caller in this process."""
        return Ledger(self.ledger(name))

    def read(self) -> bool:
        """Take in what is new; whether anything was."""
        analytics = [
            line for path in sorted(self.analytics_dir.iterdir()) for line in self._new(path)
        ]
        webhooks = self._new(self._webhooks)
        for path in self._ledgers.iterdir():  # last: so they have all that something came of
            self.books.enter(path.name, self._new(path))
        self.books.see_analytics(whole(iter(analytics)))
        self.books.see_webhooks(map(json.loads, webhooks))
        return bool(analytics or webhooks)

    def _new(self, path: Path) -> list[str]:
        return list(self._tails.setdefault(path, Tail(path)).lines())

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Read until it is so."""

        def is_so() -> bool:
            self.read()
            return condition()

        wait_until(is_so)

    def pause(self, callers: dict[str, Helper]) -> None:
        """Have them wait, with all their calls acknowledged."""
        self._pauses += 1
        number = str(self._pauses)
        for caller in callers.values():
            caller.tell(f"pause {number}")
        self.wait_for(lambda: all(self.books.callers[name].paused == number for name in callers))

    def account(self, when: str, metrics: Callable[[], str]) -> list[Finding]:
        """What is wrong and was not known yet, once everything that is under way has come."""
        quiet_at = time.monotonic() + QUIET_SECONDS
        wrong = self._wrong(metrics)
        while wrong and time.monotonic() < quiet_at:
            pause(LOOK_SECONDS * LOOK_FACTOR)
            if self.read():
                quiet_at = time.monotonic() + QUIET_SECONDS
            wrong = self._wrong(metrics)
        new = [one for one in wrong if (one.kind, one.what) not in self._known]
        self._known |= {(one.kind, one.what) for one in new}
        self.summary.note(new, when)
        self._sum_up()
        return new

    def _wrong(self, metrics: Callable[[], str]) -> list[Finding]:
        text = metrics()
        self.read()
        return [*self.books.findings(), *self.books.check_metrics(parsed(text))]

    def _sum_up(self) -> None:
        summary, books = self.summary, self.books
        summary.made, summary.acked = books.made, books.acked
        summary.webhooks, summary.repeated = books.webhooks, books.repeated
        summary.seconds = time.monotonic() - self._began

    def progress(self) -> str:
        """A line about it."""
        self._sum_up()
        one = self.summary
        found = ", ".join(f"{count} {kind}" for kind, count in one.findings.items())
        return (
            f"{one.rounds} rounds, {one.seconds:.0f} s, {one.acked:,} of {one.made:,} calls "
            f"acknowledged, {one.webhooks:,} webhooks, {one.repeated} analytics again; "
            f"{found or 'all is right'}"
        )
