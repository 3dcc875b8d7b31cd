from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from livekit.protocol.models import Room

from greenroom.adapters.database import open_beside, transaction
from greenroom.adapters.endpoint_book import upsert
from greenroom.cli.app import run
from greenroom.messages.endpoints import Endpoint, Origin
from greenroom.testing.loopback import HttpReceiver

from .endpoints import OWN_SECRET, SECRET, URL, VARIABLE, Answer, Command, rows, started, words


@pytest.mark.parametrize(
    "name",
    [
        *("endpoints", "add", "update", "enable", "disable", "remove", "test"),
        *("list", "show", "replay", "retry"),
    ],
)
def test_every_command_has_help_with_an_example(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert run(["webhooks", name, "--help"]) == 0

    assert f"Example: greenroom webhooks {name}" in words(capsys.readouterr().out)


# ── endpoints, add ──────────────────────────────────────────────────────────────────────────


def test_the_settings_endpoints_are_listed_and_an_added_one_is_signed_as_they_are(
    webhooks: Command,
    answer: Answer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")

    assert webhooks("add", "http://user:pass@two.example", "--room", "acme-*") == 0
    said = capsys.readouterr().out
    assert "http://user:xxxxx@two.example: the running greenroom takes note within a s" in said
    assert "the secret of key must be in the settings of the running greenroom" in said

    assert webhooks("endpoints") == 0
    head, first, second = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert head == ["id", "state", "url", "keys", "events", "rooms", "origin", "reason"]
    assert first[1:] == ["active", URL, "key", "all", "all", "config"]
    assert second[1:] == [
        "active",
        "http://user:xxxxx@two.example",
        *["key", "all", "acme-*", "added"],
    ]
    assert [one["keys"] for one in answer("endpoints")] == [["key"], ["key"]]


def test_all_settings_of_an_endpoint_can_be_given(answer: Answer, data_dir: Path) -> None:
    added = answer(
        *(
            "add",
            "https://two.example",
            "--key",
            "new",
            "--key",
            "key",
            "--include",
            "room_started",
        ),
        *("--include", "room_finished", "--exclude", "track_published", "--room", "a", "--room"),
        *("b", "--policy", "livekit", "--rate", "2.5", "--allow-private", "--description", "Café"),
    )

    assert added.pop("unchecked_keys") == ["new", "key"]
    assert (added.pop("unknown_events"), added.pop("refused_address")) == ([], "")
    assert added in answer("endpoints")
    assert rows(data_dir)[1] == Endpoint(
        id=added["id"],
        url="https://two.example",
        keys=("new", "key"),
        include_events=("room_started", "room_finished"),
        exclude_events=("track_published",),
        rooms=("a", "b"),
        policy="livekit",
        rate_per_second=2.5,
        allow_private=True,
        description="Café",
        origin=Origin.ADDED,
    )


def test_an_event_that_livekit_does_not_have_is_told_and_kept(
    webhooks: Command, answer: Answer, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--include", "room_startd", "--include", "room_started", "--exclude", "mine"]
    assert webhooks("add", "https://two.example", *options) == 0

    said = capsys.readouterr().out
    assert "note: LiveKit has no event 'room_startd', only notify_egress_event() can send" in said
    assert "note: LiveKit has no event 'mine'" in said
    assert "event 'room_started'" not in said
    (_, added) = rows(data_dir)
    assert added.include_events == ("room_startd", "room_started")

    assert answer("update", added.id, "--include", "a.custom")["unknown_events"] == [
        *("a.custom", "mine"),
    ]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://127.0.0.1:8/hook", "127.0.0.1 (loopback)"),
        ("http://localhost/hook", "127.0.0.1 (loopback)"),
        ("http://0x0a000001/", "10.0.0.1 (private)"),
        ("http://user:pw@[::1]:80/", "::1 (loopback)"),
        ("http://169.254.169.254/", "169.254.169.254 (cloud metadata)"),
        ("http://8.8.8.8/", ""),
        ("http://h.example/", ""),
    ],
)
def test_an_address_that_is_not_public_is_told_unless_it_is_allowed(
    webhooks: Command,
    answer: Answer,
    capsys: pytest.CaptureFixture[str],
    url: str,
    told: str,
) -> None:
    assert webhooks("add", url) == 0
    said = capsys.readouterr().out
    note = f"note: {told} is not public: webhooks to it are refused without --allow-private\n"
    assert ("is not public" in said, note in said) == (bool(told), bool(told))

    added = answer("add", url)
    assert added["refused_address"] == told
    assert answer("update", added["id"], "--allow-private")["refused_address"] == ""


def test_what_was_stored_before_it_was_refused_can_be_changed_otherwise(
    answer: Answer, webhooks: Command, data_dir: Path
) -> None:
    added = answer("add", "https://two.example", "--room", "lobby")
    old = replace(rows(data_dir)[1], rooms=("a*b",))
    with closing(open_beside(data_dir, write=True)) as connection, transaction(connection):
        upsert(connection, endpoint=old, at_ns=1)

    assert answer("update", added["id"], "--rate", "3")["rooms"] == ["a*b"]
    assert webhooks("update", added["id"], "--room", "a*b") == 2


@pytest.mark.parametrize("source", ["variable", "standard input"])
def test_the_secret_of_a_key_of_its_own_is_in_no_command_line_and_never_printed(
    answer: Answer, data_dir: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    if source == "variable":
        monkeypatch.setenv(VARIABLE, OWN_SECRET)
    else:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{OWN_SECRET}\n"))

    added = answer("add", "https://two.example", "--key", "own", "--secret")

    assert rows(data_dir)[1].secrets == {"own": OWN_SECRET}
    assert (added["own_secrets"], added["unchecked_keys"]) == (["own"], [])
    assert OWN_SECRET not in json.dumps([added, answer("endpoints")])


def test_a_running_greenroom_takes_what_is_added_and_disables_what_cannot_sign(
    tmp_path: Path, receiver: HttpReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    with started(tmp_path, receiver.url("/one")) as telemetry:
        assert telemetry.sync()
        for path, key in (("/two", "key"), ("/three", "nobody")):
            options = ["--key", key, "--allow-private", "--data-dir", str(tmp_path)]
            assert run(["webhooks", "add", receiver.url(path), *options]) == 0

        until(
            lambda: [one.is_enabled for one in telemetry.webhooks.endpoints()], [True, True, False]
        )
        telemetry.room_started(Room(name="lobby"))
        receiver.wait_for_requests(2)

    assert sorted(one.request.path for one in receiver.received) == ["/one", "/two"]
    capsys.readouterr()
    assert run(["webhooks", "endpoints", "--json", "--data-dir", str(tmp_path)]) == 0
    last = json.loads(capsys.readouterr().out)[-1]
    assert last["reason"] == "cannot sign: no secret for provided signing key"


def until(look: Callable[[], object], expected: object) -> None:
    """Look until it is so: a running greenroom looks at its data directory once a second."""
    deadline, pause = time.monotonic() + 30.0, threading.Event()
    while (found := look()) != expected:
        assert time.monotonic() < deadline, found
        pause.wait(0.02)


# ── update, enable, disable, remove ─────────────────────────────────────────────────────────


def test_an_update_changes_what_is_named_and_nothing_else(
    answer: Answer, monkeypatch: pytest.MonkeyPatch, data_dir: Path
) -> None:
    monkeypatch.setenv(VARIABLE, OWN_SECRET)
    added = answer("add", "https://two.example", "--key", "old", "--secret", "--room", "lobby")
    monkeypatch.setenv(VARIABLE, SECRET)

    answer("update", added["id"], "--key", "new", "--key", "old", "--secret", "--rate", "3")
    assert rows(data_dir)[1] == Endpoint(
        id=added["id"],
        url="https://two.example",
        keys=("new", "old"),
        secrets={"new": SECRET, "old": OWN_SECRET},
        rooms=("lobby",),
        rate_per_second=3.0,
    )

    answer("update", added["id"], "--key", "new", "--clear", "rooms", "--clear", "rate_per_second")
    assert rows(data_dir)[1] == Endpoint(
        id=added["id"], url="https://two.example", keys=("new",), secrets={"new": SECRET}
    )


def test_an_endpoint_of_the_settings_can_be_disabled_and_enabled_again(
    webhooks: Command, answer: Answer, data_dir: Path
) -> None:
    (configured,) = answer("endpoints")

    disabled = answer("disable", configured["id"], "--reason", "moves on Friday")
    assert (disabled["state"], disabled["reason"]) == ("disabled", "moves on Friday")
    with started(data_dir, URL) as telemetry:
        (endpoint,) = telemetry.webhooks.endpoints()
        assert (endpoint.is_enabled, endpoint.reason) == (False, "moves on Friday")

    enabled = answer("enable", configured["id"])
    assert (enabled["state"], enabled["reason"]) == ("active", "")


def test_an_endpoint_is_removed(webhooks: Command, answer: Answer, data_dir: Path) -> None:
    added = answer("add", "https://two.example")

    assert answer("remove", added["id"]) == {"removed": added["id"]}

    assert [one.url for one in rows(data_dir)] == [URL]


def test_an_endpoint_that_the_settings_lost_can_be_removed_and_not_enabled(
    webhooks: Command, answer: Answer, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert started(data_dir).close()
    (vanished,) = answer("endpoints")
    assert vanished["reason"] == "the settings do not have it any more"

    assert webhooks("enable", vanished["id"]) == 2
    assert "start greenroom with its URL again, or add it" in words(capsys.readouterr().err)

    assert webhooks("remove", vanished["id"]) == 0
    assert rows(data_dir) == []


def test_a_malformed_row_is_named_and_can_be_removed(
    webhooks: Command, answer: Answer, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (configured,) = answer("endpoints")
    with closing(open_beside(data_dir, write=True)) as connection, transaction(connection):
        connection.execute("UPDATE endpoints SET settings = '{'")

    assert webhooks("endpoints") == 2
    said = capsys.readouterr().err
    assert f"endpoint {configured['id']}: malformed" in said
    assert f"greenroom webhooks remove {configured['id']}" in said

    assert webhooks("remove", configured["id"]) == 0
    assert answer("endpoints") == []


# ── mistakes ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["add", "ftp://h"], "endpoint.url: Post"),
        (["add", URL, "--secret"], "goes with --key: whose secret is it?"),
        (["add", URL, "--key", "own", "--secret"], f"comes from the variable {VARIABLE}"),
        (["add", URL, "--rate", "0"], "endpoint.rate_per_second: must be greater than 0"),
        (["add", URL, "--policy", "mine"], "'mine' is not one of"),
        (["add", URL, "--room", ""], "endpoint.rooms: one of them is empty"),
        (["add", URL, "--room", "a*b"], "endpoint.rooms: 'a*b' has a * before its end"),
        (["add", URL, "--room", "*a*"], "endpoint.rooms: '*a*' has a * before its end"),
        (["add", URL, "--include", ""], "endpoint.include_events: one of them is empty"),
        (["add", URL, "--exclude", ""], "endpoint.exclude_events: one of them is empty"),
        (["add", URL, "--key", "a", "--key", "a"], "endpoint.keys: 'a' is there 2 times"),
        (["add", URL, "--key", "a", "--key", ""], "endpoint.keys: one of them is empty"),
        (["update", "EP_x", "--room", "a"], "there is no endpoint 'EP_x'; there are EP_"),
        (["update", "CONFIGURED"], "say what is to be changed"),
        (["update", "CONFIGURED", "--room", "a"], "change it there, or disable it"),
        (["remove", "CONFIGURED"], "change it there, or disable it"),
        (["enable", "EP_x"], "there is no endpoint 'EP_x'"),
        (["disable", "EP_x"], "there is no endpoint 'EP_x'"),
        (["remove", "EP_x"], "there is no endpoint 'EP_x'"),
        (["test", "EP_x"], "there is no endpoint 'EP_x'"),
    ],
    ids=str,
)
def test_a_mistake_is_explained_and_changes_nothing(
    webhooks: Command,
    data_dir: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    why: str,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    before = rows(data_dir)
    given = [before[0].id if one == "CONFIGURED" else one for one in arguments]

    assert webhooks(*given) == 2

    assert why in words(capsys.readouterr().err)
    assert rows(data_dir) == before


def test_without_endpoints_it_says_how_to_add_one_and_which_key_is_needed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert started(tmp_path).close()

    assert run(["webhooks", "endpoints", "--data-dir", str(tmp_path)]) == 0
    assert "greenroom webhooks add URL --key NAME" in capsys.readouterr().out
    assert run(["webhooks", "add", URL, "--data-dir", str(tmp_path)]) == 2
    assert "name the API key that signs" in words(capsys.readouterr().err)
