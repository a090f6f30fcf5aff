"""Plan to plan: what a query does not need is left out before any SQL exists.

`pruning` leaves out partitions whose types a condition rules out; `narrowing` leaves out columns and members that nobody asks
for, and with that gives every dynamic its form; `branches` is what it works on, and `fetching` puts off documents until rows are taken.
"""

from kqlite.language import plan
from kqlite.language.rules.column_pruning import narrow
from kqlite.language.rules.partition_pruning import prune_partitions

RULES = (prune_partitions, narrow)


def apply(bound: plan.Plan) -> plan.Plan:
    """The plan after all rules, in order."""
    relation = bound.relation
    for rule in RULES:
        relation = rule(relation)
    return plan.Plan(relation, bound.chart)
