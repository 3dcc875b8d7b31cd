"""An input of the journal as people and programs read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from livekit.protocol.analytics import AnalyticsEventType, StreamType

from ..adapters.journal_rows import DamagedRow
from ..core.metrics import enum_label
from ..core.times import NS_PER_MS, NS_PER_SECOND
from ..messages import calls, handoff, outputs, stats, track_calls
from ..messages.control import Input, Started
from ..replay.journal import room_of
from ..replay.writing import METHODS, to_json
from .data_dir import when
from .message_text import plain

COLUMNS: Final = ("position", "when (UTC)", "input", "room", "participant", "details")
WIDTHS: Final[Mapping[str, int]] = {"position": 8, "input": 20, "room": 12, "participant": 15}
DAMAGED: Final = "damaged row"


def table_row(at_ns: int, found: Input | DamagedRow) -> tuple[str, ...]:
    """What stands behind the position."""
    at = f"{when(at_ns)}.{at_ns % NS_PER_SECOND // NS_PER_MS:03}" if at_ns else ""
    if isinstance(found, DamagedRow):
        return at, DAMAGED, "", "", found.error
    if isinstance(found, calls.TrackStatsBatch):
        return at, _name(calls.TrackStats), *_batch(found)
    return at, _name(type(found)), room_of(found), _participant(found), _details(found)


def json_line(found: Input | DamagedRow) -> dict[str, object]:
    """For JSON: its name and arguments, those of a call as in a recording."""
    if isinstance(found, DamagedRow):
        return {"error": found.error}
    name = _name(type(found))
    if isinstance(found, calls.TrackStatsBatch):
        return {"input": name, "args": {"calls": [_arguments(one) for one in found.calls]}}
    return {"input": name, "args": _arguments(found)}


def _arguments(found: Any) -> object:
    """What has no form in JSON is told instead."""
    try:
        return to_json(found) if type(found) in METHODS else plain(found)
    except Exception as error:  # noqa: BLE001  # protobuf's are of many kinds
        return {"error": str(error)}


def _name(kind: type) -> str:
    """A call's method; else the message's type."""
    return METHODS.get(kind, kind.__name__)


def _participant(found: Any) -> str:
    """Its identity, or its id where that is all there is."""
    info = getattr(found, "participant", None)
    if info is not None:
        return str(info.identity or info.sid)
    key = getattr(found, "key", None)
    owner = found if key is None else key
    return str(getattr(owner, "identity", "") or getattr(owner, "participant_id", ""))


def _batch(batch: calls.TrackStatsBatch) -> tuple[str, str, str]:
    room = _only({one.room_name for one in batch.calls})
    participant = _only({one.key.participant_id for one in batch.calls})
    return room, participant, f"{len(batch.calls)} statistics"


def _only(names: set[Any]) -> str:
    return str(next(iter(names))) if len(names) == 1 else f"{len(names)} of them"


def _details(found: Any) -> str:
    teller = _TELLERS.get(type(found))
    if teller is not None:
        return teller(found)
    info = getattr(found, "info", None)
    words = [
        *(getattr(found, "event", ""),) * isinstance(found, calls.NotifyEgressEvent),
        getattr(info, "egress_id", "") or getattr(info, "ingress_id", ""),
        getattr(getattr(found, "track", None), "sid", "") or getattr(found, "track_id", ""),
        "" if getattr(found, "guard", None) is None else f"guard {found.guard}",
    ]
    return " ".join(filter(None, words))


def _track_stats(call: calls.TrackStats) -> str:
    direction = enum_label(StreamType, call.key.stream_type).lower()
    return f"{direction} {call.key.track_id}"


def _event(message: calls.SendEvent | outputs.RecordEvent) -> str:
    return enum_label(AnalyticsEventType, message.event.type)


_TELLERS: Final[Mapping[type, Callable[[Any], str]]] = {
    calls.TrackStats: _track_stats,
    calls.SendStats: lambda call: f"{len(call.stats)} statistics",
    calls.SendEvent: _event,
    calls.Webhook: lambda call: "" if call.webhook_info is None else call.webhook_info.event,
    calls.APICall: lambda call: "" if call.api_call_info is None else call.api_call_info.method,
    track_calls.TrackSubscribeFailed: lambda call: f"{call.track_id} {call.error}",
    outputs.RecordStats: lambda message: f"{len(message.stats)} statistics",
    outputs.RecordEvent: _event,
    outputs.Notify: lambda message: message.event.event,
    stats.FlushTick: lambda tick: f"tick {tick.number}",
    stats.SampleReplayed: lambda replayed: f"{replayed.sample.track_id}",
    Started: lambda started: f"life {started.life}",
    handoff.ReleaseRooms: lambda release: f"to {len(release.shards)} shards",
    handoff.AdoptWorkers: lambda adopt: f"{len(adopt.workers)} workers",
}
