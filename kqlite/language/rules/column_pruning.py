"""Path pruning: every relation gives what is asked of it and no more, and every dynamic gets its form.

From the top down each relation is asked for *needs*: a column, or a path inside a dynamic one. From the bottom up each answers
with *branches*, one for each partition that is left: rows, and for each need a scalar over these rows. Operators that work row
by row are applied to each branch with that partition's own forms; any other operator sees the branches united, over what was
extracted and never over whole documents.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from kqlite.language import plan
from kqlite.language.rules.branches import Branch, Need, Needs, Steps, merged, written_leaves
from kqlite.language.rules.late_materialization import Picking, fetched
from kqlite.language.rules.partition_pruning import conjuncts, decided, prune_partitions
from kqlite.language.rules.rebuild import rebuild, with_inputs
from kqlite.language.schema import JSON, JsonLeaf, Object, Partition, Shape
from kqlite.language.types import Type

DISTRIBUTED_NODES = 4000
"""How many nodes of scalars may be repeated over branches before they are united first: planning time grows with the text of the SQL."""


def narrow(relation: plan.Relation) -> plan.Relation:
    """`relation` over partitions, with forms. Its attributes are the same in number, name and type."""
    attributes = relation.attributes
    branch = merged(_build(relation, {(attribute, ()): None for attribute in attributes}))
    outputs = []
    for attribute in attributes:
        value = branch.given[attribute, ()]
        outputs.append((plan.Attribute(attribute.name, attribute.type, value.form), value))
    return plan.Project(branch.relation, tuple(outputs))


# Needs


def _needs_of(scalars: Iterable[plan.Scalar], needs: Needs) -> Needs:
    """Adds what the scalars ask of their rows."""
    for scalar in scalars:
        if isinstance(scalar, plan.Reference):
            needs[scalar.attribute, ()] = None
        elif isinstance(scalar, plan.Path) and isinstance(scalar.base, plan.Reference):
            needs[scalar.base.attribute, scalar.steps] = None
        else:
            _needs_of(scalar.children, needs)
    return needs


def _rewrite(scalar: plan.Scalar, given: Mapping[Need, plan.Scalar]) -> plan.Scalar:
    """The scalar over a branch's rows."""
    if isinstance(scalar, plan.Reference):
        return given[scalar.attribute, ()]
    if isinstance(scalar, plan.Path) and isinstance(scalar.base, plan.Reference):
        return given[scalar.base.attribute, scalar.steps]
    if isinstance(scalar, plan.InTable):
        return replace(scalar, value=_rewrite(scalar.value, given), relation=_inside_expression(scalar.relation))
    if isinstance(scalar, plan.Gathered | plan.FirstValue):
        return replace(scalar, relation=_inside_expression(scalar.relation))
    rebuilt = rebuild(scalar, lambda child: _rewrite(child, given))
    if isinstance(rebuilt, plan.Invoke) and (rebuilt.function.aggregate or rebuilt.returns is Type.DYNAMIC):
        # What may come out again, or be kept, must be whole: a document's hot leaves lie beside its struct.
        whole = tuple(plan.AsJson(a) if isinstance(a, plan.Document) else a for a in rebuilt.arguments)
        return replace(rebuilt, arguments=whole)
    return rebuilt


def _inside_expression(relation: plan.Relation) -> plan.Relation:
    """A relation that stands in a scalar, which the rules before have not seen."""
    return narrow(prune_partitions(relation))


def _handed_on(value: plan.Scalar, steps: Steps) -> Need | None:
    """The need of the input that answers a need of a column defined as `value`; None where it has to be computed."""
    if isinstance(value, plan.Reference):
        return value.attribute, steps
    if isinstance(value, plan.Path) and isinstance(value.base, plan.Reference):
        return value.base.attribute, (*value.steps, *steps)
    return None


def _into(value: plan.Scalar, steps: Steps) -> plan.Scalar:
    """A path inside a scalar that is given whole."""
    if not steps:
        return value
    if isinstance(value, plan.Constant) and value.value is None:
        return value
    return plan.Path(value.base, (*value.steps, *steps)) if isinstance(value, plan.Path) else plan.Path(value, steps)


