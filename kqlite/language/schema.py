"""What the language knows of data: columns, shapes of dynamic values, and the catalog that lists tables.

A *shape* covers every document of a dynamic column in one partition: which members there are, of which type, and where each
leaf is held. The same word describes a dynamic value inside a plan (its *form*): a value whose form is `JSON` is text that
DuckDB's JSON functions read, any other form is a native struct, list or scalar.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from kqlite.language.types import Type


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar inside a dynamic value, held natively: `type` is BOOL, LONG, REAL or STRING.

    plain: no string held here has a character that JSON must escape, so that its text is the value between two quotes. A promise of
    whoever writes the rows; False where nobody has looked.
    """

    type: Type
    plain: bool = False


@dataclass(frozen=True, slots=True)
class JsonLeaf:
    """Any dynamic value, held as JSON text; never the text `null`, which is NULL.

    plain: no object in it has a null member, and each fraction in it is one that a double holds, so that an engine which reads the text
    and writes it again changes no value. ordered: it is compact, and the members of each object stand in the order of their names, so that
    equal documents have equal text. Promises of whoever writes the text; False where nobody has looked.
    """

    plain: bool = False
    ordered: bool = False


JSON = JsonLeaf()
ORDERED_JSON = JsonLeaf(ordered=True)


@dataclass(frozen=True, slots=True)
class Array:
    """A list whose elements all have the shape `element`; a NULL element is a JSON null."""

    element: "Shape"


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an object.

    held_in: None where it is a field of the object's own struct; else the name of a column of the partition, beside the dynamic column,
    which holds it (a *hot* column, updated in place).
    """

    name: str
    shape: "Shape"
    held_in: str | None = None


@dataclass(frozen=True, slots=True)
class Object:
    """An object. A NULL struct is an absent object, a struct whose members are all NULL is `{}`.

    Names are unique without regard to case, none is empty. An object without members of its own struct is held as `STRUCT("_" BOOLEAN)`.
    """

    members: tuple[Member, ...]

    def member(self, name: str) -> Member | None:
        """The member of exactly that name."""
        return next((member for member in self.members if member.name == name), None)


Shape = Leaf | JsonLeaf | Array | Object


def is_ordered(shape: Shape) -> bool:
    """Whether the text of a value of this shape is the same for equal documents without more ado."""
    match shape:
        case Leaf():
            return True
        case JsonLeaf():
            return shape.ordered
        case Array():
            return is_ordered(shape.element)
        case Object():
            return all(is_ordered(member.shape) for member in shape.members)


def json_of(shapes: Iterable[Shape | None]) -> JsonLeaf:
    """The form in which values of these shapes meet as JSON; None stands for a value that is no dynamic, whose JSON is always ordered."""
    return JsonLeaf(ordered=all(shape is None or is_ordered(shape) for shape in shapes))


@dataclass(frozen=True, slots=True)
class Column:
    """A column as a query sees it. hidden: not part of the table's default output, but a query may name it."""

    name: str
    type: Type
    hidden: bool = False


class Schema(tuple[Column, ...]):
    """Columns in order. Names are unique and case-sensitive."""

    __slots__ = ()

    def names(self) -> list[str]:
        return [column.name for column in self]

    def find(self, name: str) -> Column | None:
        return next((column for column in self if column.name == name), None)


@dataclass(frozen=True, slots=True)
class Partition:
    """A physical part of a table, which holds rows of one resource type, or of many.

    source: the name of the native table or view, to be quoted.
    columns: for each KQL column that this partition has, the name of the physical column. A column that is missing here is null (a
        string `''`). Strings are NOT NULL, datetimes and timespans are ticks, guids are lower-case text.
    shapes: for each dynamic column in `columns`, the shape of its values.
    types: the values that the column `type` takes here, or None where that is not known.
    row: a physical column by which a row can be found again in one snapshot, or None where there is none.
    """

    source: str
    columns: Mapping[str, str]
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    types: frozenset[str] | None = None
    row: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Table:
    """A table that a query can name: the union of its partitions.

    scoped: rows belong to a subscription and a resource group, and the caller's scope applies to them.
    """

    name: str
    columns: Schema
    partitions: tuple[Partition, ...]
    scoped: bool = False


class Catalog(Protocol):
    """What tables and partitions there are, as of one snapshot.

    version: changes whenever a table, a partition or a shape does, and never returns to an earlier value in one connection.
    """

    @property
    def version(self) -> int: ...

    def table(self, name: str) -> Table | None:
        """The table of that name. Names of resource tables ignore case, those of registered tables do not."""

    def names(self) -> Iterator[str]:
        """Every name that `table` knows."""
