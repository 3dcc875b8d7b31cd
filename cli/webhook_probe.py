"""`greenroom webhooks test`: does an endpoint answer?"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Annotated

import typer

from ..adapters.probe import send_test
from ..core.endpoints import signing_keys
from ..errors import UnsendableError
from .data_dir import AsJson, DataDir, opened, safe
from .output import standard_output
from .secret_input import read_secret
from .webhook_endpoints import EndpointId, HasSecret, found_endpoint


def send_test_event(
    endpoint_id: EndpointId,
    *,
    data_dir: DataDir,
    secret: HasSecret = False,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0.001, help="For all of it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send a greenroom_test event to an endpoint now, past all queues, from this process.

    It is signed as every webhook is, and has no sequence. A disabled endpoint gets it too.
    Exit status 1: it did not arrive.
    """
    with opened(data_dir) as connection:
        endpoint = found_endpoint(connection, endpoint_id)
    own = dict(endpoint.secrets)
    unknown = [name for name in endpoint.keys if name not in own]
    if secret and endpoint.keys:
        name = (unknown or list(endpoint.keys))[0]
        own[name] = read_secret(name)
    # only the primary key must be there; who verifies needs no more than one signature
    usable = tuple(name for name in endpoint.keys if name in own)
    try:
        keys = signing_keys(replace(endpoint, keys=usable, secrets=own), {})
        outcome = send_test(endpoint, keys, timeout)
    except UnsendableError as error:
        if usable:
            raise
        raise typer.BadParameter(
            f"the secret of {', '.join(endpoint.keys) or 'its key'} is known to the running "
            "greenroom only: give it with --secret, or call "
            f"telemetry.webhooks.test({endpoint_id!r}) there",
            param_hint="--secret",
        ) from error
    with standard_output():
        if as_json:
            typer.echo(json.dumps(asdict(outcome)))
        else:
            arrived = "delivered" if outcome.is_delivered else "not delivered"
            why = outcome.error or f"it answered {outcome.status}"
            took = f"in {outcome.seconds:.3f} s"
            typer.echo(safe(f"{outcome.event_id} {arrived} {took}: {why}"))
    if not outcome.is_delivered:
        raise typer.Exit(1)