# Branches


def _build(relation: plan.Relation, needs: Needs) -> list[Branch]:
    match relation:
        case plan.Scan():
            return [_partition(relation, partition, needs) for partition in relation.partitions] or [_no_rows(needs)]
        case plan.Rows() | plan.Series():
            return [_constant_rows(relation, needs)]
        case plan.Filter():
            return _filter(relation, needs)
        case plan.Project():
            return _project(relation, needs)
        case plan.Sort():
            return [_sort(relation, _build(relation.input, _key_needs(relation, needs)), needs)]
        case plan.Take():
            return [_take(relation, needs)]
        case plan.Aggregate():
            return [_aggregate(relation, needs)]
        case plan.Join():
            return [_join(relation, needs)]
        case plan.Union():
            return _union(relation, needs)
        case plan.MvExpand():
            return _mv_expand(relation, needs)
        case plan.Apply():
            return [_apply(relation, needs)]
        case _Learning() | _Reading():
            return [relation.branch(needs)]
        case plan.Given():
            raise AssertionError("a Given stands in an Apply, which puts something else in its place")
    raise AssertionError(relation)


def _no_rows(needs: Needs) -> Branch:
    """A table without partitions."""
    given = {need: _absent(need[0].type) for need in needs}
    return Branch(plan.Filter(plan.Rows((), ((),)), plan.Constant(Type.BOOL, False)), given)


def _absent(type_: Type) -> plan.Constant:
    return plan.Constant(type_, "" if type_ is Type.STRING else None)


def _partition(scan: plan.Scan, partition: Partition, needs: Needs) -> Branch:
    outputs: list[tuple[plan.Attribute, plan.Extract]] = []
    given: dict[Need, plan.Scalar] = {}

    def output(hint: str, type_: Type, extract: plan.Extract) -> plan.Reference:
        attribute = plan.Attribute(hint, type_, extract.shape)
        outputs.append((attribute, extract))
        return plan.Reference(attribute)

    for need in needs:
        attribute, steps = need
        column = partition.columns.get(attribute.name)
        if column is None:
            given[need] = _absent(attribute.type)
        elif attribute.type is not Type.DYNAMIC:
            if attribute.name == "type" and partition.types is not None and len(partition.types) == 1:
                given[need] = plan.Constant(Type.STRING, next(iter(partition.types)))
            else:
                given[need] = output(attribute.name, attribute.type, plan.Extract(column))
        else:
            given[need] = _extract(column, partition.shapes[attribute.name], attribute.name, steps, output)
    return Branch(plan.PartitionScan(partition, tuple(outputs)), given)


def _extract(column: str, shape: Shape, name: str, steps: Steps, output) -> plan.Scalar:  # type: ignore[no-untyped-def]
    """A dynamic column of a partition, or a path inside it, as columns of its scan."""
    source = column
    inside: Steps = ()
    for number, step in enumerate(steps):
        if isinstance(shape, JsonLeaf):
            return plan.Path(output(name, Type.DYNAMIC, plan.Extract(source, shape, inside)), steps[number:])
        name = f"{name}_{step}"
        member = shape.member(step) if isinstance(shape, Object) and isinstance(step, str) else None
        if member is not None and member.held_in is not None:
            source, inside = member.held_in, ()
        else:
            inside = (*inside, step)
        inner = plan.step_into(shape, step)
        if inner is None:
            return _absent(Type.DYNAMIC)
        shape = inner
    reference = output(name, Type.DYNAMIC, plan.Extract(source, shape, inside))
    hot = {
        path: output(f"{name}_{'_'.join(path)}", Type.DYNAMIC, plan.Extract(held_in, leaf)) for path, held_in, leaf in _hot_leaves(shape)
    }
    return plan.Document(reference, hot) if hot else reference


def _hot_leaves(shape: Shape, path: tuple[str, ...] = ()) -> Iterable[tuple[tuple[str, ...], str, Shape]]:
    """The hot leaves of a shape: path, column and shape of each."""
    if isinstance(shape, Object):
        for member in shape.members:
            inner = (*path, member.name)
            if member.held_in is not None:
                yield inner, member.held_in, member.shape
            else:
                yield from _hot_leaves(member.shape, inner)


