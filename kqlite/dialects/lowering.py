"""Relations of the plan to SQL queries.

A *block* is a SELECT in the making. Runs of filters and projections go into one block: a column is an expression over the
block's source until something needs it by name. ORDER BY is written once, at the top, and where rows are taken: a sorted
subquery promises nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from kqlite.dialects import sql
from kqlite.dialects.mv_expand import expansion_items
from kqlite.dialects.scalars import SQL_TYPES, ScalarLowering, constant
from kqlite.language import plan
from kqlite.language.schema import Array, Object
from kqlite.language.types import Type

INLINED_NODES = 400
"""How large an expression may grow by putting definitions into uses before a subquery holds it."""


@dataclass(slots=True)
class Block:
    """A SELECT in the making.

    columns: an expression for each attribute, over `from_`. closed: rows are grouped already, or a column counts them, so that
    a condition or a new column needs a SELECT around; a limit does the same.
    """

    from_: sql.From | None
    columns: dict[plan.Attribute, sql.Expression]
    where: list[sql.Expression] = field(default_factory=list)
    group_by: tuple[sql.Expression, ...] = ()
    order: tuple[sql.Ordering, ...] = ()
    limit: int | None = None
    closed: bool = False


class RelationLowering:
    """Lowers the relations of one plan."""

    def __init__(self) -> None:
        self.aliases = sql.Aliases()
        self._shared: dict[plan.Shared, tuple[str, dict[plan.Attribute, str]]] = {}
        """Of each Apply around, the name of its input's rows and of their columns."""

    def query(self, relation: plan.Relation, attributes: Iterable[plan.Attribute] | None = None) -> sql.Query:
        """A query whose columns are the relation's, in order, by aliases of our own."""
        block = self.block(relation)
        return self._select(block, [(attribute, block.columns[attribute]) for attribute in attributes or relation.attributes])[0]

    def output(self, relation: plan.Project) -> tuple[sql.Query, list[str]]:
        """The query of a whole plan and its columns' aliases. A dynamic comes out as text, made last."""
        block = self.block(relation.input)
        if block.limit is not None and any(_makes_text(value) for _, value in relation.outputs):
            # Else the engine makes the text of every row before it cuts them off.
            block = self._wrapped(block, _references(value for _, value in relation.outputs))
        scalars = self._scalars(block)
        items = []
        for attribute, value in relation.outputs:
            items.append((attribute, scalars.text(value) if value.type is Type.DYNAMIC else scalars.lower(value)))
        return self._select(block, items)

    def _select(self, block: Block, items: Iterable[tuple[plan.Attribute, sql.Expression]]) -> tuple[sql.Select, list[str]]:
        named = [(expression, self.aliases.column(attribute.name)) for attribute, expression in items]
        select = sql.Select(
            tuple(named),
            block.from_,
            sql.all_of(block.where) if block.where else None,
            block.group_by,
            order_by=block.order,
            limit=block.limit,
        )
        return select, [name for _, name in named]

    def _wrapped(self, block: Block, attributes: Iterable[plan.Attribute]) -> Block:
        """A block around `block`, which gives these columns and its order keys. Order goes out with the rows; inside it is only
        written where rows are cut off.
        """
        wanted = dict.fromkeys(attributes)
        alias = self.aliases.table()
        items: list[tuple[sql.Expression, str]] = []
        columns: dict[plan.Attribute, sql.Expression] = {}
        for attribute in wanted:
            name = self.aliases.column(attribute.name)
            items.append((block.columns[attribute], name))
            columns[attribute] = sql.Name(alias, name)
        order = []
        for ordering in block.order:
            known = next((columns[a] for a in wanted if block.columns[a] is ordering.expression), None)
            if known is None:
                name = self.aliases.column("key")
                items.append((ordering.expression, name))
                known = sql.Name(alias, name)
            order.append(replace(ordering, expression=known))
        select = sql.Select(
            tuple(items),
            block.from_,
            sql.all_of(block.where) if block.where else None,
            block.group_by,
            order_by=block.order if block.limit is not None else (),
            limit=block.limit,
        )
        return Block(sql.Derived(select, alias), columns, order=tuple(order))

    def _open(self, block: Block, attributes: Iterable[plan.Attribute]) -> Block:
        """The block, or one around it where it is closed to conditions and new columns."""
        return self._wrapped(block, attributes) if block.limit is not None or block.closed else block

    def _scalars(self, block: Block) -> ScalarLowering:
        return ScalarLowering(block.columns, self.query, block.order)

    # Relations

    def block(self, relation: plan.Relation) -> Block:
        match relation:
            case plan.PartitionScan():
                return self._scan(relation)
            case plan.Rows():
                return self._rows(relation)
            case plan.Series():
                return self._series(relation)
            case plan.Filter():
                block = self._open(self.block(relation.input), relation.input.attributes)
                condition = self._scalars(block).condition(relation.condition)
                return replace(block, where=[*block.where, condition])
            case plan.Project():
                return self._project(relation)
            case plan.Sort():
                return self._sort(relation)
            case plan.Take():
                block = self.block(relation.input)
                if block.limit is not None:
                    return replace(block, limit=min(block.limit, relation.count))
                return replace(block, limit=relation.count)
            case plan.Aggregate():
                return self._aggregate(relation)
            case plan.Join():
                return self._join(relation)
            case plan.Union():
                return self._union(relation)
            case plan.Fetch():
                return self._fetch(relation)
            case plan.MvExpand():
                return self._mv_expand(relation)
            case plan.Apply():
                return self._apply(relation)
            case plan.Given():
                name, columns = self._shared[relation.shared]
                alias = self.aliases.table()
                return Block(sql.TableName(name, alias), {own: sql.Name(alias, columns[source]) for own, source in relation.columns})
        raise AssertionError(relation)

    def _scan(self, relation: plan.PartitionScan) -> Block:
        alias = self.aliases.table()
        columns: dict[plan.Attribute, sql.Expression] = {}
        for attribute, extract in relation.outputs:
            assert extract.column is not None
            value: sql.Expression = sql.Name(alias, extract.column)
            for step in extract.steps:
                if isinstance(step, str):
                    value = sql.Field(value, step)
                else:
                    value = sql.Element(value, sql.Literal(step + 1 if step >= 0 else step))
            columns[attribute] = value
        return Block(sql.TableName(relation.partition.source, alias), columns)

    def _rows(self, relation: plan.Rows) -> Block:
        if len(relation.rows) == 1:
            scalars = ScalarLowering({}, self.query)
            values = {a: scalars.lower(value) for a, value in zip(relation.columns, relation.rows[0], strict=True)}
            return Block(None, values)
        alias = self.aliases.table()
        names = tuple(self.aliases.column(attribute.name) for attribute in relation.columns)
        columns: dict[plan.Attribute, sql.Expression] = {
            attribute: sql.Name(alias, name) for attribute, name in zip(relation.columns, names, strict=True)
        }
        scalars = ScalarLowering({}, self.query)
        # The first row gives every column its type; where there are no rows, one that is filtered out does.
        typed = [
            tuple(sql.Cast(scalars.lower(v), _sql_type(a)) for v, a in zip(row, relation.columns, strict=True)) for row in relation.rows
        ]
        if not typed:
            nulls = tuple(constant(plan.Constant(attribute.type, None)) for attribute in relation.columns)
            return Block(sql.Derived(sql.Values(names, (nulls,)), alias), columns, where=[sql.FALSE])
        return Block(sql.Derived(sql.Values(names, tuple(typed)), alias), columns)

    def _series(self, relation: plan.Series) -> Block:
        scalars = ScalarLowering({}, self.query)
        start, stop, step = (scalars.lower(value) for value in (relation.start, relation.stop, relation.step))
        alias = self.aliases.table()
        name = self.aliases.column(relation.column.name)
        if relation.column.type is Type.REAL:
            # No row where the step is 0, or where there is no number of rows.
            count = sql.Template(
                "TRY_CAST(floor(({stop} - {start}) / nullif({step}, 0) + 1e-9) AS BIGINT)", {"start": start, "stop": stop, "step": step}
            )
            numbers = sql.call("unnest", sql.call("generate_series", sql.Cast(sql.Literal(0), "BIGINT"), count))
            inner = self.aliases.table()
            value: sql.Expression = sql.operation("+", start, sql.operation("*", sql.Name(inner, "n"), step))
            source: sql.From = sql.Derived(sql.Select(((numbers, "n"),)), inner)
            select = sql.Select(((value, name),), source)
        else:
            bounds = (sql.Cast(bound, "BIGINT") for bound in (start, stop, step))
            series: sql.Expression = sql.call("unnest", sql.call("generate_series", *bounds))
            select = sql.Select(((sql.Cast(series, _sql_type(relation.column)), name),))
        column = sql.Name(alias, name)
        direction = sql.operation("*", column, sql.call("sign", step))
        key: sql.Expression = column if isinstance(step, sql.Literal) else direction
        ascends = not (isinstance(step, sql.Literal) and isinstance(step.value, int | float) and step.value < 0)
        return Block(sql.Derived(select, alias), {relation.column: column}, order=(sql.Ordering(key, ascends, True),))

    def _project(self, relation: plan.Project) -> Block:
        block = self.block(relation.input)
        trivial = all(isinstance(value, plan.Reference) for _, value in relation.outputs)
        if trivial:
            return replace(
                block, columns=block.columns | {a: block.columns[v.attribute] for a, v in relation.outputs if isinstance(v, plan.Reference)}
            )
        read = _references([*(value for _, value in relation.outputs), *relation.partition])
        block = self._open(block, read)
        if self._grows(block, relation):
            block = self._wrapped(block, read)
        scalars = self._scalars(block)
        scalars.partition = tuple(scalars.lower(value) for value in relation.partition)
        columns = dict(block.columns)
        for attribute, value in relation.outputs:
            columns[attribute] = scalars.lower(value)
        if not plan.counts_rows(relation):
            return replace(block, columns=columns)
        return replace(block, columns=columns, closed=True, order=_order_as_counted(block.order))

    def _grows(self, block: Block, relation: plan.Project) -> bool:
        """Whether putting the block's expressions into the new columns repeats too much of them."""
        uses: dict[plan.Attribute, int] = {}
        for _, value in relation.outputs:
            if isinstance(value, plan.Reference):
                continue
            for scalar in plan.walk(value):
                if isinstance(scalar, plan.Reference):
                    uses[scalar.attribute] = uses.get(scalar.attribute, 0) + 1
        return sum(count * _size(block.columns[attribute]) for attribute, count in uses.items()) > INLINED_NODES

    def _sort(self, relation: plan.Sort) -> Block:
        block = self.block(relation.input)
        if block.limit is not None or block.closed:
            block = self._wrapped(block, relation.input.attributes)
        scalars = self._scalars(replace(block, order=()))
        order: list[sql.Ordering] = []
        for key in relation.keys:
            value = scalars.lower(key.value)
            if _is_constant(value):
                continue
            if key.value.type is Type.REAL:
                # NaN stands beside the nulls; the engine sorts it above all numbers.
                order.append(sql.Ordering(sql.call("isnan", value), not key.nulls_first, key.nulls_first))
            order.append(sql.Ordering(value, key.ascending, key.nulls_first))
        return replace(block, order=tuple(order))

    def _aggregate(self, relation: plan.Aggregate) -> Block:
        block = self._open(self.block(relation.input), relation.input.attributes)
        scalars = self._scalars(block)
        columns: dict[plan.Attribute, sql.Expression] = {}
        keys = []
        for attribute, value in relation.keys:
            columns[attribute] = scalars.lower(value)
            if not _is_constant(columns[attribute]):
                keys.append(columns[attribute])
        for attribute, value in relation.aggregates:
            columns[attribute] = scalars.lower(value)
        grouped = Block(block.from_, columns, block.where, tuple(keys), closed=True)
        if relation.keys and not keys:
            return self._constant_group(grouped, block)
        return grouped

    def _constant_group(self, grouped: Block, block: Block) -> Block:
        """Grouped by constants: one group, but none of no rows."""
        count = self.aliases.column("rows")
        alias = self.aliases.table()
        items = [(expression, self.aliases.column(attribute.name)) for attribute, expression in grouped.columns.items()]
        columns: dict[plan.Attribute, sql.Expression] = {
            attribute: sql.Name(alias, name) for attribute, (_, name) in zip(grouped.columns, items, strict=True)
        }
        counted = (sql.call("count", sql.Star()), count)
        select = sql.Select((*items, counted), block.from_, sql.all_of(block.where) if block.where else None)
        return Block(sql.Derived(select, alias), columns, where=[sql.operation(">", sql.Name(alias, count), sql.Literal(0))])

    def _union(self, relation: plan.Union) -> Block:
        return self._united(relation, [self.block(leg) for leg, _ in relation.legs])

    def _fetch(self, relation: plan.Fetch) -> Block:
        picked = self.block(relation.picked)
        query, (leg_name, row_name) = self._select(
            picked, [(attribute, picked.columns[attribute]) for attribute in relation.picked.attributes]
        )
        name = self.aliases.table()
        blocks = []
        for number, ((leg, _), row) in enumerate(zip(relation.union.legs, relation.rows, strict=True)):
            block = self.block(leg)
            alias = self.aliases.table()
            of_leg = sql.operation("=", sql.Name(alias, leg_name), sql.Literal(number))
            rows = sql.Select(((sql.Name(alias, row_name), row_name),), sql.TableName(name, alias), of_leg)
            blocks.append(replace(block, where=[*block.where, sql.In(block.columns[row], rows)]))
        united = self._united(relation.union, blocks)
        assert isinstance(united.from_, sql.Derived)
        return replace(united, from_=replace(united.from_, query=sql.With(name, query, united.from_.query)))

    def _united(self, relation: plan.Union, blocks: Iterable[Block]) -> Block:
        legs = []
        names = [self.aliases.column(attribute.name) for attribute in relation.columns]
        for block, (_, values) in zip(blocks, relation.legs, strict=True):
            if block.limit is None:
                block = replace(block, order=())
            elif any(value is not None and _makes_text(value) for value in values):
                block = replace(self._wrapped(block, _references(value for value in values if value is not None)), order=())
            scalars = self._scalars(block)
            items = []
            for attribute, name, value in zip(relation.columns, names, values, strict=True):
                items.append((self._leg_value(scalars, attribute, value), name))
            where = sql.all_of(block.where) if block.where else None
            legs.append(sql.Select(tuple(items), block.from_, where, block.group_by, order_by=block.order, limit=block.limit))
        alias = self.aliases.table()
        columns: dict[plan.Attribute, sql.Expression] = {
            attribute: sql.Name(alias, name) for attribute, name in zip(relation.columns, names, strict=True)
        }
        return Block(sql.Derived(sql.UnionAll(tuple(legs)), alias), columns)

    def _leg_value(self, scalars: ScalarLowering, attribute: plan.Attribute, value: plan.Scalar | None) -> sql.Expression:
        if value is None:
            # A bare NULL takes the type of the other legs, a struct's too.
            return sql.NULL if attribute.type is Type.DYNAMIC else constant(plan.Constant(attribute.type, None))
        lowered = scalars.lower(value)
        return sql.Cast(lowered, _sql_type(attribute)) if isinstance(lowered, sql.Literal) else lowered

    def _join(self, relation: plan.Join) -> Block:
        sides = []
        keys: list[list[sql.Expression]] = [[], []]
        for number, side in enumerate((relation.left, relation.right)):
            conditions = [pair[number] for pair in relation.conditions]
            block = self.block(side)
            wanted = dict.fromkeys(source for _, source in relation.outputs if source in block.columns)
            wanted.update(dict.fromkeys(_references(conditions)))
            if number == 0 and relation.kind == "innerunique":
                block = self._first_of_each(block, conditions, wanted)
            elif not _may_stay_open(block, wanted if _is_filled(relation.kind, number) else ()):
                block = self._wrapped(replace(block, order=() if block.limit is None else block.order), wanted)
            scalars = self._scalars(block)
            keys[number] = [scalars.lower(condition) for condition in conditions]
            assert block.from_ is not None
            sides.append(block)
        left, right = sides
        pairs = [self._meet(a, b, pair) for a, b, pair in zip(*keys, relation.conditions, strict=True)]
        condition = sql.all_of(pairs) if pairs else sql.TRUE
        kind = _JOIN_KINDS[relation.kind]
        first, second = (right, left) if relation.kind in ("rightsemi", "rightanti") else (left, right)
        assert first.from_ is not None
        assert second.from_ is not None
        known = left.columns | right.columns
        columns: dict[plan.Attribute, sql.Expression] = {}
        for attribute, source in relation.outputs:
            value = known[source]
            outside = (kind in ("LEFT", "FULL") and source in right.columns) or (kind in ("RIGHT", "FULL") and source in left.columns)
            columns[attribute] = sql.or_empty(value) if outside and attribute.type is Type.STRING else value
        return Block(sql.Joined(kind, first.from_, second.from_, condition), columns)

    def _meet(self, left: sql.Expression, right: sql.Expression, pair: tuple[plan.Scalar, plan.Scalar]) -> sql.Expression:
        """Null meets null; where there can be none, the plain equality is faster."""
        never_null = (not pair[0].nullable and not pair[1].nullable) or pair[0].type is Type.STRING
        return sql.operation("=" if never_null else "IS NOT DISTINCT FROM", left, right)

    def _first_of_each(self, block: Block, conditions: list[plan.Scalar], wanted: Mapping[plan.Attribute, None]) -> Block:
        """One row for each key: the first one by the order of the input, where it has one."""
        block = self._open(block, wanted)
        scalars = self._scalars(block)
        keys = tuple(key for key in map(scalars.lower, conditions) if not _is_constant(key))
        alias = self.aliases.table()
        items = [(block.columns[attribute], self.aliases.column(attribute.name)) for attribute in wanted]
        columns: dict[plan.Attribute, sql.Expression] = {a: sql.Name(alias, name) for a, (_, name) in zip(wanted, items, strict=True)}
        order = tuple(sql.Ordering(key, True, True) for key in keys) + block.order if block.order else ()
        where = sql.all_of(block.where) if block.where else None
        # All rows have one key where every key is a constant, which the engine refuses in DISTINCT ON.
        select = sql.Select(tuple(items), block.from_, where, distinct_on=keys, order_by=order, limit=None if keys else 1)
        return Block(sql.Derived(select, alias), columns)

    def _apply(self, relation: plan.Apply) -> Block:
        block = self.block(relation.input)
        if block.limit is None:
            block = replace(block, order=())
        attributes = relation.input.attributes
        query, names = self._select(block, [(attribute, block.columns[attribute]) for attribute in attributes])
        name = self.aliases.table()
        self._shared[relation.shared] = (name, dict(zip(attributes, names, strict=True)))
        result = self.block(relation.result)
        outside = self._wrapped(result, relation.result.attributes)
        assert isinstance(outside.from_, sql.Derived)
        return replace(outside, from_=replace(outside.from_, query=sql.With(name, query, outside.from_.query)))

    def _mv_expand(self, relation: plan.MvExpand) -> Block:
        kept = relation.kept
        block = self._open(self.block(relation.input), [*kept, *_references(e.value for e in relation.expansions)])
        scalars = self._scalars(replace(block, order=()))
        alias = self.aliases.table()
        items = [(block.columns[attribute], self.aliases.column(attribute.name)) for attribute in kept]
        columns: dict[plan.Attribute, sql.Expression] = {a: sql.Name(alias, name) for a, (_, name) in zip(kept, items, strict=True)}
        for attribute, expression, finish in expansion_items(relation, scalars):
            name = self.aliases.column(attribute.name)
            items.append((expression, name))
            columns[attribute] = finish(sql.Name(alias, name))
        where = sql.all_of(block.where) if block.where else None
        return Block(sql.Derived(sql.Select(tuple(items), block.from_, where), alias), columns)


