"""What all shards of a node say together."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from ..core.families import Family
from ..errors import LinkError
from ..link.address import Address
from ..link.asking import ask
from ..link.dialing import Dialer
from .merging import from_wire, merged

ASK_SECONDS: Final = 5.0


def ask_shards(directory: str, question: str) -> list[Any]:
    """The answer of each shard whose socket is there; of one that does not answer, its error.

    An error is a dict with `socket` and `error`.
    """
    paths: Sequence[str] = Address("unix", path=directory).sockets()
    if not paths:
        return []
    with ThreadPoolExecutor(min(8, len(paths))) as pool:
        return list(pool.map(lambda path: _ask(path, question), paths))


def _ask(path: str, question: str) -> Any:
    try:
        return ask(Dialer(Address("unix", path=path)), question, ASK_SECONDS)
    except (OSError, LinkError) as error:
        return {"socket": path, "error": str(error)}


class NodeMetrics:
    """The metrics of a node: of all shards that answer, added up.

    Args:
        directory: Where the shards' sockets are.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def snapshot(self) -> list[Family]:
        """As they stand; asks every shard."""
        answers = ask_shards(self._directory, "metrics")
        return merged([from_wire(answer) for answer in answers if isinstance(answer, list)])
