"""`greenroom store check|repair`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from ..adapters.database import DATABASE_NAME, DirectoryLock
from ..adapters.store_check import OnStep, check_store, has_store, store_directories
from ..adapters.store_repair import RepairReport, repair_store
from ..adapters.store_report import Severity, StoreReport
from ..errors import StoreError
from .data_dir import EXAMPLE_DIR, AsJson, DataDir, safe
from .output import standard_output

EXAMPLE: Final = "Example: greenroom store"
LOST_SHOWN: Final = 20  # of one directory; --json has all

store: Final = typer.Typer(
    help="See whether a data directory is damaged, and save what can be saved.",
    epilog=f"{EXAMPLE} check {EXAMPLE_DIR}",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@store.command(epilog=f"{EXAMPLE} check {EXAMPLE_DIR}")
def check(*, data_dir: DataDir, as_json: AsJson = False) -> None:
    """Say whether the database is whole: its pages, its rows, its journal.

    Works beside a running greenroom, and without one, and changes nothing. A node's data
    directory has one database for each shard; all of them are looked at. Exit status 1 when one
    is damaged, 2 when one cannot be looked at.
    """
    directories = _directories(data_dir)
    with _progress("checking") as on_step:
        reports = [check_store(one, _named(on_step, one)) for one in directories]
    with standard_output():
        if as_json:
            found = [_fields(one) for one in reports]
            typer.echo(json.dumps({"status": _status(reports), "stores": found}))
        else:
            typer.echo(safe("\n\n".join(_page(one) for one in reports)))
    raise typer.Exit(_status(reports))


@store.command(epilog=f"{EXAMPLE} repair {EXAMPLE_DIR} --dry-run")
def repair(
    *,
    data_dir: DataDir,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what would be kept and lost.", show_default=False),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Replace a damaged database by a new one with all that can still be read.

    No greenroom may run. The damaged files stay beside the new one, as greenroom.db.damaged-…
    with the time (UTC); there must be room for both. A database without damage is left as it is.
    """
    at = datetime.now(UTC)
    directories, repaired = _directories(data_dir), []
    for one in directories:  # all of a node's, or none
        DirectoryLock(one).release()
    failure = None
    with _progress("repairing") as on_step:
        for one in directories:
            told = _named(on_step, one)
            try:
                repaired.append(repair_store(one, at, dry_run=dry_run, on_step=told))
            except StoreError as error:
                failure = error
                break
    with standard_output():
        if as_json:
            typer.echo(json.dumps({"stores": [_repair_fields(one) for one in repaired]}))
        else:
            typer.echo(safe("\n\n".join(_repair_page(one) for one in repaired)))
    if failure is not None:
        raise failure
    unusable = any(one.before.has(Severity.UNUSABLE) for one in repaired)
    raise typer.Exit(2 if unusable else 0)


def _directories(data_dir: Path) -> list[Path]:
    directories = store_directories(data_dir)
    if directories == [data_dir] and not has_store(data_dir):
        raise typer.BadParameter(
            f"there is no {DATABASE_NAME} in {data_dir}: no greenroom was started with this "
            "data_dir, or its file is gone: then put a backup back",
            param_hint="--data-dir",
        )
    return directories


@contextmanager
def _progress(doing: str) -> Iterator[OnStep]:
    """One line on standard error that says what is going on, if that is a terminal."""
    errors = Console(stderr=True, highlight=False)
    if not errors.is_terminal:
        yield lambda _: None
        return
    with errors.status(doing) as line:
        yield lambda step: line.update(safe(f"{doing} {step}"))


def _named(on_step: OnStep, directory: Path) -> OnStep:
    return lambda step: on_step(f"{directory.name}: {step}")


def _status(reports: list[StoreReport]) -> int:
    if any(one.has(Severity.DAMAGE) for one in reports):
        return 1
    return 2 if any(one.has(Severity.UNUSABLE) for one in reports) else 0