def _order_as_counted(order: tuple[sql.Ordering, ...]) -> tuple[sql.Ordering, ...]:
    """The order of rows that have been counted, by their numbers: rows with equal keys stay as the window functions saw them."""
    return (sql.Ordering(sql.Window(sql.call("row_number"), order_by=order), True, True),) if order else ()


_JOIN_KINDS = {
    "innerunique": "INNER",
    "inner": "INNER",
    "leftouter": "LEFT",
    "rightouter": "RIGHT",
    "fullouter": "FULL",
    "leftsemi": "SEMI",
    "rightsemi": "SEMI",
    "leftanti": "ANTI",
    "rightanti": "ANTI",
}


def _is_filled(kind: str, side: int) -> bool:
    """Whether the join gives rows in which this side, 0 for the left one, has no match and is filled with nulls."""
    return _JOIN_KINDS[kind] in (("RIGHT", "FULL"), ("LEFT", "FULL"))[side]


def _may_stay_open(block: Block, filled: Iterable[plan.Attribute]) -> bool:
    """Whether a side of a join may be the table itself, so that its columns are computed after the join.

    filled: the columns that must be null on a row without a match. Only a column of the table, or a member or element of one, is null there
    whatever it is made of; `1`, `strcat(..)` or `isnull(..)` would give a value, so a SELECT of their own computes them before the join.
    """
    is_table = isinstance(block.from_, sql.TableName) and not block.where and block.limit is None and not block.closed
    return is_table and all(_is_stored(block.columns[attribute]) for attribute in filled)


