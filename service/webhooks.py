"""`telemetry.webhooks`: the endpoints, changeable while greenroom runs, and the deliveries."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, Final, Protocol

from ..adapters.probe import TestOutcome, send_test
from ..adapters.store import Store
from ..config import WebhookSettings, check_number
from ..core.endpoints import (
    NOT_CONFIGURED,
    PREFIX,
    check_choices,
    check_endpoint,
    find_endpoint,
    known_endpoints,
    signing_keys,
)
from ..core.ids import spell
from ..core.ports import EndpointBook
from ..errors import ConfigError
from ..messages.endpoints import Endpoint, EndpointChanged, EndpointInput, EndpointRemoved, Origin
from .deliveries import StoredDeliveries

FIXED: Final = frozenset({"id", "origin", "is_enabled", "reason"})
SETTABLE: Final = tuple(one.name for one in fields(Endpoint) if one.name not in FIXED)


class Book(EndpointBook, Protocol):
    """What the notifier needs of the endpoints' book, and one thing more."""

    def remove(self, endpoint_id: str) -> None:
        """There is no such endpoint any more."""


class Webhooks(StoredDeliveries):
    """Endpoints and deliveries of one telemetry.

    Safe from any thread; changes take effect in order.

    Args:
        settings: Its URLs are endpoints too, and its keys sign.
        book: Keeps what is added here.
        enter: Tells the notifier; False: it cannot be told any more.
        store: Where deliveries are; None: there is no data directory.
    """

    def __init__(
        self,
        settings: WebhookSettings,
        book: Book,
        enter: Callable[[EndpointInput], bool],
        store: Store | None = None,
    ) -> None:
        super().__init__(store, self.endpoints)
        self._settings = settings
        self._book = book
        self._enter = enter
        self._lock = threading.Lock()  # a change reads, then writes

    def __repr__(self) -> str:
        return f"<Webhooks {len(self.endpoints())} endpoints>"

    def endpoints(self) -> tuple[Endpoint, ...]:
        """All there are: of the settings, added ones, and those that egress requests named."""
        return known_endpoints(self._settings, self._book.endpoints())

    def add(self, url: str, **settings: Any) -> Endpoint:
        """Send webhooks there too, from now on.

        Args:
            url: Where they are POSTed to.
            settings: Fields of `Endpoint`; without `keys` it is signed with the configured key.

        Returns:
            The endpoint with its id.

        Raises:
            ConfigError: A setting is wrong, or there is no secret to sign with.
        """
        _check_names(settings)
        given = frozenset(settings)
        settings.setdefault("keys", (self._settings.api_key,))
        endpoint = Endpoint(url=url, id=new_endpoint_id(), origin=Origin.ADDED, **settings)
        check_choices(endpoint, given)
        with self._lock:
            self._change(endpoint)
        return endpoint

    def update(self, endpoint_id: str, **changes: Any) -> Endpoint:
        """Change an endpoint: also for what it has not got yet, except which events it gets.

        Args:
            endpoint_id: As `endpoints()` shows it.
            changes: Fields of `Endpoint`; to exchange keys first `keys=("new", "old")`.

        Raises:
            ConfigError: There is no such endpoint, a setting is wrong, or it is one of the
                settings that greenroom was started with.
        """
        _check_names(changes)
        with self._lock:
            endpoint = self._added(endpoint_id)
            changed = replace(endpoint, **changes)
            check_choices(changed, changes)
            self._change(changed)
        return changed

    def disable(self, endpoint_id: str, reason: str = "by hand") -> Endpoint:
        """No new events for it; what it has not got yet waits.

        Raises:
            ConfigError: There is no such endpoint.
        """
        return self._switch(endpoint_id, is_enabled=False, reason=reason)

    def enable(self, endpoint_id: str) -> Endpoint:
        """Go on with it.

        Raises:
            ConfigError: There is no such endpoint, it cannot sign, or the settings do not have it
                any more.
        """
        refuse_unconfigured(find_endpoint(self.endpoints(), endpoint_id))
        return self._switch(endpoint_id, is_enabled=True, reason="")

    def remove(self, endpoint_id: str) -> None:
        """Forget it. What it has not got yet is not sent.

        Raises:
            ConfigError: There is no such endpoint, or it is one of the settings that greenroom
                was started with.
        """
        with self._lock:
            self._added(endpoint_id)
            self._book.remove(endpoint_id)
            self._enter(EndpointRemoved(endpoint_id))

    def test(self, endpoint_id: str, timeout_seconds: float | None = None) -> TestOutcome:
        """Send a `greenroom_test` event to this endpoint now, past all queues, and wait for it.

        It is signed as every webhook is, and has no sequence. A disabled endpoint gets it too.

        Args:
            endpoint_id: As `endpoints()` shows it.
            timeout_seconds: For all of it; None: as the endpoint's policy says.

        Raises:
            ConfigError: There is no such endpoint, or the time-out is no number above 0.
            UnsendableError: It cannot be signed.
        """
        if timeout_seconds is not None:
            check_number("timeout_seconds", timeout_seconds, least=0, above=True)
        endpoint = find_endpoint(self.endpoints(), endpoint_id)
        return send_test(endpoint, signing_keys(endpoint, self._settings.keys), timeout_seconds)

    def _switch(self, endpoint_id: str, *, is_enabled: bool, reason: str) -> Endpoint:
        with self._lock:
            endpoint = find_endpoint(self.endpoints(), endpoint_id)
            changed = replace(endpoint, is_enabled=is_enabled, reason=reason)
            self._change(changed)
        return changed

    def _change(self, endpoint: Endpoint) -> None:
        if endpoint.is_enabled:
            check_endpoint(endpoint, self._settings.keys)
        self._book.put(endpoint)
        self._enter(EndpointChanged(endpoint))

    def _added(self, endpoint_id: str) -> Endpoint:
        endpoint = find_endpoint(self.endpoints(), endpoint_id)
        refuse_configured(endpoint)
        return endpoint


def refuse_configured(endpoint: Endpoint) -> None:
    """Refuse to change or remove what would be as before after the next start.

    Raises:
        ConfigError: It is one of the settings' endpoints, and they still have it.
    """
    if endpoint.origin is Origin.CONFIG and endpoint.reason != NOT_CONFIGURED:
        raise ConfigError(
            f"endpoint_id: {endpoint.id} is of the settings that greenroom was started with; "
            "change it there, or disable it"
        )


def refuse_unconfigured(endpoint: Endpoint) -> None:
    """Refuse to enable what the next start would disable again.

    Raises:
        ConfigError: The settings do not have it any more.
    """
    if endpoint.origin is Origin.CONFIG and endpoint.reason == NOT_CONFIGURED:
        raise ConfigError(
            f"endpoint_id: {endpoint.id} is of settings that do not have it any more; "
            "start greenroom with its URL again, or add it"
        )


def new_endpoint_id() -> str:
    """An id that no endpoint has."""
    return PREFIX + spell(secrets.token_bytes(16))


def _check_names(settings: dict[str, Any]) -> None:
    for name in settings:
        if name in FIXED:
            raise ConfigError(f"endpoint.{name}: is not set this way")
        if name not in SETTABLE:
            raise ConfigError(
                f"endpoint.{name}: there is no such setting; there are {', '.join(SETTABLE)}"
            )
