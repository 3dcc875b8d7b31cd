"""Endpoints that come, change and go while the notifier runs, and those that cannot sign."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import pytest
from livekit.protocol.models import Room, WebhookConfig
from livekit.protocol.webhook import WebhookEvent

from greenroom.actors._base import Configure
from greenroom.actors.notifier import Notifier
from greenroom.config import Settings, WebhookSettings
from greenroom.core.endpoints import MemoryBook, configured_endpoints, extra_endpoint
from greenroom.core.journal import Past
from greenroom.messages.endpoints import Endpoint, EndpointChanged, EndpointRemoved, Origin
from greenroom.messages.outputs import Notify
from greenroom.testing.fakes import FakePoster
from greenroom.testing.harness import ActorHarness

SECRET: Final = "s" * 32
SETTINGS: Final = WebhookSettings(
    urls=("http://h/one",), api_key="key", keys={"key": SECRET, "spare": SECRET}
)
NO_SECRET: Final = "cannot sign: no secret for provided signing key"
ADDED: Final = Endpoint(id="EP_2", url="http://h/two", keys=("key",))
LACKS_SECRET: Final = replace(ADDED, keys=("unknown",))


class Running:
    """A notifier with a book; its attempts stay in flight."""

    def __init__(
        self,
        kept: Iterable[Endpoint] = (),
        settings: WebhookSettings = SETTINGS,
        past: Past | None = None,
    ) -> None:
        self.book = MemoryBook(kept)
        self.harness = ActorHarness(Notifier)
        self.poster = FakePoster(self.harness.door, holds=True)
        ports = replace(
            self.harness.ports, poster=self.poster, endpoints=self.book, past=past or Past()
        )
        self.harness.tell(Configure(Settings(webhook=settings), ports))
        self._numbers = iter(range(100))

    def notified(self) -> list[str]:
        """The URLs that the next event goes to; each time of another room."""
        before, name = len(self.poster.attempts), f"room {next(self._numbers)}"
        event = WebhookEvent(event="room_started", id=name, room=Room(name=name))
        self.harness.tell(Notify(event, (), 0))
        return [attempt.url for attempt in self.poster.attempts[before:]]

    def known(self, endpoint_id: str) -> Endpoint:
        return next(one for one in self.book.endpoints() if one.id == endpoint_id)


# ── while it runs ───────────────────────────────────────────────────────────────────────────


def test_an_endpoint_gets_events_from_when_it_is_added_until_it_is_disabled_or_removed() -> None:
    running = Running()
    assert running.notified() == ["http://h/one"]

    running.harness.enter(EndpointChanged(ADDED))
    assert running.notified() == ["http://h/one", "http://h/two"]

    running.harness.enter(EndpointChanged(replace(ADDED, is_enabled=False)))
    assert running.notified() == ["http://h/one"]

    running.harness.enter(EndpointChanged(ADDED))
    running.harness.enter(EndpointRemoved(ADDED.id))
    assert running.notified() == ["http://h/one"]


def test_an_endpoint_that_cannot_sign_is_disabled_with_the_reason_and_the_others_go_on() -> None:
    running = Running()

    running.harness.enter(EndpointChanged(LACKS_SECRET))

    assert running.known(ADDED.id) == replace(LACKS_SECRET, is_enabled=False, reason=NO_SECRET)
    assert running.notified() == ["http://h/one"]


def test_once_it_has_a_key_that_signs_it_goes_on() -> None:
    running = Running()
    running.harness.enter(EndpointChanged(LACKS_SECRET))

    running.harness.enter(EndpointChanged(replace(ADDED, keys=("spare",))))

    assert running.notified() == ["http://h/one", "http://h/two"]


def test_the_reason_of_an_endpoint_that_somebody_disabled_stays_though_it_cannot_sign() -> None:
    disabled = replace(LACKS_SECRET, is_enabled=False, reason="moves on Friday")
    running = Running([disabled])
    assert running.known(ADDED.id) == disabled

    running.harness.enter(EndpointChanged(replace(disabled, description="Café")))

    assert running.known(ADDED.id).reason == "moves on Friday"
    assert running.notified() == ["http://h/one"]


def test_an_egress_request_with_a_key_without_a_secret_leaves_no_endpoint() -> None:
    running = Running()
    event = WebhookEvent(event="egress_started", id="EV_1")
    extra = WebhookConfig(url="http://h/extra", signing_key="unknown")

    running.harness.tell(Notify(event, (extra,), 0))

    assert [one.url for one in running.book.endpoints()] == ["http://h/one"]


# ── at the start ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("origin", [Origin.ADDED, Origin.EXTRA])
def test_a_kept_endpoint_whose_key_the_settings_lost_is_disabled_until_they_have_it_again(
    origin: Origin,
) -> None:
    kept = replace(LACKS_SECRET, origin=origin)
    running = Running([kept])
    assert running.known(ADDED.id) == replace(kept, is_enabled=False, reason=NO_SECRET)

    again = replace(SETTINGS, keys={"key": SECRET, "unknown": SECRET})
    running = Running(running.book.endpoints(), again)

    assert running.known(ADDED.id) == kept


def test_the_settings_endpoints_are_in_the_book_as_the_settings_are_now() -> None:
    (before,) = configured_endpoints(replace(SETTINGS, include_events=("room_started",)))
    running = Running([replace(before, is_enabled=False, reason="by hand")])

    (configured,) = configured_endpoints(SETTINGS)
    assert running.book.endpoints() == (replace(configured, is_enabled=False, reason="by hand"),)
    assert running.notified() == []


def test_a_url_that_vanishes_from_the_settings_is_disabled_and_enabled_when_it_comes_back() -> (
    None
):
    (before,) = configured_endpoints(SETTINGS)
    without = Running([before], replace(SETTINGS, urls=()))
    assert without.known(before.id).reason == "the settings do not have it any more"
    assert without.notified() == []

    again = Running(without.book.endpoints())

    assert again.known(before.id) == before
    assert again.notified() == ["http://h/one"]


def test_what_somebody_disabled_stays_so_though_its_url_vanished_and_came_back() -> None:
    (before,) = configured_endpoints(SETTINGS)
    disabled = replace(before, is_enabled=False, reason="by hand")
    without = Running([disabled], replace(SETTINGS, urls=()))

    again = Running(without.book.endpoints())

    assert again.known(before.id) == disabled


def test_what_a_life_before_has_kept_for_an_endpoint_is_not_kept_again() -> None:
    extra = WebhookConfig(url="http://h/extra", signing_key="key")
    extra_id = extra_endpoint(extra, SETTINGS).id
    one = configured_endpoints(SETTINGS)[0].id
    past = Past(kept=frozenset({(one, "EV_1"), (extra_id, "EV_2")}))
    running = Running([ADDED], past=past)

    for number in (1, 2, 3):
        room = f"room {number}"
        event = WebhookEvent(event="egress_started", id=f"EV_{number}", room=Room(name=room))
        running.harness.tell(Notify(event, (extra,), 0))

    sent = [(json.loads(each.body)["id"], each.url) for each in running.poster.attempts]
    assert sent == [
        ("EV_1", "http://h/two"),
        ("EV_1", "http://h/extra"),
        ("EV_2", "http://h/one"),
        ("EV_2", "http://h/two"),
        ("EV_3", "http://h/one"),
        ("EV_3", "http://h/two"),
        ("EV_3", "http://h/extra"),
    ]
