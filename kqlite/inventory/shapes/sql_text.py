"""Names and texts as SQL. Everything in this package that writes a name or a value into a statement goes through these two functions.

Values go in as parameters where DuckDB takes parameters. It takes none in DDL, in ATTACH, in SET and in the select list of a view.
"""


def identifier(name: str) -> str:
    """The name as a quoted identifier.

    DuckDB cannot write a NUL in an identifier: it silently cuts the name there. It has no empty identifiers. Native tables, columns and
    struct fields therefore never get such names: see `partitioning.has_own_partition`, `registered.registered_source` and `shapes.admit`.
    """
    assert name, "no identifier is empty"
    assert "\0" not in name, "no identifier has a NUL"
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """The text as a string literal."""
    return "'" + text.replace("'", "''") + "'"
