"""`greenroom status`: a node, or a data directory, at a glance."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from ..adapters.database import DATABASE_NAME, holder
from ..adapters.delivery_queries import count_by_endpoint, oldest_pending
from ..adapters.endpoint_book import select_endpoints
from ..adapters.schema import MIGRATIONS
from ..adapters.store_trouble import StoreTrouble, read_trouble
from ..adapters.stored_dead_letters import select as select_letters
from ..config import hide_password
from ..core.times import NS_PER_SECOND
from ..errors import StoreError
from ..link.address import default_address
from .data_dir import AsJson, MaybeDataDir, opened, safe, span, when
from .node_status import node_status
from .output import standard_output
from .webhook_text import add_row, new_table, state_of

GONE: Final = "removed"  # its deliveries are still there
MEGABYTE: Final = 1_000_000


def status(
    *,
    data_dir: MaybeDataDir = None,
    node: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Where the node's sockets are.",
            show_default="GREENROOM_ADDRESS, or this user's",
        ),
    ] = None,
    watch: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Of a node: again and again.", min=0.1)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say how a node's shards do; with --data-dir, how what is stored there does.

    A data directory is looked at beside a running greenroom, or without one: who has it, how
    large it is, how each endpoint does. If it could not be written or read when last tried, the
    store error says since when and why.
    """
    if data_dir is None:
        node_status(node or default_address(), as_json=as_json, watch_seconds=watch)
        return
    if node is not None:
        raise typer.BadParameter("either a node or a data directory", param_hint="--node")
    found = _look(data_dir)
    with standard_output():
        if as_json:
            typer.echo(json.dumps(found))
        else:
            _print(found)


def _look(data_dir: Path) -> dict[str, Any]:
    trouble = read_trouble(data_dir)
    try:
        with opened(data_dir) as connection:
            endpoints = {one.id: one for one in select_endpoints(connection)}
            counts = count_by_endpoint(connection)
            oldest = oldest_pending(connection)
            letters = Counter(kept.state.value for kept in select_letters(connection))
    except (StoreError, typer.BadParameter):
        if trouble is not None:  # it may say why, and there is nothing else to show
            typer.echo(_line(trouble), err=True)
        raise
    now_ns = time.time_ns()
    states: dict[str, Counter[str]] = {name: Counter() for name in endpoints}
    for one in counts:
        states.setdefault(one.endpoint, Counter())[one.state.value] = one.count
    rows = []
    for name, count in states.items():
        endpoint = endpoints.get(name)
        age_s = None
        if name in oldest:
            age_s = (now_ns - oldest[name].queued_at_ns) / NS_PER_SECOND
        rows.append(
            {
                "id": name,
                "url": "" if endpoint is None else hide_password(endpoint.url),
                "state": GONE if endpoint is None else state_of(endpoint),
                "reason": "" if endpoint is None else endpoint.reason,
                "pending": count["pending"] + count["replay"],
                "oldest_pending_seconds": age_s,
                "delivered": count["delivered"],
                "dead": count["dead"],
            }
        )
    return {
        "data_dir": str(data_dir),
        "process": holder(data_dir) or None,
        "schema": len(MIGRATIONS),  # another one is not opened
        "bytes": _sizes(data_dir),
        "dead_letters": {"total": letters.total(), **letters},
        "store_error": None if trouble is None else asdict(trouble),
        "endpoints": rows,
    }


def _sizes(data_dir: Path) -> dict[str, int]:
    files = (data_dir / f"{DATABASE_NAME}{more}" for more in ("", "-wal"))
    return {one.name: one.stat().st_size for one in files if one.exists()}


def _line(trouble: StoreTrouble) -> str:
    since = f"{trouble.kind}, since {when(trouble.at_ns)} UTC, process {trouble.pid}"
    return safe(f"store error     {since}: {trouble.reason}")


def _print(found: dict[str, Any]) -> None:
    pid = found["process"]
    sizes = (f"{name} {size / MEGABYTE:.1f} MB" for name, size in found["bytes"].items())
    letters = dict(found["dead_letters"])
    total = letters.pop("total")
    each = ", ".join(f"{count} {state}" for state, count in sorted(letters.items()))
    typer.echo(safe(f"data directory  {found['data_dir']}"))
    typer.echo(f"held by         {'no process' if pid is None else f'process {pid}'}")
    typer.echo(f"schema          {found['schema']}")
    typer.echo(f"size            {', '.join(sizes)}")
    typer.echo(f"dead letters    {total}{f' ({each})' if each else ''}")
    if found["store_error"] is not None:
        typer.echo(_line(StoreTrouble(**found["store_error"])))
    if not found["endpoints"]:
        typer.echo("endpoints       none")
        return
    numbers = ("pending", "delivered", "dead")
    table = new_table(
        *("endpoint", "state", "pending", "oldest pending", "delivered", "dead", "url", "reason"),
        right=numbers,
    )
    for row in found["endpoints"]:
        age_s = row["oldest_pending_seconds"]
        cells = (row["id"], row["state"], row["pending"], "" if age_s is None else span(age_s))
        add_row(table, (*cells, row["delivered"], row["dead"], row["url"], row["reason"]))
    typer.echo()
    Console(highlight=False).print(table)
