"""The operator parse-kv: a regular expression for each key, which walks over the pairs before it.

Source: Kusto docs, "parse-kv operator".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kqlite.language import plan, syntax
from kqlite.language.binder.groups import handed_on
from kqlite.language.binder.operators import convert
from kqlite.language.binder.row_operators import refuse_twice
from kqlite.language.binder.scalars import ScalarBinder
from kqlite.language.binder.scope import Muted, Table
from kqlite.language.diagnostics import Refused, bad_parse_pattern, bad_regex, unknown_argument, wrong_argument
from kqlite.language.functions import FUNCTIONS
from kqlite.language.functions.parts import pair_value
from kqlite.language.functions.regexes import check_regex, escaped, group_count, rewritten
from kqlite.language.types import Type

if TYPE_CHECKING:
    from kqlite.language.binder.pipeline import TableBinder

_OPTIONS = ("pair_delimiter", "kv_delimiter", "quote", "escape", "greedy", "regex")


@dataclass(frozen=True, slots=True)
class _Format:
    """How pairs are written.

    pair, key_value: what stands between pairs, and between key and value; None for anything but letters, digits and `_`. quotes: opening
    and closing ones. escapes: characters behind which a quote does not close. greedy: whether a value goes on to the next key. regex: finds
    a pair, by a group for the key and one for the value, in place of all that.
    """

    pair: str | None = None
    key_value: str | None = None
    quotes: tuple[tuple[str, str], ...] = ()
    escapes: str = ""
    greedy: bool = False
    regex: str | None = None


def parse_kv(binder: "TableBinder", node: syntax.ParseKv, table: Table) -> Table:
    """A column for each key: the value of its first pair, null or empty where there is none."""
    refuse_twice((column.name, column.span) for column in node.columns)
    names = {column.name for column in node.columns}
    try:
        format_ = _format(node)
        text = convert(ScalarBinder(table.columns, binder.environment).bind(node.value), Type.STRING)
    except Refused as refused:
        binder.problems.add(refused.diagnostic)
        return Table(table.relation, table.broken | names, table.hidden - names)
    except Muted:
        return Table(table.relation, table.broken | names, table.hidden - names)
    found = [(plan.Attribute("pair", Type.DYNAMIC), _captures(text, column.name, format_)) for column in node.columns]
    if format_.regex is None:
        texts = [_text(attribute, format_) for attribute, _ in found]
    else:
        found = [(plan.Attribute("text", Type.STRING), _text_by_regex(text, column.name, format_.regex)) for column in node.columns]
        texts = [plan.Reference(attribute) for attribute, _ in found]
    below = plan.Project(table.relation, (*handed_on(table.relation), *found))
    values = {column.name: _of_type(value, column.type) for value, column in zip(texts, node.columns, strict=True)}
    made = {name: plan.Attribute(name, value.type) for name, value in values.items()}
    known = {attribute.name for attribute in table.relation.attributes}
    outputs = [(made.get(a.name, a), values.get(a.name, plan.Reference(a))) for a in table.relation.attributes]
    outputs += [(made[name], value) for name, value in values.items() if name not in known]
    return Table(plan.Project(below, tuple(outputs)), table.broken - names, table.hidden - names)


def _format(node: syntax.ParseKv) -> _Format:
    texts: dict[str, list[str]] = {}
    greedy = False
    for option in node.options:
        name = option.names[0].name if isinstance(option, syntax.Named) else ""
        value = option.value if isinstance(option, syntax.Named) else None
        if name not in _OPTIONS:
            raise Refused(unknown_argument("parse-kv", name, option.span, _OPTIONS))
        wanted = Type.BOOL if name == "greedy" else Type.STRING
        if not isinstance(value, syntax.Literal) or value.type is not wanted or not (value.value or wanted is Type.BOOL):
            raise Refused(wrong_argument("parse-kv", name, f"{wanted} literal", "value", option.span))
        if name == "greedy":
            greedy = bool(value.value)
        else:
            texts.setdefault(name, []).append(str(value.value))
    pair, key_value = (texts[name][-1] if name in texts else None for name in _OPTIONS[:2])
    if "regex" in texts:
        regex = texts["regex"][-1]
        if (reason := check_regex(regex)) is not None:
            raise Refused(bad_regex(reason, node.span))
        if group_count(regex) != 2:
            raise Refused(bad_parse_pattern("a `regex` of `parse-kv` has two groups, for the key and for the value", node.span))
        return _Format(regex=rewritten(regex))
    if (pair is None) != (key_value is None):
        raise Refused(bad_parse_pattern("`pair_delimiter` and `kv_delimiter` come together", node.span))
    quotes = tuple((quote[0], quote[-1]) for quote in texts.get("quote", []))
    return _Format(pair, key_value, quotes, "".join(texts.get("escape", [])), greedy)


def _regex(key: str, format_: _Format) -> str:
    """What fits a text up to the value of a key's first pair: a group for each kind of quotes, then one for a value without."""
    quoted = [f"{escaped(opening)}{{}}{_inside(closing, format_)}{{}}{escaped(closing)}" for opening, closing in format_.quotes]
    key_forms = "|".join([escaped(key), *(f"{escaped(opening)}{escaped(key)}{escaped(closing)}" for opening, closing in format_.quotes)])
    if format_.pair is None or format_.key_value is None:
        plain = "([0-9A-Za-z_]+)"
        values = "|".join([*(form.format("(", ")") for form in quoted), plain])
        return f"(?s)(?:^|[^0-9A-Za-z_])(?:{key_forms})[^0-9A-Za-z_{_openings(format_)}]+(?:{values})"
    pair, key_value = escaped(format_.pair), escaped(format_.key_value)
    other = f"[^{_class(format_.pair[0] + _openings(format_))}]" if len(format_.pair) == 1 else "."
    skipped = "|".join([*(form.format("", "") for form in quoted), other])
    end = f"{pair}[^{_class(format_.pair[0] + format_.key_value[0])}]+{key_value}|$" if format_.greedy else f"{pair}|$"
    values = "|".join([*(rf"{form.format('(', ')')}\s*(?:{pair}|$)" for form in quoted), rf"(.*?)\s*(?:{end})"])
    return rf"(?s)^(?:(?:{skipped})*?{pair})*?\s*(?:{key_forms})\s*{key_value}\s*(?:{values})"


