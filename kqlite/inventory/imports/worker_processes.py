"""The first pass of a large import, in processes of their own where there is enough to read.

One process hands out the lines of JSON files, block by block in turn, so that equal files give equal inventories; what is no file of lines
it reads itself. A reading process is this interpreter with this module, at the other end of two pipes. It ends with its input, so it never
outlives who started it, and leaves Ctrl-C to that one.
"""

import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from kqlite.gc_control import no_collection
from kqlite.inventory.imports.file_formats import Block, Chunk, Page, chunks, is_lines, line_blocks, sorted_chunks
from kqlite.inventory.imports.sorted_runs import RunWriter, TypeRuns, order_of
from kqlite.inventory.shapes.documents import InventoryError

_ENOUGH_BYTES = 32 << 20
"""What is smaller is read by this process alone sooner than others have started."""

_MOST_PROCESSES = 8
_BLOCKS_AHEAD = 2
"""Blocks that a process has while it is not known whether it has read them."""

_MAIN = "from kqlite.inventory.imports.worker_processes import main; main()"

Report = Callable[[int], None]


def read_runs(
    paths: Sequence[Path], folder: Path, report: Report, processes: int | None = None, pages: list[Page] | None = None
) -> list[TypeRuns]:
    """What documents there are in files.

    pages: where it is noted what answers among the files say of themselves.

    folder: for spools. report: called with how many documents have been read. processes: to read with besides this one; None: as many as
    there are processors, and none for little. Raises InventoryError naming file, place and reason.
    """
    if processes is None:
        processes = _processes_for(sum(path.stat().st_size for path in paths))
    with ExitStack() as stack:
        workers = [stack.enter_context(_worker_process(folder / f"spool{index}")) for index in range(processes)]
        return _Pass(folder, workers, report, [] if pages is None else pages).over(paths)


def _processes_for(size: int) -> int:
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # A frozen program's executable is the program, not an interpreter.
    if size < _ENOUGH_BYTES or available < 2 or not sys.executable or getattr(sys, "frozen", False):
        return 0
    return min(available, _MOST_PROCESSES)


@dataclass(frozen=True, slots=True)
class _Lines:
    """Some lines of a file, to be read.

    file: how many files there are before. number: of the first line. offset, size: in bytes.
    state: of the file, which must not have changed.
    """

    path: Path
    file: int
    number: int
    offset: int
    size: int
    state: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Read:
    """Lines were read. fault: what is wrong with them, and in which order it comes."""

    count: int
    fault: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class _Broken:
    """A fault of the worker's own."""

    trace: str


class _Pass:
    """The files, one after another, by all workers."""

    def __init__(self, folder: Path, workers: "Sequence[_Worker]", report: Report, pages: list[Page]) -> None:
        self._workers, self._report, self._pages = workers, report, pages
        self._run_writer = RunWriter(folder / "spool")
        self._count = 0
        self._turn = 0

    def over(self, paths: Sequence[Path]) -> list[TypeRuns]:
        for file, path in enumerate(paths):
            if is_lines(path):
                for block in line_blocks(path):
                    if self._workers:
                        self._hand_out(path, file, block)
                    else:
                        self._take_in(sorted_chunks(path, block), file)
            else:
                self._await(0)
                self._take_in(chunks(path, self._pages), file)
        self._await(0)
        return [one for worker in self._workers for one in worker.finish()] + self._run_writer.finish()

    def _take_in(self, chunks: Iterator[Chunk], file: int) -> None:
        for chunk in chunks:
            self._run_writer.add(chunk, file)
            self._read(len(chunk.values))

    def _hand_out(self, path: Path, file: int, block: Block) -> None:
        worker = self._workers[self._turn % len(self._workers)]
        self._turn += 1
        if worker.pending >= _BLOCKS_AHEAD:
            self._await(_BLOCKS_AHEAD - 1, [worker])
        worker.hand(_Lines(path, file, block.number, block.offset, len(block.content), _state(path.stat())))

    def _await(self, most: int, workers: "Sequence[_Worker] | None" = None) -> None:
        """Let no worker, or none of these, have more than so many blocks."""
        for worker in self._workers if workers is None else workers:
            while worker.pending > most:
                read = worker.answer()
                if read.fault is not None:
                    self._raise_first(read.fault)
                self._read(read.count)

    def _raise_first(self, fault: tuple[int, str]) -> None:
        """Raise the fault of the first block that has one, so that it is the same each time; the blocks before were all handed out."""
        faults = [fault]
        for worker in self._workers:
            while worker.pending:
                found = worker.answer().fault
                if found is not None:
                    faults.append(found)
        raise InventoryError(min(faults)[1])

    def _read(self, count: int) -> None:
        self._count += count
        self._report(self._count)


