"""Lists in pages. A `nextLink` continues the list as of its first page, whatever has changed since.

A `$skiptoken` is `{sequence number of the first page}.{position}.{key of the last item}`:

    request                         VMs then      answer
    GET (page size 2)               a b c d       a b, nextLink 57.2.b
    DELETE c
    GET with $skiptoken 57.2.b      a b d         c d: the kept list as of event 57
    the same after a restart        a b d         d: the items after key b
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from itertools import chain, islice
from typing import Any

PAGE, VIEW_PAGE = 1000, 200
Item = tuple[str, Callable[[], dict[str, Any]]]


class Page:
    """A list answer.

    Args:
        items: (key, function that makes the item), sorted by key.
        size: Number of items in a page.
    """

    def __init__(self, items: Iterable[Item], size: int = PAGE) -> None:
        self.items = items
        self.size = size


class Listings:
    """The most recent lists of which a client has not read all pages.

    A list that is not kept continues after the last key shown, with the items of that moment: after a restart, or where the list is longer
    than `MOST`.
    """

    KEPT = 8
    MOST = 100_000  # items of a kept list; each item keeps a state in memory

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], list[Item]] = OrderedDict()

    def cut(self, page: Page, request: str, token: str, sequence: int) -> tuple[list[dict[str, Any]], str]:
        """Cut a page from a list.

        Args:
            page: The list as of now.
            request: Identifies the list: its path and query.
            token: The `$skiptoken`; "" for the first page.
            sequence: Sequence number of the last event.

        Returns:
            The items of the page, and the token of the next page ("" at the end).
        """
        as_of, position, after = _parsed(token, sequence)
        kept = self._kept.get((request, as_of)) if token else None
        if kept is not None:
            return self._shown(kept, position, page.size, as_of)
        items = iter(page.items)
        known = list(islice(items, self.MOST))
        if len(known) == self.MOST:
            rest = (item for item in chain(known, items) if item[0] > after)
            return self._shown(list(islice(rest, page.size + 1)), 0, page.size, "-")
        position = sum(key <= after for key, _ in known) if after else 0
        if len(known) > position + page.size:
            self._keep(request, str(sequence), known)
        return self._shown(known, position, page.size, str(sequence))

    def _keep(self, request: str, as_of: str, items: list[Item]) -> None:
        self._kept[request, as_of] = items
        while len(self._kept) > self.KEPT:
            self._kept.popitem(last=False)

    @staticmethod
    def _shown(items: list[Item], position: int, size: int, as_of: str) -> tuple[list[dict[str, Any]], str]:
        end = position + size
        shown = [make() for _, make in items[position:end]]
        return shown, f"{as_of}.{end}.{items[end - 1][0]}" if end < len(items) else ""


def _parsed(token: str, sequence: int) -> tuple[str, int, str]:
    as_of, _, rest = token.partition(".")
    position, _, after = rest.partition(".")
    return (as_of, int(position), after) if position.isdecimal() and len(position) < 19 else (str(sequence), 0, token)
