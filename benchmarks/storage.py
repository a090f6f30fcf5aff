"""How many bytes a machine of the inventory takes on disk, in memory, and as JSON lines through zstd."""

import json
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pyarrow as pa
from questions import MACHINES

from kqlite.directory.data_directory import DataDirectory
from kqlite.inventory.sample.generate import SamplePlan

LEVEL = 3
_PIECE_BYTES = 64 << 20
"""How much JSON is compressed at once: many times what zstd looks back at this level."""


def print_storage(directory: Path, vms: int, seed: int) -> None:
    with closing(DataDirectory.open(directory)) as held:
        file = held.store
        everything = file.stat().st_size
        on_disk, in_memory = machines_alone(file)
    plan = SamplePlan(vms, seed)
    raw, compressed = 0, 0
    for kind in plan.kinds:
        if f"{kind.table}/{kind.type}" == MACHINES:
            raw, compressed = json_lines_bytes(plan.documents_of(kind))
    print("Bytes per machine.\n")
    print(f"{'its row as a line of JSON':52}{raw / vms:>10,.0f}")
    print(f"{f'the same lines through zstd -{LEVEL}':52}{compressed / vms:>10,.0f}")
    print(f"{'the table of machines, alone in a file':52}{on_disk / vms:>10,.0f}  {on_disk / compressed:.2f} of zstd")
    print(f"{'the table of machines, in memory and compressed':52}{in_memory / vms:>10,.0f}")
    print(f"{'the store with all that belongs to the machines':52}{everything / vms:>10,.0f}")


def machines_alone(store: Path) -> tuple[int, int]:
    """The bytes of a file with the table of machines and nothing else, and of that table in memory."""
    source = f'"{MACHINES}"'
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(":memory:") as connection:
        file = Path(folder) / "machines.duckdb"
        connection.execute(f"ATTACH '{_escaped(store)}' AS store (READ_ONLY)")
        [(block_bytes,)] = connection.sql("SELECT block_size FROM pragma_database_size() WHERE database_name = 'store'").fetchall()
        connection.execute(f"ATTACH '{_escaped(file)}' AS alone (BLOCK_SIZE {block_bytes})")
        connection.execute("ATTACH ':memory:' AS memory_alone (COMPRESS)")
        for name in ("alone", "memory_alone"):
            # The definition, and not CREATE TABLE AS, keeps how each column is compressed.
            [(definition,)] = connection.sql(
                "SELECT sql FROM duckdb_tables() WHERE database_name = 'store' AND table_name = $table", params={"table": MACHINES}
            ).fetchall()
            connection.execute(f"USE {name}")
            # In memory there is no zstd, and a column that asks for it stays as it is.
            connection.execute(definition if name == "alone" else re.sub(" USING COMPRESSION ZSTD", "", definition, flags=re.IGNORECASE))
            connection.execute(f"INSERT INTO {name}.main.{source} FROM store.main.{source}")
            connection.execute(f"CHECKPOINT {name}")
        connection.execute("USE memory")
        connection.execute("DETACH alone")
        connection.execute("DETACH store")
        [(in_memory,)] = connection.sql("SELECT sum(memory_usage_bytes)::BIGINT FROM duckdb_memory()").fetchall()
        return file.stat().st_size, in_memory


def _escaped(path: Path) -> str:
    return str(path).replace("'", "''")


def json_lines_bytes(documents: Iterable[object]) -> tuple[int, int]:
    """The bytes of JSON lines without needless blanks, as they are and compressed."""
    codec = pa.Codec("zstd", compression_level=LEVEL)
    raw, compressed = 0, 0
    for piece in _pieces(documents):
        raw += len(piece)
        compressed += len(codec.compress(piece, asbytes=True))
    return raw, compressed


def _pieces(documents: Iterable[object]) -> Iterator[bytes]:
    piece = bytearray()
    for document in documents:
        piece += json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
        piece += b"\n"
        if len(piece) >= _PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)
