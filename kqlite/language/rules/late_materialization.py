"""Rows first, documents later: where rows of several partitions are taken, it is decided over their row numbers which ones, and only of
these the documents are read and written as text.

Each partition gives as many rows as are taken in all, since nobody knows ahead which of them remain. DuckDB itself fetches late only what
comes out of one table.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kqlite.language import plan
from kqlite.language.rules.branches import Branch, merged, written_leaves
from kqlite.language.types import Type

LEAVES_WORTH_FETCHING = 4_000
"""How many leaves each branch must have to write, on average, before finding rows again costs less (tried: of 23 branches, 300 rows with 12
leaves each take as long either way).
"""


@dataclass(frozen=True, slots=True)
class Picking:
    """A branch from which rows are picked: those that its order puts first, or any.

    keys: over the branch's rows, the same in number and type for all branches.
    """

    branch: Branch
    keys: tuple[plan.SortKey, ...] = ()


def fetched(pickings: Sequence[Picking], count: int) -> Branch | None:
    """The `count` rows that come first of all branches, in no order; None where they are better written at once."""
    branches = [picking.branch for picking in pickings]
    if len(branches) == 1 or not all(_can_be_found_again(branch.relation) for branch in branches):
        return None
    if count * sum(map(written_leaves, branches)) < LEAVES_WORTH_FETCHING * len(branches):
        return None
    rows = [plan.Attribute("row", Type.LONG) for _ in branches]
    whole = merged([Branch(_with_row(b.relation, row, filtered=False), b.given) for b, row in zip(branches, rows, strict=True)])
    assert isinstance(whole.relation, plan.Union)
    return Branch(plan.Fetch(whole.relation, tuple(rows), _picked(pickings, rows, count)), whole.given)


def _picked(pickings: Sequence[Picking], rows: Sequence[plan.Attribute], count: int) -> plan.Relation:
    """The numbers of branch and row of the rows that come first."""
    columns = [plan.Attribute("leg", Type.LONG), plan.Attribute("row", Type.LONG)]
    columns += [plan.Attribute("key", key.value.type) for key in pickings[0].keys]
    legs = []
    for number, (picking, row) in enumerate(zip(pickings, rows, strict=True)):
        relation = _with_row(picking.branch.relation, row, filtered=True)
        own = tuple(key for key in picking.keys if not isinstance(key.value, plan.Constant))
        first = plan.Take(plan.Sort(relation, own) if own else relation, count)
        legs.append((first, (plan.Constant(Type.LONG, number), plan.Reference(row), *(key.value for key in picking.keys))))
    united: plan.Relation = plan.Union(tuple(columns), tuple(legs))
    if pickings[0].keys:
        keys = zip(pickings[0].keys, columns[2:], strict=True)
        united = plan.Sort(united, tuple(replace(key, value=plan.Reference(column)) for key, column in keys))
    outputs = tuple((column, plan.Reference(column)) for column in columns[:2])
    return plan.Project(plan.Take(united, count), outputs)


def _can_be_found_again(relation: plan.Relation) -> bool:
    match relation:
        case plan.PartitionScan():
            return relation.partition.row is not None
        case plan.Filter():
            return _can_be_found_again(relation.input)
        case plan.Project():
            return not plan.counts_rows(relation) and _can_be_found_again(relation.input)
        case _:
            return False


def _with_row(relation: plan.Relation, row: plan.Attribute, filtered: bool) -> plan.Relation:
    """The relation with its rows' numbers as a column more; filtered: with its conditions, too."""
    match relation:
        case plan.PartitionScan():
            return replace(relation, outputs=(*relation.outputs, (row, plan.Extract(relation.partition.row))))
        case plan.Filter():
            inner = _with_row(relation.input, row, filtered)
            return replace(relation, input=inner) if filtered else inner
        case plan.Project():
            inner = _with_row(relation.input, row, filtered)
            return replace(relation, input=inner, outputs=(*relation.outputs, (row, plan.Reference(row))))
    raise AssertionError(relation)
