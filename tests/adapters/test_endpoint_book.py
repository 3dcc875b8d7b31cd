from __future__ import annotations

import queue
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

import pytest

from greenroom.adapters.database import open_beside, transaction
from greenroom.adapters.endpoint_book import LastingBook, delete, select_endpoints, upsert
from greenroom.adapters.store import Store
from greenroom.config import DEFAULT_POLICY
from greenroom.errors import ConfigError
from greenroom.messages.endpoints import Endpoint, EndpointChanged, EndpointRemoved, Origin
from greenroom.testing.patience import PATIENCE_SECONDS, wait_until

FIRST: Final = Endpoint(id="EP_1", url="http://h/one", keys=("key",))
SECOND: Final = Endpoint(
    id="EP_2",
    url="http://h/two",
    keys=("new", "key"),
    secrets={"new": "s" * 32},
    exclude_events=("track_published",),
    rooms=("acme-*",),
    policy=DEFAULT_POLICY,
    rate_per_second=2.5,
    allow_private=True,
    description="Café",
    is_enabled=False,
    reason="by hand",
    origin=Origin.EXTRA,
)

OpenStore: TypeAlias = Callable[[Path], Store]
Change: TypeAlias = EndpointChanged | EndpointRemoved


class Watch:
    """Waits for changes, and can refuse them."""

    def __init__(self, refusals: int = 0) -> None:
        self._changes: queue.SimpleQueue[Change] = queue.SimpleQueue()
        self._refusals = refusals

    def __call__(self, change: Change) -> bool:
        if self._refusals:
            self._refusals -= 1
            return False
        self._changes.put(change)
        return True

    def next(self) -> Change:
        return self._changes.get(timeout=PATIENCE_SECONDS)

    @property
    def is_empty(self) -> bool:
        return self._changes.empty()


def beside(directory: Path, *endpoints: Endpoint) -> None:
    """Another process writes these."""
    with closing(open_beside(directory, write=True)) as connection, transaction(connection):
        for endpoint in endpoints:
            upsert(connection, endpoint=endpoint, at_ns=1)


def remove_beside(directory: Path, endpoint_id: str) -> None:
    with closing(open_beside(directory, write=True)) as connection, transaction(connection):
        assert delete(connection, endpoint_id=endpoint_id)


def spoil(directory: Path, settings: str, endpoint_id: str = "EP_1") -> None:
    with closing(open_beside(directory, write=True)) as connection, transaction(connection):
        connection.execute(
            "UPDATE endpoints SET settings = ? WHERE id = ?", (settings, endpoint_id)
        )


def test_what_is_put_is_there_after_a_restart_in_the_order_in_which_it_was_added(
    tmp_path: Path, open_store: OpenStore
) -> None:
    store = open_store(tmp_path)
    book = LastingBook(store)
    for endpoint in (SECOND, FIRST, SECOND):
        book.put(endpoint)
    assert store.close(PATIENCE_SECONDS)

    assert LastingBook(open_store(tmp_path)).endpoints() == (SECOND, FIRST)


def test_what_is_removed_stays_removed(tmp_path: Path, open_store: OpenStore) -> None:
    store = open_store(tmp_path)
    book = LastingBook(store)
    book.put(FIRST)
    book.put(SECOND)
    book.remove(FIRST.id)
    assert book.endpoints() == (SECOND,)
    assert store.close(PATIENCE_SECONDS)

    assert LastingBook(open_store(tmp_path)).endpoints() == (SECOND,)


def test_what_another_process_changes_adds_and_removes_arrives(
    tmp_path: Path, open_store: OpenStore
) -> None:
    book, watch = LastingBook(open_store(tmp_path)), Watch()
    book.put(FIRST)
    assert book.wait_idle(PATIENCE_SECONDS)
    book.watch(watch)
    moved = Endpoint(id="EP_1", url="http://h/moved", keys=("key",))

    beside(tmp_path, moved)
    assert watch.next() == EndpointChanged(moved)
    assert book.endpoints() == (moved,)

    beside(tmp_path, SECOND)
    assert watch.next() == EndpointChanged(SECOND)

    remove_beside(tmp_path, "EP_1")
    assert watch.next() == EndpointRemoved("EP_1")
    assert book.endpoints() == (SECOND,)


def test_a_change_that_cannot_be_taken_comes_again(tmp_path: Path, open_store: OpenStore) -> None:
    book, watch = LastingBook(open_store(tmp_path)), Watch(refusals=2)
    book.watch(watch)

    beside(tmp_path, FIRST)

    assert watch.next() == EndpointChanged(FIRST)
    assert book.endpoints() == (FIRST,)


