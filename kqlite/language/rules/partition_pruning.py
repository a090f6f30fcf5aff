"""Partition pruning: a condition on `type` decides which partitions of a table are read at all."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from kqlite.language import plan
from kqlite.language.rules.rebuild import substitute

Conditions = tuple[plan.Scalar, ...]


def prune_partitions(relation: plan.Relation) -> plan.Relation:
    """`relation` with every Scan reduced to the partitions that can have a row in the answer."""
    return _prune(relation, ())


def _prune(relation: plan.Relation, conditions: Conditions) -> plan.Relation:
    """conditions: what every row of `relation` must fulfil to matter, over its attributes."""
    match relation:
        case plan.Scan():
            return replace(relation, partitions=tuple(p for p in relation.partitions if _matters(relation, p.types, conditions)))
        case plan.Filter():
            return replace(relation, input=_prune(relation.input, (*conditions, relation.condition)))
        case plan.Project():
            through = () if plan.counts_rows(relation) else _through(conditions, dict(relation.outputs))
            return replace(relation, input=_prune(relation.input, through))
        case plan.Sort():
            return replace(relation, input=_prune(relation.input, conditions))
        case plan.Take():
            return replace(relation, input=_prune(relation.input, ()))
        case plan.Aggregate():
            return replace(relation, input=_prune(relation.input, _through(conditions, dict(relation.keys))))
        case plan.MvExpand():
            expanded = {expansion.attribute for expansion in relation.expansions} | {relation.index}
            kept: dict[plan.Attribute, plan.Scalar] = {a: plan.Reference(a) for a in relation.columns if a not in expanded}
            return replace(relation, input=_prune(relation.input, _through(conditions, kept)))
        case plan.Apply():
            return replace(relation, input=_prune(relation.input, ()), result=_prune(relation.result, conditions))
        case plan.Join():
            left, right = _sides(relation, conditions)
            return replace(relation, left=_prune(relation.left, left), right=_prune(relation.right, right))
        case plan.Union():
            legs = []
            for leg, values in relation.legs:
                given = {a: v for a, v in zip(relation.columns, values, strict=True) if v is not None}
                legs.append((_prune(leg, _through(conditions, given)), values))
            return replace(relation, legs=tuple(legs))
        case _:
            return relation


def _through(conditions: Conditions, values: Mapping[plan.Attribute, plan.Scalar]) -> Conditions:
    """The conditions over an operator's input, as far as they only mention columns that are handed on."""
    handed_on = {attribute: value for attribute, value in values.items() if isinstance(value, plan.Reference | plan.Constant)}
    return tuple(
        substitute(part, handed_on)
        for condition in conditions
        for part in conjuncts(condition)
        if all(scalar.attribute in handed_on for scalar in plan.walk(part) if isinstance(scalar, plan.Reference))
    )


def conjuncts(condition: plan.Scalar) -> list[plan.Scalar]:
    """The parts of a condition that must all be true."""
    if isinstance(condition, plan.Invoke) and condition.function.name == "and":
        return [part for argument in condition.arguments for part in conjuncts(argument)]
    return [condition]


def _sides(join: plan.Join, conditions: Conditions) -> tuple[Conditions, Conditions]:
    """What a condition behind a join says of each side. The left side of innerunique is left alone: which of its rows remain is
    decided before.
    """
    left_attributes = set(join.left.attributes)
    left = {out: plan.Reference(source) for out, source in join.outputs if source in left_attributes}
    right = {out: plan.Reference(source) for out, source in join.outputs if source not in left_attributes}
    to_left = join.kind in ("inner", "leftouter", "leftsemi", "leftanti")
    to_right = join.kind in ("inner", "innerunique", "rightouter", "rightsemi", "rightanti")
    return (_through(conditions, left) if to_left else (), _through(conditions, right) if to_right else ())


def _matters(scan: plan.Scan, types: frozenset[str] | None, conditions: Conditions) -> bool:
    if types is None:
        return True
    attribute = next((attribute for attribute in scan.columns if attribute.name == "type"), None)
    if attribute is None:
        return True
    return any(all(_holds(condition, attribute, type_) is not False for condition in conditions) for type_ in types)


_TESTS: dict[str, Callable[[str, str], bool]] = {
    "==": lambda a, b: a == b,
    "=~": lambda a, b: a.lower() == b.lower(),
    "contains": lambda a, b: b.lower() in a.lower(),
    "startswith": lambda a, b: a.lower().startswith(b.lower()),
    "endswith": lambda a, b: a.lower().endswith(b.lower()),
    "in": lambda a, b: a == b,
    "in~": lambda a, b: a.lower() == b.lower(),
}
_NEGATED = {
    "!=": "==",
    "!~": "=~",
    "!contains": "contains",
    "!startswith": "startswith",
    "!endswith": "endswith",
    "!in": "in",
    "!in~": "in~",
}


def decided(condition: plan.Scalar) -> bool | None:
    """Whether a condition over constants alone holds; None where it depends on a row, or is not worth looking into."""
    return _holds(condition, None, "")


def _holds(condition: plan.Scalar, attribute: plan.Attribute | None, value: str) -> bool | None:
    """Whether the condition holds where `attribute` has this ASCII value; None where that depends on more."""
    if isinstance(condition, plan.Constant):
        return condition.value is True
    if not isinstance(condition, plan.Invoke):
        return None
    name, arguments = condition.function.name, condition.arguments
    if name in ("and", "or"):
        found = [_holds(argument, attribute, value) for argument in arguments]
        decisive = name == "or"
        return decisive if decisive in found else None if None in found else not decisive
    if name == "not":
        inner = _holds(arguments[0], attribute, value)
        return None if inner is None else not inner
    operator = _NEGATED.get(name, name)
    test = _TESTS.get(operator)
    texts = [_text(argument, attribute, value) for argument in arguments]
    if test is None or None in texts or len(texts) < 2:
        return None
    first, *rest = (text for text in texts if text is not None)
    result = any(test(first, other) for other in rest)
    return result if operator == name else not result


def _text(scalar: plan.Scalar, attribute: plan.Attribute | None, value: str) -> str | None:
    match scalar:
        case plan.Reference(attribute=found) if found is attribute:
            return value
        case plan.Constant(value=str() as text) if text.isascii():
            return text
        case plan.Invoke() if scalar.function.name in ("tolower", "toupper"):
            text_inside = _text(scalar.arguments[0], attribute, value)
            if text_inside is None:
                return None
            return text_inside.lower() if scalar.function.name == "tolower" else text_inside.upper()
        case _:
            return None
