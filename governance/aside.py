"""a small check -> its helpers: processes that import what takes long while the check itself starts.

On a file of a hundred rows nearly all time goes into imports. Two of them stand alone: Great Expectations, which needs
seconds, and the compiled kernels of the search for duplicates. Each gets a process that is started before anything
heavy is imported here and that imports while the dataset is read and scanned. A large dataset keeps every core busy
anyway, so there the search stays in the process of the check.
"""

from __future__ import annotations

import importlib
import os
import pickle
import signal
import subprocess
import sys
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from governance import errors
from governance.errors import GovernanceError

if TYPE_CHECKING:
    from governance.gate.recorder import Recorder

SMALL = 4 << 20
"""Bytes of a dataset; up to here the imports of a search take longer than the search."""

_BOOT = "import sys; sys.path[:] = sys.argv[2:]; from governance.aside import serve; serve(sys.argv[1].split(','))"


class Aside:
    """
    A process that imports *modules* at once and then calls functions of the first of them, one after the other.

    It ends with its parent, however that ends: its standard input closes then.
    """

    def __init__(self, *modules: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BOOT, ",".join(modules), *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            process_group=0,  # Ctrl-C is for the check, which ends this process
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._calls = Connection(os.dup(self._process.stdin.fileno()), readable=False)
        self._results = Connection(os.dup(self._process.stdout.fileno()), writable=False)
        self._process.stdin.close()
        self._process.stdout.close()

    def start(self, function: str, *arguments: Any) -> None:
        """Begin ``function(*arguments)`` there; `result` waits for what it returns."""
        with suppress(BrokenPipeError):  # `result` says why
            self._calls.send((function, arguments))

    def result(self) -> Any:
        """
        Return what the function returned.

        Raises:
            GovernanceError: the function raised it, or the process was ended from outside.
        """
        try:
            kind, value = self._results.recv()
        except (EOFError, OSError):
            raise GovernanceError(
                f"a helping process ended ({self._process.wait()}), most often for want of memory; "
                "free memory, or use --processes 1"
            ) from None
        if kind == "value":
            return value
        name, message = value
        known = getattr(errors, name, None)
        if isinstance(known, type) and issubclass(known, GovernanceError):
            raise known(message)
        raise RuntimeError(f"helping process: {name} at {message}")

    def close(self) -> None:
        """End the process, whatever it does."""
        self._calls.close()
        self._results.close()
        self._process.kill()
        self._process.wait()


class Helpers:
    """
    The helpers of one check; a context manager, so that none outlives it.

    Args:
        record: whether Great Expectations records. Its import fills a core, so of two none is left for a searcher.
        processes: as in `context.Options`.

    Attributes:
        recorder: where the gates are recorded; None without a record.
        searcher: where duplicates are searched (`duplicates.search_and_probe`); None where that does not pay: on a
            large dataset, on one core, or where the compiler of the kernels is imported already.
    """

    def __init__(self, dataset: Path | str, *, record: bool, processes: int = 0) -> None:
        self.recorder: Recorder | None = None
        self.searcher: Aside | None = None
        if record:
            from governance.gate.recorder import Recorder

            self.recorder = Recorder()
        cores = processes or len(os.sched_getaffinity(0))
        if cores > (2 if record else 1) and "numba" not in sys.modules and _is_small(Path(dataset)):
            self.searcher = Aside("governance.duplicates", "governance.dedup.cluster", "governance.dedup.probe")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.recorder is not None:
            self.recorder.close()
        if self.searcher is not None:
            self.searcher.close()


def _is_small(dataset: Path) -> bool:
    """True for a file, or a folder of files, of at most SMALL bytes; False for what is not there."""
    if dataset.is_file():
        return dataset.stat().st_size <= SMALL
    total = 0
    for base, _, files in os.walk(dataset):
        for name in files:
            with suppress(OSError):
                total += (Path(base) / name).lstat().st_size
            if total > SMALL:
                return False
    return dataset.is_dir()


def serve(modules: list[str]) -> None:
    """Import *modules*, then answer calls from standard input until it ends. Runs in the helping process."""
    from governance import quick

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    results = Connection(os.dup(1), readable=False)
    os.dup2(2, 1)  # a stray print must not become a result
    calls = Connection(os.dup(0), writable=False)
    sys.excepthook = lambda kind, value, trace: _report(results, kind, value, trace)
    quick.hide()
    quick.undocument()
    first, *_ = [importlib.import_module(name) for name in modules]
    while True:
        try:
            function, arguments = calls.recv()
        except EOFError:
            return
        try:
            answer = ("value", getattr(first, function)(*arguments))
        except GovernanceError as problem:
            answer = ("problem", (type(problem).__name__, str(problem)))
        with suppress(BrokenPipeError):
            results.send_bytes(pickle.dumps(answer))


def _report(results: Connection, kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
    """Say what went wrong without the message of a foreign exception: it may quote a sample."""
    frames = traceback.extract_tb(trace)
    where = " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in reversed(frames))
    with suppress(OSError):  # the parent is gone, and nobody is left to be told
        results.send_bytes(pickle.dumps(("problem", (kind.__name__, where))))
