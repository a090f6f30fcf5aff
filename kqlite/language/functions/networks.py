"""IPv4 and IPv6 addresses, with or without a prefix as in `10.0.0.0/8`. What is no address gives null.

A prefix is the number of leading bits that count. Where two addresses meet, the shortest prefix among theirs and the one that a call names
counts for both.
"""

from kqlite.language.functions.declare import Custom, Example, Function, Parameter, Signature, dynamic, long, scalar, string
from kqlite.language.functions.strings import list_of_strings
from kqlite.language.types import Type


def _page(name: str) -> str:
    return f"Kusto Query Language reference, {name}()"


_RANGES = (
    Signature((string("ip"), dynamic("ranges")), Type.BOOL),
    Signature((string("ip"), Parameter("ranges", Type.STRING)), Type.BOOL, repeats=True),
)

_TEXT_OR_NUMBER = (
    Signature((string("ip"), long("prefix")), Type.STRING, optional=1),
    Signature((Parameter("ip", Type.LONG), long("prefix")), Type.STRING, optional=1),
)

scalar(
    Function(
        name="parse_ipv4",
        doc="An IPv4 address as a number, of which only the bits of its prefix stay.",
        signatures=(Signature((string("ip"),), Type.LONG),),
        sql={"duckdb": Custom("parse_ipv4")},
        examples=(
            Example("parse_ipv4('127.0.0.1')", "2130706433"),
            Example("parse_ipv4('192.1.168.1/24')", "3221334016"),
            Example("parse_ipv4('255.255.255.255/31')", "4294967294"),
            Example("parse_ipv4('10.0.0.256')", "null"),
            Example("parse_ipv4('01.2.3.4')", "null"),
        ),
        source=_page("parse_ipv4"),
    )
)

scalar(
    Function(
        name="parse_ipv4_mask",
        doc="An IPv4 address as a number, of which only the bits of a prefix stay.",
        signatures=(Signature((string("ip"), long("prefix")), Type.LONG),),
        sql={"duckdb": Custom("parse_ipv4_mask")},
        examples=(
            Example("parse_ipv4_mask('127.0.0.1', 24) == parse_ipv4('127.0.0.0')", "True"),
            Example("parse_ipv4_mask('192.1.168.2', 31) == parse_ipv4_mask('192.1.168.3', 31)", "True"),
            Example("parse_ipv4_mask('127.0.0.1', 33)", "null"),
        ),
        source=_page("parse_ipv4_mask"),
    )
)

scalar(
    Function(
        name="format_ipv4",
        doc="The network address of an IPv4 address, a text or a number, under a prefix; an empty string where either is wrong.",
        signatures=_TEXT_OR_NUMBER,
        sql={"duckdb": Custom("format_ipv4")},
        nullable=False,
        examples=(
            Example("format_ipv4('192.168.1.255', 24)", "192.168.1.0"),
            Example("format_ipv4(3232236031, 24)", "192.168.1.0"),
            Example("format_ipv4('192.168.1.1')", "192.168.1.1"),
            Example("format_ipv4('192.168.1.1/24', -1)", ""),
        ),
        source=_page("format_ipv4"),
    )
)

scalar(
    Function(
        name="format_ipv4_mask",
        doc="The network address of an IPv4 address and its prefix; an empty string where either is wrong.",
        signatures=_TEXT_OR_NUMBER,
        sql={"duckdb": Custom("format_ipv4_mask")},
        nullable=False,
        examples=(
            Example("format_ipv4_mask('192.168.1.255', 24)", "192.168.1.0/24"),
            Example("format_ipv4_mask('192.168.1.1/24', 32)", "192.168.1.0/24"),
            Example("format_ipv4_mask(3232236031, 24)", "192.168.1.0/24"),
            Example("format_ipv4_mask('x', 24)", ""),
        ),
        source=_page("format_ipv4_mask"),
    )
)

