"""`greenroom webhooks list|show|replay|retry`: the deliveries."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Annotated, Final, TypeAlias

import typer
from rich.console import Console

from ..adapters.database import transaction
from ..adapters.delivery_queries import (
    DeliveryFilter,
    DeliveryRecord,
    find_delivery,
    mark_deliveries,
    mark_sequences,
    mark_waiting,
    read_body,
    select_deliveries,
)
from ..adapters.endpoint_book import select_endpoints
from ..messages.deliveries import DeliveryState
from .data_dir import ID_MAX, AsJson, DataDir, opened, parse_time
from .output import standard_output
from .webhook_text import TAKEN, body_content, deliveries_table, delivery_fields, delivery_page

LIMIT: Final = 50

Ids: TypeAlias = Annotated[
    list[int] | None, typer.Argument(metavar="ID", help="As `list` shows them.")
]
EndpointOption: TypeAlias = Annotated[
    str | None, typer.Option(metavar="EP", help="Only those of this endpoint.")
]


def list_deliveries(
    *,
    data_dir: DataDir,
    endpoint: EndpointOption = None,
    room: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only those of this room.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="KEY", help="Only those of this event key.")
    ] = None,
    event: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only those of it, such as room_started.")
    ] = None,
    state: Annotated[
        DeliveryState | None, typer.Option(help="Only those in it; replay: is to be sent again.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Accepted then or later: 1h for an hour ago, or ISO."),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Accepted before that.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = LIMIT,
    before: Annotated[
        int | None, typer.Option(metavar="ID", help="Only older ones: the next page.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List deliveries, the newest first: pending, dead, and the last 100,000 delivered.

    Works beside a running greenroom, and without one.
    """
    wanted = DeliveryFilter(
        endpoint=endpoint,
        room=room,
        key=key,
        event=event,
        state=state,
        since_ns=None if since is None else parse_time(since),
        until_ns=None if until is None else parse_time(until),
    )
    with opened(data_dir) as connection:
        records = select_deliveries(connection, wanted, limit=limit, before_id=before)
    with standard_output():
        if as_json:
            typer.echo(json.dumps([delivery_fields(one) for one in records]))
        elif records:
            Console(highlight=False).print(deliveries_table(records))
            if len(records) == limit and records[-1].id > 1:
                typer.echo(f"older ones, if there are any: --before {records[-1].id}")
        else:
            chosen = before is not None or wanted != DeliveryFilter()
            typer.echo("no delivery is like that" if chosen else "no deliveries")


def show(
    delivery_id: Annotated[int, typer.Argument(metavar="ID", help="As `list` shows it.")],
    *,
    data_dir: DataDir,
    as_json: AsJson = False,
) -> None:
    """Show all of one delivery: what became of it, and the body that is sent.

    The body may hold personal data: names, metadata, identities.
    """
    with opened(data_dir) as connection:
        record = _found(connection, delivery_id)
        body = read_body(connection, delivery_id) or b""
    with standard_output():
        if as_json:
            typer.echo(json.dumps(delivery_fields(record) | {"body": body_content(body)}))
        else:
            typer.echo(delivery_page(record, body))


