"""The picture's upper panel: rooms as bands, participants as bars, webhooks as marks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from .palette import INK, KINDS, OUTCOMES, QUIET, ROOM, ROOM_EDGE, kind_of
from .story import ParticipantLife, Story, WebhookMark

ROWS_MAX: Final = 40
ROOM_NAME_POINTS: Final = -78  # left of the participants' names
NAME_CHARS_MAX: Final = 14


@dataclass(frozen=True, slots=True)
class Row:
    """One line: a participant of a room, or with identity "" the room's webhooks."""

    room: str
    identity: str


def rows_of(story: Story) -> list[Row]:
    """The lines to draw, room by room; rooms that do not fit into `ROWS_MAX` are left out."""
    rooms: dict[str, dict[str, None]] = {room.name: {} for room in story.rooms.values()}
    for life in story.participants.values():
        rooms.setdefault(life.room, {})[life.identity] = None
    with_webhooks = {mark.room for mark in story.webhooks}
    rows: list[Row] = []
    for name, identities in rooms.items():
        wanted = [Row(name, identity) for identity in identities if identity]
        if name in with_webhooks or not wanted:
            wanted.append(Row(name, ""))
        if rows and len(rows) + len(wanted) > ROWS_MAX:
            break
        rows += wanted[:ROWS_MAX]
    return rows


def draw_lifelines(
    axes: Axes, story: Story, rows: Sequence[Row], colours: Mapping[str, str]
) -> None:
    """Draw the rows of `story` from top to bottom."""
    places = {row: at for at, row in enumerate(rows)}
    for name, inside in _rooms(rows):
        _draw_room(axes, story, name, inside)
    for life in story.participants.values():
        at = places.get(Row(life.room, life.identity))
        if at is not None and life.identity:
            _draw_life(axes, life, at, colours[life.identity], story.now)
    for mark in sorted(story.webhooks, key=lambda mark: mark.outcome != "delivered"):
        at = places.get(Row(mark.room, ""))
        if at is not None:
            _draw_webhook(axes, mark, at)
    _label_rows(axes, rows, colours)
    _add_legend(axes, story)


def _rooms(rows: Sequence[Row]) -> Iterator[tuple[str, range]]:
    for name in dict.fromkeys(row.room for row in rows):
        places = [at for at, row in enumerate(rows) if row.room == name]
        yield name, range(places[0], places[-1] + 1)


def _draw_room(axes: Axes, story: Story, name: str, inside: range) -> None:
    low, high = inside[0] - 0.46, inside[-1] + 0.46
    for room in story.rooms.values():
        if room.name == name:
            begin = 0.0 if room.begin is None else room.begin
            end = story.now if room.end is None else room.end
            axes.fill_betweenx((low, high), begin, end, color=ROOM, linewidth=0, zorder=0)
            axes.vlines((begin, end), low, high, color=ROOM_EDGE, linewidth=0.9, zorder=1)
    axes.annotate(
        _short(name),
        (0, (low + high) / 2),
        xycoords=("axes fraction", "data"),
        xytext=(ROOM_NAME_POINTS, 0),
        textcoords="offset points",
        rotation=90,
        ha="center",
        va="center",
        fontsize=10.5,
        color=INK,
        annotation_clip=False,
        parse_math=False,  # a name may hold dollar signs
    )


def _draw_life(axes: Axes, life: ParticipantLife, at: int, colour: str, now: float) -> None:
    end = now if life.end is None else life.end
    begin = end if life.begin is None else life.begin
    active = end if life.active is None else life.active
    axes.plot((begin, active), (at, at), color=colour, linewidth=1.6, alpha=0.55, zorder=3)
    axes.plot(begin, at, "o", color=colour, markersize=6, zorder=5, markeredgecolor="white")
    axes.barh(at, end - active, left=active, height=0.42, color=colour, alpha=0.75, zorder=2)
    for resumed in life.resumed:
        axes.plot(resumed, at, "d", color="white", markersize=5, markeredgewidth=0, zorder=5)
    if life.aborted:
        axes.plot(end, at, "x", color=colour, markersize=7, markeredgewidth=2, zorder=4)
    elif life.end is not None:
        axes.plot(end, at, "|", color="white", markersize=12, markeredgewidth=4.6, zorder=4)
        axes.plot(end, at, "|", color=colour, markersize=12, markeredgewidth=2.2, zorder=4)


def _draw_webhook(axes: Axes, mark: WebhookMark, at: int) -> None:
    kind, usual = KINDS[kind_of(mark.event)], mark.outcome == "delivered"
    axes.plot(
        mark.at,
        at + kind.below,
        kind.marker,
        color=OUTCOMES[mark.outcome],
        markersize=3.6 if usual else 6.5,
        markeredgewidth=0,
        alpha=0.75 if usual else 1.0,
        zorder=4 if usual else 5,
    )


def _label_rows(axes: Axes, rows: Sequence[Row], colours: Mapping[str, str]) -> None:
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(range(len(rows)), [_short(row.identity) or "webhooks" for row in rows])
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_parse_math(False)
        label.set_color(colours.get(row.identity, QUIET))
        label.set_fontweight("bold" if row.identity else "normal")
        label.set_fontsize(10 if row.identity else 8.5)


def _short(name: str) -> str:
    name = "".join(one if one.isprintable() else "?" for one in name)
    return name if len(name) <= NAME_CHARS_MAX else name[: NAME_CHARS_MAX - 1] + "…"


def _add_legend(axes: Axes, story: Story) -> None:
    lives = list(story.participants.values())
    marks = [
        _mark("o", INK, "joined"),
        _mark("s", INK, "active", alpha=0.6, markersize=8),
        _mark("|", INK, "left", markersize=10, markeredgewidth=2.2),
    ]
    if any(life.resumed for life in lives):
        marks.append(_mark("d", "white", "resumed", markeredgecolor=INK))
    if any(life.aborted for life in lives):
        marks.append(_mark("x", INK, "aborted", markersize=7, markeredgewidth=2))
    seen = {(kind_of(mark.event), mark.outcome) for mark in story.webhooks}
    marks += [
        _mark(kind.marker, OUTCOMES["delivered"], f"{name} webhook")
        for name, kind in KINDS.items()
        if any(name == one for one, _ in seen)
    ]
    marks += [
        _mark("o", colour, f"webhook {outcome}", markersize=6.5)
        for outcome, colour in OUTCOMES.items()
        if outcome != "delivered" and any(outcome == one for _, one in seen)
    ]
    axes.legend(
        handles=marks,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=len(marks),
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        handletextpad=0.2,
        columnspacing=1.3,
        borderaxespad=0.2,
    )


def _mark(
    marker: str,
    colour: str,
    label: str,
    *,
    markersize: float = 5,
    markeredgewidth: float = 1.0,
    markeredgecolor: str | None = None,
    alpha: float = 1.0,
) -> Line2D:
    return Line2D(
        [],
        [],
        linestyle="none",
        marker=marker,
        color=colour,
        label=label,
        markersize=markersize,
        markeredgewidth=markeredgewidth,
        markeredgecolor=markeredgecolor or colour,
        alpha=alpha,
    )
