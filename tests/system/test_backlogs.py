"""What is asked of greenroom while webhooks wait: other URLs and keys, replays, many at once."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Final

import pytest
from livekit.protocol.models import Room

from greenroom.testing.loopback import HttpReceiver
from greenroom.testing.patience import wait_until
from greenroom.testing.settling import settle
from greenroom.testing.webhook_course import Course
from greenroom.testing.webhook_site import DOWN, KEYS

from .rooms import Start, delivered, sequences

ROOMS: Final = ("lobby", "attic", "cellar")
NEW_KEYS: Final = {"APInew": "n" * 32}


def by_queue(receiver: HttpReceiver) -> dict[tuple[str, str], list[int]]:
    """The sequences that came, of each path and key."""
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for one in receiver.received:
        headers = one.request.headers
        queue = one.request.path, headers["greenroom-key"]
        found[queue].append(int(headers["greenroom-sequence"]))
    return found


def test_a_backlog_goes_to_the_new_url_and_is_signed_with_the_new_key(course: Course) -> None:
    before, after = course.site(lambda _: DOWN), course.site(keys=NEW_KEYS)
    telemetry = course.start(keys=KEYS | NEW_KEYS)
    endpoint = telemetry.webhooks.add(before.url, allow_private=True)
    for _ in range(20):
        course.send(*ROOMS)

    telemetry.webhooks.update(endpoint.id, url=after.url, keys=("APInew",))
    visits = len(before.visits)
    course.pass_time(3_600.0)

    assert len(before.visits) == visits
    assert {room: [one.sequence for one in each] for room, each in after.by_key().items()} == {
        room: list(range(1, 21)) for room in ROOMS
    }
    assert not after.problems


def test_fifty_endpoints_get_everything_in_order_and_go_all_at_once(
    receiver: HttpReceiver, start: Start
) -> None:
    telemetry = start()
    webhooks = telemetry.webhooks
    added = [webhooks.add(receiver.url(f"/{one}"), allow_private=True) for one in range(50)]
    for _ in range(5):
        delivered(telemetry, *ROOMS)
    wait_until(lambda: len(receiver.received) == 50 * 5 * len(ROOMS))

    for room in ROOMS:
        telemetry.room_started(Room(name=room))
    for endpoint in added:
        webhooks.remove(endpoint.id)
    settle(telemetry)

    found = by_queue(receiver)
    assert len(found) == 50 * len(ROOMS)
    assert all(each in ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6]) for each in found.values())
    wait_until(lambda: not any(one.count for one in webhooks.counts() if one.state == "pending"))
    assert telemetry.dead_letters.list() == ()


def test_a_replay_of_many_and_what_is_new_meanwhile_arrive_once_and_in_order(
    receiver: HttpReceiver, start: Start
) -> None:
    count, new = 600, 100  # more than a window and a page
    telemetry = start(receiver.url())
    for _ in range(count):
        telemetry.room_started(Room(name="lobby"))
    wait_until(lambda: len(receiver.received) == count)
    settle(telemetry)

    assert telemetry.webhooks.replay(room="lobby", from_sequence=1) == count
    for _ in range(new):
        telemetry.room_started(Room(name="lobby"))
    wait_until(lambda: len(receiver.received) >= 2 * count + new)
    settle(telemetry)

    again = [int(one) for one in sequences(receiver)[count:]]
    assert [one for one in again if one <= count] == list(range(1, count + 1))
    assert [one for one in again if one > count] == list(range(count + 1, count + new + 1))


@pytest.mark.parametrize("how", ["moved", "another in its place"])
def test_nothing_is_sent_that_would_be_forgotten_with_a_directory_that_is_gone(
    receiver: HttpReceiver, start: Start, tmp_path: Path, how: str
) -> None:
    directory, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    telemetry = start(receiver.url(), data_dir=directory)
    delivered(telemetry, "lobby")
    directory.rename(elsewhere)
    if how != "moved":
        directory.mkdir()
        (directory / "greenroom.db").write_bytes(b"")

    telemetry.room_started(Room(name="lobby"))

    assert not telemetry.sync()
    assert len(receiver.received) == 1
    store = telemetry.statistics().store
    assert store is not None
    assert store.failed
    if how != "moved":
        directory.rename(tmp_path / "other")
    elsewhere.rename(directory)
    wait_until(telemetry.sync)
    wait_until(lambda: len(receiver.received) == 2)
    assert sequences(receiver) == ["1", "2"]
