"""The small tables that golden cases query: rows in `golden/tables/*.jsonl`, types in `golden/tables/columns.json`."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa

import kqlite
from kqlite.access.local import LocalAccess
from kqlite.bundled import bundled
from kqlite.engine import utc_now
from kqlite.inventory.imports.files import load_files
from kqlite.inventory.shapes.resource_tables import COLUMNS, table_of
from kqlite.inventory.store.store import Store
from kqlite.language.types import Type

_FOLDER = Path(__file__).parent.parent / "golden" / "tables"
_SAMPLE = sorted(bundled("sample-data/inventory").glob("*.jsonl"))
_SCALARS = {
    "bool": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "real": pa.float64(),
    "string": pa.string(),
    "datetime": pa.timestamp("us", "UTC"),
}


@cache
def table(name: str) -> pa.Table:
    """One of the tables; its dynamic columns are structs and lists as `columns.json` declares them, `json` where it says so."""
    columns = json.loads((_FOLDER / "columns.json").read_text(encoding="utf-8"))[name]
    rows = [json.loads(line) for line in (_FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    for row in rows:
        if not row.keys() <= columns.keys():
            raise ValueError(f"{name}: no column {row.keys() - columns.keys()}")
    return pa.table({column: _array(spec, [row.get(column) for row in rows]) for column, spec in columns.items()})


def _array(spec: Any, values: list[Any]) -> pa.Array:
    """`values` in the Arrow type that `spec` names: a scalar's name, `json`, an object of specs, or a list of one spec."""
    absent = pa.array([value is None for value in values], pa.bool_())
    match spec:
        case "json":
            return pa.ExtensionArray.from_storage(
                pa.json_(), pa.array([None if v is None else json.dumps(v, ensure_ascii=False) for v in values], pa.string())
            )
        case "datetime":
            return pa.array([None if value is None else datetime.fromisoformat(value) for value in values], _SCALARS[spec])
        case str():
            return pa.array(values, _SCALARS[spec])
        case [element]:
            offsets = [0]
            for value in values:
                offsets.append(offsets[-1] + len(value or ()))
            items = _array(element, [item for value in values for item in value or ()])
            return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), items, mask=absent)
        case dict():
            unknown = {key for value in values for key in value or ()} - spec.keys()
            if unknown:
                raise ValueError(f"members without a type: {unknown}")
            members = {key: _array(inner, [(value or {}).get(key) for value in values]) for key, inner in spec.items()}
            fields = [pa.field(key, member.type) for key, member in members.items()]
            return pa.StructArray.from_arrays(list(members.values()), fields=fields, mask=absent)
        case _:
            raise ValueError(f"no type {spec!r}")


@cache
def sample() -> dict[str, pa.Table]:
    """The sample inventory as Arrow tables whose dynamic columns are JSON."""
    rows: dict[str, list[dict[str, Any]]] = {"resources": [], "resourcecontainers": []}
    for path in _SAMPLE:
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            rows.setdefault(table_of(row["type"]), []).append(row)
    specs = {column.name: "json" if column.type is Type.DYNAMIC else str(column.type) for column in COLUMNS}
    return {name: pa.table({c: _array(spec, [row.get(c) for row in held]) for c, spec in specs.items()}) for name, held in rows.items()}


def connect(
    names: Sequence[str], *, stored: bool, optimizer: bool, now: str | None, more: Mapping[str, pa.Table] = MappingProxyType({})
) -> kqlite.Connection:
    """A connection that holds the named tables and `more`, loaded into the store or as Arrow in place; `sample` is the sample inventory."""
    clock = _standing(datetime.fromisoformat(now)) if now else utc_now
    own = {name: table(name) for name in names if name != "sample"} | dict(more)
    if not stored:
        return kqlite.connect(own | (sample() if "sample" in names else {}), optimizer=optimizer, clock=clock)
    store = Store.in_memory(optimizer=optimizer)
    if "sample" in names:
        load_files(_SAMPLE, store)
    connection = kqlite.Connection(LocalAccess(store, clock))
    for name, rows in own.items():
        connection.register(name, rows, load=True)
    return connection


def _standing(moment: datetime) -> Callable[[], datetime]:
    return lambda: moment