scalar(
    Function(
        name="ipv4_compare",
        doc="-1, 0 or 1: how two IPv4 addresses compare.",
        signatures=(Signature((string("left"), string("right"), long("prefix")), Type.LONG, optional=1),),
        sql={"duckdb": Custom("ipv4_compare")},
        examples=(
            Example("ipv4_compare('127.0.0.1', '127.0.0.1')", "0"),
            Example("ipv4_compare('192.168.1.1', '192.168.1.255')", "-1"),
            Example("ipv4_compare('192.168.1.1/24', '192.168.1.255/24')", "0"),
            Example("ipv4_compare('192.168.1.255', '192.168.1.1', 24)", "0"),
            Example("ipv4_compare('192.168.1.255', 'x')", "null"),
        ),
        source=_page("ipv4_compare"),
    )
)

scalar(
    Function(
        name="ipv4_is_match",
        doc="Whether two IPv4 addresses are the same.",
        signatures=(Signature((string("left"), string("right"), long("prefix")), Type.BOOL, optional=1),),
        sql={"duckdb": Custom("ipv4_is_match")},
        examples=(
            Example("ipv4_is_match('192.168.1.1/24', '192.168.1.255')", "True"),
            Example("ipv4_is_match('192.168.1.1', '192.168.1.0', 31)", "True"),
            Example("ipv4_is_match('192.168.1.1', '192.168.1.0')", "False"),
            Example("ipv4_is_match('', '192.168.1.0')", "null"),
        ),
        source=_page("ipv4_is_match"),
    )
)

scalar(
    Function(
        name="ipv4_is_private",
        doc="Whether an IPv4 address belongs to a private network: 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16.",
        signatures=(Signature((string("ip"),), Type.BOOL),),
        sql={"duckdb": Custom("ipv4_is_private")},
        examples=(
            Example("ipv4_is_private('10.1.2.3')", "True"),
            Example("ipv4_is_private('192.168.1.1/24')", "True"),
            Example("ipv4_is_private('172.32.0.1')", "False"),
            Example("ipv4_is_private('127.0.0.1')", "False"),
        ),
        source=_page("ipv4_is_private"),
    )
)

scalar(
    Function(
        name="ipv4_is_in_range",
        doc="Whether an IPv4 address belongs to a network.",
        signatures=(Signature((string("ip"), string("range")), Type.BOOL),),
        sql={"duckdb": Custom("ipv4_is_in_range")},
        examples=(
            Example("ipv4_is_in_range('192.168.1.6', '192.168.1.1/24')", "True"),
            Example("ipv4_is_in_range('192.168.2.6', '192.168.1.1/24')", "False"),
            Example("ipv4_is_in_range('127.0.0.1', '127.0.0.1')", "True"),
            Example("ipv4_is_in_range('127.0.0.1', 'x')", "null"),
        ),
        source=_page("ipv4_is_in_range"),
    )
)

scalar(
    Function(
        name="ipv4_is_in_any_range",
        doc="Whether an IPv4 address belongs to one of several networks, which may come as an array.",
        signatures=_RANGES,
        sql={"duckdb": Custom("ipv4_is_in_any_range")},
        examples=(
            Example("ipv4_is_in_any_range('192.168.1.6', '192.168.1.1/24', '10.0.0.1/8')", "True"),
            Example("ipv4_is_in_any_range('192.168.1.6', dynamic(['127.0.0.1', '10.0.0.1/8']))", "False"),
            Example("ipv4_is_in_any_range('x', dynamic(['127.0.0.1']))", "null"),
        ),
        source=_page("ipv4_is_in_any_range"),
    )
)

scalar(
    Function(
        name="ipv4_netmask_suffix",
        doc="The prefix that stands behind an IPv4 address; 32 where there is none.",
        signatures=(Signature((string("ip"),), Type.LONG),),
        sql={"duckdb": Custom("ipv4_netmask_suffix")},
        examples=(
            Example("ipv4_netmask_suffix('192.168.1.1/24')", "24"),
            Example("ipv4_netmask_suffix('192.168.1.1')", "32"),
            Example("ipv4_netmask_suffix('192.168.1.1/33')", "null"),
        ),
        source=_page("ipv4_netmask_suffix"),
    )
)

