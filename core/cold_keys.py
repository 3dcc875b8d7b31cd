"""ColdKeys: the keys of one endpoint whose deliveries are in the store only.

So that memory is bounded, an endpoint has so many queues in memory; deliveries of other keys
are written, and counted here, until there is room. Which keys these are, the store knows: it is
asked for them page by page.

Invariant: a key is either in memory, or all its pending deliveries are cold and counted here. So
no key leaves memory while a page is on its way: it may be in it, with what is delivered by then.
"""

from __future__ import annotations

from collections.abc import Container, Iterable


class ColdKeys:
    """Of one endpoint.

    Args:
        count: Cold deliveries in the store.

    Attributes:
        is_loading: A page is on its way.
    """

    def __init__(self, count: int = 0) -> None:
        self.count = count
        self._after = ""  # the last key of the page before
        self.is_loading = False
        self._since: dict[str, int] = {}  # offered since the page was asked for, per key
        self._added = 0  # since the first page of this round was asked for
        self._has_found = False  # in this round

    def __repr__(self) -> str:
        return f"ColdKeys({self.count})"

    def add(self, key: str) -> None:
        """One more delivery, of a key that is not in memory."""
        self.count += 1
        self._added += 1
        if self.is_loading:
            self._since[key] = self._since.get(key, 0) + 1

    def ask(self) -> str | None:
        """The key after which the next page begins; None: there is nothing to ask for now."""
        if self.is_loading or not self.count:
            return None
        self.is_loading = True
        if not self._after:
            self._added, self._has_found = 0, False
        return self._after

    def take(
        self, rows: Iterable[tuple[str, int]], limit: int, in_memory: Container[str]
    ) -> list[tuple[str, int]]:
        """The page is here: its keys are cold no more.

        Args:
            rows: Keys and how many pending deliveries each had when the store was asked.
            limit: How many keys were asked for.
            in_memory: The keys that are no longer cold, or never were.

        Returns:
            The keys that are to be in memory, and how many deliveries each has in the store.
        """
        since, self._since, self.is_loading = self._since, {}, False
        page = list(rows)
        taken = []
        for key, count in page:
            if key not in in_memory:
                pending = count + since.pop(key, 0)
                taken.append((key, pending))
                self.count -= pending
        self._has_found |= bool(taken)
        self._after = page[-1][0] if len(page) == limit else ""
        if not self._after and not self._has_found:
            self.count = self._added  # the store has the last word: rows were counted twice
        return taken
