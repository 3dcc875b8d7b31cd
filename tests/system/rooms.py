"""Rooms whose webhooks a running greenroom delivers, in tests of what becomes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from livekit.protocol.models import Room

import greenroom
from greenroom.testing.loopback import HttpReceiver
from greenroom.testing.settling import settle

Start: TypeAlias = Callable[..., greenroom.Telemetry]  # the fixture `start`


def sequences(receiver: HttpReceiver) -> list[str]:
    """Of what was received, in order."""
    return [one.request.headers["greenroom-sequence"] for one in receiver.received]


def delivered(telemetry: greenroom.Telemetry, *rooms: str) -> None:
    """Start these rooms, and have all webhooks delivered and written."""
    for room in rooms:
        telemetry.room_started(Room(name=room))
    settle(telemetry)