def _state(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


class _Worker:
    """A reading process."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._input, self._output = process, process.stdin, process.stdout
        self.pending = 0

    def send(self, message: object) -> None:
        with self._ending_is_told():
            pickle.dump(message, self._input)
            self._input.flush()

    def hand(self, lines: _Lines) -> None:
        self.send(lines)
        self.pending += 1

    def answer(self) -> _Read:
        """What came of the lines that were handed out first."""
        self.pending -= 1
        read: _Read = self._receive()
        return read

    def finish(self) -> list[TypeRuns]:
        self.send(None)
        found: list[TypeRuns] = self._receive()
        return found

    def _receive(self) -> Any:  # Any: what the process answers, one of three
        with self._ending_is_told():
            found = pickle.load(self._output)
        if isinstance(found, _Broken):
            raise RuntimeError(found.trace)
        if isinstance(found, InventoryError):
            raise found
        return found

    @contextmanager
    def _ending_is_told(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, BrokenPipeError):
            raise InventoryError(f"a process that read documents has ended ({self._process.wait()})") from None


@contextmanager
def _worker_process(spool: Path) -> Iterator[_Worker]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
    command = [sys.executable, "-P", "-c", _MAIN]
    # In a group of its own, where a terminal's Ctrl-C does not reach it, not even before it has begun.
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, process_group=0)
    try:
        worker = _Worker(process)
        worker.send(spool)
        yield worker
    finally:
        process.kill()
        for stream in (process.stdin, process.stdout):
            with suppress(OSError):  # what is still to be written goes nowhere
                stream.close()  # type: ignore[union-attr]  # both are pipes
        process.wait()


def main() -> None:
    """Read what comes through standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with suppress(EOFError), no_collection():
        _serve(sys.stdin.buffer, answers)


def _serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    run_writer = RunWriter(pickle.load(requests))
    fault: tuple[int, str] | None = None
    while lines := pickle.load(requests):
        answer: _Read | _Broken = _Read(0)
        if fault is None:
            answer = _answer(run_writer, lines)
            fault = answer.fault if isinstance(answer, _Read) else None
        pickle.dump(answer, answers)
        answers.flush()
    try:
        found: object = run_writer.finish()
    except InventoryError as error:
        found = error
    pickle.dump(found, answers, protocol=pickle.HIGHEST_PROTOCOL)
    answers.flush()


def _answer(run_writer: RunWriter, lines: _Lines) -> _Read | _Broken:
    count = 0
    try:
        for chunk in sorted_chunks(lines.path, Block(lines.number, lines.offset, _content(lines))):
            run_writer.add(chunk, lines.file)
            count += len(chunk.values)
    except InventoryError as error:
        return _Read(count, (order_of(lines.file, lines.number), str(error)))
    except Exception:
        return _Broken(traceback.format_exc())
    return _Read(count)


def _content(lines: _Lines) -> bytes:
    try:
        with lines.path.open("rb") as stream:
            stream.seek(lines.offset)
            content = stream.read(lines.size)
            state = _state(os.fstat(stream.fileno()))
    except OSError as error:
        raise InventoryError(f"{lines.path}: {error.strerror or error}") from None
    if state != lines.state:
        raise InventoryError(f"{lines.path}: it was changed while it was read")
    return content
