"""IPv4 and IPv6 addresses: a text becomes a struct of the address as a number, `a`, which is NULL where it is none, and its prefix, `p`."""

from collections.abc import Callable

from kqlite.dialects import sql
from kqlite.dialects.duckdb.operators import texts_of
from kqlite.dialects.scalars import ScalarLowering, custom
from kqlite.language import plan
from kqlite.language.types import Type

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_ADDRESS = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_WITH_PREFIX = rf"\s*{_ADDRESS}(?:/(?:3[0-2]|[12]?[0-9]))?\s*"
_TAIL = rf"^(.*:)(?:({_OCTET})\.({_OCTET})\.({_OCTET})\.({_OCTET}))(?:/([0-9]+))?$"
_HEX_GROUPS = "(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4})*)?"
_V6_PREFIX = "12[0-8]|1[01][0-9]|[1-9]?[0-9]"


def _template(template: str, /, **holes: sql.Expression) -> sql.Template:
    return sql.Template(template, holes)


def _constant(name: str, value: str) -> dict[str, sql.Expression]:
    return {name: sql.Literal(value)}


# IPv4

_NUMBER = "(q[1]::BIGINT << 24) + (q[2]::BIGINT << 16) + (q[3]::BIGINT << 8) + q[4]"


def _ipv4(text: sql.Expression) -> sql.Expression:
    """The address and the prefix that a text says, 32 where it says none."""
    # Splitting is three times as fast as a regular expression with groups.
    template = (
        "CASE WHEN regexp_full_match({text}, {shape}) THEN"
        " list_transform([CAST(string_split(replace(trim({text}), '/', '.'), '.') AS UTINYINT[])],"
        " lambda q: {'a': " + _NUMBER + ", 'p': coalesce(q[5], 32)::BIGINT})[1] END"
    )
    return sql.Template(template, {"text": text, **_constant("shape", _WITH_PREFIX)})


def _ipv4_of(lowering: ScalarLowering, value: plan.Scalar) -> sql.Expression:
    """The same of a text or a number."""
    lowered = lowering.lower(value)
    if value.type is Type.STRING:
        return _ipv4(lowered)
    return _template("{'a': CASE WHEN {n} BETWEEN 0 AND 4294967295 THEN CAST({n} AS BIGINT) END, 'p': 32::BIGINT}", n=lowered)


_MASKED = "(({ADDRESS}).a >> (32 - {PREFIX})) << (32 - {PREFIX})"


def _masked(address: str, prefix: str) -> str:
    return _MASKED.replace("{ADDRESS}", address).replace("{PREFIX}", prefix)


def _both(least: str) -> str:
    """The shortest prefix of two addresses, in a template, and of `least` if there is one."""
    return f"least(({{left}}).p, ({{right}}).p{least})"


