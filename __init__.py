"""greenroom: real-time telemetry for LiveKit-style audio/video rooms, as an actor system."""

from __future__ import annotations

import logging

from .config import DeliveryPolicy, WebhookSettings
from .core.ports import AnalyticsService
from .errors import (
    ConfigError,
    DecodeError,
    GreenroomError,
    HandlerTimeoutError,
    LifecycleError,
    SystemBrokenError,
    SystemClosedError,
)
from .messages.ids import StatsKey
from .runtime.clock import VirtualClock
from .service.null import NullTelemetryService
from .service.protocol import TelemetryService
from .system import Telemetry, start

__all__ = [
    "AnalyticsService",
    "ConfigError",
    "DecodeError",
    "DeliveryPolicy",
    "GreenroomError",
    "HandlerTimeoutError",
    "LifecycleError",
    "NullTelemetryService",
    "StatsKey",
    "SystemBrokenError",
    "SystemClosedError",
    "Telemetry",
    "TelemetryService",
    "VirtualClock",
    "WebhookSettings",
    "start",
]
__version__ = "0.1.0"

logging.getLogger("greenroom").addHandler(logging.NullHandler())
