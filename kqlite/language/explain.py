"""A plan as text, one relation a line, its input below it."""

from kqlite.language import plan
from kqlite.language.schema import Array, JsonLeaf, Leaf, Object, Shape


def show(relation: plan.Relation) -> str:
    """The tree of a plan. Two columns of one name are told apart by a number."""
    names = _Names()
    lines: list[str] = []
    _show(relation, 0, lines, names)
    return "\n".join(lines)


class _Names:
    def __init__(self) -> None:
        self._known: dict[plan.Attribute, str] = {}
        self._counts: dict[str, int] = {}

    def of(self, attribute: plan.Attribute) -> str:
        if attribute not in self._known:
            count = self._counts.get(attribute.name, 0)
            self._counts[attribute.name] = count + 1
            self._known[attribute] = f"{attribute.name}#{count}" if count else attribute.name
        return self._known[attribute]


def _show(relation: plan.Relation, depth: int, lines: list[str], names: _Names) -> None:
    inner: list[str] = []
    for child in relation.inputs:
        _show(child, depth + 1, inner, names)
    lines.append("  " * depth + _line(relation, names))
    lines += inner


def _line(relation: plan.Relation, names: _Names) -> str:
    match relation:
        case plan.Scan():
            return f"scan {relation.table.name}: {len(relation.partitions)} partitions"
        case plan.PartitionScan():
            outputs = ", ".join(f"{names.of(a)}: {_type(a)} = {_extract(extract)}" for a, extract in relation.outputs)
            return f"scan {relation.partition.source} [{outputs}]"
        case plan.Rows():
            return f"rows {len(relation.rows)}"
        case plan.Series():
            bounds = " ".join(
                (show_scalar(relation.start, names), "to", show_scalar(relation.stop, names), "step", show_scalar(relation.step, names))
            )
            return f"range {names.of(relation.column)} from {bounds}"
        case plan.Filter():
            return f"filter {show_scalar(relation.condition, names)}"
        case plan.Project():
            outputs = ", ".join(_definition(a, value, names) for a, value in relation.outputs)
            each = ", ".join(show_scalar(value, names) for value in relation.partition)
            return f"project {outputs}" + (f" for each {each}" if each else "")
        case plan.Sort():
            return f"sort {', '.join(_key(key, names) for key in relation.keys)}"
        case plan.Take():
            return f"take {relation.count}"
        case plan.Aggregate():
            folded = ", ".join(_definition(a, value, names) for a, value in relation.aggregates)
            keys = ", ".join(_definition(a, value, names) for a, value in relation.keys)
            return " ".join(part for part in ("aggregate", folded, f"by {keys}" if keys else "") if part)
        case plan.Join():
            pairs = ", ".join(f"{show_scalar(a, names)} == {show_scalar(b, names)}" for a, b in relation.conditions)
            outputs = ", ".join(_definition(a, plan.Reference(source), names) for a, source in relation.outputs)
            return f"join {relation.kind} on {pairs} [{outputs}]"
        case plan.Union():
            return f"union [{', '.join(f'{names.of(a)}: {_type(a)}' for a in relation.columns)}]"
        case plan.Fetch():
            return "fetch"
        case plan.Given():
            return f"given [{', '.join(_definition(own, plan.Reference(a), names) for own, a in relation.columns)}]"
        case plan.Apply():
            return "apply"
        case plan.MvExpand():
            expanded = ", ".join(_definition(e.attribute, e.value, names) for e in relation.expansions)
            return f"mv-expand {expanded}"
    raise AssertionError(relation)


def _definition(attribute: plan.Attribute, value: plan.Scalar, names: _Names) -> str:
    shown = show_scalar(value, names)
    name = names.of(attribute)
    return name if shown == name else f"{name} = {shown}"


def _key(key: plan.SortKey, names: _Names) -> str:
    direction = "asc" if key.ascending else "desc"
    return f"{show_scalar(key.value, names)} {direction} nulls {'first' if key.nulls_first else 'last'}"


def _type(attribute: plan.Attribute) -> str:
    return str(attribute.type) if attribute.form is None else f"dynamic {show_shape(attribute.form)}"


def _extract(extract: plan.Extract) -> str:
    return f"{extract.column}{_steps(extract.steps)}"


def _steps(steps: tuple[str | int, ...]) -> str:
    return "".join(f".{step}" if isinstance(step, str) and step.isidentifier() else f"[{step!r}]" for step in steps)


def show_shape(shape: Shape) -> str:
    """A shape in a few words: `{5 members}`, `[string]`, `json`."""
    match shape:
        case Leaf():
            return str(shape.type)
        case JsonLeaf():
            return "json"
        case Array():
            return f"[{show_shape(shape.element)}]"
        case Object():
            return f"{{{len(shape.members)} members}}"


def show_scalar(scalar: plan.Scalar, names: _Names) -> str:
    """A scalar in KQL's manner of writing."""
    match scalar:
        case plan.Reference():
            return names.of(scalar.attribute)
        case plan.Constant():
            return f"{scalar.of}({'null' if scalar.value is None else repr(scalar.value)})"
        case plan.Variable():
            return f"${scalar.name}"
        case plan.Path():
            return show_scalar(scalar.base, names) + _steps(scalar.steps)
        case plan.Pick():
            return f"{show_scalar(scalar.base, names)}[{show_scalar(scalar.index, names)}]"
        case plan.Document():
            return f"document({', '.join(show_scalar(child, names) for child in scalar.children)})"
        case plan.Invoke():
            name = scalar.function.name
            arguments = [show_scalar(argument, names) for argument in scalar.arguments]
            if name.isidentifier() and name not in ("and", "or"):
                return f"{name}({', '.join(arguments)})"
            return f"({f' {name} '.join(arguments)})"
        case plan.Convert():
            return f"to{scalar.to}({show_scalar(scalar.operand, names)})"
        case plan.AsJson():
            return f"json({show_scalar(scalar.operand, names)})"
        case plan.Captures():
            return f"captures({show_scalar(scalar.text, names)}, {scalar.regex!r})"
        case plan.InTable():
            return f"({show_scalar(scalar.value, names)} in table)"
        case plan.Gathered():
            return "array of table"
        case plan.FirstValue():
            return "value of table"
        case plan.Within():
            return f"({show_scalar(scalar.value, names)} within ${scalar.variable})"
    raise AssertionError(scalar)
