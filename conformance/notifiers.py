"""Webhook vectors about the notifier as a whole: several URLs, extra webhooks, options, faults.

Lines tell who got the event, not what was configured: the static URLs are those with a record
("hooks"), every other path is an extra webhook.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from livekit.protocol.models import WebhookConfig

from ..config import LIVEKIT_POLICY
from ..core.delivery import QUEUE_FULL
from ..core.webhook import NO_SECRET_FOR_KEY
from ..errors import RecordingError
from .answers import an_event, with_port
from .differences import EXTRA_INFO, LOCK, SETTINGS, STARVING
from .faults import TOO_MANY_EXTRAS, check_closed
from .findings import Findings, compared
from .harness import API_KEY, Harness, posted_ids, secret_of
from .receiver import Answer, Behaviour, Receiver, Request, Status
from .tokens import token_of
from .vectors import Vector, typed

NOTIFIER_SECRET: Final = "the-secret-of-the-notifier-0123456789abcdef"
OPTION_SECRET: Final = "the-secret-of-an-option-0123456789abcdef"
STATIC_PATHS: Final = ("/one", "/two")
UNKNOWN_PATH: Final = "/unknown-key"
UNKNOWN_KEY: Final = "APIunknown"
LATER_PATH: Final = "/after-unknown-key"


def check_notify_options(vector: Vector, receiver: Receiver) -> Findings:
    """What the options of one event change; the line's name says what they are.

    An extra webhook takes the place of the static URL there, and a secret that of the key's. Here
    both are settings, and the notifier is told.
    """
    name = vector.read("name", str)
    recorded = vector.read_list("requests", dict)
    error = vector.read_or_none("error", str)
    issuer = str(recorded[0].get("iss")) if recorded else API_KEY
    key, signing_key = (API_KEY, issuer) if "with signing key" in name else (issuer, "")
    is_option = "secret" in name and "no secret" not in name
    count, slugs = _count_extras(name), []
    requests, hook_urls = recorded, [vector.read("hook_url", str)]
    if error == TOO_MANY_EXTRAS:
        slugs.append(LOCK)
        sent = {"path": "/extra", "iss": API_KEY, "signed_with": "the notifier's"}
        requests, hook_urls = [sent] * count, ["http://127.0.0.1:PORT/extra"] * count
    elif error is not None:
        raise RecordingError(vector.where, f"notify_options: unknown error {error!r}")
    with Harness(
        receiver,
        paths=() if count else ("/static",),
        api_key=key,
        keys={key: NOTIFIER_SECRET, issuer: OPTION_SECRET if is_option else NOTIFIER_SECRET},
    ) as harness:
        extra = WebhookConfig(url=harness.url("/extra"), signing_key=signing_key)
        harness.notify(an_event(), *[extra] * count)
        harness.settle()
        got = {
            "requests": [_with_signer(request) for request in harness.requests],
            "hook_url": [info.url for info in harness.kept.infos],
        }
    expected = {
        "requests": requests,
        "hook_url": [with_port(url, receiver.port) for url in hook_urls],
    }
    return compared(expected, got, *slugs)


@dataclass(frozen=True, slots=True)
class _Extra:
    """An extra webhook: its path, and the key that it names or none."""

    path: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class _Line:
    """What a `default_notifier` line tells: who got the event, and who made a record of it."""

    requests: tuple[tuple[str, str], ...]  # path and the key that signed
    hooks: tuple[str, ...]  # paths

    @classmethod
    def read(cls, vector: Vector) -> _Line:
        requests = []
        for text in vector.read_list("requests", str):
            path, *words = text.split()
            named = dict(word.split("=", 1) for word in words if "=" in word)
            if named.keys() != {"iss", "signed"} or named["iss"] != named["signed"]:
                raise RecordingError(
                    vector.where, f"requests: expected path iss=K signed=K: {text}"
                )
            requests.append((path, named["iss"]))
        hooks = (url.partition("PORT")[2] for url in vector.read_list("hooks", str))
        return cls(tuple(requests), tuple(hooks))

    @property
    def static_key(self) -> str:
        """The configured API key."""
        return next((key for path, key in self.requests if path in self.hooks), API_KEY)

    @property
    def extras(self) -> tuple[_Extra, ...]:
        """Those with another key name it."""
        return tuple(
            _Extra(path, "" if key == self.static_key else key)
            for path, key in self.requests
            if path not in self.hooks
        )


def check_default_notifier(vector: Vector, receiver: Receiver) -> Findings:
    """One event for every configured URL and for extra webhooks."""
    line, name = _Line.read(vector), vector.read("name", str)
    error = vector.read_or_none("error", str)
    key, extras, requests, slugs = line.static_key, line.extras, line.requests, []
    if "stopped" in name:
        return check_closed(vector)
    if "SetKeys" in name or "SetFilter" in name:
        slugs.append(SETTINGS)  # what is set there is so from the start here, also for extras
        extras = tuple(_Extra(extra.path) for extra in extras)
        requests = tuple((path, key) for path, _ in requests)
    if error == NO_SECRET_FOR_KEY:
        slugs.append(STARVING)
        extras = (*extras, _Extra(UNKNOWN_PATH, UNKNOWN_KEY), _Extra(LATER_PATH))
        requests = (*requests, (LATER_PATH, key))
    elif error is not None:
        raise RecordingError(vector.where, f"default_notifier: unknown error {error!r}")
    if extras:
        slugs.append(EXTRA_INFO)
    event = an_event()
    event.event = vector.read("event", str)
    with Harness(
        receiver,
        paths=line.hooks or STATIC_PATHS,
        exclude_events=() if line.hooks else (event.event,),
        api_key=key,
        keys={known: secret_of(known) for known in {API_KEY, key, *dict(requests).values()}},
    ) as harness:
        webhooks = [WebhookConfig(url=harness.url(e.path), signing_key=e.key) for e in extras]
        harness.notify(event, *webhooks)
        harness.settle()
        infos = harness.kept.infos
        got = {
            "requests": sorted(_signed(request) for request in harness.requests),
            "records": sorted(info.url for info in infos),
            "dropped": [info.url for info in infos if info.is_dropped],
        }
        expected = {
            "requests": sorted(requests),
            "records": sorted(map(harness.url, (*line.hooks, *(extra.path for extra in extras)))),
            "dropped": [harness.url(UNKNOWN_PATH)] if error else [],
        }
    return compared(expected, got, *slugs)


def check_default_notifier_full(vector: Vector, receiver: Receiver) -> Findings:
    """One URL hangs with the first event; the others get every event all the same.

    The first event has no extra webhook, so the paths that it went to are the static ones.
    """
    errors = vector.read_or_none("errors", list) or []
    delivered = {
        path: typed(ids, list, f"{vector.where} delivered.{path}")
        for path, ids in sorted(vector.read("delivered", dict).items())
    }
    events = [an_event(str(number)) for number in range(len(errors) + 1)]
    static = [path for path, ids in delivered.items() if events[0].id in ids]
    extra = [path for path in delivered if path not in static]
    hung = static[0]
    policy = replace(LIVEKIT_POLICY, max_depth=max(len(delivered[hung]) - 1, 1))

    def hold_one(request: Request, earlier: int) -> Answer:
        return Behaviour.HOLD if request.path == hung else Status()

    with Harness(receiver, hold_one, paths=static, policy=policy) as harness:
        for number, event in enumerate(events):
            webhooks = [WebhookConfig(url=harness.url(path)) for path in extra if number]
            harness.notify(event, *webhooks)
            elsewhere = (len(static) - 1) * (number + 1) + len(extra) * number
            harness.run_until(lambda: _count_elsewhere(harness, hung) >= elsewhere)  # noqa: B023
        harness.release()
        harness.settle()
        refused = {info.event_id for info in harness.kept.infos if info.is_dropped}
        got = {
            "refused": [QUEUE_FULL if event.id in refused else None for event in events[1:]],
            **{
                path: posted_ids(one for one in harness.requests if one.path == path)
                for path in delivered
            },
        }
    everything = [event.id for event in events]
    expected = {
        "refused": errors,
        **dict.fromkeys(static, everything),
        **dict.fromkeys(extra, everything[1:]),
        hung: delivered[hung],
    }
    return compared(expected, got, STARVING)


def _count_elsewhere(harness: Harness, hung: str) -> int:
    url = harness.url(hung)
    return sum(info.url != url for info in harness.kept.infos)


def _count_extras(name: str) -> int:
    """How many extra webhooks a line's name speaks of."""
    if "extra webhook" not in name or "empty list" in name:
        return 0
    return 2 if "two extra" in name else 1


def _with_signer(request: Request) -> dict[str, object]:
    token = token_of(request)
    signers = {OPTION_SECRET: "the option's", NOTIFIER_SECRET: "the notifier's"}
    secret = token.signer(signers)
    return {"path": request.path, "iss": token.api_key, "signed_with": signers.get(secret or "")}


def _signed(request: Request) -> tuple[str, str]:
    """Its path, and the key that its token names if it was signed with its secret."""
    token = token_of(request)
    key = str(token.api_key)
    return request.path, key if token.signer([secret_of(key)]) else f"not really {key}"
