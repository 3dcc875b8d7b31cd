"""Webhook vectors that need no network: keys, filters, records, defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from livekit.protocol.analytics import WebhookInfo
from livekit.protocol.webhook import WebhookEvent

from ..config import LIVEKIT_POLICY, DeliveryPolicy, WebhookSettings
from ..core.retry import wait_seconds
from ..core.times import ZERO_TIME_NS
from ..core.webhook import TOKEN_VALID_SECONDS, event_key, is_allowed
from ..core.webhook_info import build_webhook_info
from ..errors import ConfigError
from .compare import diff_messages, parsed
from .differences import CONFIG_ERROR, POSITIVE
from .findings import Findings, compared
from .samples import unix_ns
from .vectors import Json, Vector, typed

# what greenroom has no setting for: differences.md, "settings-are-fixed" and "attempts-time-out"
NO_SETTING: Final = frozenset(
    {"client_timeout_s", "url_notifier_num_workers", "url_notifier_queue_size"}
)
NO_CONFIG: Final = frozenset({"url_notifier.num_workers", "url_notifier.queue_size"})


def check_event_key(vector: Vector) -> Findings:
    """Which events are delivered one after the other."""
    event = parsed(WebhookEvent, vector.read("event", dict), vector.where)
    return compared({"key": vector.read("expect", str)}, {"key": event_key(event)})


def check_filter(vector: Vector) -> Findings:
    """Whether an event is sent."""
    include, exclude = vector.read_list("include", str), vector.read_list("exclude", str)
    allowed = is_allowed(vector.read("event", str), include, exclude)
    return compared({"allowed": vector.read("expect", bool)}, {"allowed": allowed})


def check_filter_set(vector: Vector) -> Findings:
    """A filter takes the place of another and nothing of that is left: here, that of the start."""
    then = vector.read("then", dict)
    include, exclude = (
        tuple(typed(then.get(name) or [], list, f"{vector.where} then.{name}"))
        for name in ("include", "exclude")
    )
    settings = WebhookSettings(include_events=include, exclude_events=exclude)
    recorded = vector.read("allowed", dict)
    got = {
        name: is_allowed(name, settings.include_events, settings.exclude_events)
        for name in recorded
    }
    return compared({"allowed": recorded}, {"allowed": got})


def check_webhook_info(vector: Vector) -> Findings:
    """The record of a webhook's fate."""
    info = build_webhook_info(
        parsed(WebhookEvent, vector.read("event", dict), f"{vector.where} event"),
        vector.read("url", str),
        queued_at_ns=_time(vector, "queued_at"),
        queue_duration_ns=vector.read("queue_duration_ns", int),
        sent_at_ns=_time(vector, "sent_at"),
        send_duration_ns=vector.read("send_duration_ns", int),
        is_dropped=vector.read("is_dropped", bool),
        send_error=vector.read_or_none("send_error", str) or "",
    )
    expected = parsed(WebhookInfo, vector.read("expect", dict), f"{vector.where} expect")
    return Findings(diff_messages([expected], [info], "expect"))


def check_default_waits(vector: Vector) -> Findings:
    """The waits between attempts, and how many of them are used."""
    recorded = vector.read_list("waits_s_by_attempt", float)
    waits = [wait_seconds(LIVEKIT_POLICY, n, now_s=0.0) for n in range(1, len(recorded) + 1)]
    return compared(
        {"waits_s_by_attempt": recorded, "used": vector.read("used", int)},
        {"waits_s_by_attempt": waits, "used": LIVEKIT_POLICY.max_attempts - 1},
    )


def check_defaults(vector: Vector) -> Findings:
    """Every default that greenroom has a setting for."""
    recorded = {name: value for name, value in vector.content.items() if name not in NO_SETTING}
    config = typed(recorded.pop("webhook_config", {}), dict, f"{vector.where} webhook_config")
    del recorded["kind"]
    return compared(
        {**recorded, "webhook_config": {k: v for k, v in config.items() if k not in NO_CONFIG}},
        {
            **_defaults(LIVEKIT_POLICY),
            "webhook_config": _config(WebhookSettings(policy="livekit")),
        },
    )


def check_negative_params(vector: Vector) -> Findings:
    """The original takes 0 and less for the default; greenroom refuses them by name."""
    for name in ("retry_wait_min_s", "retry_wait_max_s", "max_retries"):
        vector.read(name, float)
    wrong = {
        "wait_min_seconds": -1.0,
        "wait_max_seconds": 0.0,
        "max_attempts": 0,
        "total_timeout_seconds": -1.0,
    }
    got = {name: _refusal(name, value) for name, value in wrong.items()}
    return compared(dict.fromkeys(wrong, "refused"), got, POSITIVE)


def check_default_notifier_new(vector: Vector) -> Findings:
    """A configured URL needs a secret; without URLs nothing does."""
    found: dict[str, object] = {}
    expected: dict[str, object] = {}
    for name, urls in (
        ("unknown_key_with_urls", ("http://127.0.0.1/hook",)),
        ("unknown_key_without_urls", ()),
    ):
        expected[name] = vector.read_or_none(name, str) is not None
        try:
            WebhookSettings(urls=urls, api_key="APIunknown", keys={"APIpubKey1": "secret"})
        except ConfigError:
            found[name] = True
        else:
            found[name] = False
    return compared(expected, found, CONFIG_ERROR)


def _time(vector: Vector, name: str) -> int | None:
    at_ns = unix_ns(vector.read(name, str), f"{vector.where} {name}")
    return None if at_ns == ZERO_TIME_NS else at_ns


def _defaults(policy: DeliveryPolicy) -> Json:
    return {
        "retry_wait_min_s": policy.wait_min_seconds,
        "retry_wait_max_s": policy.wait_max_seconds,
        "max_retries": policy.max_attempts - 1,
        "max_age_s": policy.max_age_seconds,
        "max_depth": policy.max_depth,
        "queue_idle_timeout_s": policy.idle_seconds,
        "sweep_interval_s": policy.idle_seconds / 2,
        "token_valid_s": TOKEN_VALID_SECONDS,
    }


def _config(settings: WebhookSettings) -> Json:
    policy = settings.delivery_policy
    unfiltered = not settings.include_events and not settings.exclude_events
    return {
        "urls": list(settings.urls) or None,
        "api_key": settings.api_key,
        "resource_url_notifier.max_age_s": policy.max_age_seconds,
        "resource_url_notifier.max_depth": policy.max_depth,
        "filter_params": "both lists empty" if unfiltered else "not empty",
    }


def _refusal(name: str, value: float) -> str:
    changes: Mapping[str, float] = {name: value}
    try:
        replace(LIVEKIT_POLICY, **changes)  # type: ignore[arg-type]  # as a user might
    except ConfigError as error:
        return "refused" if name in str(error) else str(error)
    return "accepted"
