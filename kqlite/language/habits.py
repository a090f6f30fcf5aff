"""What people write who think in SQL or in a programming language, and what says it in KQL: the hints of error messages."""

WORDS = {
    "is": "`isnull(x)`, `isnotnull(x)`, `isempty(x)` and `isnotempty(x)` ask for a missing value",
    "as": "a new name comes first: `n = name`",
    "descending": "`desc` sorts so",
    "ascending": "`asc` sorts so",
    "from": "a query begins with its table: `resources | project name`",
    "when": "`case(condition, value, .., otherwise)` chooses",
    "then": "`iff(condition, value, otherwise)` chooses",
    "else": "`iff(condition, value, otherwise)` chooses",
    "having": "`where` after `summarize` chooses groups",
}
"""Words that fit nowhere in KQL where they stand."""

WORDS |= dict.fromkeys(
    ("day", "days", "hour", "hours", "minute", "minutes", "second", "seconds", "week", "weeks"),
    "a timespan is one word: `7d`, `12h`, `30m`",
)

OPERATORS = {
    "select": "`project` chooses columns",
    "columns": "`project` chooses columns",
    "group": "`summarize .. by` groups",
    "groupby": "`summarize .. by` groups",
    "aggregate": "`summarize .. by` groups",
    "having": "`where` after `summarize` chooses groups",
    "orderby": "`order by` sorts",
    "sortby": "`sort by` sorts",
    "head": "`take` gives some rows",
    "first": "`take` gives some rows",
    "fetch": "`take` gives some rows",
    "drop": "`project-away` leaves columns out",
    "exclude": "`project-away` leaves columns out",
    "rename": "`project-rename new = old` renames",
    "unique": "`distinct` leaves doubles out",
    "explode": "`mv-expand` gives a row for each element",
    "flatten": "`mv-expand` gives a row for each element",
    "unnest": "`mv-expand` gives a row for each element",
    "with": "`let name = ..;` before the query names a table",
    "from": "a query begins with its table: `resources | project name`",
}
"""Operators of other languages, in lower case."""

FUNCTIONS = {
    "concat": "strcat",
    "len": "strlen",
    "length": "strlen",
    "lower": "tolower",
    "upper": "toupper",
    "lcase": "tolower",
    "ucase": "toupper",
    "substr": "substring",
    "instr": "indexof",
    "ifnull": "coalesce",
    "isnullorempty": "isempty",
    "nvl": "coalesce",
    "nullif": "iff",
    "if": "iff",
    "cast": "tostring",
    "convert": "tostring",
    "str": "tostring",
    "string": "tostring",
    "to_string": "tostring",
    "to_lower": "tolower",
    "to_upper": "toupper",
    "getdate": "now",
    "current_timestamp": "now",
    "sysdate": "now",
    "date_trunc": "bin",
    "datediff": "datetime_diff",
    "dateadd": "datetime_add",
    "date_add": "datetime_add",
    "date_diff": "datetime_diff",
    "json_extract": "parse_json",
    "json_value": "parse_json",
    "group_concat": "make_list",
    "string_agg": "make_list",
    "array_agg": "make_list",
    "collect": "make_list",
    "regexp_extract": "extract",
    "median": "percentile",
    "stddev": "stdev",
    "average": "avg",
    "mean": "avg",
}
"""Functions of other languages, in lower case, and KQL's."""

BETWEEN_OPERANDS = ("contains", "has", "startswith", "endswith", "in", "between", "has_any", "has_all", "matches")
"""Words that other languages call as functions, and that stand between two values in KQL."""

NOTHING = ("null", "none", "nil", "undefined")
"""What other languages call a missing value."""

RESOURCE_TYPES = {
    name.rpartition("/")[2]: name
    for name in (
        "microsoft.compute/virtualmachines",
        "microsoft.compute/virtualmachinescalesets",
        "microsoft.compute/disks",
        "microsoft.compute/snapshots",
        "microsoft.network/virtualnetworks",
        "microsoft.network/networkinterfaces",
        "microsoft.network/publicipaddresses",
        "microsoft.network/networksecuritygroups",
        "microsoft.network/loadbalancers",
        "microsoft.storage/storageaccounts",
        "microsoft.keyvault/vaults",
        "microsoft.web/sites",
        "microsoft.containerservice/managedclusters",
        "microsoft.sql/servers",
    )
}
"""Types of resources whose last word people take for a table."""


def of_word(word: str) -> str | None:
    """What a word that fits nowhere may mean."""
    return WORDS.get(word.lower())


def of_operator(word: str) -> str | None:
    """What an operator of another language is called."""
    return OPERATORS.get(word.lower())


def of_function(name: str) -> str | None:
    """What a function of another language is called, or where a word stands that is no function."""
    if name.lower() in BETWEEN_OPERANDS:
        return f"`{name.lower()}` stands between two values: `name {name.lower()} 'x'`"
    known = FUNCTIONS.get(name.lower())
    return None if known is None else f"`{known}()` does this"


def of_column(name: str) -> str | None:
    """What a name may mean that is no column."""
    return WORDS["is"] if name.lower() in NOTHING else None


def of_table(name: str) -> str | None:
    """How the resources of a type are asked for."""
    type_ = RESOURCE_TYPES.get(name.lower()) or RESOURCE_TYPES.get(f"{name.lower()}s")
    return None if type_ is None else f"`resources | where type =~ '{type_}'`"
