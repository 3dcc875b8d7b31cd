"""Endpoints and deliveries as people and programs read them; secrets are never among it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Final

from rich.table import Table
from rich.text import Text

from ..adapters.delivery_queries import DeliveryRecord
from ..config import hide_password
from ..messages.endpoints import Endpoint
from .data_dir import safe, when

TAKEN: Final = "the running greenroom takes {} within a second, or the next one that starts"


def state_of(endpoint: Endpoint) -> str:
    """`active` or `disabled`."""
    return "active" if endpoint.is_enabled else "disabled"


def endpoint_fields(endpoint: Endpoint) -> dict[str, object]:
    """For JSON."""
    policy = endpoint.policy
    return {
        "id": endpoint.id,
        "state": state_of(endpoint),
        "reason": endpoint.reason,
        "url": hide_password(endpoint.url),
        "origin": endpoint.origin.value,
        "keys": list(endpoint.keys),
        "own_secrets": sorted(endpoint.secrets),  # of which keys, not what they are
        "include_events": list(endpoint.include_events),
        "exclude_events": list(endpoint.exclude_events),
        "rooms": list(endpoint.rooms),
        "policy": policy if isinstance(policy, str) else "its own",
        "rate_per_second": endpoint.rate_per_second,
        "allow_private": endpoint.allow_private,
        "description": endpoint.description,
    }


def new_table(*columns: str, right: Sequence[str] = ()) -> Table:
    """A table without a frame; cells are folded where they are too long."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        is_short = name in right or name in ("state", "when (UTC)")
        justify = "right" if name in right else "left"
        table.add_column(name, justify=justify, no_wrap=is_short, overflow="fold")  # type: ignore[arg-type]
    return table


def add_row(table: Table, cells: Iterable[object]) -> None:
    """Add cells of any text."""
    table.add_row(*(Text(safe(" ".join(str(cell).split()))) for cell in cells))


def endpoints_table(endpoints: Iterable[Endpoint]) -> Table:
    """A line for each."""
    table = new_table("id", "state", "url", "keys", "events", "rooms", "origin", "reason")
    for one in endpoints:
        add_row(
            table,
            (
                one.id,
                state_of(one),
                hide_password(one.url),
                ", ".join(one.keys),
                _events(one),
                ", ".join(one.rooms) or "all",
                one.origin.value,
                one.reason,
            ),
        )
    return table


def delivery_fields(record: DeliveryRecord) -> dict[str, object]:
    """For JSON."""
    return asdict(record) | {"state": record.state.value}


def deliveries_table(records: Iterable[DeliveryRecord]) -> Table:
    """A line for each."""
    numbers = ("id", "sequence", "tries", "status")
    table = new_table(
        *("id", "state", "when (UTC)", "endpoint", "key", "sequence", "event", "tries"),
        *("status", "error"),
        right=numbers,
    )
    for one in records:
        add_row(
            table,
            (
                one.id,
                one.state.value,
                when(one.queued_at_ns),
                one.endpoint,
                one.key,
                one.sequence,
                one.event,
                one.attempts,
                "" if one.status is None else one.status,
                one.error,
            ),
        )
    return table


def delivery_page(record: DeliveryRecord, body: bytes) -> str:
    """All of one delivery."""
    lines = {
        "endpoint": record.endpoint,
        "event": f"{record.event} {record.event_id}",
        "room": record.room,
        "sequence": f"{record.sequence} of key {record.key}",
        "accepted": _utc(record.queued_at_ns),
        "attempts": str(record.attempts),
        "first attempt": _utc(record.started_at_ns),
        "next attempt": _utc(record.next_at_ns),
        "ended": _utc(record.ended_at_ns),
        "last status": "" if record.status is None else str(record.status),
        "last error": record.error,
    }
    told = "\n".join(f"{name:<14} {text}" for name, text in lines.items() if text)
    return safe(f"delivery {record.id}, {record.state}\n{told}\n\n{body_text(body)}")


def body_text(body: bytes) -> str:
    """The body, indented where it is JSON."""
    content = body_content(body)
    if isinstance(content, str):
        return content
    return json.dumps(content, indent=2, ensure_ascii=False)


def body_content(body: bytes) -> object:
    """The body as JSON has it; else its text."""
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")


def _events(endpoint: Endpoint) -> str:
    if endpoint.include_events:
        return ", ".join(endpoint.include_events)
    if endpoint.exclude_events:
        return f"all but {', '.join(endpoint.exclude_events)}"
    return "all"


def _utc(at_ns: int) -> str:
    return f"{when(at_ns)} UTC" if at_ns else ""
