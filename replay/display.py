"""What people see of a replay: lines as things happen, who is there now, a bar, a summary."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

from livekit.protocol.analytics import WebhookInfo
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table
from rich.text import Text

from .attendance import Change
from .receiver import Received
from .run import Scene
from .summary import Summary

ROOMS_SHOWN_MAX: Final = 12  # with more rooms at once, lines for each would only rush by
NAMES_SHOWN_MAX: Final = 12
REFRESH_PER_SECOND: Final = 8
FASTER_MIN: Final = 1.5  # rounds to 2 times as fast
STYLES: Final = {
    "started": ("+", "bold green"),
    "joined": ("+", "green"),
    "active": (" ", "dim"),
    "resumed": (" ", "cyan"),
    "left": ("-", "yellow"),
    "aborted": ("x", "red"),
    "ended": ("-", "bold yellow"),
}


def minutes(seconds: float) -> str:
    """`m:ss`."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def shown(name: str) -> str:
    """`name` as one line without control characters, which could steer a terminal."""
    return "".join(one if one.isprintable() else "?" for one in name)


class Display:
    """Watches one replay on a console; a `Watcher`.

    Args:
        console: Where to; on anything but a terminal there are the lines only.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._scene: Scene | None = None
        self._calls = 0
        self._crowded = False
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TextColumn("{task.fields[counts]}"),
            auto_refresh=False,
            console=console,
            expand=True,
        )
        self._task = self._progress.add_task("0:00", total=None, counts="")
        self._live = Live(
            get_renderable=self._render,
            console=console,
            refresh_per_second=REFRESH_PER_SECOND,
            transient=True,
        )

    def __enter__(self) -> Self:
        """Begin to show."""
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the lines, take away the rest."""
        self._live.stop()

    def on_begin(self, scene: Scene) -> None:
        """The replay begins."""
        self._scene = scene

    def on_call(self) -> None:
        """A call was made."""
        self._calls += 1

    def on_change(self, change: Change) -> None:
        """A room or participant came or went."""
        sign, style = STYLES[change.what]
        line = Text(f"{shown(change.room):<14} {sign} ")
        line.append(f"{shown(change.identity) or 'room'} {change.what}", style)
        self._line(line)

    def on_received(self, received: Received) -> None:
        """A webhook arrived."""
        event = received.event
        about = " ".join((event.participant.identity, event.track.name)).strip()
        line = Text(f"{shown(event.room.name):<14}   ")
        line.append(f"webhook {shown(event.event)} {shown(about)}".rstrip(), "blue")
        if received.problem:
            line.append(f" REFUSED: {shown(received.problem)}", "bold red")
        else:
            line.append(" verified", "dim")
        self._line(line)

    def on_undelivered(self, webhook: WebhookInfo) -> None:
        """A webhook failed or was dropped."""
        about = " ".join((webhook.participant_identity, webhook.track_id)).strip()
        line = Text(f"{shown(webhook.room_name):<14}   ")
        line.append(f"webhook {shown(webhook.event)} {shown(about)}".rstrip(), "blue")
        fate = f"FAILED: {shown(webhook.send_error)}" if webhook.send_error else "DROPPED"
        line.append(f" {fate}", "bold red")
        self._line(line)

    def _line(self, line: Text) -> None:
        if self._scene is None or self._crowded:
            return
        if self._scene.attendance.counts()[0] > ROOMS_SHOWN_MAX:
            self._crowded = True
            line = Text(f"more than {ROOMS_SHOWN_MAX} rooms at once: no more lines", "dim")
        at = Text(f"{minutes(self._scene.now):>6}  ", "dim")
        self._console.print(at + line, soft_wrap=True)

    def _render(self) -> RenderableType:
        scene = self._scene
        if scene is None:
            return self._progress
        rooms, participants = scene.attendance.counts()
        self._progress.update(
            self._task,
            description=minutes(scene.now),
            total=scene.recording.size_bytes,
            completed=scene.recording.read_bytes,
            counts=f"{self._calls:,} calls, {rooms} rooms, {participants} participants",
        )
        return Group(self._rooms(scene), self._progress)

    def _rooms(self, scene: Scene) -> RenderableType:
        present = scene.attendance.present()
        table = Table.grid(padding=(0, 2))
        for name, identities in present[:ROOMS_SHOWN_MAX]:
            there = ", ".join(shown(identity) for identity in identities[:NAMES_SHOWN_MAX])
            more = len(identities) - NAMES_SHOWN_MAX
            table.add_row(
                Text(shown(name), "bold"), Text(f"{there} and {more} more" if more > 0 else there)
            )
        if len(present) > ROOMS_SHOWN_MAX:
            table.add_row(Text(f"and {len(present) - ROOMS_SHOWN_MAX} more rooms", "dim"), "")
        return table


def summary_table(summary: Summary) -> Table:
    """The closing summary."""
    there = summary.attendance
    table = Table(title="what happened", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column()
    aborted = f", {there.aborted} aborted" if there.aborted else ""
    rows = {
        "call": f"{minutes(summary.call_seconds)} in {summary.wall_seconds:.1f} s"
        + _faster(summary),
        "calls": f"{summary.calls_total:,}, {summary.calls.get('track_stats', 0):,} of them "
        "statistics",
        "rooms": f"{there.rooms:,}, at most {there.rooms_max:,} at once",
        "participants": f"{there.participants:,}, at most {there.participants_max:,} at once"
        + aborted,
        "statistics out": f"{there.stats:,} coalesced, in {there.batches:,} batches",
        "packets lost": f"{there.packets_lost:,} of {there.packets:,} "
        f"({summary.loss_percent:.2g} %)",
        "events": f"{summary.events_total:,} of {len(there.events)} types",
        "webhooks": _webhooks(summary),
        "drops": _drops(summary),
    }
    for name, text in rows.items():
        table.add_row(name, text)
    return table


def _faster(summary: Summary) -> str:
    """Nothing at about the call's own speed, or below."""
    faster = summary.call_seconds / summary.wall_seconds if summary.wall_seconds else 0.0
    return f" ({faster:,.0f} times as fast)" if faster >= FASTER_MIN else ""


def _webhooks(summary: Summary) -> str:
    words = {"success": "delivered", "failure": "failed", "drop": "dropped"}
    parts = [f"{n:,} {words.get(status, status)}" for status, n in summary.webhooks.items()]
    if summary.unfinished:
        parts.append(f"{summary.unfinished:,} lost at the end: not delivered in time")
    if summary.received is not None:
        parts.append(f"the receiver verified {summary.received - summary.refused:,} requests")
    if summary.refused:
        parts.append(f"and refused {summary.refused:,}")
    return ", ".join(parts) or "none"


def _drops(summary: Summary) -> str:
    parts = [f"{count:,} {reason}" for reason, count in summary.dropped.items()]
    if dropped := summary.webhooks.get("drop"):  # a metric of LiveKit's counts these
        parts.insert(0, f"{dropped:,} webhooks")
    if summary.failures:
        parts.append(f"{summary.failures:,} inputs that an actor could not digest")
    if not summary.complete and not summary.unfinished:  # which say it better
        parts.append("the end: not everything was handed over in time")
    return ", ".join(parts) or "none"
