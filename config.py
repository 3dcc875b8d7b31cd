"""Settings: frozen, keyword-only, each default with its source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal, TypeAlias, get_args

from .errors import ConfigError

Durability: TypeAlias = Literal["batch", "call", "memory"]
DiskSync: TypeAlias = Literal["full", "normal"]

NODE_ID: Final = "greenroom"
FLUSH_INTERVAL_SECONDS: Final = 30.0  # telemetryservice.go, telemetryStatsUpdateInterval
CLOSE_WAIT_SECONDS: Final = 180.0  # telemetryservice.go, workerCleanupWait
FLUSH_SLICE: Final = 64  # workers with 3 tracks each: 1.5 ms in the benchmark
CAPACITY: Final = 262_144  # several seconds of a full machine's statistics, some 70 MB
HANDLER_LIMIT_SECONDS: Final = 30.0  # the longest known, a restored mailbox, takes some seconds

MOST_SECONDS: Final = 1e9  # every clock and timer can wait for so long

_CREDENTIALS: Final = re.compile(r"^((?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/?#:]*):[^/?#]*@")


def check_number(name: str, value: object, *, least: float, above: bool = False) -> None:
    """Refuse what is not a number from (or above) that up to 31 years; bools and NaN too."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ConfigError(f"{name}: expected a number, got {value!r}")
    if not least <= value <= MOST_SECONDS or (above and value == least):
        bound = "greater than" if above else "at least"
        raise ConfigError(
            f"{name}: must be {bound} {least:g} and at most {MOST_SECONDS:g}, got {value!r}"
        )


def check_count(name: str, value: object) -> None:
    """Refuse what is not a whole number of at least 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"{name}: expected a whole number of at least 1, got {value!r}")


def check_handler_limit(seconds: object) -> None:
    """Refuse what is no time limit; None is one: never.

    Raises:
        ConfigError: It is neither None nor a finite number above 0.
    """
    if seconds is not None:
        check_number("handler_limit_seconds", seconds, least=0, above=True)


def is_text(value: object) -> bool:
    """A str that has a UTF-8 form."""
    return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)


def check_text(name: str, value: object) -> None:
    """Refuse what is not a str that has a UTF-8 form."""
    if not is_text(value):
        raise ConfigError(f"{name}: expected text, got {value!r}")


def check_mapping(name: str, value: object) -> dict[str, str]:
    """A copy of a mapping of texts to texts; the values may be secrets, and are not shown."""
    if isinstance(value, Mapping) and all(
        is_text(text) for pair in value.items() for text in pair
    ):
        return dict(value)
    raise ConfigError(f"{name}: expected a mapping of API keys to secrets")


def check_texts(name: str, values: object) -> tuple[str, ...]:
    """A tuple of any list of strings; a single string is a mistake that looks like one."""
    if isinstance(values, list | tuple) and all(is_text(item) for item in values):
        return tuple(values)
    raise ConfigError(f"{name}: expected a list of strings, got {values!r}")


def hide_password(url: str, mask: str = "xxxxx") -> str:
    """`url` with the password of its credentials, if there is one, masked.

    Source: go-retryablehttp 0.7.7 redactURL.
    """
    return _CREDENTIALS.sub(rf"\1:{mask}@", url)


def shown(settings: Any, **instead: object) -> str:
    """A dataclass as its own `repr` shows it, with other values for some fields."""
    names = (one.name for one in fields(settings) if one.repr)
    values = (f"{name}={instead.get(name, getattr(settings, name))!r}" for name in names)
    return f"{type(settings).__qualname__}({', '.join(values)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPolicy:
    """How a webhook is tried, retried and given up, as data.

    Args:
        max_attempts: Attempts in all, the first one included.
        wait_min_seconds: Wait after the first failed attempt; doubles after each further one.
        wait_max_seconds: No wait is longer, Retry-After and jitter apart.
        jitter: Each wait is lengthened by up to this fraction of itself.
        retry_after_max_seconds: A receiver's Retry-After counts up to this.
        retry_after_statuses: Answers on which Retry-After is honoured.
        retry_client_errors: 4xx answers that are worth another attempt.
        no_retry_server_errors: 5xx answers that are not.
        max_age_seconds: An event older than this when its turn comes is dropped; None: never.
        max_depth: Events that may wait in one queue, the one in flight apart; with a `data_dir`
            they wait in the store, without a limit.
        max_in_flight: Attempts at once to one endpoint.
        give_up_after_seconds: An event accepted longer ago is not tried again, however many
            attempts are left; None: only attempts count.
        breaker_failures: After so many failed attempts in a row the endpoint is left alone, except
            for a probe now and then; None: never.
        breaker_wait_min_seconds: Until the first probe; doubles with each that fails.
        breaker_wait_max_seconds: No longer than this, jitter apart.
        disable_statuses: Answers that end the delivery and disable the endpoint.
        idle_seconds: A queue unused for this long is forgotten.
        connect_timeout_seconds: Limit for name look-up, connect and TLS of one attempt.
        total_timeout_seconds: Limit for one whole attempt.
    """

    max_attempts: int
    wait_min_seconds: float
    wait_max_seconds: float
    jitter: float
    retry_after_max_seconds: float
    retry_after_statuses: frozenset[int]
    retry_client_errors: frozenset[int]
    no_retry_server_errors: frozenset[int]
    max_age_seconds: float | None
    max_depth: int
    give_up_after_seconds: float | None
    breaker_failures: int | None
    disable_statuses: frozenset[int]
    max_in_flight: int = 128
    breaker_wait_min_seconds: float = 5.0
    breaker_wait_max_seconds: float = 300.0
    idle_seconds: float = 300.0  # protocol webhook/resource_url_notifier.go
    connect_timeout_seconds: float = 5.0  # Hook0's; the original has none and hangs
    total_timeout_seconds: float = 15.0  # Standard Webhooks: 15 to 30 s

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name."""
        check_count("max_attempts", self.max_attempts)
        check_count("max_depth", self.max_depth)
        check_count("max_in_flight", self.max_in_flight)
        if self.breaker_failures is not None:
            check_count("breaker_failures", self.breaker_failures)
        check_number("jitter", self.jitter, least=0)
        for name in (
            "wait_min_seconds",
            "wait_max_seconds",
            "retry_after_max_seconds",
            "breaker_wait_min_seconds",
            "breaker_wait_max_seconds",
            "idle_seconds",
            "connect_timeout_seconds",
            "total_timeout_seconds",
        ):
            check_number(name, getattr(self, name), least=0, above=True)
        for name in ("max_age_seconds", "give_up_after_seconds"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), least=0, above=True)
        for name in (
            "retry_after_statuses",
            "retry_client_errors",
            "no_retry_server_errors",
            "disable_statuses",
        ):
            statuses = getattr(self, name)
            if not isinstance(statuses, frozenset):
                raise ConfigError(f"{name}: expected a frozenset of statuses, got {statuses!r}")


