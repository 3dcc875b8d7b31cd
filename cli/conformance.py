"""`greenroom conformance FILE…`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import Progress

from ..conformance.differences import REASONS
from ..conformance.findings import Result, Verdict
from ..conformance.runner import Tally, check_all, read_files
from .output import standard_output

FAILURES_SHOWN: Final = 20
DIFFERENCES_SHOWN: Final = 20  # of one vector


def conformance(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Vectors, one JSON object a line; plain or gzipped.",
            exists=True,
            dir_okay=False,
            readable=True,
        ),
    ],
) -> None:
    """Compare this build with vectors recorded from LiveKit.

    Scenarios, coalesced and condensed statistics, and webhooks are told apart by the content of
    the lines. What differs on purpose is checked against what docs/differences.md promises. Exit
    status 1 when anything failed, 2 when a file is not understood.
    """
    vectors = read_files(files)
    tally = Tally()
    errors = Console(stderr=True)
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task("vectors", total=len(vectors))
        for result in check_all(vectors):
            tally.add(result)
            progress.advance(task)
    with standard_output():
        for line in report(tally):
            typer.echo(line)
    raise typer.Exit(1 if tally.failures else 0)


def report(tally: Tally) -> list[str]:
    """What is printed: failures, what differs on purpose, and last the two numbers."""
    lines: list[str] = []
    for result in tally.failures[:FAILURES_SHOWN]:
        lines += _failure(result)
    rest = tally.failures[FAILURES_SHOWN:]
    if rest:
        lines.append(f"{len(rest)} more failed:")
        lines += [f"    {result.vector}" for result in rest]
    on_purpose = tally.counts[Verdict.ON_PURPOSE]
    if on_purpose:
        lines.append("as docs/differences.md says:")
        for slug, count in sorted(tally.on_purpose.items()):
            lines.append(f"{count:5} {slug}: {REASONS[slug]}")
        lines.append(f"{on_purpose} differ on purpose")
    return [*lines, tally.status]


def _failure(result: Result) -> list[str]:
    findings = result.findings
    shown = findings.differences[:DIFFERENCES_SHOWN]
    lines = [f"FAILED {result.vector}"]
    if findings.on_purpose:
        slugs = ", ".join(findings.on_purpose)
        lines.append(f"    differs on purpose ({slugs}), but not as promised:")
    lines += [f"    {difference}" for difference in shown]
    left_out = len(findings.differences) - len(shown)
    if left_out:
        lines.append(f"    and {left_out} more differences")
    return lines
