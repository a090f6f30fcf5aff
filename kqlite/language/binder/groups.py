"""A plan that is run for each group of its rows as if they were a table of their own.

`Grouping.each` carries the columns of the group from where the rows come from to the top: as keys of a summary, as a partition of window
functions and of `take`. So it is one plan and no loop. A summary without keys has a row for each group, also where no row of it is left.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from kqlite.language import plan
from kqlite.language.binder.operators import invoke
from kqlite.language.binder.row_operators import keep
from kqlite.language.diagnostics import Refused, unsupported
from kqlite.language.functions.logic import iff, isnull
from kqlite.language.functions.windows import row_number
from kqlite.language.source import Span
from kqlite.language.types import Type

Group = tuple[plan.Attribute, ...]


def references(attributes: Iterable[plan.Attribute]) -> tuple[plan.Scalar, ...]:
    return tuple(plan.Reference(attribute) for attribute in attributes)


def handed_on(relation: plan.Relation) -> list[tuple[plan.Attribute, plan.Scalar]]:
    """The outputs of a projection that keeps every column."""
    return [(attribute, plan.Reference(attribute)) for attribute in relation.attributes]


def first_of_each(relation: plan.Relation, group: Sequence[plan.Scalar], count: int) -> plan.Relation:
    """The first rows of each group, by the order of the relation."""
    place = plan.Attribute("place", Type.LONG)
    numbered = plan.Project(relation, (*handed_on(relation), (place, plan.Invoke(row_number, (), Type.LONG))), tuple(group))
    within = invoke("<=", (plan.Reference(place), plan.Constant(Type.LONG, count)))
    return keep(plan.Filter(numbered, within), relation.attributes)


def given(shared: plan.Shared, attributes: Iterable[plan.Attribute]) -> plan.Given:
    """A reader of an Apply's input, with attributes of its own."""
    return plan.Given(shared, tuple((plan.Attribute(a.name, a.type, a.form), a) for a in attributes))


