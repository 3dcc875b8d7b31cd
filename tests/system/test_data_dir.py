"""What a telemetry says of its data directory, and whom it lets wait for the disk."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final, Literal

import pytest
from livekit.protocol.models import Room

import greenroom
from greenroom.actors._base import ActorAddress, Configure, GreenroomActor, stamped, told
from greenroom.actors.children import ChildClasses
from greenroom.adapters.database import DATABASE_NAME
from greenroom.errors import StoreError
from greenroom.messages.control import Stamped
from greenroom.messages.deliveries import Kept
from greenroom.messages.outputs import Notify
from greenroom.testing.patience import PATIENCE_SECONDS
from greenroom.testing.stored import kept_delivery

BODY: Final = bytes(100_000)  # more than fits in the pages that an empty database has


class Keeper(GreenroomActor):
    """In the notifier's place: keeps every webhook, and sends none."""

    def on_configure(self, configure: Configure) -> None:
        """Nothing but the store is used."""
        assert configure.ports.outbox is not None
        self.outbox = configure.ports.outbox

    @told(Notify)
    def on_notify(self, notify: Notify, sender: ActorAddress) -> None:
        """Keep it."""
        self.outbox.keep([kept_delivery(self.outbox.next_id, body=BODY)], self.myAddress)

    @stamped(Kept)
    def on_kept(self, kept: Kept, stamp: Stamped) -> None:
        """It would be sent now."""


def rows(directory: Path) -> int:
    with sqlite3.connect(directory / DATABASE_NAME) as connection:
        return int(connection.execute("SELECT count(*) FROM deliveries").fetchone()[0])


def limit_pages(telemetry: greenroom.Telemetry, pages: int) -> None:
    assert telemetry._store is not None
    telemetry._store.submit(
        lambda one: one.execute(f"PRAGMA max_page_count = {pages}").fetchall()
    ).result(PATIENCE_SECONDS)


def test_sync_and_close_wait_until_webhooks_are_on_the_disk(tmp_path: Path) -> None:
    telemetry = greenroom.start(data_dir=tmp_path, children=ChildClasses(notifier=Keeper))
    telemetry.room_started(Room(sid="RM_1", name="lobby"))
    assert telemetry.sync()
    assert rows(tmp_path) == 1
    telemetry.room_started(Room(sid="RM_2", name="lobby"))

    assert telemetry.close()

    assert rows(tmp_path) == 2


def test_while_the_disk_refuses_sync_and_close_say_so_and_the_statistics_why(
    tmp_path: Path,
) -> None:
    telemetry = greenroom.start(data_dir=tmp_path, children=ChildClasses(notifier=Keeper))
    assert telemetry.statistics().store is not None
    limit_pages(telemetry, 1)
    telemetry.room_started(Room(sid="RM_1", name="lobby"))

    assert not telemetry.sync()

    store = telemetry.statistics().store
    assert store is not None
    assert (store.failed, store.last_error) == (True, "not written: database or disk is full")
    assert not telemetry.close(0.5)
    assert rows(tmp_path) == 0


def test_without_a_data_directory_there_is_no_store() -> None:
    with greenroom.start() as telemetry:
        assert telemetry.statistics().store is None
        assert telemetry.sync()


@pytest.mark.parametrize(("disk_sync", "number"), [("full", 2), ("normal", 1)])
def test_the_disk_sync_is_sqlites_own(
    tmp_path: Path, disk_sync: Literal["full", "normal"], number: int
) -> None:
    with greenroom.start(data_dir=tmp_path, disk_sync=disk_sync) as telemetry:
        assert telemetry._store is not None
        asked = telemetry._store.submit(lambda one: one.execute("PRAGMA synchronous").fetchone())
        assert asked.result(PATIENCE_SECONDS) == (number,)


def test_a_broken_database_is_refused_and_the_directory_let_go(tmp_path: Path) -> None:
    with greenroom.start(data_dir=tmp_path, children=ChildClasses(notifier=Keeper)) as telemetry:
        telemetry.room_started(Room(sid="RM_1", name="lobby"))
    path = tmp_path / DATABASE_NAME
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4_096)
        file.write(b"\xff" * (size - 4_096))

    with pytest.raises(StoreError, match="malformed"):
        greenroom.start(data_dir=tmp_path)

    path.unlink()
    greenroom.start(data_dir=tmp_path).close()
