from __future__ import annotations

from typing import Any

import pytest

import greenroom
from greenroom.config import DEFAULT_POLICY

KEYS = {"key": "secret-0123456789abcdef0123456789abcdef"}
NAN = float("nan")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("close_wait_seconds", NAN),
        ("close_wait_seconds", -1),
        ("close_wait_seconds", 1e300),
        ("close_wait_seconds", 10**400),
        ("flush_interval_seconds", NAN),
        ("flush_interval_seconds", float("inf")),
        ("flush_interval_seconds", 1e-9),
        ("flush_interval_seconds", 1e300),
        ("flush_interval_seconds", "30"),
        ("handler_limit_seconds", 0),
        ("handler_limit_seconds", "30"),
        ("handler_limit_seconds", 1e300),
        ("capacity", 0),
        ("capacity", 1.5),
        ("capacity", "9"),
        ("node_id", None),
        ("node_id", "\ud800"),
        ("webhook", {}),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_name(setting: str, value: Any) -> None:
    with pytest.raises(greenroom.ConfigError, match=f"^{setting}: "):
        greenroom.start(**{setting: value}).close()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("urls", "http://one"),
        ("urls", None),
        ("urls", ("nonsense",)),
        ("urls", ("ftp://host/hook",)),
        ("keys", None),
        ("keys", ["key"]),
        ("keys", {"key": 5}),
        ("policy", None),
        ("allow_private", "yes"),
        ("policy", "none-such"),
        ("include_events", "room_started"),
    ],
)
def test_a_webhook_setting_that_cannot_work_is_refused_by_name(setting: str, value: Any) -> None:
    settings: dict[str, Any] = {"urls": (), "api_key": "key", "keys": KEYS, setting: value}

    with pytest.raises(greenroom.ConfigError, match=f"^webhook.{setting}: "):
        greenroom.start(webhook=greenroom.WebhookSettings(**settings)).close()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("max_attempts", 1.5),
        ("max_attempts", 0),
        ("max_depth", True),
        ("jitter", -0.1),
        ("wait_max_seconds", float("inf")),
        ("max_age_seconds", -1),
        ("retry_after_statuses", 5),
    ],
)
def test_a_policy_that_cannot_work_is_refused_by_name(setting: str, value: Any) -> None:
    policy = {name: getattr(DEFAULT_POLICY, name) for name in DEFAULT_POLICY.__slots__}

    with pytest.raises(greenroom.ConfigError, match=f"^{setting}: "):
        greenroom.DeliveryPolicy(**{**policy, setting: value})


@pytest.mark.parametrize("durability", ["none", "FULL", None])
def test_a_durability_that_there_is_not_is_refused(durability: Any) -> None:
    with pytest.raises(greenroom.ConfigError, match=r"^durability: "):
        greenroom.start(durability=durability)


def test_later_changes_of_the_callers_keys_do_not_leak_in() -> None:
    keys = dict(KEYS)

    settings = greenroom.WebhookSettings(keys=keys)
    keys.clear()

    assert settings.keys == KEYS
