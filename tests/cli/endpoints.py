"""Endpoints in a data directory, and how the commands about them are asked and read."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final, TypeAlias

import greenroom
from greenroom.adapters.database import open_beside
from greenroom.adapters.endpoint_book import select_endpoints
from greenroom.messages.endpoints import Endpoint

URL: Final = "http://h.example/hook"
SECRET: Final = "s" * 32
OWN_SECRET: Final = "o" * 32
VARIABLE: Final = "GREENROOM_WEBHOOK_SECRET"

Command: TypeAlias = Callable[..., int]  # the fixture `webhooks`
Answer: TypeAlias = Callable[..., Any]  # the fixture `answer`


def started(directory: Path, *urls: str) -> greenroom.Telemetry:
    """A greenroom on this data directory, whose settings have these URLs."""
    webhook = greenroom.WebhookSettings(
        urls=urls, api_key="key", keys={"key": SECRET}, allow_private=True
    )
    return greenroom.start(webhook=webhook, data_dir=directory)


def rows(directory: Path) -> list[Endpoint]:
    """What the data directory knows."""
    with closing(open_beside(directory)) as connection:
        return select_endpoints(connection)


def words(text: str) -> str:
    """Without the frame and the line breaks that depend on a terminal's width."""
    return " ".join(text.replace("│", " ").split())
