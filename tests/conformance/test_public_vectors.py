from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from greenroom.conformance.findings import Result, Verdict
from greenroom.conformance.runner import DELIVERIES, RULES, Tally, check_all, read_files
from greenroom.conformance.vectors import Vector

DATA = Path(__file__).parents[1] / "data"
WEBHOOKS = read_files([DATA / "webhook.jsonl.gz"])

PASSING = {
    "blocked_key",
    "default_waits",
    "defaults",
    "event_key",
    "filter",
    "filter_set",
    "metrics",
    "order",
    "queue_full",
    "request",
    "retry_after",
    "retry_waits",
    "sweep",
    "webhook_info",
}
# kinds of which some lines differ on purpose: how many have which verdict
MIXED = {
    "default_notifier": {Verdict.PASSED: 1, Verdict.ON_PURPOSE: 8},
    "notify_options": {Verdict.PASSED: 6, Verdict.ON_PURPOSE: 1},
    "processed": {Verdict.PASSED: 23, Verdict.ON_PURPOSE: 1},
    "status": {Verdict.PASSED: 6, Verdict.ON_PURPOSE: 34},
    "status_sequence": {Verdict.PASSED: 16, Verdict.ON_PURPOSE: 8},
}


def differences(results: list[Result]) -> list[str]:
    return [
        f"{result.vector}: {difference}"
        for result in results
        for difference in result.findings.differences
    ]


@pytest.mark.parametrize(
    ("name", "count"),
    [("scenarios.jsonl.gz", 348), ("coalesce.jsonl.gz", 696), ("condense.jsonl.gz", 140)],
)
def test_everything_in_the_file_passes(name: str, count: int) -> None:
    tally = Tally()

    for result in check_all(read_files([DATA / name])):
        tally.add(result)

    assert differences(tally.failures) == []
    assert tally.counts == {Verdict.PASSED: count, Verdict.FAILED: 0, Verdict.ON_PURPOSE: 0}


def lines_of(kind: str) -> list[Vector]:
    return [vector for vector in WEBHOOKS if vector.name == kind]


@pytest.mark.parametrize("kind", sorted({*RULES, *DELIVERIES}))
def test_webhook_vectors_pass_or_differ_on_purpose(kind: str) -> None:
    vectors = lines_of(kind)

    results = list(check_all(vectors))

    verdicts = Counter(result.findings.verdict for result in results)
    otherwise = {Verdict.PASSED if kind in PASSING else Verdict.ON_PURPOSE: len(vectors)}
    assert differences(results) == []
    assert verdicts == MIXED.get(kind, otherwise)


def test_there_is_a_vector_of_every_kind_that_is_known() -> None:
    assert {vector.name for vector in WEBHOOKS} == {*RULES, *DELIVERIES}