@custom("parse_ipv4")
def _parse_ipv4(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return _template(_masked("{ip}", "({ip}).p"), ip=_ipv4(lowering.lower(invoke.arguments[0])))


@custom("parse_ipv4_mask")
def _parse_ipv4_mask(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    ip, prefix = (lowering.lower(argument) for argument in invoke.arguments)
    template = f"CASE WHEN {{n}} BETWEEN 0 AND 32 THEN {_masked('{ip}', 'least(({ip}).p, {n})')} END"
    return _template(template, ip=_ipv4(ip), n=prefix)


def _dotted(number: sql.Expression) -> sql.Expression:
    return _template("concat_ws('.', {x} >> 24, ({x} >> 16) & 255, ({x} >> 8) & 255, {x} & 255)", x=number)


def _network(
    lowering: ScalarLowering, invoke: plan.Invoke, shown: Callable[[sql.Expression, sql.Expression], sql.Expression]
) -> sql.Expression:
    """`shown` of the network of an address and the prefix that counts; an empty string where either is wrong."""
    address, *given = invoke.arguments
    asked = lowering.lower(given[0]) if given else sql.Literal(32)
    ip = _template(
        "CASE WHEN {n} BETWEEN 0 AND 32 THEN {'a': ({ip}).a, 'p': least(({ip}).p, {n})} END", ip=_ipv4_of(lowering, address), n=asked
    )

    def text(network: sql.Expression) -> sql.Expression:
        number = _template(_masked("{ip}", "({ip}).p"), ip=network)
        made = sql.let("number", number, lambda found: shown(found, network))
        return _template("CASE WHEN ({ip}).a IS NOT NULL THEN {text} ELSE '' END", ip=network, text=made)

    return sql.let("network", ip, text)


@custom("format_ipv4")
def _format_ipv4(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return _network(lowering, invoke, lambda number, network: _dotted(number))


@custom("format_ipv4_mask")
def _format_ipv4_mask(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return _network(lowering, invoke, lambda number, network: _template("{text} || '/' || ({ip}).p", text=_dotted(number), ip=network))


def _of_two(
    lowering: ScalarLowering, invoke: plan.Invoke, parse: Callable[[sql.Expression], sql.Expression], bits: int, made: str
) -> sql.Expression:
    """made: a template of `left` and `right`, structs whose addresses have only the bits that count."""
    left, right, *given = (lowering.lower(argument) for argument in invoke.arguments)
    holes = {"left": parse(left), "right": parse(right)}
    least, guard = "", "{made}"
    if given:
        holes["n"] = given[0]
        least, guard = ", {n}", f"CASE WHEN {{n}} BETWEEN 0 AND {bits} THEN {{made}} END"
    return sql.Template(guard.replace("{made}", made.replace("PREFIX", _both(least))), holes)


_SHIFTED = "({left}).a >> (32 - PREFIX)", "({right}).a >> (32 - PREFIX)"
_V6_SHIFTED = "({left}).a >> CAST(128 - PREFIX AS UHUGEINT)", "({right}).a >> CAST(128 - PREFIX AS UHUGEINT)"


def _declare_pair(version: int) -> None:
    parse, bits, (left, right) = (_ipv4, 32, _SHIFTED) if version == 4 else (_ipv6, 128, _V6_SHIFTED)

    @custom(f"ipv{version}_compare")
    def compare(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        order = f"CAST(CASE WHEN {left} < {right} THEN -1 WHEN {left} > {right} THEN 1 WHEN {left} = {right} THEN 0 END AS BIGINT)"
        return _of_two(lowering, invoke, parse, bits, order)

    @custom(f"ipv{version}_is_match")
    def is_match(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        return _of_two(lowering, invoke, parse, bits, f"({left}) = ({right})")

    @custom(f"ipv{version}_is_in_range")
    def is_in_range(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        return _of_two(lowering, invoke, parse, bits, f"({left}) = ({right})")

    @custom(f"ipv{version}_is_in_any_range")
    def is_in_any_range(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        ranges = sql.call("list_transform", _texts(lowering, invoke.arguments[1:]), sql.Lambda("r", parse(sql.Variable("r"))))
        prefix = "least(({left}).p, (range).p)"
        same = f"({left}) = ({right})".replace("PREFIX", prefix).replace("({right})", "(range)")
        template = f"CASE WHEN ({{left}}).a IS NOT NULL THEN len(list_filter({{ranges}}, lambda range: {same})) > 0 END"
        return _template(template, left=parse(lowering.lower(invoke.arguments[0])), ranges=ranges)


def _texts(lowering: ScalarLowering, arguments: tuple[plan.Scalar, ...]) -> sql.Expression:
    """Several texts, or those of one array, as a list."""
    if arguments[0].type is Type.DYNAMIC:
        return texts_of(lowering, arguments[0])
    return sql.ListOf(tuple(lowering.lower(argument) for argument in arguments))


@custom("ipv4_is_private")
def _ipv4_is_private(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """The networks 10/8, 172.16/12 and 192.168/16, of an address that is cut to its own prefix."""
    number = _parse_ipv4(lowering, invoke)
    return _template("{x} >> 24 = 10 OR {x} >> 20 = 2753 OR {x} >> 16 = 49320", x=number)


@custom("ipv4_netmask_suffix")
def _ipv4_netmask_suffix(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return _template("CASE WHEN ({ip}).a IS NOT NULL THEN ({ip}).p END", ip=_ipv4(lowering.lower(invoke.arguments[0])))


@custom("ipv4_range_to_cidr_list")
def _ipv4_range_to_cidr_list(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """Blocks grow from the first address as long as it is aligned to no larger one, then shrink to the last."""
    fits = "(s).a + (1::BIGINT << i) - 1 <= {last} AND (n > 32 OR (s).a & (1::BIGINT << i) <> 0)"
    blocks = (
        "(list_reduce(list_concat(generate_series(0, 31), generate_series(32, 0, -1)), lambda s, i, n: CASE WHEN " + fits + " THEN"
        " {'a': (s).a + (1::BIGINT << i), 'blocks': list_append((s).blocks, {'a': (s).a, 'p': 32 - i})} ELSE s END,"
        " {'a': {first}, 'blocks': CAST([] AS STRUCT(a BIGINT, p BIGINT)[])})).blocks"
    )
    first, last = (_template(_masked("{ip}", "({ip}).p"), ip=_ipv4(lowering.lower(argument))) for argument in invoke.arguments)
    shown = sql.Lambda("k", _template("{text} || '/' || (k).p", text=_dotted(_template("(k).a"))))

    def networks(ends: sql.Expression) -> sql.Expression:
        texts = sql.call("list_transform", _template(blocks, first=sql.Field(ends, "first"), last=sql.Field(ends, "last")), shown)
        return _template("CASE WHEN ({ends}).first <= ({ends}).last THEN {texts} END", ends=ends, texts=texts)

    return sql.let("ends", sql.Struct((("first", first), ("last", last))), networks)


# Addresses within a text

_EDGES = {"left": sql.Literal(r"(?:^|[^\p{L}\p{N}])"), "right": sql.Literal(r"(?:$|[^\p{L}\p{N}])")}
_HAS = (
    "regexp_full_match({ip}, {address}) AND contains({text}, {ip})"
    " AND regexp_matches({text}, {left} || replace({ip}, '.', {point}) || {right})"
)
_HAS_PREFIX = (
    "contains({text}, {ip}) AND CASE WHEN regexp_full_match({ip}, {octets})"
    " THEN regexp_matches({text}, {left} || replace({ip}, '.', {point}) || repeat({octet} || {point},"
    " 3 - length({ip}) + length(replace({ip}, '.', ''))) || {octet} || {right})"
    " ELSE " + _HAS + " END"
)


def _has(template: str, text: sql.Expression, ip: sql.Expression) -> sql.Expression:
    constants = {
        **_EDGES,
        **_constant("address", _ADDRESS),
        **_constant("octets", rf"(?:{_OCTET}\.){{1,3}}"),
        **_constant("octet", _OCTET),
        **_constant("point", r"\."),
    }
    return sql.Template(template, {"text": text, "ip": ip, **constants})


def _declare_search(name: str, template: str) -> None:
    @custom(f"has_{name}")
    def has(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        return _has(template, *(lowering.lower(argument) for argument in invoke.arguments))

    @custom(f"has_any_{name}")
    def has_any(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        text = lowering.lower(invoke.arguments[0])
        if invoke.arguments[1].type is not Type.DYNAMIC:
            ips = [lowering.lower(argument) for argument in invoke.arguments[1:]]
            return sql.let("text", text, lambda once: sql.any_of([_has(template, once, ip) for ip in ips]))
        found = sql.Lambda("ip", _has(template, text, sql.Variable("ip")))
        return _template("coalesce(len({found}), 0) > 0", found=sql.call("list_filter", _texts(lowering, invoke.arguments[1:]), found))


_declare_search("ipv4", _HAS)
_declare_search("ipv4_prefix", _HAS_PREFIX)


# IPv6


def _ipv6(text: sql.Expression) -> sql.Expression:
    """The address and the prefix that a text says, 128 where it says none. An IPv4 address is one behind `::ffff:`."""
    # The tail of an address may be written as in IPv4: its numbers become two groups.
    groups = (
        "list_transform([regexp_extract({text}, {tail}, ['head', 'a', 'b', 'c', 'd', 'p'])], lambda t: CASE WHEN (t).head = '' THEN {text}"
        " ELSE (t).head || lower(hex(CAST((t).a AS BIGINT) * 256 + CAST((t).b AS BIGINT))) || ':'"
        " || lower(hex(CAST((t).c AS BIGINT) * 256 + CAST((t).d AS BIGINT))) || CASE (t).p WHEN '' THEN '' ELSE '/' || (t).p END END)[1]"
    )
    parts = "{'all': string_split(string_split({text}, '/')[1], '::'), 'p': string_split({text}, '/')[2:]}"
    sides = (
        "{'l': CASE WHEN ({parts}).all[1] = '' THEN [] ELSE string_split(({parts}).all[1], ':') END,"
        " 'r': CASE WHEN coalesce(({parts}).all[2], '') = '' THEN [] ELSE string_split(({parts}).all[2], ':') END,"
        " 'valid': len(({parts}).all) <= 2 AND regexp_full_match(({parts}).all[1], {hex})"
        " AND regexp_full_match(coalesce(({parts}).all[2], ''), {hex})"
        " AND (len(({parts}).p) = 0 OR (len(({parts}).p) = 1 AND regexp_full_match(({parts}).p[1], {prefix}))),"
        " 'short': len(({parts}).all) = 2, 'p': coalesce(TRY_CAST(({parts}).p[1] AS BIGINT), 128)}"
    )
    value = (
        "{'a': CASE WHEN ({s}).valid AND CASE WHEN ({s}).short THEN len(({s}).l) + len(({s}).r) < 8 ELSE len(({s}).l) = 8 END THEN"
        " list_reduce(list_concat(({s}).l, list_transform(generate_series(1, 8 - len(({s}).l) - len(({s}).r)), lambda z: '0'), ({s}).r),"
        " lambda sum, g: sum * 65536 + CAST('0x' || g AS UHUGEINT), 0::UHUGEINT) END, 'p': ({s}).p}"
    )
    whole = "CASE WHEN ({v4}).a IS NOT NULL THEN {'a': 281470681743360::UHUGEINT + ({v4}).a::UHUGEINT, 'p': 96 + ({v4}).p} ELSE {v6} END"

    def address(trimmed: sql.Expression) -> sql.Expression:
        written = _template(groups, text=trimmed, **_constant("tail", _TAIL))
        halves = _template(parts, text=written)
        both = _template(sides, parts=halves, **_constant("hex", _HEX_GROUPS), **_constant("prefix", _V6_PREFIX))
        return _template(whole, v4=_ipv4(trimmed), v6=_template(value, s=both))

    return sql.let("address", _template("lower(trim({text}))", text=text), address)


def _in_full(address: sql.Expression, prefix: str) -> sql.Expression:
    """The text of an address of which the first bits stay; `''` for none."""
    rest = f"CAST(128 - {prefix} AS UHUGEINT)"
    number = _template(f"CASE {prefix} WHEN 0 THEN 0::UHUGEINT ELSE ({{ip}}).a >> {rest} << {rest} END", ip=address)
    digits = _template("lpad(lower(hex({x})), 32, '0')", x=number)
    text = _template("rtrim(regexp_replace({digits}, '(....)', {group}, 'g'), ':')", digits=digits, **_constant("group", r"\1:"))
    return _template("CASE WHEN ({ip}).a IS NOT NULL THEN {text} ELSE '' END", ip=address, text=text)


@custom("parse_ipv6")
def _parse_ipv6(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return sql.let("ip", _ipv6(lowering.lower(invoke.arguments[0])), lambda ip: _in_full(ip, "({ip}).p"))


@custom("parse_ipv6_mask")
def _parse_ipv6_mask(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    ip, prefix = (lowering.lower(argument) for argument in invoke.arguments)
    cut = _template("CASE WHEN {n} BETWEEN 0 AND 128 THEN {'a': ({ip}).a, 'p': least(({ip}).p, {n})} END", ip=_ipv6(ip), n=prefix)
    return sql.let("ip", cut, lambda found: _in_full(found, "({ip}).p"))


_declare_pair(4)
_declare_pair(6)