DEFAULT_POLICY: Final = DeliveryPolicy(
    # 13 waits of 5 s … 5.7 h, then 8 of 8 h: 75 h in all, as Standard Webhooks
    max_attempts=22,
    wait_min_seconds=5.0,
    wait_max_seconds=8 * 3600.0,
    jitter=0.1,
    retry_after_max_seconds=3600.0,
    retry_after_statuses=frozenset({429, 503}),
    retry_client_errors=frozenset({408, 425, 429}),
    no_retry_server_errors=frozenset(),
    max_age_seconds=None,
    max_depth=10_000,
    give_up_after_seconds=75 * 3600.0,
    breaker_failures=20,
    disable_statuses=frozenset({410}),
)

LIVEKIT_POLICY: Final = DeliveryPolicy(
    # go-retryablehttp 0.7.7 and protocol webhook/notifier.go: 5 tries in 15 s, 200 deep, 30 s old
    max_attempts=5,
    wait_min_seconds=1.0,
    wait_max_seconds=30.0,
    jitter=0.0,
    retry_after_max_seconds=30.0,
    retry_after_statuses=frozenset({429, 503}),
    retry_client_errors=frozenset({429}),
    no_retry_server_errors=frozenset({501}),
    max_age_seconds=30.0,
    max_depth=200,
    give_up_after_seconds=None,
    breaker_failures=None,
    disable_statuses=frozenset(),
    max_in_flight=512,
)

POLICIES: Final[Mapping[str, DeliveryPolicy]] = {
    "default": DEFAULT_POLICY,
    "livekit": LIVEKIT_POLICY,
}


def policy_of(value: str | DeliveryPolicy) -> DeliveryPolicy:
    """The policy itself, whether it was given by name or whole."""
    return POLICIES[value] if isinstance(value, str) else value


