"""Colours, shapes and sizes of the picture of a call, in one place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

# Paul Tol's "muted" and "vibrant" schemes, darkest first: told apart also by the colour-blind
COLOURS: Final = (
    "#332288",
    "#117733",
    "#CC6677",
    "#0077BB",
    "#DDAA33",
    "#882255",
    "#44AA99",
    "#999933",
    "#AA4499",
)
INK: Final = "#333333"
QUIET: Final = "#8A8A8A"
GRID: Final = "#E2E2E2"
ROOM: Final = "#F3F3EF"
ROOM_EDGE: Final = "#BDBDB5"

OUTCOMES: Final = {"delivered": "#5A5A5A", "failed": "#CC3311", "dropped": "#EE7733"}


class Kind(NamedTuple):
    """How webhooks of one kind are marked: marker and place within their row."""

    marker: str
    below: float


KINDS: Final = {
    "room": Kind("s", -0.26),
    "participant": Kind("o", 0.0),
    "track": Kind("^", 0.26),
    "other": Kind("D", 0.0),
}


class Line(NamedTuple):
    """How tracks of one source are drawn."""

    label: str
    style: Literal["-"] | tuple[float, tuple[float, ...]]
    width: float


LINES: Final = {
    "CAMERA": Line("camera", "-", 2.2),
    "SCREEN_SHARE": Line("screen share", (0, (3.5, 1.3)), 2.0),
    "MICROPHONE": Line("microphone", "-", 0.9),
}
OTHER_LINE: Final = Line("other", (0, (1, 1.2)), 1.4)


def colours_of(identities: Iterable[str]) -> dict[str, str]:
    """A colour for each identity, in order of appearance; they repeat when there are many."""
    distinct = dict.fromkeys(identities)
    return {name: COLOURS[at % len(COLOURS)] for at, name in enumerate(distinct)}


def kind_of(event: str) -> str:
    """Which of `KINDS` a webhook is: the first word of its event's name."""
    kind = event.partition("_")[0]
    return kind if kind in KINDS else "other"


def line_of(source: str) -> Line:
    """How a track of this source is drawn."""
    return LINES.get(source, OTHER_LINE)
