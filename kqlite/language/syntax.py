"""The syntax tree: what a query says, before anything in it has a meaning.

Nodes are frozen and each has its `span`. A table may stand wherever a scalar may (`in (T | project k)`, `toscalar(..)`), because the
grammar cannot tell them apart; the binder refuses the wrong one by name and place.
"""

from dataclasses import dataclass

from kqlite.language.source import Span
from kqlite.language.types import Type


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Node:
    """Where a node stands; and equality and text, which are written once here because generating them for forty classes takes as long as
    parsing a hundred queries.
    """

    span: Span

    # Plain loops: a deep tree needs one Python frame a level, and not three.

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return False
        for name in self.__match_args__:  # noqa: SIM110
            if getattr(self, name) != getattr(other, name):
                return False
        return True

    def __hash__(self) -> int:
        values = [type(self)]
        for name in self.__match_args__:
            values.append(getattr(self, name))
        return hash(tuple(values))

    def __repr__(self) -> str:
        shown = []
        for name in self.__match_args__:
            shown.append(f"{name}={getattr(self, name)!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


# Scalars


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Name(Node):
    """A column, table or value by name; `['x y']` is the name `x y`."""

    name: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Literal(Node):
    """A value of a scalar type other than dynamic.

    value: None for a typed null, else bool, int (int, long), float, str (string, guid in lower case with hyphens), or ticks as int
    (datetime, timespan). `datetime()` is the call `now()`, not a literal.
    """

    type: Type
    value: bool | int | float | str | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DynamicLiteral(Node):
    """`dynamic(..)`. json: compact JSON text, or None for `dynamic(null)`; datetimes and the like inside are strings in KQL's text form."""

    json: str | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TypeLiteral(Node):
    """`typeof(long)`."""

    type: Type


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Star(Node):
    """`*`, where a list or a call allows it."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MemberAccess(Node):
    """`base.name`, `base['name']`, `base.['name']`."""

    base: "Scalar"
    name: str
    name_span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class IndexAccess(Node):
    """`base[index]` where the index is no string literal (that is a MemberAccess); `a[-1]` has the index Unary("-", 1)."""

    base: "Scalar"
    index: "Scalar"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Call(Node):
    """`function(arguments)`; which function that is, the binder finds."""

    function: str
    arguments: tuple["Item", ...]
    name_span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Unary(Node):
    """operator: `-` or `+`."""

    operator: str
    operand: "Scalar"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Binary(Node):
    """One operator between two operands: comparisons and string operators, spelled as in KQL (`==`, `=~`, `!has_cs`, `matches regex`, ..).

    `<>` is written `!=`. operator_span: where the operator stands.
    """

    operator: str
    left: "Scalar"
    right: "Scalar"
    operator_span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Chain(Node):
    """Operands of one level joined from left to right: `a + b - c`, `a * b / c`, `a and b and c`, `a or b`.

    operators has one item less than operands. Flat, so that a long `or` is not a deep tree.
    """

    operands: tuple["Scalar", ...]
    operators: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class InList(Node):
    """`value in (..)`. operator: `in`, `!in`, `in~`, `!in~`, `has_any`, `has_all`. An item may be a Pipeline or the name of a table."""

    operator: str
    value: "Scalar"
    items: tuple["Scalar", ...]
    operator_span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Between(Node):
    """`value between (low .. high)`; negated: `!between`."""

    value: "Scalar"
    low: "Scalar"
    high: "Scalar"
    negated: bool


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Named(Node):
    """`x = e`, `(x, y) = e`; an item of a list or an argument by name."""

    names: tuple[Name, ...]
    value: "Scalar"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Pipeline(Node):
    """A source and what it goes through. source: None where the query begins with an operator (the table is then `resources`).

    A lone name or call is not wrapped in a Pipeline where a scalar could stand; at the top of a query it is.
    """

    source: "Scalar | Source | None"
    operators: tuple["Operator", ...]


Scalar = (
    Name
    | Literal
    | DynamicLiteral
    | TypeLiteral
    | Star
    | MemberAccess
    | IndexAccess
    | Call
    | Unary
    | Binary
    | Chain
    | InList
    | Between
    | Pipeline
)
Item = Scalar | Named

# Sources which are no scalars


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Print(Node):
    """`print a = 1, 2`: one row."""

    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Range(Node):
    """`range x from a to b step s`."""

    column: Name
    start: Scalar
    stop: Scalar
    step: Scalar


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Datatable(Node):
    """values: row by row, flat; each a literal or a constant call."""

    columns: tuple["ColumnDeclaration", ...]
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ColumnDeclaration(Node):
    """`name: type`, as `datatable` and `parse` have it."""

    name: str
    type: Type


# Tabular operators


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Parameter(Node):
    """`kind=inner`, `hint.strategy=shuffle`, `withsource=S`; value as written, a quoted string without its quotes."""

    name: str
    value: str
    value_span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Where(Node):
    """`where` and `filter`."""

    condition: Item


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Extend(Node):
    """`extend a = e, f(x)`."""

    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Project(Node):
    """`project a, b = e`."""

    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ProjectAway(Node):
    """patterns: names in which `*` stands for any characters."""

    patterns: tuple[Name, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ProjectKeep(Node):
    """patterns: as those of ProjectAway."""

    patterns: tuple[Name, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ProjectRename(Node):
    """`project-rename new = old`."""

    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Reordered(Node):
    """One item of `project-reorder`. direction: `asc`, `desc`, `granny-asc`, `granny-desc` for the columns a pattern matches, or None."""

    pattern: Name
    direction: str | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ProjectReorder(Node):
    """`project-reorder a, b* asc`."""

    items: tuple[Reordered, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ProjectByNames(Node):
    """`project-by-names 'a', dynamic(['b*'])`."""

    names: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SortKey(Node):
    """ascending: None where nothing is said (which is descending). nulls_first: None where nothing is said."""

    value: Item
    ascending: bool | None
    nulls_first: bool | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sort(Node):
    """`sort by` and `order by`."""

    keys: tuple[SortKey, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Take(Node):
    """`take` and `limit`."""

    count: Scalar


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Top(Node):
    """`top n by key`."""

    count: Scalar
    keys: tuple[SortKey, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Count(Node):
    """`count`: one row with the number of rows."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Distinct(Node):
    """`distinct a, b` and `distinct *`."""

    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Summarize(Node):
    """`summarize aggregates by keys`."""

    aggregates: tuple[Item, ...]
    by: tuple[Item, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Union(Node):
    """`T | union (U), V*`; as a source its own table is None. legs: names, patterns (names with `*`), calls and pipelines."""

    parameters: tuple[Parameter, ...]
    legs: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Search(Node):
    """`T | search 'x'`; as a source over tables, all where they are None. parameters: kind."""

    parameters: tuple[Parameter, ...]
    tables: tuple[Scalar, ...] | None
    condition: Scalar


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Find(Node):
    """`find in (T) where condition project a, b: long, pack_all()`. parameters: withsource. columns: None for `project-smart`."""

    parameters: tuple[Parameter, ...]
    tables: tuple[Scalar, ...] | None
    condition: Scalar
    columns: "tuple[Name | ColumnDeclaration | Call, ...] | None"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Join(Node):
    """conditions: names, or Binary("==", $left.a, $right.b), where `$left` and `$right` are Names; `and` gives a Chain."""

    parameters: tuple[Parameter, ...]
    right: Scalar
    conditions: tuple[Item, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Lookup(Node):
    """parameters: kind. conditions: as those of Join."""

    parameters: tuple[Parameter, ...]
    right: Scalar
    conditions: tuple[Item, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Expanded(Node):
    """One item of `mv-expand`. to_type: `to typeof(..)`."""

    value: Item
    to_type: Type | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MvExpand(Node):
    """keyword: `mv-expand` or `mvexpand`, which differ in their limit. parameters: kind, bagexpansion, with_itemindex."""

    keyword: str
    parameters: tuple[Parameter, ...]
    items: tuple[Expanded, ...]
    limit: Scalar | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ParseKv(Node):
    """`parse-kv text as (a: long) with (pair_delimiter = ',', ..)`."""

    value: Scalar
    columns: tuple[ColumnDeclaration, ...]
    options: tuple[Item, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MvApply(Node):
    """`mv-apply x = a on (operators)`. parameters: with_itemindex."""

    parameters: tuple[Parameter, ...]
    items: tuple[Expanded, ...]
    limit: Scalar | None
    operators: tuple["Operator", ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Partition(Node):
    """`partition by column (operators)`."""

    column: Name
    operators: tuple["Operator", ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SeriesItem(Node):
    """One item of `make-series`. default: what an empty bin has; None where nothing is said."""

    value: Item
    default: Scalar | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MakeSeries(Node):
    """`make-series items on axis from start to stop step step by keys`.

    start, stop: None where nothing is said. includes_stop: `in range(start, stop, step)`, whose stop may be a bin of its own.
    """

    parameters: tuple[Parameter, ...]
    items: tuple[SeriesItem, ...]
    axis: Scalar
    start: Scalar | None
    stop: Scalar | None
    step: Scalar
    includes_stop: bool
    by: tuple[Item, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Level(Node):
    """One level of `top-nested`. others: the name of the row for what is left, None for none. key: the aggregate and its direction."""

    count: Scalar | None
    value: Item
    others: Scalar | None
    key: SortKey


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TopNested(Node):
    """`top-nested 2 of a by count(), top-nested 3 of b by sum(x)`."""

    levels: tuple[Level, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TopHitters(Node):
    """`top-hitters n of value by weight`. weight: None for the number of rows."""

    count: Scalar
    value: Item
    weight: Item | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Parse(Node):
    """keyword: `parse` or `parse-where`. parameters: kind, flags. pattern: `*`, string literals, and columns, whose type is string where
    none is said.
    """

    keyword: str
    parameters: tuple[Parameter, ...]
    value: Scalar
    pattern: tuple[Star | Literal | ColumnDeclaration, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Serialize(Node):
    """`serialize` and `serialize a = e`: the rows keep the order in which they come."""

    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sample(Node):
    """`sample n`."""

    count: Scalar


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SampleDistinct(Node):
    """`sample-distinct n of column`."""

    count: Scalar
    column: Item


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GetSchema(Node):
    """`getschema`."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class As(Node):
    """`as T`: a name for the table so far."""

    name: Name


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Invoke(Node):
    """`invoke f(..)`: a function whose first argument is the table so far."""

    call: Call


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class OutputSchema(Node):
    """`: (*, a: long)` behind a plugin. keeps_source: whether `*` stands there."""

    keeps_source: bool
    columns: tuple[ColumnDeclaration, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Evaluate(Node):
    """`evaluate plugin(..) : (a: long)`. schema: None where none is written."""

    call: Call
    schema: OutputSchema | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Consume(Node):
    """`consume`: no rows."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Render(Node):
    """`render timechart with (title = 'x', ..)`. properties: what is written behind it, a list of columns as items without a name."""

    chart: str
    properties: tuple[Item, ...]


Operator = (
    Where
    | Extend
    | Project
    | ProjectAway
    | ProjectKeep
    | ProjectRename
    | ProjectReorder
    | ProjectByNames
    | Sort
    | Take
    | Top
    | Count
    | Distinct
    | Summarize
    | Union
    | Search
    | Join
    | Lookup
    | MvExpand
    | MvApply
    | Partition
    | MakeSeries
    | TopNested
    | TopHitters
    | Parse
    | ParseKv
    | Serialize
    | Sample
    | SampleDistinct
    | GetSchema
    | As
    | Invoke
    | Evaluate
    | Consume
    | Render
)
Source = Print | Range | Datatable | Union | Search | Find


# Statements


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Let(Node):
    """`let name = value;`, a scalar, a table or a function."""

    name: Name
    value: "Scalar | Pipeline | Function"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ScalarParameter(Node):
    """`name: type = default`, of a function or of the query. default: a constant, or None where there is none."""

    name: str
    type: Type
    default: Scalar | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TableParameter(Node):
    """`name: (a: long, ..)`, or `name: (*)`, for which columns is None."""

    name: str
    columns: tuple[ColumnDeclaration, ...] | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Function(Node):
    """`(a: long, b: string = 'x') { body }`. is_view: written with `view`, so that wildcards and `search` find it."""

    is_view: bool
    parameters: tuple[ScalarParameter | TableParameter, ...]
    body: "Query"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class QueryParameters(Node):
    """`declare query_parameters(a: long = 5);`."""

    parameters: tuple[ScalarParameter, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Set(Node):
    """`set option = value;`: options tell a cluster how to work and change no answer."""

    option: str
    value: Scalar | None


Statement = Let | QueryParameters | Set


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Query(Node):
    """A whole query, or the body of a function.

    statements run before the last one, `body`, which is the answer. A query that is a bare scalar has it as `source` of the body.
    """

    statements: tuple[Statement, ...]
    body: Pipeline