def test_its_own_changes_do_not_come_back(tmp_path: Path, open_store: OpenStore) -> None:
    book, watch = LastingBook(open_store(tmp_path)), Watch()
    book.watch(watch)
    book.put(FIRST)
    book.put(SECOND)
    book.remove(FIRST.id)
    assert book.wait_idle(PATIENCE_SECONDS)
    third = Endpoint(id="EP_3", url="http://h/three", keys=("key",))

    beside(tmp_path, third)

    assert watch.next() == EndpointChanged(third)
    assert watch.is_empty


def test_a_change_that_answers_a_change_is_what_is_known_in_the_end(
    tmp_path: Path, open_store: OpenStore
) -> None:
    book = LastingBook(open_store(tmp_path))
    answered = Watch()

    def disable(change: Change) -> bool:
        assert isinstance(change, EndpointChanged)
        book.put(SECOND)
        return answered(change)

    book.watch(disable)

    beside(tmp_path, Endpoint(id=SECOND.id, url=SECOND.url, keys=SECOND.keys))

    answered.next()
    assert book.wait_idle(PATIENCE_SECONDS)
    assert book.endpoints() == (SECOND,)
    with closing(open_beside(tmp_path)) as connection:
        assert select_endpoints(connection) == [SECOND]


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ("{", "malformed"),
        ("[]", "malformed"),
        ('{"url": 1}', "url: expected text"),
        ('{"url": "http://h", "colour": 1}', "colour"),
        ('{"url": "http://h", "id": "EP_2"}', "its settings are those of 'EP_2'"),
        ('{"url": "http://h", "policy": {"max_attempts": 0}}', "malformed"),
    ],
    ids=str,
)
def test_a_malformed_row_is_named_with_what_to_do(
    tmp_path: Path, open_store: OpenStore, settings: str, why: str
) -> None:
    store = open_store(tmp_path)
    beside(tmp_path, SECOND, FIRST)
    spoil(tmp_path, settings)

    with pytest.raises(ConfigError) as raised:
        LastingBook(store)

    assert str(raised.value).startswith("endpoint EP_1: ")
    assert why in str(raised.value)
    assert "greenroom webhooks remove EP_1" in str(raised.value)


def test_a_row_that_becomes_malformed_leaves_its_endpoint_as_it_was_and_all_others_alone(
    tmp_path: Path, open_store: OpenStore, caplog: pytest.LogCaptureFixture
) -> None:
    book, watch = LastingBook(open_store(tmp_path)), Watch()
    book.put(FIRST)
    assert book.wait_idle(PATIENCE_SECONDS)
    book.watch(watch)

    spoil(tmp_path, "{")
    beside(tmp_path, SECOND)

    assert watch.next() == EndpointChanged(SECOND)
    assert book.endpoints() == (FIRST, SECOND)
    assert "endpoint EP_1: malformed" in caplog.text
    remove_beside(tmp_path, "EP_1")
    assert watch.next() == EndpointRemoved("EP_1")


def test_without_a_store_it_lasts_as_long_as_the_process() -> None:
    book = LastingBook(None)
    book.watch(Watch())
    book.put(FIRST)
    book.put(SECOND)
    book.remove(FIRST.id)

    assert book.endpoints() == (SECOND,)
    assert book.wait_idle(0.0)


def test_what_the_disk_refused_is_written_once_it_can_be_and_nothing_old_comes_back(
    tmp_path: Path, open_store: OpenStore
) -> None:
    directory = tmp_path / "data"
    book, watch = LastingBook(open_store(directory)), Watch()
    third = replace(SECOND, id="EP_3")
    book.put(FIRST)
    book.put(SECOND)
    assert book.wait_idle(PATIENCE_SECONDS)
    book.watch(watch)
    directory.rename(tmp_path / "elsewhere")

    book.put(replace(FIRST, url="http://h/soon"))
    book.put(moved := replace(FIRST, url="http://h/moved", keys=("new",)))
    book.remove(SECOND.id)
    assert not book.wait_idle(PATIENCE_SECONDS)

    (tmp_path / "elsewhere").rename(directory)
    beside(directory, third)
    wait_until(lambda: book.wait_idle(PATIENCE_SECONDS))
    assert watch.next() == EndpointChanged(third)
    assert watch.is_empty
    with closing(open_beside(directory)) as connection:
        assert select_endpoints(connection) == [third, moved]  # the other process says it is old
    assert book.endpoints() == (moved, third)
