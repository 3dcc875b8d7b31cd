from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from greenroom.core.signatures import SigningKey
from greenroom.receiver import MemoryStore, Receiver, ReceiverStore, SqliteStore
from greenroom.testing.webhook_sender import WebhookSender


@pytest.fixture
def old_key() -> SigningKey:
    return SigningKey("APIold", "an-old-secret-an-old-secret-0123456789")


@pytest.fixture
def new_key() -> SigningKey:
    return SigningKey("APInew", "whsec_bmV3LXNlY3JldC1uZXctc2VjcmV0LTAxMjM0NTY3ODk=")


@pytest.fixture
def sender(old_key: SigningKey) -> WebhookSender:
    return WebhookSender([old_key])


@pytest.fixture
def receiver(sender: WebhookSender, store: ReceiverStore) -> Receiver:
    return sender.new_receiver(store)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ReceiverStore]:
    if request.param == "memory":
        yield MemoryStore()
        return
    with closing(SqliteStore(tmp_path / "received.db")) as opened:
        yield opened
