"""samples file, rules -> tables of findings, stories and routes, scanned by a pool of processes.

A worker is a Python process of its own that is sent the rules once and then slices of the file by number. It maps
the file into memory, reads tasks from its standard input and ends when that closes: with its parent, however that
ends. Unlike `multiprocessing`'s spawn it does not import the caller's main module again, so a worker of the command
line loads neither the command line nor what it imports, and a script needs no `__main__` guard.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import pyarrow as pa

from governance import errors
from governance.errors import GovernanceError
from governance.rules import Rule
from governance.samples import FINDINGS, ROUTES, STORIES
from governance.scan.patterns import compile_database, scannable
from governance.scan.scanner import Scanned, Scanner

SLICE = 4096  # samples per task
INLINE = 4 << 20  # bytes of the samples file below which starting processes costs more than it saves
AHEAD = 2  # tasks a worker has at hand, so that it never waits for the next

_BOOT = "import sys; sys.path[:] = sys.argv[1:]; from governance.scan.pool import serve; serve()"


class ScanResult(NamedTuple):
    """Tables over the whole file, in its order, and the findings among the probes that every process made."""

    findings: pa.Table
    stories: pa.Table
    routes: pa.Table
    probes: pa.Table


class Task(NamedTuple):
    """``length`` samples from ``offset`` of record batch ``batch`` of the file."""

    batch: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class _Failure:
    """What a worker says of its end: name of the exception, where, and the message if it is one meant for users."""

    error: str
    where: str
    message: str


def scan_samples(
    samples: Path,
    rules: Sequence[Rule],
    key: bytes,
    *,
    processes: int,
    probes: pa.RecordBatch | None = None,
    progress: Callable[[int], None] | None = None,
    cache: Path | None = None,
) -> ScanResult:
    """
    Scan the Arrow IPC file *samples* (schema SAMPLES) with *rules*; the same tables for any number of *processes*.

    Args:
        key: of the fingerprints.
        processes: at least 1; with 1, or a file under 4 MB, the scan runs in this process.
        probes: samples sent through every process and its compiled database, beside the data.
        progress: called with the number of samples done since the last call.
        cache: folder for the compiled patterns.

    Raises:
        RuleError: a rule cannot be used.
        GovernanceError: a process was ended from outside, most often for want of memory.
    """
    scanned = scannable(rules)
    database = compile_database(scanned, cache)
    with pa.memory_map(str(samples)) as source:
        reader = pa.ipc.open_file(source)
        tasks = list(_tasks(reader))
        workers = min(processes, len(tasks))
        if workers < 2 or samples.stat().st_size < INLINE:
            return _scan_inline(reader, tasks, Scanner(scanned, key, database), probes, progress)
    setup = {"samples": str(samples), "rules": scanned, "key": key, "database": database}
    with _started(workers, setup) as pool:
        results, probe_results = _run(pool, tasks, probes, progress)
    return _joined(results, probe_results)


def _tasks(reader: Any) -> Iterator[Task]:
    for batch in range(reader.num_record_batches):
        rows = reader.get_batch(batch).num_rows
        for offset in range(0, rows, SLICE):
            yield Task(batch, offset, min(SLICE, rows - offset))


def _scan_inline(
    reader: Any,
    tasks: Sequence[Task],
    scanner: Scanner,
    probes: pa.RecordBatch | None,
    progress: Callable[[int], None] | None,
) -> ScanResult:
    probed = [] if probes is None else [scanner.scan(probes, overlaps=True).findings]
    results = []
    for task in tasks:
        results.append(scanner.scan(reader.get_batch(task.batch).slice(task.offset, task.length)))
        if progress:
            progress(task.length)
    return _joined(results, probed)


def _joined(results: Sequence[Scanned], probes: Sequence[pa.RecordBatch]) -> ScanResult:
    return ScanResult(
        pa.Table.from_batches([r.findings for r in results], FINDINGS),
        pa.Table.from_batches([r.stories for r in results], STORIES),
        pa.Table.from_batches([r.routes for r in results], ROUTES),
        _found_by_all(probes),
    )


def _found_by_all(probes: Sequence[pa.RecordBatch]) -> pa.Table:
    """A probe counts only where every process found it."""
    if not probes:
        return FINDINGS.empty_table()
    rows = [set(zip(*(p.column(c).to_pylist() for c in ("n", "rule", "start", "end")), strict=True)) for p in probes]
    common = set.intersection(*rows)
    if all(len(r) == len(common) for r in rows):
        return pa.Table.from_batches([probes[0]], FINDINGS)
    kept = [r for r in probes[0].to_pylist() if (r["n"], r["rule"], r["start"], r["end"]) in common]
    return pa.Table.from_pylist(kept, schema=FINDINGS)


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    tasks: Connection
    results: Connection
    at_hand: int = 0


@contextmanager
def _started(count: int, setup: dict[str, Any]) -> Iterator[list[_Worker]]:
    """Start *count* workers; whatever happens, none is left when the block ends."""
    workers: list[_Worker] = []
    try:
        for _ in range(count):
            process = subprocess.Popen(
                [sys.executable, "-c", _BOOT, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                process_group=0,  # Ctrl-C is for the parent, which ends its workers
            )
            assert process.stdin is not None and process.stdout is not None
            tasks = Connection(os.dup(process.stdin.fileno()), readable=False)
            results = Connection(os.dup(process.stdout.fileno()), writable=False)
            process.stdin.close()
            process.stdout.close()
            workers.append(_Worker(process, tasks, results))
        start = pickle.dumps(setup)
        for worker in workers:
            _send(worker, start)
        yield workers
        for worker in workers:
            worker.tasks.close()
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.wait()
            worker.results.close()


def _run(
    pool: Sequence[_Worker],
    tasks: Sequence[Task],
    probes: pa.RecordBatch | None,
    progress: Callable[[int], None] | None,
) -> tuple[list[Scanned], list[pa.RecordBatch]]:
    """Send every task once, the probes to every worker, and return the results in the order of the tasks."""
    results: list[Scanned | None] = [None] * len(tasks)
    probed: list[pa.RecordBatch] = []
    waiting = iter(range(len(tasks)))
    by_connection = {w.results: w for w in pool}
    probe_bytes = None if probes is None else _to_ipc(probes)
    for worker in pool:
        if probe_bytes is not None:
            _send(worker, pickle.dumps(("probes", probe_bytes)))
            worker.at_hand += 1
        for _ in range(AHEAD):
            _send_next(worker, tasks, waiting)
    while any(w.at_hand for w in pool):
        for connection in wait([w.results for w in pool if w.at_hand]):
            worker = by_connection[connection]  # type: ignore[index]
            number, batches = _receive(worker)
            worker.at_hand -= 1
            if number is None:
                probed.append(batches.findings)
                continue
            results[number] = batches
            _send_next(worker, tasks, waiting)
            if progress:
                progress(tasks[number].length)
    return [r for r in results if r is not None], probed


def _send_next(worker: _Worker, tasks: Sequence[Task], waiting: Iterator[int]) -> None:
    number = next(waiting, None)
    if number is not None:
        _send(worker, pickle.dumps((number, tasks[number])))
        worker.at_hand += 1


def _send(worker: _Worker, message: bytes) -> None:
    try:
        worker.tasks.send_bytes(message)
    except BrokenPipeError:
        while True:  # results that it still sent, then why it ended
            _receive(worker)


def _receive(worker: _Worker) -> tuple[int | None, Scanned]:
    try:
        kind, value, payload = pickle.loads(worker.results.recv_bytes())  # noqa: S301  our own process wrote it
    except EOFError:
        raise _ended(worker.process.wait()) from None
    if kind == "failure":
        raise _failed(value)
    return (None if kind == "probes" else value), Scanned(*(_from_ipc(p) for p in payload))


def _ended(code: int) -> Exception:
    if code < 0:
        name = signal.Signals(-code).name
        return GovernanceError(
            f"a scan process was ended by {name}, most often for want of memory; use fewer --processes"
        )
    return RuntimeError(f"a scan process ended with {code} and no result")


def _failed(failure: _Failure) -> Exception:
    kind = getattr(errors, failure.error, None)
    if failure.message and isinstance(kind, type) and issubclass(kind, GovernanceError):
        return kind(failure.message)
    return RuntimeError(f"scan process: {failure.error} at {failure.where}")


def _to_ipc(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def _from_ipc(data: bytes) -> pa.RecordBatch:
    return pa.ipc.open_stream(data).read_next_batch()


def serve() -> None:
    """
    Be a worker: read the set-up, then tasks, from standard input; write results where standard output was.

    Ends at the end of input. Ctrl-C is left to the parent, which ends its workers.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    results = Connection(os.dup(1), readable=False)
    os.dup2(2, 1)  # a stray print must not become a result
    sys.excepthook = lambda kind, value, trace: _report(results, kind, value, trace)
    tasks = Connection(os.dup(0), writable=False)
    setup = pickle.loads(tasks.recv_bytes())  # noqa: S301  our parent wrote it
    scanner = Scanner(setup["rules"], setup["key"], setup["database"])
    reader = pa.ipc.open_file(pa.memory_map(setup["samples"]))
    while True:
        try:
            number, value = tasks.recv()
        except EOFError:
            return
        if number == "probes":
            scanned, kind = scanner.scan(_from_ipc(value), overlaps=True), "probes"
        else:
            batch = reader.get_batch(value.batch).slice(value.offset, value.length)
            scanned, kind = scanner.scan(batch), "samples"
        try:
            results.send_bytes(pickle.dumps((kind, number, [_to_ipc(b) for b in scanned])))
        except BrokenPipeError:
            return


def _report(results: Connection, kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
    """Say what went wrong without the message of a foreign exception: it may quote the sample."""
    frames = traceback.extract_tb(trace)
    where = " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in reversed(frames))
    message = str(value) if isinstance(value, GovernanceError) else ""
    with suppress(OSError):  # the parent is gone, and nobody is left to be told
        results.send_bytes(pickle.dumps(("failure", _Failure(kind.__name__, where, message), None)))
