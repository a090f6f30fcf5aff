"""Lists in pages: a `nextLink` goes on with the list as it was when its first page was read, whatever happened since."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from itertools import chain, islice
from typing import Any

PAGE, VIEW_PAGE = 1000, 200
Item = tuple[str, Callable[[], dict[str, Any]]]


class Page:
    """A list: (key, what makes the item), in the order of the keys, and how many make a page."""

    def __init__(self, items: Iterable[Item], size: int = PAGE) -> None:
        self.items = items
        self.size = size


class Listings:
    """The lists of which a page was read and others were not, the newest few.

    A list that is no longer kept, after a restart or because it is longer than `MOST`, goes on after the last key that was shown, with
    what there is then.
    """

    KEPT = 8
    MOST = 100_000  # items: a kept one holds its state

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], list[Item]] = OrderedDict()

    def cut(self, page: Page, request: str, token: str, sequence: int) -> tuple[list[dict[str, Any]], str]:
        """A page's items, and the token of the next; "" at the end.

        request: what tells this list from others. token: of the page before, "" for the first. sequence: the last event's number.
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