def _inside(closing: str, format_: _Format) -> str:
    if not format_.escapes:
        return f"[^{_class(closing)}]*"
    return f"(?:[{_class(format_.escapes)}].|[^{_class(closing + format_.escapes)}])*"


def _openings(format_: _Format) -> str:
    return "".join(_class(opening) for opening, _ in format_.quotes)


def _class(characters: str) -> str:
    """Characters as they stand in a class."""
    return "".join(f"\\{c}" if not c.isalnum() and c.isascii() and not c.isspace() else c for c in characters)


def _captures(text: plan.Scalar, key: str, format_: _Format) -> plan.Scalar:
    return plan.Captures(text, _regex(key, format_), 1 + len(format_.quotes))


def _text_by_regex(text: plan.Scalar, key: str, regex: str) -> plan.Scalar:
    """The second group of the first pair whose first group is the key."""
    return plan.Invoke(pair_value, (text, plan.Constant(Type.STRING, regex), plan.Constant(Type.STRING, key)), Type.STRING)


def _text(captures: plan.Attribute, format_: _Format) -> plan.Scalar:
    """What the groups hold, of which one at most is not empty."""
    texts = [convert(plan.Path(plan.Reference(captures), (plan.capture(n),)), Type.STRING) for n in range(1 + len(format_.quotes))]
    text = texts[0]
    if len(texts) > 1:
        *quoted, plain = texts
        unescaped = [_unescaped(value, format_.escapes) for value in quoted]
        text = _function("strcat", (*unescaped, plain))
    return text


def _of_type(text: plan.Scalar, type_: Type) -> plan.Scalar:
    if type_ is Type.DYNAMIC:
        parse_json = FUNCTIONS.find("parse_json")
        assert parse_json is not None
        return plan.Invoke(parse_json, (text,), Type.DYNAMIC)
    return convert(text, type_)


def _unescaped(text: plan.Scalar, escapes: str) -> plan.Scalar:
    if not escapes:
        return text
    arguments = (text, plan.Constant(Type.STRING, f"[{_class(escapes)}](.)"), plan.Constant(Type.STRING, r"\1"))
    return _function("replace_regex", arguments)


def _function(name: str, arguments: Sequence[plan.Scalar]) -> plan.Invoke:
    function = FUNCTIONS.find(name)
    assert function is not None
    return plan.Invoke(function, tuple(arguments), Type.STRING)
