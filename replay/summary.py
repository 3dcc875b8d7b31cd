"""What a replay came to, as one flat record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from ..actors.notifier import UNFINISHED
from ..core.delivery import Outcome
from ..core.families import Distribution, Family
from .attendance import AttendanceTotals


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Totals of one replay.

    Args:
        calls: Recorded calls that were made, by method.
        call_seconds: Time in the call from its start to the end of the replay.
        wall_seconds: Real time that it took.
        attendance: Rooms, participants, statistics and events.
        webhooks: Webhooks by what became of them: success, failure, drop.
        received: Requests that the built-in receiver took; None: there was no receiver.
        refused: Those of them that it refused.
        dropped: What was lost, by reason: inputs, and webhooks unfinished at the end.
        failures: Inputs that an actor could not digest.
        written: Files that were asked for and are complete.
        not_written: Those that are not, each with the reason.
        complete: Everything was handed over before the end.
        stopped: It was ended by hand.
        problem: What is wrong with the line at which the replay ended; empty when none.
    """

    calls: Mapping[str, int]
    call_seconds: float
    wall_seconds: float
    attendance: AttendanceTotals
    webhooks: Mapping[str, int]
    received: int | None
    refused: int
    dropped: Mapping[str, int]
    failures: int
    written: tuple[str, ...]
    not_written: tuple[str, ...]
    complete: bool
    stopped: bool
    problem: str

    @property
    def calls_total(self) -> int:
        """How many calls were made."""
        return sum(self.calls.values())

    @property
    def events_total(self) -> int:
        """How many analytics events came out."""
        return sum(self.attendance.events.values())

    @property
    def unfinished(self) -> int:
        """Webhooks that were neither delivered nor given up when the replay ended."""
        return self.dropped.get(UNFINISHED, 0)

    @property
    def undelivered(self) -> int:
        """Webhooks that did not arrive: failed, dropped, or unfinished."""
        given_up = sum(self.webhooks.get(end, 0) for end in (Outcome.FAILURE, Outcome.DROP))
        return given_up + self.unfinished

    @property
    def loss_percent(self) -> float:
        """Packets lost in percent of the others; 0 when there were none."""
        packets = self.attendance.packets
        return 100 * self.attendance.packets_lost / packets if packets else 0.0

    def plain(self) -> dict[str, object]:
        """For JSON: every field, and the totals."""
        return {
            **asdict(self),
            "calls_total": self.calls_total,
            "events_total": self.events_total,
            "undelivered": self.undelivered,
            "loss_percent": self.loss_percent,
        }


def totals_by(families: Iterable[Family], name: str, label: str = "") -> dict[str, int]:
    """The series of one counter, summed by the value of one label ("" sums them all)."""
    totals: dict[str, int] = {}
    for family in families:
        if family.name != name:
            continue
        for labels, value in family.samples:
            if not isinstance(value, Distribution):
                key = dict(labels).get(label, "")
                totals[key] = totals.get(key, 0) + int(value)
    return totals