def _constant_rows(relation: plan.Rows | plan.Series, needs: Needs) -> Branch:
    renewed = {attribute: plan.Attribute(attribute.name, attribute.type, _form(attribute.type)) for attribute in relation.attributes}
    given = {(attribute, steps): _into(plan.Reference(renewed[attribute]), steps) for attribute, steps in needs}
    if isinstance(relation, plan.Series):
        start, stop, step = (_rewrite(bound, {}) for bound in (relation.start, relation.stop, relation.step))
        return Branch(plan.Series(renewed[relation.column], start, stop, step), given)
    rows = tuple(tuple(value if isinstance(value, plan.Constant) else _rewrite(value, {}) for value in row) for row in relation.rows)
    return Branch(plan.Rows(tuple(renewed.values()), rows), given)


def _form(type_: Type) -> Shape | None:
    return JSON if type_ is Type.DYNAMIC else None


def _filter(relation: plan.Filter, needs: Needs) -> list[Branch]:
    branches = _build(relation.input, _needs_of([relation.condition], dict(needs)))
    branches = _distributed(branches, [relation.condition])
    return [Branch(_filtered(b.relation, _rewrite(relation.condition, b.given)), _only(b.given, needs)) for b in branches]


def _filtered(relation: plan.Relation, condition: plan.Scalar) -> plan.Relation:
    """The rows that fulfil the condition; what the partition's type already decides is left out of it."""
    parts = [part for part in conjuncts(condition) if decided(part) is not True]
    for part in parts:
        relation = plan.Filter(relation, part)
    return relation


def _only(given: Mapping[Need, plan.Scalar], needs: Needs) -> dict[Need, plan.Scalar]:
    return {need: given[need] for need in needs}


def _distributed(branches: list[Branch], scalars: Iterable[plan.Scalar]) -> list[Branch]:
    """The branches, united where the scalars are too much to be repeated for each."""
    if len(branches) > 1 and len(branches) * sum(1 for scalar in scalars for _ in plan.walk(scalar)) > DISTRIBUTED_NODES:
        return [merged(branches)]
    return branches


def _project(relation: plan.Project, needs: Needs) -> list[Branch]:
    defined = dict(relation.outputs)
    inner: Needs = {}
    computed: dict[plan.Attribute, plan.Scalar] = {}
    for attribute, steps in needs:
        handed_on = _handed_on(defined[attribute], steps)
        if handed_on is not None:
            inner[handed_on] = None
        else:
            computed[attribute] = defined[attribute]
    counts = plan.counts_rows(relation)
    partition = relation.partition if counts else ()
    _needs_of((*computed.values(), *partition), inner)
    branches = _build(relation.input, inner)
    branches = [merged(branches)] if counts else _distributed(branches, computed.values())
    return [_projected(branch, defined, computed, needs, partition) for branch in branches]


def _projected(
    branch: Branch,
    defined: Mapping[plan.Attribute, plan.Scalar],
    computed: Mapping[plan.Attribute, plan.Scalar],
    needs: Needs,
    partition: tuple[plan.Scalar, ...],
) -> Branch:
    given: dict[Need, plan.Scalar] = {}
    values: dict[plan.Attribute, plan.Scalar] = {}
    outputs: list[tuple[plan.Attribute, plan.Scalar]] = []
    for attribute, value in computed.items():
        rewritten = _rewrite(value, branch.given)
        if isinstance(rewritten, plan.Constant):
            values[attribute] = rewritten
            continue
        renewed = plan.Attribute(attribute.name, attribute.type, rewritten.form)
        values[attribute] = plan.Reference(renewed)
        outputs.append((renewed, rewritten))
    for attribute, steps in needs:
        handed_on = _handed_on(defined[attribute], steps)
        given[attribute, steps] = branch.given[handed_on] if handed_on is not None else _into(values[attribute], steps)
    if not outputs:
        return Branch(branch.relation, given)
    made = {attribute for attribute, _ in outputs}
    kept: dict[plan.Attribute, None] = {}
    for scalar in given.values():
        kept.update((s.attribute, None) for s in plan.walk(scalar) if isinstance(s, plan.Reference) and s.attribute not in made)
    each = tuple(_rewrite(value, branch.given) for value in partition)
    return Branch(plan.Project(branch.relation, (*((a, plan.Reference(a)) for a in kept), *outputs), each), given)


