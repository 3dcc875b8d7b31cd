"""The part of `telemetry.webhooks` that looks at stored deliveries, and has them sent again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import TypeVar

from ..adapters import delivery_queries as queries
from ..adapters.database import UNSTORABLE
from ..adapters.delivery_queries import LIMIT, DeliveryFilter, DeliveryRecord, EndpointCount
from ..adapters.store import Job, Store
from ..config import check_count, check_text
from ..core.times import NS_PER_SECOND
from ..errors import ConfigError
from ..messages.deliveries import DeliveryState
from ..messages.endpoints import Endpoint

T = TypeVar("T")


class StoredDeliveries:
    """Deliveries in the data directory: those on their way, the dead, and the last delivered.

    What is to be sent again is in the notifier's hands when the method returns; a `sync()` after
    it waits until it is queued.

    Args:
        store: Where they are; None: there is no data directory, and every method raises
            ConfigError.
        endpoints: Those there are at present.
    """

    def __init__(self, store: Store | None, endpoints: Callable[[], Iterable[Endpoint]]) -> None:
        self._store = store
        self._endpoints = endpoints

    def deliveries(
        self,
        *,
        endpoint: str | None = None,
        room: str | None = None,
        key: str | None = None,
        event: str | None = None,
        state: DeliveryState | str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = LIMIT,
        before: int | None = None,
    ) -> tuple[DeliveryRecord, ...]:
        """Those that agree with all that is given, the newest first.

        Args:
            endpoint: Its endpoint's id; also of a removed one.
            room: The room's name.
            key: Its event key.
            event: The webhook's name, such as `room_started`.
            state: `pending`, `replay`, `delivered` or `dead`.
            since: Accepted then or later; with a time zone.
            until: Accepted before that.
            limit: At most so many.
            before: Only ids below this one: the last one's id, for the next page.

        Raises:
            ConfigError: A filter is malformed, there is no such endpoint, or no data directory.
            StoreError: The database cannot be read.
        """
        check_count("limit", limit)
        _check_counts(before=before)
        _check_texts(endpoint=endpoint, room=room, key=key, event=event)
        wanted = DeliveryFilter(
            endpoint=endpoint,
            room=room,
            key=key,
            event=event,
            state=None if state is None else _state(state),
            since_ns=_at_ns("since", since),
            until_ns=_at_ns("until", until),
        )
        find = partial(queries.select_deliveries, wanted=wanted, limit=limit, before_id=before)
        found = self._asked(self._stored.read, find)
        if endpoint is not None and not found and not self._has_any(endpoint):
            self._refuse_unknown(endpoint)
        return found

    def delivery(self, delivery_id: int) -> DeliveryRecord | None:
        """One delivery; None: there is none with this id, or it was deleted meanwhile.

        Raises:
            ConfigError: It is no id, or there is no data directory.
            StoreError: The database cannot be read.
        """
        check_count("delivery_id", delivery_id)
        return self._asked(
            self._stored.read, partial(queries.find_delivery, delivery_id=delivery_id)
        )

    def body(self, delivery_id: int) -> bytes | None:
        """What is sent in every attempt of a delivery; None: there is no such delivery.

        Raises:
            ConfigError: It is no id, or there is no data directory.
            StoreError: The database cannot be read.
        """
        check_count("delivery_id", delivery_id)
        return self._asked(self._stored.read, partial(queries.read_body, delivery_id=delivery_id))

    def counts(self) -> tuple[EndpointCount, ...]:
        """How many there are of each endpoint and state.

        Raises:
            ConfigError: There is no data directory.
            StoreError: The database cannot be read.
        """
        return self._asked(self._stored.read, queries.count_by_endpoint)

    def replay(
        self,
        *ids: int,
        endpoint: str | None = None,
        room: str | None = None,
        key: str | None = None,
        from_sequence: int | None = None,
        to_sequence: int | None = None,
    ) -> int:
        """Send deliveries again, in their order, with their first ids, sequences and bodies.

        They go before what waits. Name them by their ids, or a room or key and a sequence.

        Args:
            ids: Of deliveries, delivered, dead or waiting for another attempt.
            endpoint: Of this one alone; None: of all that are not removed.
            room: The room's name.
            key: The event key.
            from_sequence: The first one.
            to_sequence: The last one; None: all from there.

        Returns:
            How many these are; others are not there any more, or are to be sent at once anyway.

        Raises:
            ConfigError: It is not said which, there is no such endpoint, or no data directory.
            StoreError: The database cannot be written.
        """
        _check_ids(ids)
        _check_texts(endpoint=endpoint, room=room, key=key)
        _check_counts(from_sequence=from_sequence, to_sequence=to_sequence)
        stretch = {
            "endpoint": endpoint,
            "room": room,
            "key": key,
            "from_sequence": from_sequence,
            "to_sequence": to_sequence,
        }
        given = [name for name, value in stretch.items() if value is not None]
        if ids and given:
            raise ConfigError(f"replay: give ids, or a room or a key; not {given[0]} with ids")
        if ids:
            return self._marked(partial(queries.mark_deliveries, ids=ids))
        if from_sequence is None or (room is None and key is None):
            raise ConfigError("replay: give ids, or a room or a key with from_sequence")
        if to_sequence is not None and to_sequence < from_sequence:
            raise ConfigError(
                f"to_sequence: must be at least from_sequence, {from_sequence}, got {to_sequence}"
            )
        return self._marked(
            partial(
                queries.mark_sequences,
                known={one.id for one in self._endpoints()},
                endpoint=endpoint,
                room=room,
                key=key,
                from_sequence=from_sequence,
                to_sequence=to_sequence,
            ),
            endpoint,
        )

    def retry(self, *ids: int, endpoint: str | None = None) -> int:
        """Try deliveries now that wait for their next attempt; their attempts still count.

        Args:
            ids: Of such deliveries.
            endpoint: Instead of ids: the first of each queue of this endpoint. Those behind it
                wait for it, and follow by themselves.

        Returns:
            How many these are.

        Raises:
            ConfigError: It is not said which, there is no such endpoint, or no data directory.
            StoreError: The database cannot be written.
        """
        _check_ids(ids)
        _check_texts(endpoint=endpoint)
        if bool(ids) == (endpoint is not None):
            raise ConfigError("retry: give ids, or an endpoint")
        which = ids or None
        return self._marked(partial(queries.mark_waiting, ids=which, endpoint=endpoint), endpoint)

    def _marked(self, job: Job[queries.Marked], endpoint: str | None = None) -> int:
        store = self._stored
        if endpoint is not None:
            self._refuse_unknown(endpoint)
        return self._asked(store.change, job).count

    def _has_any(self, endpoint: str) -> bool:
        wanted = DeliveryFilter(endpoint=endpoint)
        find = partial(queries.select_deliveries, wanted=wanted, limit=1)
        return bool(self._asked(self._stored.read, find))

    def _refuse_unknown(self, endpoint: str) -> None:
        # not in the database: one that was added just now may not be there yet
        if all(one.id != endpoint for one in self._endpoints()):
            raise ConfigError(
                f"endpoint: there is no endpoint {endpoint!r}; telemetry.webhooks.endpoints() "
                "lists those there are"
            )

    def _asked(self, run: Callable[[Job[T]], T], job: Job[T]) -> T:
        try:
            return run(job)
        except UNSTORABLE as error:
            raise ConfigError(f"no delivery can be like that: {error}") from error

    @property
    def _stored(self) -> Store:
        if self._store is None:
            raise ConfigError(
                "data_dir: without one no delivery is kept; use greenroom.start(data_dir=…)"
            )
        return self._store


def _check_ids(ids: tuple[object, ...]) -> None:
    for one in ids:
        check_count("ids", one)


def _check_counts(**counts: object) -> None:
    for name, value in counts.items():
        if value is not None:
            check_count(name, value)


def _check_texts(**texts: object) -> None:
    for name, value in texts.items():
        if value is not None:
            check_text(name, value)


def _state(state: DeliveryState | str) -> DeliveryState:
    try:
        return DeliveryState(state)
    except ValueError as error:
        raise ConfigError(f"state: must be {' or '.join(DeliveryState)}, got {state!r}") from error


def _at_ns(name: str, at: datetime | None) -> int | None:
    if at is None:
        return None
    if not isinstance(at, datetime):
        raise ConfigError(f"{name}: expected a datetime, got {at!r}")
    if at.tzinfo is None:
        raise ConfigError(f"{name}: needs a time zone, got {at.isoformat()}")
    return round(at.timestamp() * NS_PER_SECOND)
