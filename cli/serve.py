"""`greenroom serve`: a node, for the processes of this machine and other nodes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from ..link.address import default_address
from ..node.options import NodeOptions, node_settings
from ..node.settings import ADMIN_PORT, DRAIN_SECONDS, HTTP_PORT, SHARDS_MAX
from ..node.watcher import Watcher

HTTP: Final = f"127.0.0.1:{HTTP_PORT}"


def serve(
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="YAML with LiveKit's own `keys:` and `webhook:` sections, and `greenroom:`.",
            exists=True,
            dir_okay=False,
            envvar="GREENROOM_CONFIG",
        ),
    ] = None,
    listen: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS",
            help="A directory for the Unix sockets (default: GREENROOM_ADDRESS or this user's), "
            "tcp://127.0.0.1:PORT or tls://HOST:PORT. May be given several times.",
        ),
    ] = None,
    shards: Annotated[
        int, typer.Option(metavar="N", help="Processes that share the rooms; 0: one per core.")
    ] = 0,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keeps what is acknowledged until it has taken effect, webhooks, endpoints and "
            "dead letters.",
        ),
    ] = None,
    analytics_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Statistics and events go to DIR/shard-N.jsonl."),
    ] = None,
    http: Annotated[
        str,
        typer.Option(
            metavar="HOST:PORT",
            help="For /healthz and /metrics; port 0: any free one; empty: nowhere.",
        ),
    ] = HTTP,
    admin_port: Annotated[
        int, typer.Option(metavar="PORT", help="Of Thespian's admin; 0: any free one.")
    ] = ADMIN_PORT,
    bind: Annotated[
        str, typer.Option(metavar="IP", help="The address that other nodes know this one by.")
    ] = "127.0.0.1",
    join: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST:PORT",
            help="The admin of a node that introduces this one to the others, also several with "
            "commas between. Give the same on all nodes, that one included.",
        ),
    ] = None,
    node_id: Annotated[
        str,
        typer.Option(metavar="ID", help="Label of the metrics.", show_default="the host's name"),
    ] = "",
    tls_cert: Annotated[Path | None, typer.Option(metavar="FILE", help="For tls://, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="For tls://, PEM.")] = None,
    drain_seconds: Annotated[
        float, typer.Option(metavar="SECONDS", help="To hand over, after SIGTERM.")
    ] = DRAIN_SECONDS,
) -> None:
    """Run a node: processes of this machine use it with `greenroom.connect()`.

    It runs until SIGTERM or Ctrl-C, and comes back by itself when a part of it dies. The secret of
    other nodes and machines is in the file that GREENROOM_SECRET_FILE names.
    """
    options = NodeOptions(
        config=config,
        listen=tuple(listen or (default_address(),)),
        shards=shards or min(len(os.sched_getaffinity(0)), SHARDS_MAX),
        data_dir=data_dir,
        analytics_dir=analytics_dir,
        http=http,
        admin_port=admin_port,
        bind=bind,
        join=tuple(one for text in join or () for one in text.split(",") if one),
        node_id=node_id,
        tls_cert=tls_cert,
        tls_key=tls_key,
        drain_seconds=drain_seconds,
    )
    raise typer.Exit(Watcher(node_settings(options)).run())
