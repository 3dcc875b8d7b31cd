"""LastingBook: the endpoints, in the database if there is one; another process can change them."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Final, TypeAlias

from ..core.endpoints import MemoryBook
from ..errors import ConfigError, StoreError
from ..messages.endpoints import (
    Endpoint,
    EndpointChanged,
    EndpointRemoved,
    from_text,
    to_text,
)
from .backoff import RETRY_SECONDS
from .removed_endpoints import mark_removed, mark_returned, select_removed
from .store import Job, Store
from .store_errors import StoreErrorKind

_SELECT: Final = "SELECT id, settings FROM endpoints ORDER BY created_at_ns, rowid"

OnChange: TypeAlias = Callable[[EndpointChanged | EndpointRemoved], bool]


class LastingBook(MemoryBook):
    """A `core.ports.EndpointBook` in a store, if there is one. Safe from any thread.

    Args:
        store: Writes it; closed by whoever made it. None: it lasts as long as the process.

    Raises:
        StoreError: The database cannot be read.
        ConfigError: A row in it is malformed.
    """

    def __init__(self, store: Store | None) -> None:
        super().__init__([] if store is None else store.read(select_endpoints))
        self._store = store
        self._unwritten: dict[str, Job[object]] = {}  # the last change of each, of this process
        self._lock = threading.Lock()

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Those that were put, the oldest first."""
        with self._lock:
            return super().endpoints()

    def put(self, endpoint: Endpoint) -> None:
        """Know this one, and write it down; if the disk refuses, once more each second."""
        with self._lock:
            super().put(endpoint)
        self._write(endpoint.id, partial(upsert, endpoint=endpoint, at_ns=time.time_ns()))

    def remove(self, endpoint_id: str) -> None:
        """Know it no longer; what it has not got yet is to be buried. Written as `put` is."""
        with self._lock:
            super().remove(endpoint_id)
        self._write(endpoint_id, partial(delete, endpoint_id=endpoint_id))

    def watch(self, on_change: OnChange) -> None:
        """From now on, tell what another process changes.

        Args:
            on_change: Called on the store's thread, once a second at most. False: it cannot take
                it now and is told again.
        """
        if self._store is not None:
            self._store.watch(partial(self._look, on_change))

    def wait_idle(self, timeout_seconds: float | None) -> bool:
        """Wait until every change so far is written; False: it was not in time, or refused."""
        if self._store is None:
            return True
        return self._store.wait_idle(timeout_seconds) and not self._unwritten

    def _write(self, endpoint_id: str, job: Job[object]) -> None:
        if self._store is not None:
            with self._lock:
                self._unwritten[endpoint_id] = job
            self._submit(self._store, endpoint_id, job)

    def _submit(self, store: Store, endpoint_id: str, job: Job[object]) -> None:
        with self._lock:
            if self._unwritten.get(endpoint_id) is not job:
                return  # it was changed once more meanwhile
        done = store.submit(job, is_retried=True)
        done.add_done_callback(partial(self._on_written, store, endpoint_id, job))

    def _on_written(
        self, store: Store, endpoint_id: str, job: Job[object], done: Future[object]
    ) -> None:
        failure = done.exception()
        again = partial(self._submit, store, endpoint_id, job)
        if isinstance(failure, StoreError) and failure.kind != StoreErrorKind.OTHER:
            store.call_later(RETRY_SECONDS, again)
            return
        with self._lock:
            if self._unwritten.get(endpoint_id) is job:
                del self._unwritten[endpoint_id]

    def _look(self, on_change: OnChange, connection: sqlite3.Connection) -> bool:
        stored: dict[str, Endpoint | None] = {}  # None: malformed, and taken as it was before
        for endpoint_id, settings in connection.execute(_SELECT):
            try:
                stored[endpoint_id] = _endpoint(endpoint_id, settings)
            except ConfigError as error:
                stored[endpoint_id] = None
                self._report(error)
        with self._lock:
            if self._unwritten:
                return True  # what is read may be older than what is known
            known = dict(self._endpoints)
        changes: list[EndpointChanged | EndpointRemoved] = [
            EndpointChanged(endpoint)
            for endpoint in stored.values()
            if endpoint is not None and known.get(endpoint.id) != endpoint
        ]
        removed = select_removed(connection)
        for one in known.keys() - stored.keys():
            if one in removed:
                changes.append(EndpointRemoved(one))
            else:  # nobody removed it: it could not be written before
                self.put(known[one])
        for change in changes:
            before = self._take(change)  # first: whoever is told may answer with a change at once
            if not on_change(change):
                with self._lock:
                    self._endpoints = before
                return True
        return False

    def _report(self, error: ConfigError) -> None:
        if self._store is not None:
            self._store.reporter.store_failed(StoreError(self._store.path, str(error)))

    def _take(self, change: EndpointChanged | EndpointRemoved) -> dict[str, Endpoint]:
        with self._lock:
            before = dict(self._endpoints)
            if isinstance(change, EndpointChanged):
                super().put(change.endpoint)
            else:
                super().remove(change.endpoint_id)
        return before


def select_endpoints(connection: sqlite3.Connection) -> list[Endpoint]:
    """All of them, the oldest first.

    Raises:
        ConfigError: A row is malformed; the text names its endpoint.
    """
    return [_endpoint(*row) for row in connection.execute(_SELECT)]


def select_ids(connection: sqlite3.Connection) -> frozenset[str]:
    """The ids of all of them, also of malformed ones."""
    return frozenset(one for (one,) in connection.execute("SELECT id FROM endpoints"))


def _endpoint(endpoint_id: str, settings: str) -> Endpoint:
    try:
        endpoint = from_text(settings)
    except ConfigError as error:
        raise _malformed(endpoint_id, str(error).removeprefix("endpoint: ")) from error
    if endpoint.id != endpoint_id:
        raise _malformed(endpoint_id, f"its settings are those of {endpoint.id!r}")
    return endpoint


def _malformed(endpoint_id: str, why: str) -> ConfigError:
    return ConfigError(
        f"endpoint {endpoint_id}: {why}; to be rid of it: greenroom webhooks remove {endpoint_id}"
    )


def upsert(connection: sqlite3.Connection, *, endpoint: Endpoint, at_ns: int) -> None:
    """Write it; a known one keeps its place."""
    connection.execute(
        """
        INSERT INTO endpoints
            (id, origin, url, settings, state, reason, created_at_ns, updated_at_ns)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (id) DO UPDATE SET
            url = excluded.url, settings = excluded.settings, state = excluded.state,
            reason = excluded.reason, updated_at_ns = excluded.updated_at_ns
        """,
        (
            endpoint.id,
            endpoint.origin.value,
            endpoint.url,
            to_text(endpoint),
            "active" if endpoint.is_enabled else "disabled",
            endpoint.reason,
            at_ns,
            at_ns,
        ),
    )
    mark_returned(connection, endpoint.id)


def delete(connection: sqlite3.Connection, *, endpoint_id: str) -> bool:
    """Delete it, and have what is pending of it buried; False: there was none."""
    found = connection.execute("DELETE FROM endpoints WHERE id = ?", (endpoint_id,)).rowcount > 0
    if found:
        mark_removed(connection, endpoint_id)
    return found
