"""a file of commands -> each run in this process like at a shell, its stdout and stderr in files, its exit code noted.

One process for many commands: importing the tool for each would be most of the time of the leak test. The commands go
through `governance.cli.main` as they do from a shell; only the process is shared.

    python leak_run.py JOBS.json OUT    JOBS: [{"name": ..., "args": [...], "bug": "module:function" or null}]
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from governance.cli import main


@contextlib.contextmanager
def _broken(bug: str | None, message: str) -> Iterator[None]:
    """Let ``module:function`` raise an error that quotes a secret, as a library does that was given one."""
    if not bug:
        yield
        return
    module, _, name = bug.partition(":")

    def fail(*_: Any, **__: Any) -> None:
        raise ValueError(message)

    with mock.patch.object(importlib.import_module(module), name, fail):
        yield


def run(job: dict[str, Any], out: Path) -> int:
    """Run one command; its streams go to ``NAME.stdout`` and ``NAME.stderr`` below *out*."""
    kept = [os.dup(1), os.dup(2)]
    streams = [(out / f"{job['name']}.{s}").open("wb") for s in ("stdout", "stderr")]
    try:
        for number, stream in enumerate(streams, 1):
            os.dup2(stream.fileno(), number)
        with _broken(job.get("bug"), job.get("secret", "")):
            main([str(a) for a in job["args"]])
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, old in enumerate(kept, 1):
            os.dup2(old, number)
            os.close(old)
        for stream in streams:
            stream.close()
    return 0


if __name__ == "__main__":
    jobs, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    codes = {job["name"]: run(job, folder) for job in jobs}
    (folder / f"{Path(sys.argv[1]).stem}.codes.json").write_text(json.dumps(codes))
