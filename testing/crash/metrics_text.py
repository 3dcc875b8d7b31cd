"""What `/metrics` says, as numbers."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families

from .books import Metric


def parsed(text: str) -> Iterator[Metric]:
    """Each sample: its name, its labels, its value."""
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value
