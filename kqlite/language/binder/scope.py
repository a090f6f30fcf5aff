"""What names mean: the columns in reach, the values and tables bound by `let`, and what the caller may see."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, fields

from kqlite.language import plan
from kqlite.language.diagnostics import Diagnostic, Refused, unknown_column
from kqlite.language.source import Span


class Muted(Exception):
    """Something depends on what has already been reported: nothing more is said about it."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a caller sees of the resource tables; None means everything.

    It wraps every scan of such a table. Each takes any collection of texts, in any case. subscriptions and resource_groups hold ids and
    names; the values are bound when the query runs, only what is restricted is part of the plan. tables: any other is unknown to this
    caller.
    """

    subscriptions: Collection[str] | None = None
    resource_groups: Collection[str] | None = None
    tables: Collection[str] | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, _names(field.name, getattr(self, field.name)))
        if self.tables is not None:
            object.__setattr__(self, "tables", frozenset(name.lower() for name in self.tables))

    def restrictions(self) -> tuple[object, ...]:
        """What of this scope is part of a plan, and so of a plan cache's key."""
        return (self.subscriptions is not None, self.resource_groups is not None, self.tables)

    def variables(self) -> dict[str, list[str]]:
        """The values for the variables that a plan under this scope mentions."""
        restricted = {SUBSCRIPTIONS: self.subscriptions, RESOURCE_GROUPS: self.resource_groups}
        return {name: sorted(value.lower() for value in values) for name, values in restricted.items() if values is not None}


def _names(field: str, given: object) -> frozenset[str] | None:
    if given is None:
        return None
    names = None if isinstance(given, str | bytes) or not isinstance(given, Iterable) else list(given)
    if names is None or not all(isinstance(name, str) for name in names):
        raise TypeError(f"{field} of a scope is a set or list of texts, and not {given!r}")
    return frozenset(names)


SUBSCRIPTIONS = "scope_subscriptions"
RESOURCE_GROUPS = "scope_resource_groups"
EVERYTHING = Scope()


class Columns:
    """The columns that an expression may name, in order.

    broken: names of columns whose definitions were wrong. hidden: names of columns that may be named but are not shown. serialized: whether
    the rows have an order, which window functions want.
    """

    def __init__(
        self, attributes: Iterable[plan.Attribute] = (), broken: Iterable[str] = (), hidden: Iterable[str] = (), serialized: bool = False
    ):
        self.attributes = tuple(attributes)
        self.serialized = serialized
        self.broken = frozenset(broken)
        self.hidden = frozenset(hidden)
        self._by_name = {attribute.name: attribute for attribute in self.attributes}

    def __iter__(self) -> Iterator[plan.Attribute]:
        return iter(self.attributes)

    def names(self) -> list[str]:
        return list(self._by_name)

    def visible(self) -> tuple[plan.Attribute, ...]:
        return tuple(attribute for attribute in self.attributes if attribute.name not in self.hidden)

    def find(self, name: str) -> plan.Attribute | None:
        """The column of that name, None where there is none; Muted where its definition is already known to be wrong."""
        if name in self.broken:
            raise Muted
        return self._by_name.get(name)

    def get(self, name: str, span: Span) -> plan.Attribute:
        attribute = self.find(name)
        if attribute is None:
            raise Refused(unknown_column(name, span, self._by_name))
        return attribute


@dataclass(frozen=True, slots=True)
class Table:
    """A relation that is being built, as the next operator sees it.

    broken: names of columns whose definitions were wrong. hidden: names of columns that may be named but are not shown. label: the name by
    which `withsource` and `search` know it, None where nothing gives it one.
    """

    relation: plan.Relation
    broken: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()
    label: str | None = None

    @property
    def columns(self) -> Columns:
        return Columns(self.relation.attributes, self.broken, self.hidden, serialized=bool(self.relation.order))

    def visible(self) -> tuple[plan.Attribute, ...]:
        return self.columns.visible()

    def over(self, relation: plan.Relation) -> "Table":
        """The same columns over another relation."""
        return Table(relation, self.broken, self.hidden)


MOST_PROBLEMS = 100
"""After so many nobody reads on, and to look for a near name for each of thousands takes minutes."""


class Enough(Exception):
    """There are `MOST_PROBLEMS`."""


class Problems:
    """The diagnostics found so far."""

    def __init__(self) -> None:
        self.found: list[Diagnostic] = []

    def add(self, diagnostic: Diagnostic) -> None:
        """Raises Enough."""
        if diagnostic not in self.found:
            self.found.append(diagnostic)
        if len(self.found) >= MOST_PROBLEMS:
            raise Enough


class NewNames:
    """The names of the columns that one operator makes: written ones are reserved first, automatic ones make way.

    in_use: names of the operator's input, which `Column1`, .. avoid.

    Source: tried on Microsoft's analyser.
    """

    def __init__(self, reserved: Iterable[str] = (), in_use: Iterable[str] = ()):
        self.taken = set(reserved)
        self._in_use = frozenset(in_use)
        self._unnamed = 0

    def automatic(self, name: str | None) -> str:
        """A name that nobody wrote: `name`, or `name1`, .. where it is taken; `Column1`, .. where there is none."""
        if name is None:
            while True:
                self._unnamed += 1
                candidate = f"Column{self._unnamed}"
                if candidate not in self.taken and candidate not in self._in_use:
                    break
        else:
            candidate, number = name, 0
            while candidate in self.taken:
                number += 1
                candidate = f"{name}{number}"
        self.taken.add(candidate)
        return candidate
