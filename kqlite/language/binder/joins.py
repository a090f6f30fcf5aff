"""The operators join and lookup."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from kqlite.language import plan, syntax
from kqlite.language.binder.operators import convert
from kqlite.language.binder.scope import Muted, NewNames, Table
from kqlite.language.diagnostics import (
    Refused,
    join_key_types,
    not_common,
    unknown_parameter,
    unsupported,
    unsupported_join_kind,
)
from kqlite.language.types import Type

if TYPE_CHECKING:
    from kqlite.language.binder.pipeline import TableBinder

KINDS = {
    "innerunique": "innerunique",
    "inner": "inner",
    "leftouter": "leftouter",
    "rightouter": "rightouter",
    "fullouter": "fullouter",
    "leftsemi": "leftsemi",
    "rightsemi": "rightsemi",
    "leftanti": "leftanti",
    "anti": "leftanti",
    "leftantisemi": "leftanti",
    "rightanti": "rightanti",
    "rightantisemi": "rightanti",
}
"""Every spelling of a kind. Source: Kusto docs, "join operator"."""


LOOKUP_KINDS = {kind: kind for kind in ("leftouter", "inner")}


def join(binder: "TableBinder", node: syntax.Join, table: Table) -> Table:
    right = binder.table(node.right)
    kind = _kind(node.parameters, "join", "innerunique", KINDS)
    return _result(kind, table, right, _conditions(binder, node.conditions, table, right))


def lookup(binder: "TableBinder", node: syntax.Lookup, table: Table) -> Table:
    """A join that does not repeat the keys."""
    right = binder.table(node.right)
    kind = _kind(node.parameters, "lookup", "leftouter", LOOKUP_KINDS)
    conditions = _conditions(binder, node.conditions, table, right)
    keys = {scalar.attribute for _, key in conditions for scalar in plan.walk(key) if isinstance(scalar, plan.Reference)}
    return _result(kind, table, right, conditions, without=keys)


def _conditions(binder: "TableBinder", nodes: Sequence[syntax.Item], left: Table, right: Table) -> list[tuple[plan.Scalar, plan.Scalar]]:
    conditions: list[tuple[plan.Scalar, plan.Scalar]] = []
    for condition in _flat(nodes):
        try:
            conditions.append(_condition(condition, left, right))
        except Refused as refused:
            binder.problems.add(refused.diagnostic)
        except Muted:
            pass
    return conditions


def _kind(parameters: Sequence[syntax.Parameter], operator: str, kind: str, known: Mapping[str, str]) -> str:
    """The kind that the parameters name; `kind` where they name none."""
    for parameter in parameters:
        if parameter.name == "kind":
            if parameter.value not in known:
                raise Refused(unsupported_join_kind(parameter.value, parameter.value_span, known))
            kind = known[parameter.value]
        elif not parameter.name.startswith("hint."):
            raise Refused(unknown_parameter(operator, parameter.name, parameter.span))
    return kind


def _flat(conditions: Sequence[syntax.Item]) -> list[syntax.Item]:
    """Conditions joined by `,` or `and`."""
    flat: list[syntax.Item] = []
    for condition in conditions:
        if isinstance(condition, syntax.Chain) and set(condition.operators) == {"and"}:
            flat += condition.operands
        else:
            flat.append(condition)
    return flat


def _condition(node: syntax.Item, left: Table, right: Table) -> tuple[plan.Scalar, plan.Scalar]:
    if isinstance(node, syntax.Name):
        return _common(node, left, right)
    if isinstance(node, syntax.Binary) and node.operator == "==":
        sides = dict(filter(None, (_side(node.left), _side(node.right))))
        if set(sides) == {"$left", "$right"}:
            return _equality(node, sides["$left"], sides["$right"], left, right)
    raise Refused(unsupported("this condition of a join", node.span, "name a column of both sides, or write `$left.a == $right.b`"))


def _side(node: syntax.Scalar) -> tuple[str, syntax.MemberAccess] | None:
    if isinstance(node, syntax.MemberAccess) and isinstance(node.base, syntax.Name) and node.base.name in ("$left", "$right"):
        return node.base.name, node
    return None


def _column(node: syntax.MemberAccess, table: Table, side: str) -> plan.Attribute:
    attribute = table.columns.find(node.name)
    if attribute is None:
        raise Refused(not_common(node.name, side, node.name_span, table.columns.names()))
    return attribute


def _common(node: syntax.Name, left: Table, right: Table) -> tuple[plan.Scalar, plan.Scalar]:
    found = []
    for table, side in ((left, "left"), (right, "right")):
        attribute = table.columns.find(node.name)
        if attribute is None:
            raise Refused(not_common(node.name, side, node.span, table.columns.names()))
        found.append(plan.Reference(attribute))
    if found[0].type is not found[1].type:
        raise Refused(join_key_types(str(found[0].type), str(found[1].type), node.span))
    if found[0].type is Type.DYNAMIC:
        return plan.AsJson(found[0]), plan.AsJson(found[1])
    return found[0], found[1]


def _equality(
    node: syntax.Binary, left_node: syntax.MemberAccess, right_node: syntax.MemberAccess, left: Table, right: Table
) -> tuple[plan.Scalar, plan.Scalar]:
    left_key: plan.Scalar = plan.Reference(_column(left_node, left, "left"))
    right_key: plan.Scalar = plan.Reference(_column(right_node, right, "right"))
    types = {left_key.type, right_key.type}
    if types == {Type.INT, Type.LONG}:
        return convert(left_key, Type.LONG), convert(right_key, Type.LONG)
    if len(types) > 1 or Type.DYNAMIC in types:
        raise Refused(join_key_types(str(left_key.type), str(right_key.type), node.span))
    return left_key, right_key


def _result(
    kind: str,
    left: Table,
    right: Table,
    conditions: list[tuple[plan.Scalar, plan.Scalar]],
    without: Collection[plan.Attribute] = (),
) -> Table:
    """All columns of the left side, then those of the right but `without` some, whose names make way; of a semi or anti join one side."""
    one_sided = {"leftsemi": left, "leftanti": left, "rightsemi": right, "rightanti": right}.get(kind)
    if one_sided is not None:
        outputs = [(attribute, attribute) for attribute in one_sided.visible()]
        broken = one_sided.broken
    else:
        outputs = [(attribute, attribute) for attribute in left.visible()]
        names = NewNames([attribute.name for attribute, _ in outputs])
        for attribute in (attribute for attribute in right.visible() if attribute not in without):
            outputs.append((plan.Attribute(names.automatic(attribute.name), attribute.type), attribute))
        broken = left.broken | right.broken
    return Table(plan.Join(kind, left.relation, right.relation, tuple(conditions), tuple(outputs)), broken)