def replay(
    ids: Ids = None,
    *,
    data_dir: DataDir,
    endpoint: EndpointOption = None,
    room: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of this room, instead of IDs.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="KEY", help="Of this event key, instead of IDs.")
    ] = None,
    from_sequence: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="The first one.")
    ] = None,
    to_sequence: Annotated[
        int | None, typer.Option(metavar="M", min=1, help="The last one; else all from there.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send deliveries again, in their order, with their first ids, sequences and bodies.

    Delivered and dead ones begin anew; one that waits for its next attempt is tried at once. They
    are marked here, and taken by the running greenroom within a second, or by the next one that
    starts with this data_dir.
    """
    has_queue = room is not None or key is not None
    if bool(ids) == has_queue or (ids and endpoint is not None):
        raise typer.BadParameter(
            "give IDs, or --room (or --key) with --from-sequence", param_hint="ID"
        )
    if has_queue != (from_sequence is not None):
        raise typer.BadParameter(
            "goes with --room or --key, and they with it", param_hint="--from-sequence"
        )
    with opened(data_dir, write=True) as connection:
        if ids:
            endpoints = {_found(connection, one).endpoint for one in ids}
            marked = mark_deliveries(connection, ids)
        else:
            endpoints = {endpoint} if endpoint else set()
            marked = mark_sequences(
                connection,
                endpoint=endpoint,
                room=room,
                key=key,
                from_sequence=from_sequence or 1,
                to_sequence=to_sequence,
            )
        held = _held_back(connection, endpoints)
    left = len(set(ids)) - marked if ids else 0
    left_why = "they are to be sent at once anyway"
    _tell(marked, held, as_json=as_json, left=left, left_why=left_why)


def retry(
    ids: Ids = None,
    *,
    data_dir: DataDir,
    endpoint: Annotated[
        str | None, typer.Option(metavar="EP", help="All of this endpoint, instead of IDs.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Try deliveries now that wait for their next attempt; the attempts so far still count.

    An endpoint that failed many times in a row is left alone all the same until its next probe.
    """
    if bool(ids) == (endpoint is not None):
        raise typer.BadParameter("give IDs, or --endpoint EP", param_hint="ID")
    with opened(data_dir, write=True) as connection:
        records = [_found(connection, one) for one in ids or ()]
        for record in records:
            if record.state in (DeliveryState.DELIVERED, DeliveryState.DEAD):
                raise typer.BadParameter(
                    f"{record.id} is {record.state}, and waits for nothing; to send it again: "
                    f"greenroom webhooks replay {record.id}",
                    param_hint="ID",
                )
        marked = mark_waiting(connection, ids or None, endpoint=endpoint)
        names = {record.endpoint for record in records} | ({endpoint} if endpoint else set())
        held = _held_back(connection, names)
    left = len(set(ids)) - marked if ids else 0
    left_why = "no attempt of them failed: their turn comes by itself"
    _tell(marked, held, as_json=as_json, left=left, left_why=left_why)


def _found(connection: sqlite3.Connection, delivery_id: int) -> DeliveryRecord:
    record = find_delivery(connection, delivery_id) if 0 < delivery_id <= ID_MAX else None
    if record is None:
        newest = select_deliveries(connection, DeliveryFilter(), limit=1)
        there = f"the newest is {newest[0].id}" if newest else "there are none at all"
        raise typer.BadParameter(f"no delivery {delivery_id}; {there}", param_hint="ID")
    return record


def _held_back(connection: sqlite3.Connection, endpoints: Iterable[str]) -> dict[str, str]:
    """Which of these endpoints get nothing at present, and why."""
    with transaction(connection):
        known = {one.id: one for one in select_endpoints(connection)}
    held = {}
    for name in sorted(endpoints):
        if name not in known:
            held[name] = "is not there any more: they wait for ever"
        elif not known[name].is_enabled:
            reason = known[name].reason or "by hand"
            held[name] = f"is disabled ({reason}): they wait until it is enabled"
    return held


def _tell(marked: int, held: dict[str, str], *, as_json: bool, left: int, left_why: str) -> None:
    with standard_output():
        if as_json:
            typer.echo(json.dumps({"marked": marked, "left": left, "held_back": held}))
            return
        if marked:
            what, them = ("delivery", "it") if marked == 1 else ("deliveries", "them")
            typer.echo(f"marked {marked} {what}: {TAKEN.format(them)} with this data_dir")
        else:
            typer.echo("nothing to send")
        if left:
            typer.echo(f"left {left}: {left_why}")
        for name, why in held.items() if marked else ():
            typer.echo(f"note: endpoint {name} {why}")