scalar(
    Function(
        name="ipv4_range_to_cidr_list",
        shape=list_of_strings,
        doc="The fewest networks that together hold the addresses from one to another, which is included.",
        signatures=(Signature((string("start"), string("end")), Type.DYNAMIC),),
        sql={"duckdb": Custom("ipv4_range_to_cidr_list")},
        examples=(
            Example("ipv4_range_to_cidr_list('1.1.128.0', '1.1.140.255')", '["1.1.128.0/21","1.1.136.0/22","1.1.140.0/24"]'),
            Example("ipv4_range_to_cidr_list('10.0.0.1', '10.0.0.1')", '["10.0.0.1/32"]'),
            Example("ipv4_range_to_cidr_list('0.0.0.0', '255.255.255.255')", '["0.0.0.0/0"]'),
        ),
        source=_page("ipv4_range_to_cidr_list"),
    )
)

for _name, _what, _examples in (
    (
        "has_ipv4",
        "an IPv4 address",
        (
            Example("has_ipv4('05:04:54 127.0.0.1 GET /favicon.ico 404', '127.0.0.1')", "True"),
            Example("has_ipv4('05:04:54 127.0.0.256 GET /favicon.ico 404', '127.0.0.256')", "False"),
            Example("has_ipv4('05:04:54127.0.0.1 GET /favicon.ico 404', '127.0.0.1')", "False"),
        ),
    ),
    (
        "has_ipv4_prefix",
        "an IPv4 address that begins so: with whole numbers and a point, or a whole address",
        (
            Example("has_ipv4_prefix('05:04:54 127.0.0.1 GET /favicon.ico 404', '127.0.')", "True"),
            Example("has_ipv4_prefix('05:04:54 127.0.0.256 GET /favicon.ico 404', '127.0.')", "False"),
            Example("has_ipv4_prefix('05:04:54 127.0.0.1 GET /favicon.ico 404', '127.0')", "False"),
        ),
    ),
):
    scalar(
        Function(
            name=_name,
            doc=f"Whether a text has {_what}, which no letter or digit touches.",
            signatures=(Signature((string("text"), string("ip")), Type.BOOL),),
            sql={"duckdb": Custom(_name)},
            nullable=False,
            examples=_examples,
            source=_page(_name),
        )
    )

for _name, _what, _several in (
    (
        "has_any_ipv4",
        "one of several IPv4 addresses",
        (
            Example("has_any_ipv4('05:04:54 127.0.0.1 GET /favicon.ico 404', '127.0.0.1', '127.0.0.2')", "True"),
            Example("has_any_ipv4('05:04:54 127.0.0.256 GET /favicon.ico 404', dynamic(['127.0.0.256', '192.168.1.1']))", "False"),
        ),
    ),
    (
        "has_any_ipv4_prefix",
        "an IPv4 address that begins as one of several texts say",
        (
            Example("has_any_ipv4_prefix('05:04:54 127.0.0.1 GET /favicon.ico 404', dynamic(['127.0.', '192.168.']))", "True"),
            Example("has_any_ipv4_prefix('05:04:54 127.0.0.1 GET /favicon.ico 404', '127.0', '192.')", "False"),
        ),
    ),
):
    scalar(
        Function(
            name=_name,
            doc=f"Whether a text has {_what}, which may come as an array.",
            signatures=(
                Signature((string("text"), dynamic("ips")), Type.BOOL),
                Signature((string("text"), Parameter("ips", Type.STRING)), Type.BOOL, repeats=True),
            ),
            sql={"duckdb": Custom(_name)},
            nullable=False,
            examples=_several,
            source=_page(_name),
        )
    )

scalar(
    Function(
        name="parse_ipv6",
        doc="An IPv6 or IPv4 address written in full as IPv6, of which only the bits of its prefix stay; an empty string for others.",
        signatures=(Signature((string("ip"),), Type.STRING),),
        sql={"duckdb": Custom("parse_ipv6")},
        nullable=False,
        examples=(
            Example("parse_ipv6('127.0.0.1')", "0000:0000:0000:0000:0000:ffff:7f00:0001"),
            Example("parse_ipv6('fe80::85d:e82c:9446:7994')", "fe80:0000:0000:0000:085d:e82c:9446:7994"),
            Example("parse_ipv6('192.168.255.255/24')", "0000:0000:0000:0000:0000:ffff:c0a8:ff00"),
            Example("parse_ipv6('::192.168.255.255')", "0000:0000:0000:0000:0000:0000:c0a8:ffff"),
            Example("parse_ipv6('1::2::3')", ""),
        ),
        source=_page("parse_ipv6"),
    )
)

