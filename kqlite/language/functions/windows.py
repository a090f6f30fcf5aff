"""Functions that depend on the rows before, in their order."""

from kqlite.language.functions.declare import Custom, Example, Function, Signature, long, scalar
from kqlite.language.types import Type

row_number = scalar(
    Function(
        name="row_number",
        doc="The place of the row in the order of its table, from 1 or from where it is told; without an order, as the rows come.",
        signatures=(Signature((long("start"),), Type.LONG, optional=1),),
        sql={"duckdb": Custom("row_number")},
        nullable=False,
        window=True,
        examples=(Example("row_number()", "1"), Example("row_number(7)", "7")),
        source="Kusto Query Language reference, row_number(); Resource Graph queries call it on rows in no order",
    )
)
