"""The accounts: what callers made and had acknowledged, against what came out.

Of each track, and of each caller, what took effect must be the first so many of its calls: all
acknowledged ones at least, none that was not made, none twice.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from math import isqrt
from typing import Any, Final
from zlib import crc32

# a line of the metrics, without its labels' braces
Metric = tuple[str, Mapping[str, str], float]
_OF_NOBODY: Final = "WEBHOOK"  # greenroom's own report of a delivery, about no call


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong.

    Args:
        kind: "lost", "doubled", "invented", "differs", "out of order", "counter".
        what: Of which track, token, series or metric.
        details: In words.
        count: How many calls.
    """

    kind: str
    what: str
    details: str
    count: int = 1


@dataclass(slots=True)
class _Track:
    made: int = 0
    acked: int = 0
    packets: int = 0
    sum: int = 0
    squares: int = 0


@dataclass(slots=True)
class _Event:
    kind: str
    room: str
    webhook: str
    acked: bool = False
    analytics_id: str = ""
    webhook_id: str = ""


@dataclass(slots=True)
class _Caller:
    begun: bool = False
    paused: str = ""
    port: int = 0
    unacked_tracks: dict[str, int] = field(default_factory=dict)
    unacked_events: list[_Event] = field(default_factory=list)


class Books:
    """Everything that is known of a data directory's calls; feed it, then ask for `findings`.

    Args:
        has_analytics: Analytics are fed, too. Without them only webhooks and bounds are checked.
    """

    def __init__(self, *, has_analytics: bool = True) -> None:
        self._has_analytics = has_analytics
        self.callers: dict[str, _Caller] = defaultdict(_Caller)
        self._tracks: dict[str, _Track] = defaultdict(_Track)
        self._events: dict[str, _Event] = {}
        self._seen: dict[str, int] = {}  # analytics id -> checksum
        self._sequences: dict[tuple[str, str], int] = defaultdict(int)
        self._last: dict[tuple[str, str, str], int] = defaultdict(int)
        self._wrong: list[Finding] = []
        self.repeated = self.webhooks = self.statistics = 0

    # ── what was made ────────────────────────────────────────────────────────────────────────

    def enter(self, name: str, lines: Iterable[str]) -> None:
        """Lines of a caller's ledger."""
        caller = self.callers[name]
        for line in lines:
            match line.split():
                case ["s", track, number]:
                    caller.unacked_tracks[track] = self._tracks[track].made = int(number)
                case ["e", token, room, kind, webhook]:
                    event = _Event(kind, room, webhook if webhook != "-" else "")
                    self._events[token] = event
                    caller.unacked_events.append(event)
                case ["a"]:
                    self._acknowledge(caller)
                case ["p", number]:
                    caller.paused = number
                case ["m", port]:
                    caller.port = int(port)
                case ["b"]:
                    caller.begun = True
                case _:
                    raise ValueError(f"no line of a ledger: {line!r}")

    def _acknowledge(self, caller: _Caller) -> None:
        for track, number in caller.unacked_tracks.items():
            self._tracks[track].acked = number
        for event in caller.unacked_events:
            event.acked = True
        caller.unacked_tracks.clear()
        caller.unacked_events.clear()

    @property
    def made(self) -> int:
        """Calls."""
        return sum(track.made for track in self._tracks.values()) + len(self._events)

    @property
    def acked(self) -> int:
        """Those of them that were acknowledged."""
        events = sum(event.acked for event in self._events.values())
        return sum(track.acked for track in self._tracks.values()) + events

    # ── what came out ────────────────────────────────────────────────────────────────────────

    def see_analytics(self, sends: Iterable[Mapping[str, Any]]) -> None:
        """What the analytics service was sent, as `JsonlAnalytics` writes it."""
        for send in sends:
            for stat in send.get("stats") or ():
                if self._is_new(stat):
                    self._see_stat(stat)
            event = send.get("event")
            if event is not None and event.get("type") != _OF_NOBODY and self._is_new(event):
                self._see_event(event)

    def _is_new(self, item: Mapping[str, Any]) -> bool:
        identity = item.get("id", "")
        if not identity:
            self._find("differs", "an item without an id", str(item))
            return True
        checksum = crc32(json.dumps(item, sort_keys=True).encode())
        seen = self._seen.get(identity)
        if seen is None:
            self._seen[identity] = checksum
            return True
        self.repeated += 1
        if seen != checksum:
            self._find("differs", identity, f"the same id, and another content: {item}")
        return False

    def _see_stat(self, stat: Mapping[str, Any]) -> None:
        track = self._tracks[stat.get("track_id", "")]
        for stream in stat.get("streams", ()):
            packets = int(stream.get("primary_packets", 0))
            track.packets += packets
            track.sum += int(stream.get("primary_bytes", 0))
            track.squares += int(stream.get("padding_bytes", 0))
            self.statistics += packets

    def _see_event(self, seen: Mapping[str, Any]) -> None:
        kind = seen.get("type", "ROOM_CREATED")  # 0 is left out
        if kind.startswith("TRACK"):
            token = seen.get("track", {}).get("name", "")
        else:
            token = seen.get("room" if kind.startswith("ROOM") else "participant", {}).get(
                "metadata", ""
            )
        event = self._events.get(token)
        if event is None or event.kind != kind:
            self._find("invented", token or seen["id"], f"an event of no call: {dict(seen)}")
        elif event.analytics_id:
            ids = f"{event.analytics_id} and {seen['id']}"
            self._find("doubled", token, f"event {kind} came twice, as {ids}")
        else:
            event.analytics_id = seen["id"]

    def see_webhooks(self, received: Iterable[Mapping[str, Any]]) -> None:
        """Webhooks in the order in which they were taken, as the site writes them."""
        for one in received:
            if "url" not in one:
                self.webhooks += 1
                self._see_webhook(one)

    def _see_webhook(self, one: Mapping[str, Any]) -> None:
        token, place = one["token"], (one["endpoint"], one["key"])
        event = self._events.get(token)
        if event is None or event.webhook != one["event"] or event.room != one["key"]:
            self._find("invented", token or one["id"], f"a webhook of no call: {dict(one)}")
            return
        if event.webhook_id == one["id"]:
            return  # once more
        if event.webhook_id:
            ids = f"{event.webhook_id} and {one['id']}"
            self._find("doubled", token, f"webhook {one['event']} came twice, as {ids}")
            return
        event.webhook_id = one["id"]
        if one["sequence"] != self._sequences[place] + 1:
            before = self._sequences[place]
            details = f"sequence {one['sequence']} of {one['key']} came after {before}"
            self._find("out of order", f"{one['key']} {one['sequence']}", details)
        self._sequences[place] = max(self._sequences[place], one["sequence"])
        caller, _, number = token.rpartition("-")
        before, self._last[*place, caller] = self._last[*place, caller], int(number)
        if int(number) < before:
            self._find("out of order", token, f"came after call {before} of the same caller")

    # ── the verdict ──────────────────────────────────────────────────────────────────────────

    def findings(self) -> Iterator[Finding]:
        """What is wrong now; what is lost may still be on its way."""
        yield from self._wrong
        if self._has_analytics:
            for name, track in self._tracks.items():
                yield from _check(name, track)
        for token, event in self._events.items():
            if event.acked and event.webhook and not event.webhook_id:
                yield Finding("lost", f"webhook {token}", f"{event.webhook} of {event.room}")
            if event.acked and self._has_analytics and not event.analytics_id:
                yield Finding("lost", f"event {token}", f"{event.kind} of {event.room}")

    @property
    def lacks(self) -> bool:
        """Whether anything is lost, so far."""
        return any(one.kind == "lost" for one in self.findings())

    def check_metrics(self, metrics: Iterable[Metric]) -> Iterator[Finding]:
        """The metrics must say what came out, when nothing is on its way."""
        totals: dict[str, float] = defaultdict(float)
        for name, labels, value in metrics:
            if name == "greenroom_dropped_total" and labels["intentional"] == "false":
                if value:
                    yield Finding("counter", name, f"{labels['reason']}: {value:.0f}", int(value))
            elif name != "livekit_participant_join_total" or labels["state"] == "rtc_connected":
                totals[name] += value
        kinds: dict[str, list[_Event]] = defaultdict(list)
        for event in self._events.values():
            kinds[event.kind].append(event)
        made = sum(track.made for track in self._tracks.values())
        acked = sum(track.acked for track in self._tracks.values())
        joins, leaves = (self._bounds(kinds[f"PARTICIPANT_{kind}"]) for kind in ("JOINED", "LEFT"))
        stats = (self.statistics, self.statistics) if self._has_analytics else (acked, made)
        for name, (least, most) in {
            "livekit_packet_total": stats,
            "livekit_participant_join_total": joins,
            "livekit_participant_total": (joins[0] - leaves[1], joins[1] - leaves[0]),
        }.items():
            value = round(totals[name])
            if not least <= value <= most:
                wanted = f"{least}" if least == most else f"{least} to {most}"
                excess = f"{value - (most if value > most else least):+d}"
                yield Finding("counter", name, f"{value}, expected {wanted} ({excess})")

    def _bounds(self, events: list[_Event]) -> tuple[int, int]:
        """How many of these calls took effect, at least and at most."""
        if self._has_analytics:
            seen = sum(bool(event.analytics_id) for event in events)
            return seen, seen
        return sum(event.acked for event in events), len(events)

    def _find(self, kind: str, what: str, details: str) -> None:
        self._wrong.append(Finding(kind, what, details))


