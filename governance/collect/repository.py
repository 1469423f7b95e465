"""repositories, folders, files -> samples as records, in an order that does not depend on the number of processes."""

from __future__ import annotations

import multiprocessing
import re
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

from governance.collect.files import Collected, Entry, Source, open_sources, read_text, usable
from governance.collect.licences import folder_licences, header_licence, installed_licences, nearest_licence
from governance.errors import GovernanceError, UsageError

Task = Literal["code", "test", "story"]
Progress = Callable[[int, int], None]
"""Called with (files done, files in all) after every chunk of files."""

SUFFIXES: dict[Task, tuple[str, ...]] = {
    "code": (".java", ".py"),
    "test": (".java", ".py"),
    "story": (".md", ".markdown", ".feature"),
}
INLINE_BYTES = 3_000_000  # below this a pool costs more than it gives
CHUNK_BYTES = 400_000
CHUNKS_AHEAD = 4  # per process; bounds the results that wait for the reader


@dataclass(frozen=True, slots=True)
class Work:
    """One file to look through, and what only the whole source knows: its licence, its module, what it may test."""

    source: Source
    task: Task
    entry: Entry
    licence: str | None
    module: str = ""
    candidates: tuple[tuple[Entry, str], ...] = ()


def collect_repositories(
    paths: Sequence[Path],
    *,
    task: Task,
    processes: int = 2,
    progress: Progress | None = None,
    collected: Collected | None = None,
) -> Iterator[dict[str, Any]]:
    """
    Yield the samples of *paths* as records ready for JSON.

    A record has ``instruction``, ``input``, ``output``, ``step``, ``repository``, ``commit``, ``path``, ``start_line``,
    ``end_line`` (from 1, inclusive), ``group``, ``licence`` (SPDX) and ``language``; what is not known is None. The
    order is that of *paths*, then of the files' paths, then of the files' text.

    Args:
        paths: folders, files, git repositories, or ``REPOSITORY@REVISION``; see `open_sources`.
        task: ``code``: one sample per Java or Python method; ``test``: one per test class with the class it tests;
            ``story``: one per user story in Markdown or Gherkin.
        processes: how many processes look through files; small inputs never leave this one.
        collected: receives the account, complete when the iterator ends.

    Raises:
        InputError: a path that cannot be read; before the first record.
        UsageError: an unknown task or number of processes.
    """
    if task not in get_args(Task):
        raise UsageError(f"task {task!r} is unknown; known are {', '.join(get_args(Task))}")
    if processes < 1:
        raise UsageError(f"processes is {processes}, expected 1 or more")
    account = Collected() if collected is None else collected
    works = [work for source in open_sources(paths) for work in _plan(source, task, account.skipped)]
    return _run(works, processes, progress, account)


def _run(works: list[Work], processes: int, progress: Progress | None, account: Collected) -> Iterator[dict[str, Any]]:
    done = 0
    for files, records, skipped, read in _map(_chunks(works), processes, sum(work.entry.size for work in works)):
        done += files
        account.files += read
        account.records += len(records)
        account.skipped.update(skipped)
        yield from records
        if progress:
            progress(done, len(works))


def _plan(source: Source, task: Task, skipped: Counter[str]) -> list[Work]:
    every = source.entries(skipped)
    licences = installed_licences(every, source.read) | folder_licences(every, source.read)
    entries = usable(every, SUFFIXES[task], skipped)
    packages = {e.path.rpartition("/")[0] for e in entries if e.path.rpartition("/")[2] == "__init__.py"}
    modules = {e.path: module_name(e.path, packages) for e in entries if e.path.lower().endswith(".py")}
    if task != "test":
        return [Work(source, task, e, nearest_licence(e.path, licences), modules.get(e.path, "")) for e in entries]
    return _plan_tests(source, entries, licences, modules, skipped)


def _plan_tests(
    source: Source,
    entries: list[Entry],
    licences: dict[str, str | None],
    modules: dict[str, str],
    skipped: Counter[str],
) -> list[Work]:
    from governance.collect.tests import tested_stem

    by_name: dict[str, list[tuple[Entry, str]]] = {}
    for entry in entries:
        if tested_stem(entry.path) is None:
            by_name.setdefault(PurePosixPath(entry.path).name, []).append((entry, modules.get(entry.path, "")))
    works = []
    for entry in entries:
        stem = tested_stem(entry.path)
        if stem is None:
            skipped["not-a-test"] += 1
            continue
        candidates = tuple(by_name.get(stem + PurePosixPath(entry.path).suffix, ()))
        licence, module = nearest_licence(entry.path, licences), modules.get(entry.path, "")
        works.append(Work(source, "test", entry, licence, module, candidates))
    return works


