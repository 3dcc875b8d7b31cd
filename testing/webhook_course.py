"""A telemetry on a virtual clock that sends webhooks to `webhook_site`: days in a second."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any, Final

from livekit.protocol.models import Room

from ..adapters.database import open_beside
from ..adapters.delivery_queries import (
    DeliveryFilter,
    DeliveryRecord,
    mark_deliveries,
    select_deliveries,
)
from ..config import WebhookSettings
from ..core.series import flatten
from ..core.times import NS_PER_SECOND, to_ns
from ..launch import start
from ..messages.deliveries import DeliveryState
from ..runtime.clock import VirtualClock
from ..system import Telemetry
from .loopback import LoopThread
from .webhook_site import KEYS, Script, WebhookSite

START_NS: Final = 1_700_000_000 * NS_PER_SECOND


class Course:
    """A telemetry with its clock, and the sites that it sends webhooks to.

    Args:
        thread: Where the sites run.
        data_dir: None: in memory.
    """

    def __init__(self, thread: LoopThread, data_dir: Path | None) -> None:
        self.clock = VirtualClock(START_NS)
        self.data_dir = data_dir
        self._thread = thread
        self._sites: list[WebhookSite] = []
        self._settings = WebhookSettings()
        self._telemetry: Telemetry | None = None

    @property
    def telemetry(self) -> Telemetry:
        """The one that runs."""
        assert self._telemetry is not None
        return self._telemetry

    def site(
        self, script: Script | None = None, keys: dict[str, str] | None = None
    ) -> WebhookSite:
        """A new site."""
        self._sites.append(WebhookSite(self._thread, self.clock, keys or KEYS, script))
        return self._sites[-1]

    def start(self, *sites: WebhookSite, **webhook: Any) -> Telemetry:
        """Send to these sites."""
        settings: dict[str, Any] = {"api_key": "APIkey", "keys": KEYS, "allow_private": True}
        urls = tuple(site.url for site in sites)
        self._settings = WebhookSettings(**(settings | {"urls": urls} | webhook))
        return self._run()

    def restart(self) -> Telemetry:
        """End the process, in good order, and start the next one on the same directory."""
        self.telemetry.close()
        return self._run()

    def send(self, *rooms: str) -> None:
        """One event for each room."""
        for name in rooms:
            self.telemetry.room_started(Room(sid=f"RM_{name}", name=name))
        assert self.telemetry.sync()

    def pass_time(self, seconds: float) -> None:
        """Let it pass, and what is due then happen."""
        self.telemetry.advance_to(self.clock.now_ns() + to_ns(seconds))
        assert self.telemetry.sync()

    def replay(self, *ids: int) -> None:
        """Have these sent again, as another process asks for it, and notice that."""
        assert self.data_dir is not None
        with closing(open_beside(self.data_dir, write=True)) as connection:
            assert mark_deliveries(connection, ids).count == len(ids)
        store = self.telemetry._store
        assert store is not None
        store.watch(lambda _: False)  # whoever is new has the store look at once
        for _ in range(2):
            store.submit(lambda _: None).result()
        self.pass_time(0.0)

    def dead(self) -> list[DeliveryRecord]:
        """What was given up and is in the directory, in order."""
        assert self.data_dir is not None
        with closing(open_beside(self.data_dir)) as connection:
            found = select_deliveries(connection, DeliveryFilter(state=DeliveryState.DEAD))
        return sorted(found, key=lambda one: one.id)

    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return (self.clock.now_ns() - START_NS) / NS_PER_SECOND

    def endpoint_id(self, site: WebhookSite) -> str:
        """Of the one endpoint there."""
        (found,) = [one for one in self.telemetry.webhooks.endpoints() if one.url == site.url]
        return found.id

    def metrics(self, site: WebhookSite) -> dict[str, float]:
        """The endpoint's series without `greenroom_webhook_` and its id, those of 0 too."""
        label = f'endpoint="{self.endpoint_id(site)}"'
        return {
            name.removeprefix("greenroom_webhook_").replace(label, "").replace("{}", ""): value
            for name, value in flatten(self.telemetry.metrics.snapshot(), {}).items()
            if label in name
        }

    def close(self) -> None:
        """End all."""
        if self._telemetry is not None:
            self._telemetry.close(1.0)
        for site in self._sites:
            site.close()

    def _run(self) -> Telemetry:
        self._telemetry = start(
            webhook=self._settings,
            clock=self.clock,
            data_dir=self.data_dir,
            disk_sync="normal",
            flush_interval_seconds=None,
        )
        return self._telemetry
