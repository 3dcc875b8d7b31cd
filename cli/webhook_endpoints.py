"""`greenroom webhooks endpoints|add|update|enable|disable|remove`: where webhooks go."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from enum import StrEnum
from typing import Annotated, Any, Final, TypeAlias

import typer
from rich.console import Console

from ..adapters.database import transaction
from ..adapters.endpoint_book import delete, select_endpoints, upsert
from ..config import POLICIES, hide_password
from ..core.endpoints import check_choices, find_endpoint
from ..errors import ConfigError
from ..messages.endpoints import Endpoint, Origin
from ..service.webhooks import new_endpoint_id, refuse_configured, refuse_unconfigured
from .data_dir import AsJson, DataDir, opened, safe
from .output import standard_output
from .secret_input import VARIABLE, read_secret
from .webhook_notes import Notes, check
from .webhook_text import TAKEN, endpoint_fields, endpoints_table

ID_HINT: Final = "EP"
CLEARED: Final[dict[str, Any]] = {
    "include_events": (),
    "exclude_events": (),
    "rooms": (),
    "rate_per_second": None,
    "description": "",
}
Clearable = StrEnum("Clearable", {name: name for name in CLEARED})  # type: ignore[misc]
PolicyName = StrEnum("PolicyName", {name: name for name in POLICIES})  # type: ignore[misc]

EndpointId: TypeAlias = Annotated[
    str, typer.Argument(metavar="EP", help="Its id, as `endpoints` shows it.")
]
Keys: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--key", metavar="NAME", help="API key that signs; several, the primary one first."
    ),
]
HasSecret: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--secret",
        help="The first key is not of greenroom's settings: its secret is the variable "
        f"{VARIABLE}, or the first line of standard input, or asked for.",
        show_default=False,
    ),
]
Include: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--include", metavar="EVENT", help="Only this event; several are possible."),
]
Exclude: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="EVENT", help="Not this event; several are possible."),
]
Rooms: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--room", metavar="NAME", help="Only of this room, or of those that acme-*."),
]
Policy: TypeAlias = Annotated[
    PolicyName | None, typer.Option(help="How it is tried, retried and given up.")
]
Rate: TypeAlias = Annotated[
    float | None, typer.Option(metavar="N", help="Attempts a second, at most, on average.")
]
Private: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--allow-private/--no-allow-private",
        help="It may be in a private network.",
        show_default=False,
    ),
]
Description: TypeAlias = Annotated[str | None, typer.Option(metavar="TEXT", help="For people.")]


def list_endpoints(*, data_dir: DataDir, as_json: AsJson = False) -> None:
    """List the endpoints: of the settings, added ones, and those that egress requests named."""
    with opened(data_dir) as connection:
        endpoints = select_endpoints(connection)
    with standard_output():
        if as_json:
            typer.echo(json.dumps([endpoint_fields(one) for one in endpoints]))
        elif endpoints:
            Console(highlight=False).print(endpoints_table(endpoints))
        else:
            typer.echo("no endpoints; add one with: greenroom webhooks add URL --key NAME")


def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where webhooks are POSTed to.")],
    *,
    data_dir: DataDir,
    key: Keys = None,
    secret: HasSecret = False,
    include: Include = None,
    exclude: Exclude = None,
    room: Rooms = None,
    policy: Policy = None,
    rate: Rate = None,
    allow_private: Private = None,
    description: Description = None,
    as_json: AsJson = False,
) -> None:
    """Send webhooks there too, from now on.

    Without --key it is signed as the endpoints of the settings are.
    """
    secrets = _own_secrets(key, wanted=secret)
    with opened(data_dir, write=True) as connection, transaction(connection):
        keys = tuple(key) if key else _configured_keys(select_endpoints(connection))
        given = _given(include, exclude, room, policy, rate, allow_private, description)
        endpoint = Endpoint(
            url=url,
            keys=keys,
            secrets=secrets,
            id=new_endpoint_id(),
            **given,
        )
        check_choices(endpoint, {*given, "keys"})
        notes = check(endpoint)
        upsert(connection, endpoint=endpoint, at_ns=time.time_ns())
    _tell("added", endpoint, notes, as_json=as_json)


def update(
    endpoint_id: EndpointId,
    *,
    data_dir: DataDir,
    url: Annotated[str | None, typer.Option(metavar="URL", help="Where it is now.")] = None,
    key: Keys = None,
    secret: HasSecret = False,
    include: Include = None,
    exclude: Exclude = None,
    room: Rooms = None,
    policy: Policy = None,
    rate: Rate = None,
    allow_private: Private = None,
    description: Description = None,
    clear: Annotated[
        list[Clearable] | None, typer.Option(help="Set this back; several are possible.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change an endpoint: also for what it has not got yet, except which events it gets.

    To exchange keys, first name both, and the old one no longer when its receiver knows the new.
    """
    changes = _given(include, exclude, room, policy, rate, allow_private, description)
    changes |= {name.value: CLEARED[name.value] for name in clear or ()}
    changes |= {} if url is None else {"url": url}
    changes |= {"keys": tuple(key)} if key else {}
    secrets = _own_secrets(key, wanted=secret)
    if not changes:
        raise typer.BadParameter("say what is to be changed, such as --room lobby or --key NAME")
    with opened(data_dir, write=True) as connection, transaction(connection):
        endpoint = found_endpoint(connection, endpoint_id)
        _obey(lambda: refuse_configured(endpoint))
        changed = replace(endpoint, **changes)
        kept = {name: text for name, text in endpoint.secrets.items() if name in changed.keys}
        changed = replace(changed, secrets=kept | secrets)
        check_choices(changed, changes)
        notes = check(changed)
        upsert(connection, endpoint=changed, at_ns=time.time_ns())
    _tell("updated", changed, notes, as_json=as_json)