def module_name(path: str, packages: set[str]) -> str:
    """
    Return the dotted name of the Python module at *path*; *packages* are the folders with an ``__init__.py``.

    >>> module_name("src/shop/cart.py", {"src/shop"}), module_name("src/shop/__init__.py", {"src/shop"})
    ('shop.cart', 'shop')
    """
    folder, _, file = path.rpartition("/")
    parts = [] if file == "__init__.py" else [file.removesuffix(".py")]
    while folder in packages and folder:
        folder, _, name = folder.rpartition("/")
        parts.insert(0, name)
    return ".".join(parts) or "__init__"


def _chunks(works: list[Work]) -> list[list[Work]]:
    chunks: list[list[Work]] = []
    size = CHUNK_BYTES
    for work in works:
        if size >= CHUNK_BYTES:
            chunks.append([])
            size = 0
        chunks[-1].append(work)
        size += max(work.entry.size, 1)
    return chunks


Result = tuple[int, list[dict[str, Any]], Counter[str], int]


def _map(chunks: list[list[Work]], processes: int, size: int) -> Iterator[Result]:
    if processes == 1 or size < INLINE_BYTES or len(chunks) < 2:
        yield from map(_look_through, chunks)
        return
    # Spawned, not forked: the caller may hold threads, and a fork copies their locks.
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _ignore_interrupt)
    waiting: deque[Future[Result]] = deque()
    try:
        for chunk in chunks:
            waiting.append(pool.submit(_look_through, chunk))
            if len(waiting) >= processes * CHUNKS_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise GovernanceError(
            "collect: a worker process was killed; give it more memory or use --processes 1"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _ignore_interrupt() -> None:
    # Ctrl-C reaches the whole group; only the parent answers, and shuts the pool down.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _look_through(chunk: list[Work]) -> Result:
    skipped: Counter[str] = Counter()
    records: list[dict[str, Any]] = []
    read = 0
    for work in chunk:
        text = read_text(work.source, work.entry, skipped)
        if text is not None:
            read += 1
            records += _records(work, text, skipped)
    return len(chunk), records, skipped, read


def _records(work: Work, text: str, skipped: Counter[str]) -> Iterator[dict[str, Any]]:
    own = header_licence(text)
    licence = (work.licence if own is None else own) or None
    if work.task == "story":
        yield from _story_records(work, text, licence, skipped)
        return
    from governance.collect.java import java_methods
    from governance.collect.python import python_functions
    from governance.collect.tests import INSTRUCTION, Candidate, java_test_pairs, python_test_pairs

    data = text.encode("utf-8", "replace")
    java = work.entry.path.lower().endswith(".java")
    if work.task == "code":
        methods = java_methods(data, skipped) if java else python_functions(data, work.module, skipped)
    else:
        candidates = [
            Candidate(under_test.encode("utf-8", "replace"), module)
            for entry, module in work.candidates
            # What is wrong with a candidate is counted where it is looked through itself.
            if (under_test := read_text(work.source, entry, Counter())) is not None
        ]
        test = Candidate(data, work.module)
        methods = java_test_pairs(test, candidates, skipped) if java else python_test_pairs(test, candidates, skipped)
    for method in methods:
        instruction = f"Implement the method {method.name}" if work.task == "code" else INSTRUCTION
        yield _record(
            work, instruction, method.card, method.output, method.step, (method.start_line, method.end_line),
            method.group, licence, "java" if java else "python",
        )  # fmt: skip


def _story_records(work: Work, text: str, licence: str | None, skipped: Counter[str]) -> Iterator[dict[str, Any]]:
    from governance.collect.stories import INSTRUCTION, STEP, find_stories

    for story in find_stories(text, feature=work.entry.path.lower().endswith(".feature"), skipped=skipped):
        language = "zh" if re.search(r"[\u4e00-\u9fff]", story.text) else "en"
        lines = (story.start_line, story.end_line)
        yield _record(work, INSTRUCTION, story.title, story.text, STEP, lines, work.entry.path, licence, language)


def _record(
    work: Work, instruction: str, given: str, output: str, step: str, lines: tuple[int, int], group: str,
    licence: str | None, language: str,
) -> dict[str, Any]:  # fmt: skip
    return {
        "instruction": instruction,
        "input": given,
        "output": output,
        "step": step,
        "repository": work.source.repository,
        "commit": work.source.commit or None,
        "path": work.entry.path,
        "start_line": lines[0],
        "end_line": lines[1],
        "group": group,
        "licence": licence,
        "language": language,
    }
