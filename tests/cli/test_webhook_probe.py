from __future__ import annotations

import json

import pytest

from greenroom.core.signatures import SigningKey
from greenroom.receiver.verification import Scheme, verify
from greenroom.testing.loopback import HttpReceiver, respond

from .endpoints import OWN_SECRET, SECRET, VARIABLE, Answer, Command, words


def test_a_test_webhook_is_sent_and_its_answer_told(
    webhooks: Command,
    answer: Answer,
    receiver: HttpReceiver,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(VARIABLE, OWN_SECRET)
    added = answer("add", receiver.url(), "--key", "own", "--secret", "--allow-private")

    assert webhooks("test", added["id"]) == 0
    assert "delivered in " in capsys.readouterr().out
    receiver.handler = respond(503)
    assert webhooks("test", added["id"], "--json") == 1
    outcome = json.loads(capsys.readouterr().out)
    assert (outcome["is_delivered"], outcome["status"], outcome["error"]) == (False, 503, "")

    first = receiver.received[0]
    sender = verify(
        dict(first.request.headers),
        first.body,
        [SigningKey("own", OWN_SECRET)],
        now_s=int(first.request.headers["webhook-timestamp"]),
        tolerance_seconds=1.0,
        require=Scheme.LIVEKIT | Scheme.STANDARD,
    )
    assert sender.sequence is None
    assert json.loads(first.body)["event"] == "greenroom_test"


def test_the_secret_of_a_key_of_the_settings_is_asked_for_to_test(
    webhooks: Command,
    answer: Answer,
    receiver: HttpReceiver,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    added = answer("add", receiver.url(), "--allow-private")

    assert webhooks("test", added["id"]) == 2
    said = words(capsys.readouterr().err)
    assert (
        "the secret of key is known to the running greenroom only: give it with --secret" in said
    )
    assert receiver.received == []

    monkeypatch.setenv(VARIABLE, SECRET)
    assert webhooks("test", added["id"], "--secret") == 0