def _key_needs(relation: plan.Sort, needs: Needs) -> Needs:
    return _needs_of([key.value for key in relation.keys], dict(needs))


def _sort(relation: plan.Sort, branches: list[Branch], needs: Needs) -> Branch:
    branch = merged(branches)
    return Branch(plan.Sort(branch.relation, _rewritten_keys(relation, branch)), _only(branch.given, needs))


def _rewritten_keys(relation: plan.Sort, branch: Branch) -> tuple[plan.SortKey, ...]:
    keys = (replace(key, value=_rewrite(key.value, branch.given)) for key in relation.keys)
    return tuple(key for key in keys if not isinstance(key.value, plan.Constant))


def _take(relation: plan.Take, needs: Needs) -> Branch:
    """Each branch gives no more than is taken in all, so that texts of documents are made of few rows."""
    count = relation.count
    if isinstance(relation.input, plan.Sort):
        return _take_first(relation.input, count, needs)
    # Any rows will do, so those come first whose documents are written with the least work.
    branches = sorted(_build(relation.input, needs), key=written_leaves)
    found = fetched([Picking(branch) for branch in branches], count)
    if found is not None:
        return found
    if len(branches) > 1:
        branches = [Branch(plan.Take(b.relation, count), b.given) for b in branches]
    branch = merged(branches)
    return Branch(plan.Take(branch.relation, count), branch.given)


def _take_first(sort: plan.Sort, count: int, needs: Needs) -> Branch:
    branches = _build(sort.input, _key_needs(sort, needs))
    keys = [[replace(key, value=_rewrite(key.value, branch.given)) for key in sort.keys] for branch in branches]
    found = fetched([Picking(branch, tuple(own)) for branch, own in zip(branches, keys, strict=True)], count)
    if found is not None:
        return _sort(sort, [found], needs)
    if len(branches) > 1:
        branches = [Branch(plan.Take(plan.Sort(b.relation, _rewritten_keys(sort, b)), count), b.given) for b in branches]
    branch = _sort(sort, branches, needs)
    return Branch(plan.Take(branch.relation, count), branch.given)


def _computed_first(relation: plan.Aggregate) -> plan.Aggregate:
    """The same with keys and arguments computed by a projection below, where each branch does it in its own forms."""
    outputs = [(attribute, plan.Reference(attribute)) for attribute in relation.input.attributes]
    computed: list[tuple[plan.Attribute, plan.Scalar]] = []

    def below(name: str, value: plan.Scalar) -> plan.Scalar:
        if isinstance(value, plan.Reference | plan.Constant | plan.Path):
            return value
        computed.append((plan.Attribute(name, value.type), value))
        return plan.Reference(computed[-1][0])

    keys = tuple((attribute, below(attribute.name, value)) for attribute, value in relation.keys)
    aggregates = tuple(
        (attribute, replace(invoke, arguments=tuple(below(attribute.name, argument) for argument in invoke.arguments)))
        for attribute, invoke in relation.aggregates
    )
    return plan.Aggregate(plan.Project(relation.input, (*outputs, *computed)), keys, aggregates) if computed else relation


def _aggregate(relation: plan.Aggregate, needs: Needs) -> Branch:
    wanted = {attribute for attribute, _ in needs}
    relation = _computed_first(replace(relation, aggregates=tuple(pair for pair in relation.aggregates if pair[0] in wanted)))
    aggregates = relation.aggregates
    inner = _needs_of([*(value for _, value in relation.keys), *(invoke for _, invoke in aggregates)], {})
    branch = merged(_build(relation.input, inner))
    renewed: dict[plan.Attribute, plan.Attribute] = {}

    def renew(attribute: plan.Attribute, value: plan.Scalar) -> plan.Attribute:
        renewed[attribute] = plan.Attribute(attribute.name, attribute.type, value.form)
        return renewed[attribute]

    keys = []
    for attribute, value in relation.keys:
        rewritten = _rewrite(value, branch.given)
        keys.append((renew(attribute, rewritten), rewritten))
    folded = []
    for attribute, invoke in aggregates:
        call = _rewrite(invoke, branch.given)
        assert isinstance(call, plan.Invoke)
        folded.append((renew(attribute, call), call))
    given = {(attribute, steps): _into(plan.Reference(renewed[attribute]), steps) for attribute, steps in needs}
    return Branch(plan.Aggregate(branch.relation, tuple(keys), tuple(folded)), given)


