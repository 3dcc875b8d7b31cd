"""Checks vectors, one after the other."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from ..errors import RecordingError
from . import answers, faults, notifiers, queues, rules
from .compare import Difference
from .findings import Check, Findings, Result, Verdict
from .processed import check_processed
from .receiver import Receiver
from .request import check_request
from .samples import check_coalesce, check_condense
from .scenarios import check_scenario
from .vectors import Family, Vector, read_vectors

ReceiverCheck: TypeAlias = Callable[[Vector, Receiver], Findings]

CHECKS: Final[Mapping[Family, Check]] = {
    Family.SCENARIO: check_scenario,
    Family.COALESCE: check_coalesce,
    Family.CONDENSE: check_condense,
}
# kinds of webhook vectors, by whether they need a receiver
RULES: Final[Mapping[str, Check]] = {
    "event_key": rules.check_event_key,
    "filter": rules.check_filter,
    "filter_set": rules.check_filter_set,
    "webhook_info": rules.check_webhook_info,
    "default_waits": rules.check_default_waits,
    "defaults": rules.check_defaults,
    "negative_http_params_are_defaults": rules.check_negative_params,
    "default_notifier_new": rules.check_default_notifier_new,
}
DELIVERIES: Final[Mapping[str, ReceiverCheck]] = {
    "request": check_request,
    "processed": check_processed,
    "status": answers.check_status,
    "status_sequence": answers.check_status_sequence,
    "redirect": answers.check_redirect,
    "redirect_loop": answers.check_redirect_loop,
    "retry_waits": answers.check_retry_waits,
    "retry_after": answers.check_retry_after,
    "queue_full": queues.check_queue_full,
    "order": queues.check_order,
    "blocked_key": queues.check_blocked_key,
    "sweep": queues.check_sweep,
    "metrics": queues.check_metrics,
    "notify_options": notifiers.check_notify_options,
    "default_notifier": notifiers.check_default_notifier,
    "default_notifier_full": notifiers.check_default_notifier_full,
    "default_notifier_no_key": faults.check_no_key,
    "lock_leak": faults.check_lock_leak,
    "stop": faults.check_stop,
}


@dataclass(slots=True)
class Tally:
    """How many vectors had which verdict, and what is to be told of them.

    Attributes:
        counts: By verdict.
        failures: Every failed one, in order.
        on_purpose: By slug of `differences.REASONS`: how many vectors record what it speaks of.
    """

    counts: dict[Verdict, int] = field(default_factory=lambda: dict.fromkeys(Verdict, 0))
    failures: list[Result] = field(default_factory=list)
    on_purpose: dict[str, int] = field(default_factory=dict)

    def add(self, result: Result) -> None:
        """Count one."""
        verdict = result.findings.verdict
        self.counts[verdict] += 1
        if verdict is Verdict.FAILED:
            self.failures.append(result)
        elif verdict is Verdict.ON_PURPOSE:
            for slug in result.findings.on_purpose:
                self.on_purpose[slug] = self.on_purpose.get(slug, 0) + 1

    @property
    def status(self) -> str:
        """The last line of a report."""
        passed, failed = self.counts[Verdict.PASSED], self.counts[Verdict.FAILED]
        return f"{passed} passed, {failed} failed"


def read_files(paths: Iterable[Path]) -> list[Vector]:
    """The vectors of all files; every kind is known.

    Raises:
        RecordingError: A line is not understood; the text says `file:line`.
        OSError: A file cannot be read.
    """
    vectors = [vector for path in paths for vector in read_vectors(path)]
    for vector in vectors:
        known = vector.name in RULES or vector.name in DELIVERIES
        if vector.family is Family.WEBHOOK and not known:
            kinds = ", ".join(sorted([*RULES, *DELIVERIES]))
            raise RecordingError(
                vector.where, f"unknown kind {vector.name!r} of webhook vector; known: {kinds}"
            )
    return vectors


def check_all(vectors: Iterable[Vector]) -> Iterator[Result]:
    """Each vector's findings, as soon as there are any.

    Raises:
        RecordingError: A vector is not understood.
    """
    with Receiver() as receiver:
        for vector in vectors:
            yield Result(vector, _findings(_check(vector, receiver), vector))


def _check(vector: Vector, receiver: Receiver) -> Check:
    if vector.family is not Family.WEBHOOK:
        return CHECKS[vector.family]
    if vector.name in RULES:
        return RULES[vector.name]
    return partial(_with_receiver, DELIVERIES[vector.name], receiver)


def _with_receiver(check: ReceiverCheck, receiver: Receiver, vector: Vector) -> Findings:
    return check(vector, receiver)


def _findings(check: Check, vector: Vector) -> Findings:
    try:
        return check(vector)
    except RecordingError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever breaks is a finding about this vector
        frame = traceback.extract_tb(error.__traceback__)[-1]
        raised = f"{type(error).__name__}: {error} (in {frame.filename}:{frame.lineno})"
        return Findings((Difference("the check", "its end", raised),))
