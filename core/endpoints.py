"""Endpoints from settings and from egress requests, and the keys that sign for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import Final

from livekit.protocol.models import WebhookConfig
from livekit.protocol.webhook import WebhookEvent

from ..config import WebhookSettings
from ..errors import ConfigError, TransportError, UnsendableError
from ..messages.endpoints import Endpoint, Origin
from .ids import spell
from .signatures import SigningKey
from .url import check_url
from .webhook import NO_SECRET, NO_SECRET_FOR_KEY, is_allowed, sign

PREFIX: Final = "EP_"
IDS_MAX: Final = 8  # that an error names
PREFIX_MARK: Final = "*"
NOT_CONFIGURED: Final = "the settings do not have it any more"
UNUSABLE: Final = "cannot sign: "  # and why


class MemoryBook:
    """A `core.ports.EndpointBook` for as long as the process lives; of the notifier's thread."""

    def __init__(self, endpoints: Iterable[Endpoint] = ()) -> None:
        self._endpoints = {endpoint.id: endpoint for endpoint in endpoints}

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Those that were put, the oldest first."""
        return tuple(self._endpoints.values())

    def put(self, endpoint: Endpoint) -> None:
        """Know this one."""
        self._endpoints[endpoint.id] = endpoint

    def remove(self, endpoint_id: str) -> None:
        """Know it no longer."""
        self._endpoints.pop(endpoint_id, None)


def endpoint_id(origin: Origin, url: str, api_key: str, index: int = 0) -> str:
    """The same for the same endpoint after every start, so that its deliveries find it.

    Args:
        origin: Endpoints of other origins are others.
        url: Where it is.
        api_key: Who signs, for an extra one; empty for one of the settings, whose keys may change.
        index: Tells those apart that are the same otherwise.
    """
    text = "\0".join((origin, url, api_key, str(index)))
    return PREFIX + spell(blake2b(text.encode(), digest_size=16).digest())


def configured_endpoints(webhook: WebhookSettings) -> tuple[Endpoint, ...]:
    """One for each URL of the settings, in their order; a URL that is there twice gets two."""
    seen: Counter[str] = Counter()
    endpoints = []
    for url in webhook.urls:
        endpoints.append(
            Endpoint(
                url=url,
                keys=(webhook.api_key,),
                include_events=webhook.include_events,
                exclude_events=webhook.exclude_events,
                policy=webhook.policy,
                allow_private=webhook.allow_private,
                id=endpoint_id(Origin.CONFIG, url, "", seen[url]),
                origin=Origin.CONFIG,
            )
        )
        seen[url] += 1
    return tuple(endpoints)


def known_endpoints(webhook: WebhookSettings, kept: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    """All endpoints: those of the settings, and those that a book has kept.

    Of one of the settings the book has kept whether it is enabled; the rest is as the settings
    are now. One that they no longer have is disabled: what it has not got yet waits until they
    have it again.
    """
    known = {endpoint.id: endpoint for endpoint in configured_endpoints(webhook)}
    for endpoint in kept:
        if endpoint.id in known:
            if endpoint.reason != NOT_CONFIGURED:
                known[endpoint.id] = replace(
                    known[endpoint.id], is_enabled=endpoint.is_enabled, reason=endpoint.reason
                )
        elif endpoint.origin is Origin.CONFIG and endpoint.is_enabled:
            known[endpoint.id] = replace(endpoint, is_enabled=False, reason=NOT_CONFIGURED)
        else:
            known[endpoint.id] = endpoint
    return tuple(known.values())


def extra_endpoint(extra: WebhookConfig, webhook: WebhookSettings) -> Endpoint:
    """The endpoint that an egress request names; signed with its key, or the configured one."""
    api_key = extra.signing_key or webhook.api_key
    return Endpoint(
        url=extra.url,
        keys=(api_key,),
        include_events=tuple(extra.filter_params.include_events),
        exclude_events=tuple(extra.filter_params.exclude_events),
        policy=webhook.policy,
        allow_private=webhook.allow_private,
        id=endpoint_id(Origin.EXTRA, extra.url, api_key),
        origin=Origin.EXTRA,
    )


def signing_keys(endpoint: Endpoint, keys: Mapping[str, str]) -> tuple[SigningKey, ...]:
    """The keys of an endpoint with their secrets, the primary one first.

    Args:
        endpoint: Its own secrets come first.
        keys: API key -> secret, of the settings.

    Raises:
        UnsendableError: It has no key, or one has no secret. The texts are the original's.
    """
    if not any(endpoint.keys):
        raise UnsendableError(NO_SECRET)
    found = []
    for api_key in endpoint.keys:
        secret = endpoint.secrets.get(api_key) or keys.get(api_key)
        if not secret:
            raise UnsendableError(NO_SECRET_FOR_KEY)
        found.append(SigningKey(api_key, secret))
    return tuple(found)


def tried_again(endpoint: Endpoint) -> Endpoint:
    """An endpoint that could not sign, enabled: its secret may be there after a new start."""
    if endpoint.is_enabled or not endpoint.reason.startswith(UNUSABLE):
        return endpoint
    return replace(endpoint, is_enabled=True, reason="")


def find_endpoint(endpoints: Iterable[Endpoint], endpoint_id: str) -> Endpoint:
    """The one with this id.

    Raises:
        ConfigError: There is none; the text has the ids that there are.
    """
    ids = []
    for endpoint in endpoints:
        if endpoint.id == endpoint_id:
            return endpoint
        ids.append(endpoint.id)
    there = f"there are {', '.join(ids[:IDS_MAX])}" if ids else "there are none at all"
    more = ", …" if len(ids) > IDS_MAX else ""
    raise ConfigError(f"endpoint_id: there is no endpoint {endpoint_id!r}; {there}{more}")


def check_endpoint(
    endpoint: Endpoint, keys: Mapping[str, str], *, is_elsewhere: bool = False
) -> None:
    """Try out its URL and keys now, and not at the first webhook.

    Args:
        endpoint: Its own secrets come first.
        keys: API key -> secret, of the settings.
        is_elsewhere: These are not here: only its own secrets are tried.

    Raises:
        ConfigError: One of them is no use; the text names it.
    """
    try:
        check_url(endpoint.url)
    except TransportError as error:
        raise ConfigError(f"endpoint.url: {error}") from error
    if is_elsewhere:
        own = tuple(key for key in endpoint.keys if endpoint.secrets.get(key))
        if not own and any(endpoint.keys):
            return
        endpoint = replace(endpoint, keys=own)
    try:
        for key in signing_keys(endpoint, keys):
            sign(b"", key.api_key, key.secret, 0)
    except UnsendableError as error:
        raise ConfigError(f"endpoint.keys: {error}") from error


def check_choices(endpoint: Endpoint, given: Container[str]) -> None:
    """Refuse keys, rooms and events that are malformed: they would match nothing, unnoticed.

    Args:
        endpoint: What was stored before this check was there is left as it is.
        given: The fields that are new in it.

    Raises:
        ConfigError: One is empty, has a `*` before its end, or a key is there twice; the text
            names it.
    """
    for name in ("keys", "rooms", "include_events", "exclude_events"):
        if name in given and "" in getattr(endpoint, name):
            raise ConfigError(f"endpoint.{name}: one of them is empty")
    if "rooms" in given:
        for room in endpoint.rooms:
            if PREFIX_MARK in room[:-1]:
                raise ConfigError(
                    f"endpoint.rooms: {room!r} has a {PREFIX_MARK} before its end; only the last "
                    "character may be one, for all rooms that begin like that"
                )
    if "keys" in given:
        for key, count in Counter(endpoint.keys).items():
            if count > 1:
                raise ConfigError(f"endpoint.keys: {key!r} is there {count} times")


def accepts(endpoint: Endpoint, event_name: str, room_name: str) -> bool:
    """Whether an endpoint's filters let this event through.

    Args:
        endpoint: Its own filters count, whether it is enabled or not.
        event_name: Such as `room_started`.
        room_name: Empty: it belongs to no room.
    """
    if not is_allowed(event_name, endpoint.include_events, endpoint.exclude_events):
        return False
    return not endpoint.rooms or any(_matches(one, room_name) for one in endpoint.rooms)


def room_of(event: WebhookEvent) -> str:
    """The name of the room that an event is about; empty if it is about none."""
    if event.HasField("room"):
        return event.room.name
    if event.HasField("egress_info"):
        return event.egress_info.room_name
    return event.ingress_info.room_name


def _matches(pattern: str, room_name: str) -> bool:
    if pattern.endswith(PREFIX_MARK):
        return room_name.startswith(pattern.removesuffix(PREFIX_MARK))
    return room_name == pattern