def check_policy(name: str, value: object) -> None:
    """Refuse what is neither a policy nor the name of one."""
    if not isinstance(value, DeliveryPolicy) and value not in [*POLICIES]:  # maybe no hash
        names = ", ".join(sorted(POLICIES))
        raise ConfigError(f"{name}: no policy {value!r}; there are {names}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """Where webhooks go and how they are signed: LiveKit's `webhook:` and `keys:` sections.

    Args:
        urls: Every event that the filter lets through goes to each of them.
        api_key: Signs the events; must be in `keys` when there are urls.
        keys: API key -> secret. Egress requests may name any of them as signing key.
        include_events: If not empty, only these events are sent and `exclude_events` is ignored.
        exclude_events: If not empty, these events are not sent.
        policy: `"default"`, `"livekit"`, or a `DeliveryPolicy`.
        allow_private: Whether webhooks may go to addresses that are not public, as loopback and
            private networks. Users name URLs, in egress requests, so by default they may not.

    Raises:
        ConfigError: There are urls, but no secret to sign with; or a value is malformed.
    """

    urls: tuple[str, ...] = ()
    api_key: str = ""
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)  # secrets stay out of logs
    include_events: tuple[str, ...] = ()
    exclude_events: tuple[str, ...] = ()
    policy: str | DeliveryPolicy = "default"
    allow_private: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name."""
        for name in ("urls", "include_events", "exclude_events"):
            object.__setattr__(self, name, check_texts(f"webhook.{name}", getattr(self, name)))
        object.__setattr__(self, "keys", check_mapping("webhook.keys", self.keys))
        if not isinstance(self.allow_private, bool):
            raise ConfigError(
                f"webhook.allow_private: expected True or False, got {self.allow_private!r}"
            )
        if self.urls and not self.keys.get(self.api_key):
            raise ConfigError(
                f"webhook.api_key: no secret for {self.api_key!r} in webhook.keys; "
                "receivers would refuse an unsigned webhook"
            )
        check_policy("webhook.policy", self.policy)

    def __repr__(self) -> str:
        """Without secrets: passwords of URLs are masked."""
        return shown(self, urls=tuple(hide_password(url) for url in self.urls))

    @property
    def delivery_policy(self) -> DeliveryPolicy:
        """What `policy` names, or is."""
        return policy_of(self.policy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that the actors are configured with.

    Args:
        node_id: Label `node_id` of every metric, and part of every derived id.
        shard: Number of this shard on its node, part of every derived id.
        flush_interval_seconds: Between two flush ticks; None: only `flush_stats()` flushes.
        close_wait_seconds: A worker closed for longer than this is retired.
        capacity: Statistics that may wait to be processed; when full, new ones are dropped and
            counted. Calls of other kinds have twice that room.
        flush_slice: Workers that are told to flush at a time, between other inputs.
        handler_limit_seconds: A handler that takes longer is interrupted; None: never.
        webhook: Where webhooks go.
        durability: What a crash may cost, with a data directory. "batch": calls of the last
            10 ms or so, which are written together. "call": those that no `sync()` has waited
            for; they are written at once. "memory": all that was not flushed, and events whose
            webhooks were not written yet.
        disk_sync: What a power cut may cost of the data directory. "full": nothing that was
            written. "normal": the last seconds, for fewer syncs of the disk: what they had is
            lost, webhooks may come twice, and sequences of lost ones that were sent are given
            again. A crash of the process costs nothing more in both.
    """

    node_id: str = NODE_ID
    shard: int = 0
    flush_interval_seconds: float | None = FLUSH_INTERVAL_SECONDS
    close_wait_seconds: float = CLOSE_WAIT_SECONDS
    capacity: int = CAPACITY
    flush_slice: int = FLUSH_SLICE
    handler_limit_seconds: float | None = HANDLER_LIMIT_SECONDS
    webhook: WebhookSettings = field(default_factory=WebhookSettings)
    durability: Durability = "batch"
    disk_sync: DiskSync = "full"

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name."""
        if not isinstance(self.node_id, str) or not self.node_id.isprintable():
            raise ConfigError(f"node_id: expected printable text, got {self.node_id!r}")
        if self.flush_interval_seconds is not None:
            check_number("flush_interval_seconds", self.flush_interval_seconds, least=0.001)
        check_number("close_wait_seconds", self.close_wait_seconds, least=0)
        check_count("capacity", self.capacity)
        check_count("flush_slice", self.flush_slice)
        check_handler_limit(self.handler_limit_seconds)
        if not isinstance(self.webhook, WebhookSettings):
            raise ConfigError(f"webhook: expected WebhookSettings, got {self.webhook!r}")
        for name, kind in (("durability", Durability), ("disk_sync", DiskSync)):
            value, choices = getattr(self, name), get_args(kind)
            if value not in choices:
                wanted = ", ".join(map(repr, choices[:-1])) + f" or {choices[-1]!r}"
                raise ConfigError(f"{name}: must be {wanted}, got {value!r}")
