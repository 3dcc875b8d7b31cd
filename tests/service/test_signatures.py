from __future__ import annotations

import inspect
import re
from typing import Final

import pytest

import greenroom
from greenroom.messages.calls import CALLS
from greenroom.service.null import NullTelemetryService
from greenroom.service.protocol import TelemetryService
from greenroom.system import Telemetry
from greenroom.testing.fakes import RecordingTelemetry

# A recorded line is `getattr(telemetry, call)(**args)`: these names are a file format.
PARAMETERS: Final = """
    track_stats(room_id, room_name, key, stat)
    room_started(room)
    room_ended(room)
    participant_joined(room, participant, client_info, client_meta, should_send_event, guard)
    participant_active(room, participant, client_meta, is_migration, guard)
    participant_resumed(room, participant, node_id, reason)
    participant_left(room, participant, should_send_event, guard)
    track_publish_requested(room_id, room_name, participant_id, identity, track)
    track_published(room_id, room_name, participant_id, identity, track, should_send_event)
    track_unpublished(room_id, room_name, participant_id, identity, track, should_send_event)
    track_subscribe_requested(room_id, room_name, participant_id, track)
    track_subscribed(room_id, room_name, participant_id, track, publisher, should_send_event)
    track_unsubscribed(room_id, room_name, participant_id, track, should_send_event)
    track_subscribe_failed(room_id, room_name, participant_id, track_id, error, is_user_error)
    track_muted(room_id, room_name, participant_id, track)
    track_unmuted(room_id, room_name, participant_id, track)
    track_published_update(room_id, room_name, participant_id, track)
    track_max_subscribed_video_quality(
        room_id, room_name, participant_id, track, mime, max_quality)
    track_publish_rtp_stats(room_id, room_name, participant_id, track_id, mime_type, layer, stats)
    track_subscribe_rtp_stats(room_id, room_name, participant_id, track_id, mime_type, stats)
    egress_started(info)
    egress_updated(info)
    egress_ended(info)
    ingress_created(info)
    ingress_deleted(info)
    ingress_started(info)
    ingress_updated(info)
    ingress_ended(info)
    local_room_state(info)
    report(report_info)
    api_call(api_call_info)
    webhook(webhook_info)
    send_stats(stats)
    send_event(event)
    send_node_room_states(node_rooms)
    notify_egress_event(event, info)
    flush_stats()
    guard()
"""
EXPECTED: Final = {
    name: [word.strip() for word in words.split(",") if word.strip()]
    for name, words in re.findall(r"(\w+)\(([^)]*)\)", PARAMETERS)
}
METHODS: Final = dict(inspect.getmembers(TelemetryService, inspect.isfunction))
PUBLIC: Final = {name: method for name, method in METHODS.items() if not name.startswith("_")}


def parameters_of(method: object) -> list[str]:
    assert callable(method)
    return list(inspect.signature(method).parameters)[1:]  # without self


def test_the_service_has_the_methods_of_a_recording_and_no_others() -> None:
    assert PUBLIC.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_the_parameters_are_the_keys_of_a_recording_in_this_order(name: str) -> None:
    assert parameters_of(PUBLIC[name]) == EXPECTED[name]


@pytest.mark.parametrize("name", EXPECTED)
def test_every_argument_is_positional_or_by_name_and_has_no_default(name: str) -> None:
    for parameter in inspect.signature(PUBLIC[name]).parameters.values():
        assert parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        assert parameter.default is inspect.Parameter.empty


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize(
    "implementation",
    [Telemetry, NullTelemetryService, RecordingTelemetry],
    ids=lambda c: c.__name__,
)
def test_an_implementation_has_exactly_the_protocols_signatures(
    implementation: type, name: str
) -> None:
    assert inspect.signature(getattr(implementation, name)) == inspect.signature(PUBLIC[name])


def test_every_implementation_is_a_telemetry_service_to_a_type_checker() -> None:
    null: TelemetryService = NullTelemetryService()
    recording: TelemetryService = RecordingTelemetry()
    with greenroom.start(clock=greenroom.VirtualClock()) as telemetry:
        real: TelemetryService = telemetry

    assert {type(service) for service in (null, recording, real)} == {
        NullTelemetryService,
        RecordingTelemetry,
        Telemetry,
    }


def test_every_message_of_a_call_has_its_method() -> None:
    made = {kind.__name__.lower() for kind in CALLS}

    # local_room_state and send_node_room_states are the same call under two names
    methods = PUBLIC.keys() - {"guard", "send_node_room_states"}
    assert {name.replace("_", "") for name in methods} == made


def test_the_null_service_does_nothing_whatever_it_is_given() -> None:
    null = NullTelemetryService()

    for name, parameters in EXPECTED.items():
        result = getattr(null, name)(**dict.fromkeys(parameters))
        assert result == (0 if name == "guard" else None)


def test_the_null_service_can_stand_in_for_a_telemetry() -> None:
    def work(telemetry: Telemetry | NullTelemetryService) -> bool:
        with telemetry:
            telemetry.flush_stats()
            return telemetry.sync(timeout=5) and telemetry.close(timeout=5)

    assert work(NullTelemetryService())
    assert work(greenroom.start())
