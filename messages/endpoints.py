"""Endpoint: a receiver of webhooks, which of them it gets, and how."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Final, TypeAlias

from ..config import (
    DeliveryPolicy,
    check_mapping,
    check_number,
    check_policy,
    check_text,
    check_texts,
    hide_password,
    policy_of,
    shown,
)
from ..errors import ConfigError
from ._message import message


class Origin(StrEnum):
    """Where an endpoint comes from."""

    CONFIG = "config"  # the settings that greenroom was started with
    ADDED = "added"  # `telemetry.webhooks.add`, or the command line
    EXTRA = "extra"  # an egress request that named it


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A receiver of webhooks.

    Args:
        url: Where they are POSTed to.
        keys: API keys that sign, the primary one first: LiveKit's token is signed by it alone
            (its issuer is visible there), Standard Webhooks' signature by each. While keys are
            exchanged, name both.
        secrets: API key -> secret, of keys that the settings do not have.
        include_events: If not empty, only these events are sent and `exclude_events` is ignored.
        exclude_events: If not empty, these events are not sent.
        rooms: Only events of these rooms, by name, or by the beginning of it: `acme-*`. Empty: all
            events, also those of no room.
        policy: `"default"`, `"livekit"`, or a `DeliveryPolicy`.
        rate_per_second: Attempts a second, on average; None: no limit.
        allow_private: Whether it may be in a private network.
        description: For people.
        is_enabled: A disabled endpoint gets no new events; what it has not got yet waits.
        reason: Why it is disabled.
        id: `EP_…`, given when it is added.
        origin: Where it comes from.

    Raises:
        ConfigError: A value is malformed; the text names it.
    """

    url: str
    keys: tuple[str, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    include_events: tuple[str, ...] = ()
    exclude_events: tuple[str, ...] = ()
    rooms: tuple[str, ...] = ()
    policy: str | DeliveryPolicy = "default"
    rate_per_second: float | None = None
    allow_private: bool = False
    description: str = ""
    is_enabled: bool = True
    reason: str = ""
    id: str = ""
    origin: Origin = Origin.ADDED

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name."""
        for name in ("url", "description", "reason", "id"):
            check_text(f"endpoint.{name}", getattr(self, name))
        for name in ("keys", "include_events", "exclude_events", "rooms"):
            object.__setattr__(self, name, check_texts(f"endpoint.{name}", getattr(self, name)))
        object.__setattr__(self, "secrets", check_mapping("endpoint.secrets", self.secrets))
        check_policy("endpoint.policy", self.policy)
        if self.rate_per_second is not None:
            check_number("endpoint.rate_per_second", self.rate_per_second, least=0, above=True)
        for name in ("allow_private", "is_enabled"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"endpoint.{name}: expected True or False")
        object.__setattr__(self, "origin", Origin(self.origin))

    def __repr__(self) -> str:
        """Without secrets: its URL's password is masked."""
        return shown(self, url=hide_password(self.url))

    @property
    def delivery_policy(self) -> DeliveryPolicy:
        """What `policy` names, or is."""
        return policy_of(self.policy)


_NAMES: Final = tuple(one.name for one in fields(Endpoint))


def to_text(endpoint: Endpoint) -> str:
    """All of an endpoint as JSON, its secrets too; `from_text` makes it again."""
    plain = {name: getattr(endpoint, name) for name in _NAMES}
    plain["secrets"] = dict(endpoint.secrets)
    if isinstance(endpoint.policy, DeliveryPolicy):
        policy = {one.name: getattr(endpoint.policy, one.name) for one in fields(DeliveryPolicy)}
        plain["policy"] = {
            name: sorted(value) if isinstance(value, frozenset) else value
            for name, value in policy.items()
        }
    return json.dumps(plain, ensure_ascii=False)


def from_text(text: str) -> Endpoint:
    """The endpoint that `to_text` wrote down.

    Raises:
        ConfigError: It did not; the text names the field.
    """
    try:
        plain = json.loads(text)
        if isinstance(plain.get("policy"), dict):
            policy: dict[str, Any] = {
                name: frozenset(value) if isinstance(value, list) else value
                for name, value in plain["policy"].items()
            }
            plain["policy"] = DeliveryPolicy(**policy)
        return Endpoint(**plain)
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"endpoint: malformed: {error}") from error


@message
class EndpointChanged:
    """This endpoint is new, or other than before."""

    endpoint: Endpoint


@message
class EndpointRemoved:
    """There is no such endpoint any more; what it has not got yet is dropped."""

    endpoint_id: str


@message
class StopSending:
    """The process ends: what is not delivered yet stays in the store."""


EndpointInput: TypeAlias = EndpointChanged | EndpointRemoved | StopSending