def enable(endpoint_id: EndpointId, *, data_dir: DataDir, as_json: AsJson = False) -> None:
    """Go on with an endpoint: it gets what waited, and new events."""
    with opened(data_dir, write=True) as connection, transaction(connection):
        endpoint = found_endpoint(connection, endpoint_id)
        _obey(lambda: refuse_unconfigured(endpoint))
        endpoint = replace(endpoint, is_enabled=True, reason="")
        notes = check(endpoint)
        upsert(connection, endpoint=endpoint, at_ns=time.time_ns())
    _tell("enabled", endpoint, notes, as_json=as_json)


def disable(
    endpoint_id: EndpointId,
    *,
    data_dir: DataDir,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for people.")] = "by hand",
    as_json: AsJson = False,
) -> None:
    """No new events for an endpoint; what it has not got yet waits."""
    with opened(data_dir, write=True) as connection, transaction(connection):
        endpoint = found_endpoint(connection, endpoint_id)
        endpoint = replace(endpoint, is_enabled=False, reason=reason)
        upsert(connection, endpoint=endpoint, at_ns=time.time_ns())
    _tell("disabled", endpoint, Notes(), as_json=as_json)


def remove(endpoint_id: EndpointId, *, data_dir: DataDir, as_json: AsJson = False) -> None:
    """Forget an endpoint. What it has not got yet is not sent."""
    with opened(data_dir, write=True) as connection, transaction(connection):
        try:
            endpoint = found_endpoint(connection, endpoint_id)
        except ConfigError:  # a row is malformed: to remove it helps, if it is this one
            if not delete(connection, endpoint_id=endpoint_id):
                raise
        else:
            _obey(lambda: refuse_configured(endpoint))
            delete(connection, endpoint_id=endpoint_id)
    with standard_output():
        if as_json:
            typer.echo(json.dumps({"removed": endpoint_id}))
        else:
            typer.echo(f"removed {safe(endpoint_id)}: {TAKEN.format('note')} with this data_dir")


def _given(
    include: Sequence[str] | None,
    exclude: Sequence[str] | None,
    room: Sequence[str] | None,
    policy: StrEnum | None,
    rate: float | None,
    allow_private: bool | None,  # noqa: FBT001  # as typer gives it
    description: str | None,
) -> dict[str, Any]:
    """Fields of `Endpoint` that were named."""
    fields: dict[str, Any] = {
        "include_events": tuple(include) if include else None,
        "exclude_events": tuple(exclude) if exclude else None,
        "rooms": tuple(room) if room else None,
        "policy": None if policy is None else policy.value,
        "rate_per_second": rate,
        "allow_private": allow_private,
        "description": description,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _own_secrets(keys: Sequence[str] | None, *, wanted: bool) -> dict[str, str]:
    """Of the first key; before a transaction begins, as people take their time."""
    if not wanted:
        return {}
    if not keys:
        raise typer.BadParameter("goes with --key: whose secret is it?", param_hint="--secret")
    return {keys[0]: read_secret(keys[0])}


def _configured_keys(endpoints: Sequence[Endpoint]) -> tuple[str, ...]:
    for one in endpoints:
        if one.origin is Origin.CONFIG:
            return one.keys
    raise typer.BadParameter(
        "name the API key that signs: no endpoint of the settings is known here whose key could "
        "be used",
        param_hint="--key",
    )


def found_endpoint(connection: sqlite3.Connection, endpoint_id: str) -> Endpoint:
    """The endpoint with this id.

    Raises:
        typer.BadParameter: There is none.
        ConfigError: A row is malformed.
    """
    endpoints = select_endpoints(connection)
    try:
        return find_endpoint(endpoints, endpoint_id)
    except ConfigError as error:
        raise _bad(error) from error


def _bad(error: ConfigError) -> typer.BadParameter:
    return typer.BadParameter(str(error).removeprefix("endpoint_id: "), param_hint=ID_HINT)


def _obey(check: Any) -> None:
    try:
        check()
    except ConfigError as error:
        raise _bad(error) from error


def _tell(done: str, endpoint: Endpoint, notes: Notes, *, as_json: bool) -> None:
    with standard_output():
        if as_json:
            typer.echo(json.dumps(endpoint_fields(endpoint) | asdict(notes)))
            return
        where = f"{endpoint.id} {hide_password(endpoint.url)}"
        told = f"{done} {where}: {TAKEN.format('note')} with this data_dir"
        typer.echo(safe("\n".join([told, *notes.lines()])))
