"""greenroom: real-time telemetry for LiveKit-style audio/video rooms, as an actor system."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .config import DeliveryPolicy, WebhookSettings
    from .core.ports import AnalyticsService
    from .errors import (
        ConfigError,
        DecodeError,
        GreenroomError,
        HandlerTimeoutError,
        LifecycleError,
        LinkError,
        SystemBrokenError,
        SystemClosedError,
    )
    from .launch import start
    from .link.client import ConnectedTelemetry, connect
    from .messages.ids import StatsKey
    from .runtime.clock import VirtualClock
    from .service.null import NullTelemetryService
    from .service.protocol import TelemetryService
    from .system import Telemetry

__all__ = [
    "AnalyticsService",
    "ConfigError",
    "ConnectedTelemetry",
    "DecodeError",
    "DeliveryPolicy",
    "GreenroomError",
    "HandlerTimeoutError",
    "LifecycleError",
    "LinkError",
    "NullTelemetryService",
    "StatsKey",
    "SystemBrokenError",
    "SystemClosedError",
    "Telemetry",
    "TelemetryService",
    "VirtualClock",
    "WebhookSettings",
    "connect",
    "start",
]
__version__ = "0.1.0"

# loaded when first asked for: a program with `greenroom.receiver` needs no actors
_MODULES: Final = {
    "AnalyticsService": "core.ports",
    "ConnectedTelemetry": "link.client",
    "DeliveryPolicy": "config",
    "NullTelemetryService": "service.null",
    "StatsKey": "messages.ids",
    "Telemetry": "system",
    "TelemetryService": "service.protocol",
    "VirtualClock": "runtime.clock",
    "WebhookSettings": "config",
    "connect": "link.client",
    "start": "launch",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_MODULES.get(name, 'errors')}", __name__), name)
    globals()[name] = value
    return value


logging.getLogger("greenroom").addHandler(logging.NullHandler())