scalar(
    Function(
        name="parse_ipv6_mask",
        doc="An IPv6 or IPv4 address written in full as IPv6, of which only the bits of a prefix stay; an empty string for others.",
        signatures=(Signature((string("ip"), long("prefix")), Type.STRING),),
        sql={"duckdb": Custom("parse_ipv6_mask")},
        nullable=False,
        examples=(
            Example("parse_ipv6_mask('127.0.0.1', 24)", "0000:0000:0000:0000:0000:0000:0000:0000"),
            Example("parse_ipv6_mask('fe80::85d:e82c:9446:7994', 120)", "fe80:0000:0000:0000:085d:e82c:9446:7900"),
        ),
        source=_page("parse_ipv6_mask"),
    )
)

scalar(
    Function(
        name="ipv6_compare",
        doc="-1, 0 or 1: how two IPv6 addresses compare; an IPv4 one counts as `::ffff:` and its bytes, and its prefix from there.",
        signatures=(Signature((string("left"), string("right"), long("prefix")), Type.LONG, optional=1),),
        sql={"duckdb": Custom("ipv6_compare")},
        examples=(
            Example("ipv6_compare('::ffff:7f00:1', '127.0.0.1')", "0"),
            Example("ipv6_compare('fe80::85d:e82c:9446:7994', 'fe80::85d:e82c:9446:7995')", "-1"),
            Example("ipv6_compare('192.168.1.1/24', '192.168.1.255/24')", "0"),
            Example("ipv6_compare('fe80::85d:e82c:9446:7994/127', 'fe80::85d:e82c:9446:7995/127')", "0"),
            Example("ipv6_compare('fe80::85d:e82c:9446:7994', 'fe80::85d:e82c:9446:7995', 127)", "0"),
            Example("ipv6_compare('fe80::x', '::')", "null"),
        ),
        source=_page("ipv6_compare"),
    )
)

scalar(
    Function(
        name="ipv6_is_match",
        doc="Whether two IPv6 or IPv4 addresses are the same.",
        signatures=(Signature((string("left"), string("right"), long("prefix")), Type.BOOL, optional=1),),
        sql={"duckdb": Custom("ipv6_is_match")},
        examples=(
            Example("ipv6_is_match('::ffff:7f00:1', '127.0.0.1')", "True"),
            Example("ipv6_is_match('192.168.1.1/24', '192.168.1.255/24')", "True"),
            Example("ipv6_is_match('fe80::1', 'fe80::2')", "False"),
            Example("ipv6_is_match('fe80::1', '')", "null"),
        ),
        source=_page("ipv6_is_match"),
    )
)

scalar(
    Function(
        name="ipv6_is_in_range",
        doc="Whether an IPv6 or IPv4 address belongs to a network.",
        signatures=(Signature((string("ip"), string("range")), Type.BOOL),),
        sql={"duckdb": Custom("ipv6_is_in_range")},
        examples=(
            Example("ipv6_is_in_range('a5e:f127:8a9d:146d:e102:b5d3:c755:abcd', 'a5e:f127:8a9d:146d:e102:b5d3:c755:0/112')", "True"),
            Example("ipv6_is_in_range('a5e:f127:8a9d:146d:e102:b5d3:c756:abcd', 'a5e:f127:8a9d:146d:e102:b5d3:c755:0/112')", "False"),
        ),
        source=_page("ipv6_is_in_range"),
    )
)

scalar(
    Function(
        name="ipv6_is_in_any_range",
        doc="Whether an IPv6 or IPv4 address belongs to one of several networks, which may come as an array.",
        signatures=_RANGES,
        sql={"duckdb": Custom("ipv6_is_in_any_range")},
        examples=(
            Example("ipv6_is_in_any_range('a5e:f127:8a9d:146d:e102:b5d3:c755:f6cd', 'fe80::/10', 'a5e:f127::/32')", "True"),
            Example("ipv6_is_in_any_range('10.0.0.1', dynamic(['::ffff:b00:0/104']))", "False"),
        ),
        source=_page("ipv6_is_in_any_range"),
    )
)