def _join(relation: plan.Join, needs: Needs) -> Branch:
    """Each side gives columns alone: a constant must become null where the side has no match."""
    sources = dict(relation.outputs)
    left_attributes = set(relation.left.attributes)
    asked: tuple[Needs, Needs] = ({}, {})
    for attribute, steps in needs:
        source = sources[attribute]
        asked[source not in left_attributes][source, steps] = None
    sides = []
    for number, side in enumerate((relation.left, relation.right)):
        inner = _needs_of([pair[number] for pair in relation.conditions], dict(asked[number]))
        sides.append(_with_columns(merged(_build(side, inner))))
    left, right = sides
    conditions = tuple((_rewrite(a, left.given), _rewrite(b, right.given)) for a, b in relation.conditions)
    outputs: dict[plan.Attribute, plan.Attribute] = {}
    given: dict[Need, plan.Scalar] = {}
    for attribute, steps in needs:
        source = sources[attribute]
        value = (left if source in left_attributes else right).given[source, steps]
        for scalar in plan.walk(value):
            if isinstance(scalar, plan.Reference) and scalar.attribute not in outputs:
                old = scalar.attribute
                outputs[old] = plan.Attribute(old.name, old.type, old.form)
        given[attribute, steps] = _renamed(value, outputs)
    pairs = tuple((new, old) for old, new in outputs.items())
    return Branch(plan.Join(relation.kind, left.relation, right.relation, conditions, pairs), given)


def _renamed(scalar: plan.Scalar, names: Mapping[plan.Attribute, plan.Attribute]) -> plan.Scalar:
    if isinstance(scalar, plan.Reference):
        return plan.Reference(names[scalar.attribute])
    return rebuild(scalar, lambda child: _renamed(child, names))


def _with_columns(branch: Branch) -> Branch:
    """The branch with a column for each need; of a document, its parts."""
    outputs: list[tuple[plan.Attribute, plan.Scalar]] = []
    seen: dict[plan.Attribute, None] = {}
    given: dict[Need, plan.Scalar] = {}
    for need, value in branch.given.items():
        if isinstance(value, plan.Reference | plan.Document):
            for scalar in plan.walk(value):
                if isinstance(scalar, plan.Reference) and scalar.attribute not in seen:
                    seen[scalar.attribute] = None
                    outputs.append((scalar.attribute, scalar))
            given[need] = value
        else:
            attribute = plan.Attribute(need[0].name, value.type, value.form)
            outputs.append((attribute, value))
            given[need] = plan.Reference(attribute)
    return Branch(plan.Project(branch.relation, tuple(outputs)), given)


def _union(relation: plan.Union, needs: Needs) -> list[Branch]:
    """The legs' branches are the union's."""
    branches = []
    for leg, values in relation.legs:
        by_attribute = dict(zip(relation.columns, values, strict=True))
        asked: Needs = {}
        for attribute, steps in needs:
            value = by_attribute[attribute]
            handed_on = _handed_on(value, steps) if value is not None else None
            if handed_on is not None:
                asked[handed_on] = None
        for branch in _build(leg, asked):
            given: dict[Need, plan.Scalar] = {}
            for attribute, steps in needs:
                value = by_attribute[attribute]
                handed_on = _handed_on(value, steps) if value is not None else None
                if handed_on is not None:
                    given[attribute, steps] = branch.given[handed_on]
                else:
                    given[attribute, steps] = _absent(attribute.type) if value is None else value
            # A union is in no order, whatever its legs were.
            branches.append(Branch(branch.relation, given))
    return branches


