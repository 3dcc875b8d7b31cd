"""What an actor logs arrives at the node's handlers, whatever it logs."""

from __future__ import annotations

import logging
from pathlib import Path

from greenroom.runtime.secure.logs import LOG_CONFIG, KnownOrigin, plain_record
from greenroom.runtime.secure.system import start_system
from greenroom.testing.loopback import unused_port
from greenroom.testing.patience import PATIENCE_SECONDS, wait_until

from .probes import SECRET, Probe


class Unspeakable:
    """Has no text."""

    def __str__(self) -> str:
        raise RuntimeError


def record(**extra: object) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "probe", "msg": "seen", **extra})


def test_what_an_actor_logs_arrives_with_its_address(tmp_path: Path) -> None:
    path = tmp_path / "log"
    to_file = {"class": "logging.FileHandler", "filename": str(path)}
    config = {
        **LOG_CONFIG,
        "handlers": {"stderr": {**LOG_CONFIG["handlers"]["stderr"], **to_file}},
    }
    system = start_system({}, admin_port=unused_port(), secret=SECRET, log_config=config)
    try:
        actor = system.createActor(Probe)
        assert system.ask(actor, "log", PATIENCE_SECONDS) == "log"
        wait_until(lambda: path.exists() and f"probe {actor} seen" in path.read_text("utf-8"))
    finally:
        system.shutdown()


def test_a_record_travels_as_texts_and_numbers() -> None:
    plain = plain_record(record(thing=[1], number=7, unspeakable=Unspeakable()))

    assert (vars(plain)["thing"], vars(plain)["number"]) == ("[1]", 7)
    assert vars(plain)["unspeakable"] == "<Unspeakable>"
    assert plain.getMessage() == "seen"


def test_of_what_the_logger_says_itself_only_warnings_pass() -> None:
    passes = KnownOrigin().filter

    assert passes(record(actorAddress="an actor", levelno=logging.DEBUG))
    assert passes(record(levelno=logging.WARNING))
    assert not passes(record(levelno=logging.INFO))
