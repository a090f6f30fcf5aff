"""Functions that no query can call: what operators are made of."""

from kqlite.language.functions.declare import Function, Parameter, Signature
from kqlite.language.types import Type

pair_value = Function(
    name="pair_value",
    doc="The second group of the first match whose first group is the key, without spaces around; an empty string where there is none.",
    signatures=(Signature((Parameter("text", Type.STRING), Parameter("regex", Type.STRING), Parameter("key", Type.STRING)), Type.STRING),),
    sql={
        "duckdb": "coalesce(trim(list_extract(regexp_extract_all({text}, {regex}, 2), "
        "list_position(list_transform(regexp_extract_all({text}, {regex}, 1), lambda k: trim(k)), {key}))), '')"
    },
    examples=(),
    source="Kusto docs, parse-kv operator",
    nullable=False,
)