def _mv_expand(relation: plan.MvExpand, needs: Needs) -> list[Branch]:
    expanded = {expansion.attribute for expansion in relation.expansions}
    asked = {need: None for need in needs if need[0] not in expanded and need[0] is not relation.index}
    values = [expansion.value for expansion in relation.expansions]
    branches = _distributed(_build(relation.input, _needs_of(values, dict(asked))), values)
    return [_expanded(branch, relation, needs) for branch in branches]


def _expanded(branch: Branch, relation: plan.MvExpand, needs: Needs) -> Branch:
    made: dict[plan.Attribute, plan.Attribute] = {}
    expansions = []
    for expansion in relation.expansions:
        value = _rewrite(expansion.value, branch.given)
        form = plan.element_form(value.form or JSON) if expansion.to_type in (None, Type.DYNAMIC) else None
        attribute = plan.Attribute(expansion.attribute.name, expansion.attribute.type, form)
        made[expansion.attribute] = attribute
        expansions.append(replace(expansion, attribute=attribute, value=value))
    if relation.index is not None:
        made[relation.index] = relation.index
    given = {}
    kept: dict[plan.Attribute, None] = {}
    for attribute, steps in needs:
        if attribute in made:
            given[attribute, steps] = _into(plan.Reference(made[attribute]), steps)
        else:
            given[attribute, steps] = branch.given[attribute, steps]
            kept.update((s.attribute, None) for s in plan.walk(given[attribute, steps]) if isinstance(s, plan.Reference))
    columns = (*kept, *made.values())
    return Branch(replace(relation, input=branch.relation, expansions=tuple(expansions), columns=columns), given)


def _apply(relation: plan.Apply, needs: Needs) -> Branch:
    """The result is built twice: first to learn what it asks of the input, then over what the input gives."""
    asked: Needs = {}
    _build(_replaced(relation.result, relation.shared, lambda given: _Learning(given.columns, asked)), needs)
    branch = _with_columns(merged(_build(relation.input, asked)))
    result = merged(_build(_replaced(relation.result, relation.shared, lambda given: _Reading(given, branch)), needs))
    return Branch(plan.Apply(relation.shared, branch.relation, result.relation), result.given)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Learning(plan.Relation):
    """In place of a Given: notes what is asked of it."""

    columns: tuple[tuple[plan.Attribute, plan.Attribute], ...]
    asked: Needs

    @property
    def attributes(self) -> tuple[plan.Attribute, ...]:
        return tuple(own for own, _ in self.columns)

    def branch(self, needs: Needs) -> Branch:
        sources = dict(self.columns)
        self.asked.update(((sources[attribute], steps), None) for attribute, steps in needs)
        given = {need: plan.Reference(plan.Attribute(need[0].name, need[0].type, _form(need[0].type))) for need in needs}
        return Branch(plan.Rows((), ((),)), given)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Reading(plan.Relation):
    """In place of a Given: gives what the input of the Apply has."""

    given: plan.Given
    input: Branch

    @property
    def attributes(self) -> tuple[plan.Attribute, ...]:
        return self.given.attributes

    def branch(self, needs: Needs) -> Branch:
        sources = dict(self.given.columns)
        own: dict[plan.Attribute, plan.Attribute] = {}
        given: dict[Need, plan.Scalar] = {}
        for attribute, steps in needs:
            value = self.input.given[sources[attribute], steps]
            for scalar in plan.walk(value):
                if isinstance(scalar, plan.Reference) and scalar.attribute not in own:
                    old = scalar.attribute
                    own[old] = plan.Attribute(old.name, old.type, old.form)
            given[attribute, steps] = _renamed(value, own)
        return Branch(plan.Given(self.given.shared, tuple((new, old) for old, new in own.items())), given)


def _replaced(relation: plan.Relation, shared: plan.Shared, make: Callable[[plan.Given], plan.Relation]) -> plan.Relation:
    """`relation` with something else in place of the Givens of one Apply."""
    if isinstance(relation, plan.Given):
        return make(relation) if relation.shared is shared else relation
    return with_inputs(relation, lambda inner: _replaced(inner, shared, make))
