"""`greenroom webhooks list|show|replay|retry`: the deliveries."""

from __future__ import annotations

import json
import sqlite3
from typing import Annotated, Final, TypeAlias

import typer
from rich.console import Console

from ..adapters.database import transaction
from ..adapters.delivery_queries import (
    DeliveryFilter,
    DeliveryRecord,
    Marked,
    find_delivery,
    mark_deliveries,
    mark_sequences,
    mark_waiting,
    read_body,
    select_deliveries,
)
from ..adapters.endpoint_book import select_endpoints, select_ids
from ..messages.deliveries import DeliveryState
from .data_dir import ID_MAX, AsJson, DataDir, opened, parse_time, safe
from .output import standard_output
from .webhook_text import TAKEN, body_content, deliveries_table, delivery_fields, delivery_page

LIMIT: Final = 50
ENDPOINT: Final = "--endpoint"

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
        if endpoint is not None and not records and not _has_any(connection, endpoint):
            _refuse_unknown(connection, endpoint)
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
    starts with this data_dir. Of a room or key, those of removed endpoints are left out.
    """
    has_queue = room is not None or key is not None
    if bool(ids) == has_queue:
        raise typer.BadParameter(
            "give IDs, or --room (or --key) with --from-sequence", param_hint="ID"
        )
    if has_queue != (from_sequence is not None):
        raise typer.BadParameter(
            "goes with --room or --key, and they with it", param_hint="--from-sequence"
        )
    for option, value in ((ENDPOINT, endpoint), ("--to-sequence", to_sequence)):
        if ids and value is not None:
            raise typer.BadParameter("does not go with IDs", param_hint=option)
    if to_sequence is not None and to_sequence < (from_sequence or 1):
        raise typer.BadParameter(
            f"must be at least --from-sequence, {from_sequence}, got {to_sequence}",
            param_hint="--to-sequence",
        )
    with opened(data_dir, write=True) as connection:
        if endpoint is not None:
            _refuse_unknown(connection, endpoint)
        if ids:
            for one in ids:
                _found(connection, one)
            marked = mark_deliveries(connection, ids)
        else:
            marked = mark_sequences(
                connection,
                known=select_ids(connection),
                endpoint=endpoint,
                room=room,
                key=key,
                from_sequence=from_sequence or 1,
                to_sequence=to_sequence,
            )
        held = _held_back(connection, marked, endpoint)
    left = len(set(ids)) - marked.count if ids else 0
    left_why = "they are to be sent at once anyway"
    _tell(marked, held, as_json=as_json, left=left, left_why=left_why)


def retry(
    ids: Ids = None,
    *,
    data_dir: DataDir,
    endpoint: Annotated[
        str | None,
        typer.Option(metavar="EP", help="The first of each queue of this endpoint, not IDs."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Try deliveries now that wait for their next attempt; the attempts so far still count.

    Only the first delivery of a queue waits for an attempt: those behind it wait for it, and
    follow in their order. An endpoint that failed many times in a row is left alone all the same
    until its next probe.
    """
    if bool(ids) == (endpoint is not None):
        raise typer.BadParameter("give IDs, or --endpoint EP", param_hint="ID")
    with opened(data_dir, write=True) as connection:
        if endpoint is not None:
            _refuse_unknown(connection, endpoint)
        records = [_found(connection, one) for one in ids or ()]
        for record in records:
            if record.state in (DeliveryState.DELIVERED, DeliveryState.DEAD):
                raise typer.BadParameter(
                    f"{record.id} is {record.state}, and waits for nothing; to send it again: "
                    f"greenroom webhooks replay {record.id}",
                    param_hint="ID",
                )
        marked = mark_waiting(connection, ids or None, endpoint=endpoint)
        held = _held_back(connection, marked, endpoint)
    left = len(set(ids)) - marked.count if ids else 0
    left_why = "no attempt of them failed: their turn comes by itself"
    _tell(marked, held, as_json=as_json, left=left, left_why=left_why, queues_of=endpoint)


def _found(connection: sqlite3.Connection, delivery_id: int) -> DeliveryRecord:
    record = find_delivery(connection, delivery_id) if 0 < delivery_id <= ID_MAX else None
    if record is None:
        newest = select_deliveries(connection, DeliveryFilter(), limit=1)
        there = f"the newest is {newest[0].id}" if newest else "there are none at all"
        raise typer.BadParameter(f"no delivery {delivery_id}; {there}", param_hint="ID")
    return record


def _has_any(connection: sqlite3.Connection, endpoint: str) -> bool:
    return bool(select_deliveries(connection, DeliveryFilter(endpoint=endpoint), limit=1))


def _refuse_unknown(connection: sqlite3.Connection, endpoint: str) -> None:
    if endpoint in select_ids(connection):
        return
    was_removed = _has_any(connection, endpoint)
    problem = f"{endpoint!r} was removed" if was_removed else f"there is no endpoint {endpoint!r}"
    raise typer.BadParameter(
        f"{problem}; to list those there are: greenroom webhooks endpoints", param_hint=ENDPOINT
    )


def _held_back(
    connection: sqlite3.Connection, marked: Marked, endpoint: str | None
) -> dict[str, str]:
    """Which of these endpoints get nothing at present, and why."""
    with transaction(connection):
        known = {one.id: one for one in select_endpoints(connection)}
    held = {}
    for name in sorted({*marked.by_endpoint, *([endpoint] if endpoint else ())}):
        if name not in known:
            held[name] = "is not there any more: they wait for ever"
        elif not known[name].is_enabled:
            reason = known[name].reason or "by hand"
            held[name] = f"is disabled ({reason}): they wait until it is enabled"
    return held


def _tell(
    marked: Marked,
    held: dict[str, str],
    *,
    as_json: bool,
    left: int,
    left_why: str,
    queues_of: str | None = None,
) -> None:
    with standard_output():
        if as_json:
            told = {"marked": marked.count, "endpoints": dict(marked.by_endpoint), "left": left}
            told |= {"left_out": dict(marked.left_out), "held_back": held}
            typer.echo(json.dumps(told))
            return
        lines = _marked_lines(marked, queues_of)
        if left:
            lines.append(f"left {left}: {left_why}")
        lines += [
            f"left out {count} of endpoint {name}: it is not there any more"
            for name, count in marked.left_out.items()
        ]
        lines += [f"note: endpoint {name} {why}" for name, why in held.items()]
        typer.echo(safe("\n".join(lines)))


def _marked_lines(marked: Marked, queues_of: str | None) -> list[str]:
    if not marked.count and queues_of is not None:
        return [f"nothing to try: no delivery of {queues_of} waits for its next attempt"]
    if not marked.count:
        return ["nothing to send"]
    what, them = ("delivery", "it") if marked.count == 1 else ("deliveries", "them")
    taken = f"{TAKEN.format(them)} with this data_dir"
    if queues_of is None:
        each = [f"  {count} of endpoint {name}" for name, count in marked.by_endpoint.items()]
        return [f"marked {marked.count} {what}: {taken}", *each]
    return [
        f"marked {marked.count} {what} of {queues_of}, the first of each queue that "
        f"waits: {taken}",
        "those behind them follow by themselves, in their order",
    ]
