from __future__ import annotations

from collections.abc import Iterator

import pytest

from .probes import Node, running


@pytest.fixture
def node() -> Iterator[Node]:
    with running() as node:
        yield node
