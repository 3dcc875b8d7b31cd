"""Metric families as plain data: what a snapshot of the metrics is made of.

Nothing here counts. A snapshot can be printed, compared, sent to another process and added up
there, so it holds neither the labels that are the same for a whole node nor anything alive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

FamilyType: TypeAlias = Literal["counter", "gauge", "histogram"]
LabelValues: TypeAlias = tuple[str, ...]


class Distribution(NamedTuple):
    """A histogram's state.

    Args:
        buckets: How many values fell into each bucket, not cumulative; the last one, which has
            no edge, holds those beyond the last edge. Together they are the count of values.
        sum: Of the values, added as doubles in the order of arrival.
    """

    buckets: tuple[int, ...]
    sum: float


class Sample(NamedTuple):
    """One series: its (name, value) labels, sorted by name, and where it stands."""

    labels: tuple[tuple[str, str], ...]
    value: float | Distribution


@dataclass(frozen=True, slots=True)
class Family:
    """All series of one name.

    Args:
        name: As it is exposed, so a counter's name ends in `_total` only if LiveKit's does.
        type: What Prometheus calls it.
        help: One sentence without a full stop.
        edges: A histogram's inclusive upper bucket edges, ascending, without +Inf; else empty.
        samples: Sorted by label values. A label set that was never touched has none.
    """

    name: str
    type: FamilyType
    help: str
    edges: tuple[float, ...]
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class FamilySpec:
    """What is fixed about a family: all but its samples. `labels` are sorted names."""

    name: str
    type: FamilyType
    help: str
    labels: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()

    def family(self, values: Mapping[LabelValues, float | Distribution]) -> Family:
        """The family with these samples; label values stand in the order of `labels`."""
        samples = tuple(
            Sample(tuple(zip(self.labels, label_values, strict=True)), values[label_values])
            for label_values in sorted(values)
        )
        return Family(self.name, self.type, self.help, self.edges, samples)