@dataclass(slots=True)
class Grouping:
    """start: the relation whose rows are grouped. group: its columns that say of which group a row is. all_groups: makes a relation with a
    row for each group, and says its columns. span: what messages point at.
    """

    start: plan.Relation
    group: Group
    all_groups: Callable[[], tuple[plan.Relation, Group]]
    span: Span
    _applies: dict[plan.Shared, Group] = field(default_factory=dict)
    """For an Apply inside, the group's columns in its input."""

    def each(self, relation: plan.Relation) -> tuple[plan.Relation, Group]:
        """The relation with the columns of the group, and which these are."""
        if relation is self.start:
            return relation, self.group
        match relation:
            case plan.Filter() | plan.Sort():
                input_, group = self.each(relation.input)
                return replace(relation, input=input_), group
            case plan.Take():
                input_, group = self.each(relation.input)
                return first_of_each(input_, references(group), relation.count), group
            case plan.Project():
                input_, group = self.each(relation.input)
                outputs = (*relation.outputs, *((a, plan.Reference(a)) for a in group if (a not in relation.attributes)))
                return plan.Project(input_, outputs, (*relation.partition, *references(group))), group
            case plan.Aggregate():
                return self._aggregate(relation)
            case plan.MvExpand():
                input_, group = self.each(relation.input)
                return replace(relation, input=input_, columns=_with(relation.columns, group)), group
            case plan.Join():
                return self._join(relation)
            case plan.Union():
                return self._union(relation)
            case plan.Given() if relation.shared in self._applies:
                own = tuple(plan.Attribute(a.name, a.type, a.form) for a in self._applies[relation.shared])
                return replace(relation, columns=(*relation.columns, *zip(own, self._applies[relation.shared], strict=True))), own
            case plan.Apply():
                input_, self._applies[relation.shared] = self.each(relation.input)
                result, group = self.each(relation.result)
                return replace(relation, input=input_, result=result), group
            case _:
                raise Refused(unsupported("another table in this place of a subquery", self.span))

    def _holds_start(self, relation: plan.Relation) -> bool:
        if relation is self.start or (isinstance(relation, plan.Given) and relation.shared in self._applies):
            return True
        return any(map(self._holds_start, relation.inputs))

    def _aggregate(self, relation: plan.Aggregate) -> tuple[plan.Relation, Group]:
        input_, group = self.each(relation.input)
        keys = (*relation.keys, *((a, plan.Reference(a)) for a in group if a not in relation.attributes))
        folded = replace(relation, input=input_, keys=keys)
        if relation.keys:
            return folded, group
        everything, own = self.all_groups()
        values = [(plan.Attribute(a.name, a.type), a) for a, _ in relation.aggregates]
        found = plan.Attribute("found", Type.BOOL)
        marked = plan.Project(folded, (*handed_on(folded), (found, plan.Constant(Type.BOOL, True))))
        there = plan.Attribute("found", Type.BOOL)
        outputs = (*((a, a) for a in own), *values, (there, found))
        pairs = tuple(zip(references(own), references(group), strict=True))
        joined = plan.Join("leftouter", everything, marked, pairs, outputs)
        filled = [
            (attribute, _unless(there, _of_nothing(aggregate), plan.Reference(value)))
            for (attribute, aggregate), (value, _) in zip(relation.aggregates, values, strict=True)
        ]
        return plan.Project(joined, (*filled, *((a, plan.Reference(a)) for a in own))), own

    def _join(self, relation: plan.Join) -> tuple[plan.Relation, Group]:
        kind, left, right = relation.kind, relation.left, relation.right
        of_left, of_right = self._holds_start(left), self._holds_start(right)
        conditions = relation.conditions
        left_group: Group = ()
        right_group: Group = ()
        if of_left:
            left, left_group = self.each(left)
        if of_right:
            right, right_group = self.each(right)
        if kind == "innerunique":
            # One row for each key within each group.
            left = first_of_each(left, (*references(left_group), *(key for key, _ in conditions)), 1)
            kind = "inner"
        by_left = of_left and kind in ("inner", "leftouter", "leftsemi", "leftanti")
        by_right = of_right and kind in ("inner", "rightouter", "rightsemi", "rightanti")
        if not (by_left or by_right):
            raise Refused(unsupported(f"a join of kind {kind} with another table inside a subquery", self.span))
        if of_left and of_right:
            conditions = (*conditions, *zip(references(left_group), references(right_group), strict=True))
        own = left_group if by_left else right_group
        group = tuple(plan.Attribute(a.name, a.type, a.form) for a in own)
        outputs = (*relation.outputs, *zip(group, own, strict=True))
        return plan.Join(kind, left, right, conditions, outputs), group

    def _union(self, relation: plan.Union) -> tuple[plan.Relation, Group]:
        legs = []
        group = tuple(plan.Attribute(a.name, a.type) for a in self.group)
        for leg, values in relation.legs:
            input_, own = self.each(leg)
            legs.append((input_, (*values, *references(own))))
        return plan.Union((*relation.columns, *group), tuple(legs)), group


def _with(columns: Group, group: Group) -> Group:
    return (*columns, *(attribute for attribute in group if attribute not in columns))


def _of_nothing(aggregate: plan.Invoke) -> plan.Scalar:
    """What an aggregate gives for no rows."""
    columns = dict.fromkeys(s.attribute for s in plan.walk(aggregate) if isinstance(s, plan.Reference))
    value = plan.Attribute("value", aggregate.type)
    one_row = tuple(plan.Constant(a.type, "" if a.type is Type.STRING else None) for a in columns)
    nothing = plan.Filter(plan.Rows(tuple(columns), (one_row,)), plan.Constant(Type.BOOL, False))
    folded = plan.Aggregate(nothing, (), ((value, aggregate),))
    shown = plan.AsJson(plan.Reference(value)) if aggregate.type is Type.DYNAMIC else plan.Reference(value)
    return plan.FirstValue(plan.Project(folded, ((plan.Attribute("value", aggregate.type), shown),)))


def _unless(found: plan.Attribute, otherwise: plan.Scalar, value: plan.Scalar) -> plan.Scalar:
    missing = plan.Invoke(isnull, (plan.Reference(found),), Type.BOOL)
    return plan.Invoke(iff, (missing, otherwise, value), value.type)
