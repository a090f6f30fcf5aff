"""Parquet and Arrow IPC, written to a pipe as well as to a file."""

from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet


class _Counted:
    """A stream that knows its position, which a pipe does not and Parquet's writer asks for."""

    def __init__(self, out: BinaryIO):
        self._out = out
        self._position = 0
        self.closed = False

    def write(self, data: bytes) -> int:
        self._out.write(data)
        self._position += len(data)
        return len(data)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        self._out.flush()

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        """Leaves the stream beneath open: it is the caller's."""
        self.closed = True


def write_parquet(table: pa.Table, out: BinaryIO) -> None:
    """One Parquet file, compressed by zstd."""
    pyarrow.parquet.write_table(table, _Counted(out), compression="zstd")


def write_arrow(table: pa.Table, out: BinaryIO) -> None:
    """An Arrow IPC stream, which a reader can use from its first batch on."""
    with pa.ipc.new_stream(pa.PythonFile(_Counted(out), mode="w"), table.schema) as writer:
        writer.write_table(table)
