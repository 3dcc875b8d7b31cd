"""`greenroom replay FILE`."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from threading import Event, current_thread, main_thread
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from ..errors import ConfigError
from ..replay.display import Display, minutes, summary_table
from ..replay.run import ReplayOptions
from ..replay.run import replay as run_replay
from ..replay.summary import Summary
from .output import standard_output

STOPPED_STATUS = 128 + signal.SIGINT
BAD_LINE_STATUS = 2
LOSS_STATUS = 1


class Policy(StrEnum):
    """Names of `config.POLICIES`."""

    DEFAULT = "default"
    LIVEKIT = "livekit"


def _seconds(text: str) -> Decimal:
    """A float has no room for the nanoseconds of today."""
    try:
        seconds = Decimal(text)
        float(seconds)  # refuses a signalling NaN
    except (InvalidOperation, ValueError):
        raise typer.BadParameter(f"{text!r} is not a number of seconds") from None
    return seconds


def replay(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Recorded calls, one JSON object a line; plain or gzipped.",
            exists=True,
            dir_okay=False,
            readable=True,
        ),
    ],
    *,
    speed: Annotated[
        str,
        typer.Option(
            metavar="max|NUMBER",
            help="Seconds of the call for one real second; max: as fast as possible.",
        ),
    ] = "max",
    webhook_url: Annotated[
        list[str] | None,
        typer.Option(help="Send every webhook there; may be repeated.", metavar="URL"),
    ] = None,
    api_key: Annotated[
        str,
        typer.Option(
            help="Signs the webhooks. Its secret is read from GREENROOM_API_SECRET only, "
            "because a command line is seen by others.",
            envvar="GREENROOM_API_KEY",
        ),
    ] = "",
    policy: Annotated[
        Policy,
        typer.Option(help="How webhooks are retried: over 75 h, or LiveKit's 5 times in 15 s."),
    ] = Policy.DEFAULT,
    receiver: Annotated[
        bool,
        typer.Option(
            "--receiver", help="Send the webhooks to a receiver in here, which verifies them too."
        ),
    ] = False,
    analytics_out: Annotated[
        Path | None,
        typer.Option(help="Write coalesced statistics and events there, as JSON lines."),
    ] = None,
    metrics_out: Annotated[
        Path | None, typer.Option(help="Write the metrics at the end there, for Prometheus.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw a picture of the call into this .png, .svg or .pdf file."),
    ] = None,
    start_unix: Annotated[
        Decimal | None,
        typer.Option(
            metavar="SECONDS",
            help="Unix time at which the recording began, to the nanosecond.",
            show_default="what its messages say",
            parser=_seconds,
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show the summary only.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON, and nothing else.")
    ] = False,
) -> None:
    """Play a recorded call through the telemetry system.

    Time is the call's own, also at full speed: statistics are flushed every 30 seconds of it,
    and failed webhooks are tried again when their wait is over in it. After the last call, time
    goes on to the next flush. A line that is not understood ends the replay; what came before it
    is finished and written.

    Exit status: 0 all went well; 1 a file could not be written or read, or webhooks were asked
    for and not all were delivered; 2 an option or a line of FILE is wrong; 130 stopped by hand.
    """
    options = ReplayOptions(
        path=file,
        speed=_speed(speed),
        start_unix=start_unix,
        webhook_urls=tuple(webhook_url or ()),
        api_key=api_key,
        api_secret=_secret(api_key, needed=bool(webhook_url)),
        policy=policy.value,
        receiver=receiver,
        analytics_out=analytics_out,
        metrics_out=metrics_out,
        plot=plot,
    )
    errors = Console(stderr=True, highlight=False)
    display = None if quiet or as_json else Display(errors)
    with _stop_on_interrupt(errors) as stopped, display or nullcontext():
        summary = run_replay(options, display, stopped=stopped)
    undelivered = summary.undelivered if receiver or webhook_url else 0
    with standard_output():
        _print(summary, as_json=as_json)
    _explain(summary, undelivered)
    raise typer.Exit(_status(summary, undelivered))


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(
            "expected max or a number, such as 10", param_hint="--speed"
        ) from None


def _secret(api_key: str, *, needed: bool) -> str:
    secret = os.environ.get("GREENROOM_API_SECRET", "")
    if needed and not (api_key and secret):
        raise ConfigError(
            "webhooks must be signed: give the key with --api-key, and its secret in the "
            "environment variable GREENROOM_API_SECRET"
        )
    return secret if api_key else ""


@contextmanager
def _stop_on_interrupt(console: Console) -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C ends the replay in good order; the second one ends the process."""
    stop = Event()
    if current_thread() is not main_thread():
        yield stop.is_set
        return

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        signal.signal(signal.SIGINT, before)
        stop.set()
        console.print("stopping; once more to stop at once")

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield stop.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def _print(summary: Summary, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(summary.plain()))
    else:
        console = Console(highlight=False)
        console.print(summary_table(summary))
        for path in summary.written:
            console.print(f"wrote {path}", soft_wrap=True, markup=False)


def _explain(summary: Summary, undelivered: int) -> None:
    problems = [*summary.not_written, summary.problem]
    if undelivered:
        problems.append(f"{undelivered} webhooks were not delivered")
    if summary.stopped:
        at = minutes(summary.call_seconds)
        problems.append(f"stopped at {at}; what was played until then is in the summary")
    for problem in filter(None, problems):
        typer.echo(f"greenroom: {problem}", err=True)


def _status(summary: Summary, undelivered: int) -> int:
    if summary.problem:
        return BAD_LINE_STATUS
    if summary.stopped:
        return STOPPED_STATUS
    return LOSS_STATUS if summary.not_written or undelivered else 0
