"""The picture's lower panels: bitrate and packet loss of every track."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, Literal

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from .palette import INK, LINES, OTHER_LINE, QUIET, line_of
from .story import Measure, Story, TrackLife

GAP_SECONDS: Final = 1.0  # measures further apart than this are not joined
KBPS_MIN: Final = 1.0  # the rest of a track's last window may be next to nothing
PERCENT_TOP: Final = 1.0  # the loss axis reaches at least as far
LOSS_LINES: Final[dict[str, Literal["-"] | tuple[float, tuple[float, ...]]]] = {
    "on the way from the publisher": "-",
    "to a subscriber": (0, (3, 1.5)),
}


def draw_bitrates(
    axes: Axes, story: Story, rooms: Collection[str], colours: Mapping[str, str]
) -> None:
    """What publishers sent: one stepped line for each track, on a logarithmic scale."""
    drawn: set[str] = set()
    for track in _tracks(story, rooms):
        line = line_of(track.source)
        for run in _runs([m for m in track.upstream if m.kbps >= KBPS_MIN]):
            drawn.add(line.label)
            times, values = _steps(run, [measure.kbps for measure in run])
            axes.plot(
                times,
                values,
                color=colours.get(track.identity, QUIET),
                linestyle=line.style,
                linewidth=line.width,
                alpha=0.85,
                solid_capstyle="butt",
            )
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda kbps, _: _bitrate(kbps)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.margins(y=0.08)
    axes.set_title("Bitrate sent by publishers", loc="left", fontsize=11, color=INK)
    handles = [
        Line2D([], [], color=INK, linestyle=line.style, linewidth=line.width, label=line.label)
        for line in (*LINES.values(), OTHER_LINE)
        if line.label in drawn
    ]
    if handles:
        axes.legend(
            handles=handles,
            loc="lower right",
            bbox_to_anchor=(1, 1),
            ncols=len(handles),
            frameon=False,
            fontsize=9,
            labelcolor=INK,
            borderaxespad=0.2,
        )


def draw_losses(
    axes: Axes, story: Story, rooms: Collection[str], colours: Mapping[str, str]
) -> None:
    """Loss in percent: filled steps where something was lost, up- and downstream."""
    highest = 0.0
    for track in _tracks(story, rooms):
        colour = colours.get(track.identity, QUIET)
        directions = zip((track.upstream, track.downstream), LOSS_LINES.values(), strict=True)
        for measures, style in directions:
            for measure in measures:
                if measure.loss_percent:
                    highest = max(highest, measure.loss_percent)
                    span = (measure.begin, measure.end)
                    level = (measure.loss_percent, measure.loss_percent)
                    axes.plot(span, level, color=colour, linewidth=1.8, linestyle=style)
                    if style == "-":
                        axes.fill_between(span, level, color=colour, alpha=0.2, linewidth=0)
    top = max(PERCENT_TOP, 1.2 * highest)
    axes.set_ylim(-0.04 * top, top)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda percent, _: f"{percent:g} %"))
    axes.set_title("Packets lost", loc="left", fontsize=11, color=INK)
    if not highest:
        axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", color=QUIET)
        return
    axes.legend(
        handles=[
            Line2D([], [], color=INK, linewidth=1.8, linestyle=style, label=label)
            for label, style in LOSS_LINES.items()
        ],
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=2,
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        borderaxespad=0.2,
    )


def _tracks(story: Story, rooms: Collection[str]) -> Iterator[TrackLife]:
    return (track for track in story.tracks.values() if track.room in rooms)


def _runs(measures: Sequence[Measure]) -> Iterator[list[Measure]]:
    """Measures that follow on each other, each run as one list."""
    run: list[Measure] = []
    for measure in sorted(measures, key=lambda measure: measure.begin):
        if run and measure.begin > run[-1].end + GAP_SECONDS:
            yield run
            run = []
        run.append(measure)
    if run:
        yield run


def _steps(run: Sequence[Measure], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """A stepped line: each value from its begin to its end."""
    times = [at for measure in run for at in (measure.begin, measure.end)]
    return times, [value for value in values for _ in range(2)]


def _bitrate(kbps: float) -> str:
    return f"{kbps / 1_000:g} Mbit/s" if kbps >= 1_000 else f"{kbps:g} kbit/s"
