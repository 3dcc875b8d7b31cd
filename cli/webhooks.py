"""`greenroom webhooks`: endpoints and deliveries of a data directory."""

from __future__ import annotations

from typing import Final

import typer

from . import webhook_deliveries, webhook_endpoints, webhook_probe
from .data_dir import EXAMPLE_DIR

EXAMPLE: Final = "Example: greenroom webhooks"

webhooks: Final = typer.Typer(
    help="Where webhooks go, what became of them, and how to send them again.",
    epilog=f"{EXAMPLE} list {EXAMPLE_DIR} --state dead --since 1h",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
for name, command, arguments in (
    ("endpoints", webhook_endpoints.list_endpoints, ""),
    ("add", webhook_endpoints.add, " https://example.com/hook --key APIkey --room 'acme-*'"),
    ("update", webhook_endpoints.update, " EP_a1b2c3 --key new --key old"),
    ("enable", webhook_endpoints.enable, " EP_a1b2c3"),
    ("disable", webhook_endpoints.disable, " EP_a1b2c3 --reason 'moves on Friday'"),
    ("remove", webhook_endpoints.remove, " EP_a1b2c3"),
    ("test", webhook_probe.send_test_event, " EP_a1b2c3"),
    ("list", webhook_deliveries.list_deliveries, " --room lobby --state dead --since 1h"),
    ("show", webhook_deliveries.show, " 17"),
    ("replay", webhook_deliveries.replay, " --room lobby --from-sequence 12 --to-sequence 20"),
    ("retry", webhook_deliveries.retry, " --endpoint EP_a1b2c3"),
):
    epilog = f"{EXAMPLE} {name}{arguments} {EXAMPLE_DIR}"
    webhooks.command(name, epilog=epilog, no_args_is_help=False)(command)