def _is_stored(expression: sql.Expression) -> bool:
    while isinstance(expression, sql.Field | sql.Element):
        expression = expression.base
    return isinstance(expression, sql.Name)


def _is_constant(expression: sql.Expression) -> bool:
    """Whether SQL would read this in GROUP BY or ORDER BY as the number of a column, or refuse it."""
    return isinstance(expression, sql.Literal) or (isinstance(expression, sql.Cast) and isinstance(expression.operand, sql.Literal))


def _references(scalars: Iterable[plan.Scalar]) -> list[plan.Attribute]:
    """The columns that the scalars mention, each once."""
    found: dict[plan.Attribute, None] = {}
    for scalar in scalars:
        found.update((inner.attribute, None) for inner in plan.walk(scalar) if isinstance(inner, plan.Reference))
    return list(found)


def _makes_text(value: plan.Scalar) -> bool:
    """Whether the output of this value is work: the text of a document."""
    return isinstance(value.form, Array | Object)


def _sql_type(attribute: plan.Attribute) -> str:
    return SQL_TYPES[attribute.type]


def _size(expression: sql.Expression) -> int:
    """How many nodes an expression has, counted up to a bound."""
    return sum(1 for _ in zip(range(INLINED_NODES + 1), sql.walk(expression), strict=False))
