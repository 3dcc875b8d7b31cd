"""What about an endpoint is worth a note when it is added or changed, and no mistake for sure."""

from __future__ import annotations

from dataclasses import dataclass

from ..adapters.exchange import spelled_address
from ..core.addresses import refused_class
from ..core.endpoints import check_endpoint
from ..core.webhook_events import EVENT_NAMES
from ..errors import TransportError
from ..messages.endpoints import Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What may be wrong with an endpoint.

    Args:
        unchecked_keys: Their secrets are not here, but in the settings of a running greenroom.
        unknown_events: Names in its filters that are none of LiveKit's events.
        refused_address: Its URL's, with its class, if webhooks to it are refused; empty: it is a
            name, public, or allowed.
    """

    unchecked_keys: tuple[str, ...] = ()
    unknown_events: tuple[str, ...] = ()
    refused_address: str = ""

    def lines(self) -> list[str]:
        """As people read them."""
        lines = [
            f"the secret of {name} must be in the settings of the running greenroom, which cannot "
            "be checked here; if it is not, the endpoint is disabled"
            for name in self.unchecked_keys
        ]
        lines += [
            f"LiveKit has no event {name!r}, only notify_egress_event() can send it; LiveKit's "
            f"are {', '.join(EVENT_NAMES)}"
            for name in self.unknown_events
        ]
        if self.refused_address:
            lines.append(
                f"{self.refused_address} is not public: webhooks to it are refused without "
                "--allow-private"
            )
        return [f"note: {line}" for line in lines]


def check(endpoint: Endpoint) -> Notes:
    """Try out what can be tried here.

    Raises:
        ConfigError: It cannot work; the text names what is wrong.
    """
    check_endpoint(endpoint, {}, is_elsewhere=True)
    events = dict.fromkeys((*endpoint.include_events, *endpoint.exclude_events))
    return Notes(
        unchecked_keys=tuple(name for name in endpoint.keys if not endpoint.secrets.get(name)),
        unknown_events=tuple(name for name in events if name not in EVENT_NAMES),
        refused_address="" if endpoint.allow_private else _refused(endpoint.url),
    )


def _refused(url: str) -> str:
    try:
        address = spelled_address(url)
    except TransportError:  # yarl's opinion differs from Go's; an attempt will say so
        return ""
    kind = None if address is None else refused_class(address)
    return "" if kind is None else f"{address} ({kind})"
