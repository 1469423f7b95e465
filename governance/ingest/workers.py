"""chunks -> parsed chunks in the same order, by other processes where that pays."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import traceback
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

from governance.errors import WorkspaceError
from governance.ingest.lines import TooLarge
from governance.ingest.parse import Chunk, Parsed, Parser

START = "import sys; sys.path[:] = {path!r}; from governance.ingest.workers import work; work()"


class Workers:
    """
    *count* processes that parse; with 0 or 1 the caller's own does it.

    They are plain child processes on a pair of pipes: nothing of the caller's ``__main__`` is imported, so a script
    needs no guard, and when the caller dies, however it dies, the pipe ends and so do they.
    """

    def __init__(self, parser: Parser, count: int) -> None:
        self._parser = parser
        self._count = count if count > 1 else 0
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        self._all: list[_Worker] = []

    def __enter__(self) -> Self:
        if self._count:
            self._threads = ThreadPoolExecutor(self._count)
            for _ in range(self._count):
                worker = _Worker(self._parser)
                self._all.append(worker)
                self._idle.put(worker)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._count:
            if kind is not None:
                for worker in self._all:
                    worker.process.kill()
            self._threads.shutdown(cancel_futures=True)
            for worker in self._all:
                worker.close()

    def map(self, chunks: Iterable[Chunk | TooLarge]) -> Iterator[Parsed]:
        """Yield what each of *chunks* becomes, in their order; no more are read ahead than keep the workers busy."""
        if not self._count:
            for chunk in chunks:
                yield _skipped(chunk) if isinstance(chunk, TooLarge) else self._parser.parse(chunk)
            return
        waiting: deque[Future[Parsed] | Parsed] = deque()
        for chunk in chunks:
            waiting.append(_skipped(chunk) if isinstance(chunk, TooLarge) else self._threads.submit(self._run, chunk))
            if len(waiting) > self._count + 1:
                yield _result(waiting.popleft())
        while waiting:
            yield _result(waiting.popleft())

    def _run(self, chunk: Chunk) -> Parsed:
        worker = self._idle.get()
        try:
            return worker.parse(chunk)
        finally:
            self._idle.put(worker)


def _result(item: Future[Parsed] | Parsed) -> Parsed:
    return item if isinstance(item, Parsed) else item.result()


def _skipped(problem: TooLarge) -> Parsed:
    return Parsed(bad=[(0, problem.line, problem.reason, problem.detail, problem.raw)], records=1)


class _Worker:
    def __init__(self, parser: Parser) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", START.format(path=sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,  # Ctrl-C is for the caller, who decides what it means
        )
        assert self.process.stdin and self.process.stdout
        self._to = Connection(os.dup(self.process.stdin.fileno()), readable=False)
        self._from = Connection(os.dup(self.process.stdout.fileno()), writable=False)
        self.process.stdin.close()
        self.process.stdout.close()
        for end in (self._to, self._from):
            _widen(end)
        self._to.send((parser.reader.columns, parser.max_row_bytes))

    def parse(self, chunk: Chunk) -> Parsed:
        try:
            self._to.send(chunk)
            found = self._from.recv()
        except (EOFError, OSError):
            if (code := self.process.wait()) > 0:
                raise RuntimeError(f"a reading process ended with {code}; where, it has said above") from None
            raise WorkspaceError("a reading process was ended from outside; free memory or use one process") from None
        assert isinstance(found, Parsed)
        return found

    def close(self) -> None:
        self._to.close()
        self._from.close()
        self.process.wait()


def _widen(pipe: Connection[Any, Any]) -> None:
    """A pipe holds 64 KiB unless told otherwise, and a chunk would wake both ends a hundred times."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, 1 << 20)


def work() -> None:
    """Be a worker: read parser settings, then chunks, from stdin until it ends; answer on stdout."""
    # Ctrl-C goes to the whole group; the caller decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source = Connection(os.dup(0), writable=False)
    sink = Connection(os.dup(1), readable=False)
    os.dup2(2, 1)  # nothing that prints may spoil the answers
    sys.excepthook = _without_message
    try:
        parser = Parser(*source.recv())
        while True:
            sink.send(parser.parse(source.recv()))
    except (EOFError, OSError):
        pass


def _without_message(kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
    """Say where a bug is, without the message of the exception: it may quote a record."""
    print("".join(traceback.format_tb(trace)) + f"{kind.__name__} in a reading process", file=sys.stderr)
