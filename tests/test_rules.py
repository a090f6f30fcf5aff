"""Rules over plans: which partitions, columns and members are left, and in which form."""

import pytest

from kqlite.inventory.shapes.resource_tables import COLUMNS
from kqlite.language import plan, rules
from kqlite.language.binder import bind
from kqlite.language.parser import parse
from kqlite.language.schema import JSON, ORDERED_JSON, Leaf, Member, Object, Partition, Table
from kqlite.language.types import Type

TEXT = Leaf(Type.STRING)
POWER = Object((Member("code", TEXT, "_hot_code"), Member("level", TEXT)))
MACHINE = Object((Member("size", Leaf(Type.LONG)), Member("power", POWER)))
DISK = Object((Member("size", Leaf(Type.REAL)),))


def partition(source, shape, types):
    names = {column.name: column.name for column in COLUMNS if column.type is not Type.DYNAMIC}
    return Partition(source, names | {"properties": "properties", "tags": "tags"}, {"properties": shape, "tags": JSON}, types)


class Catalog:
    version = 1

    def __init__(self):
        machines = partition("machines", MACHINE, frozenset({"microsoft.compute/virtualmachines"}))
        disks = partition("disks", DISK, frozenset({"microsoft.compute/disks"}))
        others = partition("others", JSON, frozenset({"microsoft.network/virtualnetworks", "microsoft.web/sites"}))
        self.resources = Table("resources", COLUMNS, (machines, disks, others), scoped=True)

    def table(self, name):
        return self.resources if name == "resources" else None

    def names(self):
        return iter(["resources"])


def relations(relation):
    yield relation
    for inner in relation.inputs:
        yield from relations(inner)


def after_rules(text):
    return rules.apply(bind(text, parse(text), Catalog())).relation


def sources(text):
    return [r.partition.source for r in relations(after_rules(text)) if isinstance(r, plan.PartitionScan)]


ALL = ["machines", "disks", "others"]


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("resources", ALL),
        ("where type =~ 'Microsoft.Compute/virtualMachines'", ["machines"]),
        ("where type == 'Microsoft.Compute/virtualMachines'", []),
        ("where type != 'microsoft.compute/disks'", ["machines", "others"]),
        ("where type !~ 'microsoft.web/sites'", ALL),
        ("where type in~ ('MICROSOFT.COMPUTE/DISKS', 'microsoft.web/sites')", ["disks", "others"]),
        ("where type !in ('microsoft.compute/disks')", ["machines", "others"]),
        ("where type startswith 'Microsoft.Compute'", ["machines", "disks"]),
        ("where type contains 'disk'", ["disks"]),
        ("where type endswith 'sites' or name == 'x'", ALL),
        ("where name == 'x' and tolower(type) == 'microsoft.compute/disks'", ["disks"]),
        ("where not(type has 'disk')", ALL),
        ("where not(type =~ 'microsoft.compute/disks')", ["machines", "others"]),
        ("order by name asc | extend kind = 'k' | where type =~ 'microsoft.compute/disks'", ["disks"]),
        ("extend T = type | where T =~ 'microsoft.compute/disks'", ["disks"]),
        ("extend type = tags.type | where type =~ 'microsoft.compute/disks'", ALL),
        ("take 10 | where type =~ 'microsoft.compute/disks'", ALL),
        ("summarize count() by type | where type =~ 'microsoft.compute/disks'", ["disks"]),
        ("mv-expand tags | where type =~ 'microsoft.compute/disks'", ["disks"]),
        ("resources | union (resources | where name == 'a') | where type =~ 'microsoft.compute/disks'", ["disks", "disks"]),
        ("resources | join kind=inner resources on id | where type =~ 'microsoft.compute/disks'", ["disks", *ALL]),
        ("resources | join kind=inner resources on id | where type1 =~ 'microsoft.compute/disks'", [*ALL, "disks"]),
        ("resources | join kind=leftouter resources on id | where type1 =~ 'microsoft.compute/disks'", [*ALL, *ALL]),
        ("resources | join resources on id | where type =~ 'microsoft.compute/disks'", [*ALL, *ALL]),
    ],
)
def test_a_condition_on_type_leaves_out_partitions(query, left):
    assert sorted(sources(query)) == sorted(left)


def outputs(text):
    """What each scan gives: physical column and steps."""
    return {
        r.partition.source: sorted(".".join([str(e.column), *map(str, e.steps)]) for _, e in r.outputs)
        for r in relations(after_rules(text))
        if isinstance(r, plan.PartitionScan)
    }


@pytest.mark.parametrize(
    ("query", "given"),
    [
        ("where type =~ 'microsoft.compute/virtualmachines' | project name, properties.size", {"machines": ["name", "properties.size"]}),
        ("where type =~ 'microsoft.compute/virtualmachines' | project properties.power.code", {"machines": ["_hot_code"]}),
        ("where type =~ 'microsoft.compute/virtualmachines' | project properties.power", {"machines": ["_hot_code", "properties.power"]}),
        (
            "where type =~ 'microsoft.compute/virtualmachines' | extend p = properties.power | project p.level, p.code",
            {"machines": ["_hot_code", "properties.power.level"]},
        ),
        ("where type =~ 'microsoft.compute/virtualmachines' | project properties.absent", {"machines": []}),
        (
            "where type startswith 'microsoft.compute' | project properties.size",
            {"machines": ["properties.size"], "disks": ["properties.size"]},
        ),
        ("project type | count", {"machines": [], "disks": [], "others": []}),
        ("summarize count() by type", {"machines": [], "disks": [], "others": ["type"]}),
        (
            "where type =~ 'microsoft.compute/disks' "
            "| join kind=inner (resources | where type =~ 'microsoft.web/sites') on id | project name1",
            {"disks": ["id"], "others": ["id", "name", "type"]},
        ),
    ],
)
def test_a_scan_gives_what_is_asked_for(query, given):
    assert outputs(query) == given


def form_of(query):
    relation = after_rules(query)
    assert isinstance(relation, plan.Project)
    return relation.outputs[0][0].form


def test_one_partition_keeps_its_form():
    assert form_of("where type =~ 'microsoft.compute/virtualmachines' | project properties.size") == Leaf(Type.LONG)


def test_unlike_forms_become_json_and_absent_ones_do_not_count():
    assert form_of("where type startswith 'microsoft.compute' | project properties.size") == ORDERED_JSON
    assert form_of("where type startswith 'microsoft.compute' | project properties.power.level") == TEXT


def test_the_result_keeps_names_and_types():
    query = "resources | extend x = properties.size, y = tostring(properties.power) | project-away tags"
    bound = bind(query, parse(query), Catalog())
    assert rules.apply(bound).schema == bound.schema
