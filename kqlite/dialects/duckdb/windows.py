"""Window functions in DuckDB: the keys of the order are written again, since a sorted subquery promises nothing."""

from kqlite.dialects import sql
from kqlite.dialects.scalars import ScalarLowering, custom
from kqlite.language import plan


@custom("row_number")
def row_number(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    number = sql.Window(sql.call("row_number"), order_by=lowering.order)
    if not invoke.arguments:
        return number
    offset = sql.operation("-", lowering.lower(invoke.arguments[0]), sql.Literal(1))
    return sql.operation("+", number, offset)
