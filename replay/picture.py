"""A picture of a call: who was there when, what the tracks carried, which webhooks went out.

Needs matplotlib: import this module only when a picture is wanted.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ..errors import ConfigError
from .curves import draw_bitrates, draw_losses
from .lifelines import draw_lifelines, rows_of
from .palette import GRID, INK, QUIET, colours_of
from .story import Story

SUFFIXES: Final = (".png", ".svg", ".pdf")
WIDTH_INCHES: Final = 13.0
ROW_INCHES: Final = 0.33
RATES_INCHES: Final = 2.3
LOSSES_INCHES: Final = 1.1
FRAME_INCHES: Final = 1.8  # titles, legends, time axis
DOTS_PER_INCH: Final = 130
TIME_STEPS: Final = [1, 1.5, 3, 6, 10]  # of minutes and half minutes


def check_suffix(path: Path) -> None:
    """Make sure that a picture can be drawn into `path`.

    Raises:
        ConfigError: The suffix is none of those.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"plot: {path.name} must end in one of {', '.join(SUFFIXES)}")


def draw(story: Story, path: Path, *, title: str) -> None:
    """Draw `story` into `path`; the suffix says how (see `SUFFIXES`).

    Raises:
        ConfigError: The suffix is another one.
        OSError: The file cannot be written.
    """
    check_suffix(path)
    rows = rows_of(story)
    rooms = {row.room for row in rows}
    colours = colours_of(row.identity for row in rows if row.identity)
    heights = (max(2, len(rows)) * ROW_INCHES, RATES_INCHES, LOSSES_INCHES)
    figure = Figure(
        figsize=(WIDTH_INCHES, sum(heights) + FRAME_INCHES),
        layout="constrained",
        facecolor="white",
    )
    upper, rates, losses = figure.subplots(3, 1, sharex=True, height_ratios=heights)
    draw_lifelines(upper, story, rows, colours)
    draw_bitrates(rates, story, rooms, colours)
    draw_losses(losses, story, rooms, colours)
    for axes in (upper, rates, losses):
        _plain(axes)
    for axes in (rates, losses):
        axes.tick_params(axis="y", labelcolor=INK)
    upper.grid(visible=False, axis="y")
    losses.set_xlim(0, story.now * 1.01 or 1)
    losses.xaxis.set_major_locator(MaxNLocator(12, steps=TIME_STEPS))
    losses.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: _minutes(seconds)))
    losses.set_xlabel("time in the call (m:ss)", color=QUIET, fontsize=9.5)
    left_out = len({room.name for room in story.rooms.values()} - rooms)
    more = f"   ({left_out} more rooms are not drawn)" if left_out else ""
    figure.suptitle(title + more, x=0.012, ha="left", fontsize=14, color=INK, parse_math=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # an emoji in a name
        figure.savefig(path, dpi=DOTS_PER_INCH)


def _plain(axes: Axes) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.grid(visible=True, color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=9.5)
    axes.tick_params(axis="x", labelcolor=INK, pad=6)


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
