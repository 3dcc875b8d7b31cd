from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.testing.linked import FakeNode, fake_node, short_directory


@pytest.fixture
def directory() -> Iterator[Path]:
    """For sockets: pytest's own paths may be too long for them."""
    with short_directory() as path:
        yield path


@pytest.fixture
def node(directory: Path) -> Iterator[FakeNode]:
    """A node at a Unix socket."""
    with fake_node(directory) as node:
        yield node