def _check(name: str, track: _Track) -> Iterator[Finding]:
    """Whether what came is the first so many, and how many these are."""
    count, total, squares = track.packets, track.sum, track.squares
    said = f"{count} came, {track.acked} acknowledged, {track.made} made"
    if count > track.made:
        yield Finding("doubled", name, said, count - track.made)
    elif count < track.acked:
        missing = _missing(track)
        yield Finding("lost", name, f"{said}; missing {missing}", track.acked - count)
    elif (total, squares) != _sums(count):
        yield Finding("lost", name, f"{said}; not the first ones: sum {total}, {squares}")


def _sums(count: int) -> tuple[int, int]:
    """Of the first so many numbers, and of their squares."""
    return count * (count + 1) // 2, count * (count + 1) * (2 * count + 1) // 6


def _missing(track: _Track) -> str:
    """The numbers that are missing, if these are few, or follow each other."""
    count = track.acked - track.packets
    total, squares = _sums(track.acked)
    total, squares = total - track.sum, squares - track.squares
    first, remainder = divmod(total - count * (count - 1) // 2, count)
    run = range(first, first + count)
    if not remainder and sum(number * number for number in run) == squares:
        return f"{first}" if count == 1 else f"{first} to {run[-1]}"
    root = isqrt(max(0, 2 * squares - total * total))
    if count == 2 and root * root == 2 * squares - total * total:
        return f"{(total - root) // 2} and {(total + root) // 2}"
    return f"{count}, of the mean {total / count:.1f}"


def first_few(findings: Iterable[Finding], count: int = 20) -> str:
    """Some of them, a line each."""
    return "\n".join(f"  {one.kind}: {one.what}: {one.details}" for one in islice(findings, count))
