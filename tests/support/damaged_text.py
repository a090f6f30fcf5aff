"""Queries as people write them, and the same with random damage."""

import random

WRITTEN = [
    "| where type =~ 'Microsoft.Compute/virtualMachines' | where properties.x contains \"demo\" | order by resourceGroup desc, name desc",
    "let T = datatable(a: long, b: string)[1, 'x', 2, 'y'];\nT | join kind=leftouter (T | where a > 1) on a | project-away a1",
    "resources | mv-expand with_itemindex=i nic = properties.nics to typeof(dynamic) limit 5 | extend x = nic['a b'].c[0], y = -1.5e3",
    "resources | summarize count(), (a, b) = arg_max(t, *) by tostring(tags.env), bin(t, 1d) | where * has 'x' // end",
    "union kind=inner withsource=S (A | take 1), B | where not(x in~ ('a', \"b\")) and y !between (1d .. 2h) or z matches regex @'a\\d'",
    "print dynamic({\"a\": [1, -2.5, datetime(2020-01-01), null], 'b': {}}), guid(74be27de-1e4e-49d9-b579-fe0b331d3642), h'x' \"y\"",
    "let f = view (a: long, b: string = 'x', T: (*), U: (c: long)) { let n = -1; T | where a > n }; f(1, T = U) | invoke g()",
    "let g = () { 1; }; print g()",
    "declare query_parameters(a: long = -5, ['b c']: string); set x = 5d; set notruncation; union T*, U | as hint.materialized=true V",
    "T | lookup kind=inner (U) on a, $left.b == $right.c | project-reorder b* granny-asc, a desc, c | serialize n = f() | sample 3",
    "T | mv-apply with_itemindex=i x = a.b to typeof(long), y limit 5 on (where x > 1 | partition hint.strategy=native by k (top 1 by x))",
    "T | make-series kind=nonempty n = count() default = -1, sum(v) on t from ago(7d) to now() step 1d by a",
    "T | make-series count() on t.x in range(1, 5, 2)",
    "T | top-nested 2 of a by count(), top-nested of b = c with others = 'o' by m = max(v) asc",
    "T | evaluate hint.x=y bag_unpack(a, 'p_', x = dynamic([1])) : (*, a: long, ['b c']: string) | evaluate narrow() : (a: real)",
    "search kind=case_sensitive in (T*, U) 'x*' and a:'b' or not('c') and n == 1 | search *",
    "find withsource=S in (T, V*) where a == 1 or 'x' project a, b: long, pack_all() | project-by-names 'a', dynamic(['b*'])",
    "find 'x' project-smart | parse-kv s as (a: long, ['b c']: string) with (pair_delimiter = ',', kv_delimiter = '=', quote = '()')",
    "T | top-hitters 5 of a | top-hitters 2 * 1 of b by c",
    "T | sample-distinct 5 of ['a b'] | getschema | consume | render timechart kind=stacked with (title = 'x', ycolumns = a, b)",
]

PIECES = r"""
| where extend ( ) [ ] { } ' " ``` ~~~ @' h" // ; , . .. == =~ = ! in !in~ between dynamic( datetime( 1 1.5 1d -1 0x1F
a a.b * by let \ join on
""".split()  # noqa: SIM905


def damaged(text: str, chance: random.Random) -> str:
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(text) + 1)
        end = min(len(text), place + chance.randint(0, 4))
        text = text[:place] + chance.choice(["", *PIECES]) + text[end:]
    return text