def _fields(report: StoreReport) -> dict[str, Any]:
    return {
        "data_dir": str(report.directory),
        "status": _status([report]),
        "process": report.process or None,
        "schema": report.schema,
        "is_intact": report.is_intact,
        "tables": report.tables,
        "journal": None if report.journal is None else asdict(report.journal),
        "checkpoint": report.checkpoint,
        "findings": [asdict(one) for one in report.findings],
    }


def _page(report: StoreReport) -> str:
    pid, journal = report.process, report.journal
    is_intact = {True: "ok", False: "damaged", None: "not checked"}[report.is_intact]
    counts = (
        f"{name} {'?' if count is None else count}"
        for name, count in report.tables.items()
        if not name.startswith("sqlite_")
    )
    lines = [
        f"data directory  {report.directory}",
        f"held by         {f'process {pid}' if pid else 'no process'}",
        f"schema          {'unknown' if report.schema is None else report.schema}",
        f"integrity       {is_intact}",
        f"rows            {', '.join(counts) or 'unknown'}",
        f"journal         {_journal(report)}",
        f"checkpoint      {_checkpoint(report)}",
    ]
    if journal is not None and journal.damaged:
        lines.append(f"damaged rows    at positions {', '.join(map(str, journal.damaged))}")
    return "\n".join([*lines, *_findings(report)])


def _findings(report: StoreReport) -> list[str]:
    if not report.findings:
        return ["", "no damage found"]
    return [""] + [
        line
        for one in report.findings
        for line in (f"{one.severity}: {one.kind}: {one.text}", f"    next: {one.advice}")
    ]


def _journal(report: StoreReport) -> str:
    journal = report.journal
    if journal is None:
        return "unknown"
    if not journal.rows:
        return "empty"
    return (
        f"positions {journal.first} to {journal.last}, {journal.rows} rows, "
        f"{journal.inputs} inputs, {len(journal.damaged)} damaged rows"
    )


def _checkpoint(report: StoreReport) -> str:
    if report.checkpoint is None:
        return "none" if report.journal is not None else "unknown"
    return f"position {report.checkpoint}"


def _repair_fields(report: RepairReport) -> dict[str, Any]:
    salvaged = report.salvaged
    return {
        "data_dir": str(report.before.directory),
        "is_dry_run": report.is_dry_run,
        "was_damaged": report.before.has(Severity.DAMAGE),
        "findings": [asdict(one) for one in report.before.findings],
        "kept": dict(salvaged.kept),
        "lost": [asdict(one) for one in salvaged.lost],
        "sequences_counted_anew": salvaged.counted_anew,
        "backups": [str(one) for one in report.backups],
    }


def _repair_page(report: RepairReport) -> str:
    lines = [f"data directory  {report.before.directory}"]
    if not report.before.has(Severity.DAMAGE):
        if report.before.findings:
            lines += _findings(report.before)
        return "\n".join([*lines, "no damage found; nothing was changed"])
    salvaged = report.salvaged
    kept = (f"{name} {count}" for name, count in sorted(salvaged.kept.items()))
    lost = Counter(one.table for one in salvaged.lost)
    losses = (f"{name} {count}" for name, count in sorted(lost.items()))
    would = "would be " if report.is_dry_run else ""
    lines.append(f"rows {would}kept   {', '.join(kept) or 'none'}")
    lines.append(f"rows or pages {would}lost   {', '.join(losses) or 'none known'}")
    lines += [f"    {one.table}: {one.what}" for one in salvaged.lost[:LOST_SHOWN]]
    if len(salvaged.lost) > LOST_SHOWN:
        lines.append(f"    and {len(salvaged.lost) - LOST_SHOWN} more: --json has all")
    if salvaged.counted_anew:
        count = salvaged.counted_anew
        lines.append(f"sequences of {count} queues counted anew from their deliveries")
    if report.is_dry_run:
        return "\n".join([*lines, "nothing was changed"])
    lines += [f"damaged file    {one}" for one in report.backups]
    return "\n".join(lines)
