"""`greenroom status` of a node: what each of its shards says of itself."""

from __future__ import annotations

import json
import time
from typing import Any, Final

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..errors import ConfigError
from ..link.address import Address
from ..node.asking import ask_shards
from .output import standard_output
from .webhook_text import add_row, new_table

NOBODY: Final = "no node answers at {}; start one: greenroom serve --listen {}"


def node_status(address: str, *, as_json: bool, watch_seconds: float | None) -> None:
    """Print what a node's shards say, once or again and again until Ctrl-C.

    Raises:
        ConfigError: The address is none of this machine, or nobody answers there.
    """
    where = Address.parse(address, "node")
    if where.kind != "unix":
        raise ConfigError(f"node: {address}: the status is asked for at the node's Unix sockets")
    shards = _ask(where.path)
    if watch_seconds is None or as_json:
        with standard_output():
            if as_json:
                typer.echo(json.dumps({"address": where.path, "shards": shards}))
            else:
                Console(highlight=False).print(_shown(where.path, shards))
        return
    with Live(_shown(where.path, shards), console=Console(highlight=False)) as live:
        while True:
            time.sleep(watch_seconds)
            try:
                live.update(_shown(where.path, _ask(where.path)))
            except ConfigError as error:
                live.update(Text(str(error)))


def _ask(path: str) -> list[dict[str, Any]]:
    try:
        shards: list[dict[str, Any]] = ask_shards(path, "status")
    except OSError as error:
        raise ConfigError(f"node: {path}: {error.strerror}") from error
    if not any("error" not in shard for shard in shards):
        raise ConfigError(f"node: {NOBODY.format(path, path)}")
    return shards


def _shown(path: str, shards: list[dict[str, Any]]) -> Group:
    alive = [shard for shard in shards if "error" not in shard]
    clients = sorted({client for shard in alive for client in shard["clients"]})
    head = (
        f"node     {alive[0]['node_id']}, greenroom {alive[0]['version']}\n"
        f"address  {path}\n"
        f"clients  {len(clients)}{': ' if clients else ''}{', '.join(clients)}\n"
    )
    return Group(Text(head), _table(shards))


def _table(shards: list[dict[str, Any]]) -> Table:
    numbers = ("pid", "workers", "calls", "waiting", "forwarding", "restarts", "lost")
    table = new_table("shard", *numbers, "state", right=numbers)
    for shard in shards:
        if "error" in shard:
            add_row(table, (shard["socket"], *[""] * len(numbers), shard["error"]))
            continue
        store = shard["store"] or {}
        add_row(
            table,
            (
                f"{shard['node_id']}/{shard['shard']}",
                shard["pid"],
                shard["workers"],
                shard["link"].get("calls", 0),
                shard["door"]["waiting"],
                sum(shard["forwarding"].values()),
                shard["restarts"],
                shard["lost"],
                "rooms move" if shard["moving"] else store.get("last_error") or "ok",
            ),
        )
    return table
