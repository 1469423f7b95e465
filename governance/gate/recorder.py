"""gate results -> Great Expectations' record of them, made by a process of its own.

Great Expectations takes seconds to import, brings pandas and scipy along, and may end the process that imports it.
So it is started when a check starts, imports while the data is measured, gets the counts at the end, and answers with
the gates on which it does not agree. No answer is an error, never agreement.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from governance.errors import GovernanceError

if TYPE_CHECKING:
    from governance.gate.judge import GateResult

_BOOT = "import sys; sys.path[:] = sys.argv[1:]; from governance.gate.recorder import serve; serve()"


class Recorder:
    """
    The recording process; a context manager, so that it never outlives its check.

    Raises:
        GovernanceError: from `disagreements`, when the process ended without an answer or could not record.
    """

    def __init__(self) -> None:
        # a pipe of its own for the answer: whatever a library prints goes to stdout and is dropped
        answer, to_us = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BOOT, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C is for the check, which ends this process
            pass_fds=(to_us,),
            env={**os.environ, "GOVERNANCE_ANSWER": str(to_us), "GX_ANALYTICS_ENABLED": "false"},
        )
        os.close(to_us)
        assert self._process.stdin is not None
        self._request = Connection(os.dup(self._process.stdin.fileno()), readable=False)
        self._process.stdin.close()
        self._answer = Connection(answer, writable=False)

    def start(self, results: Sequence[GateResult], out: Path, run_id: str, moment: datetime) -> None:
        """Begin to record *results* in the folder *out*; `disagreements` waits for the end of it."""
        with contextlib.suppress(BrokenPipeError):  # `disagreements` says why
            self._request.send((list(results), out.resolve(), run_id, moment))

    def disagreements(self) -> list[str]:
        """Return a line per gate on which Great Expectations does not agree, once all of them are recorded."""
        try:
            kind, value = self._answer.recv()
        except (EOFError, OSError):
            raise GovernanceError(
                "Great Expectations ended without recording the gates; `governance doctor` looks at the installation, "
                "--no-record leaves the record out"
            ) from None
        if kind == "problem":
            raise GovernanceError(str(value))
        return list(value)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process, whatever it does."""
        self._request.close()
        self._answer.close()
        self._process.kill()
        self._process.wait()


def serve() -> None:
    """Import, wait for one request on standard input, answer, end. Runs in the recording process."""
    answer = Connection(int(os.environ.pop("GOVERNANCE_ANSWER")), readable=False)
    request = Connection(os.dup(sys.stdin.fileno()), writable=False)
    from governance import quick

    quick.postpone()
    from governance.gate.expectations import import_great_expectations, record_gates

    try:
        import_great_expectations()
        results, out, run_id, moment = request.recv()
        answer.send(("disagreements", record_gates(results, out, run_id, moment=moment)))
    except GovernanceError as problem:
        answer.send(("problem", str(problem)))
    except (EOFError, pickle.UnpicklingError):
        return  # the check ended before it had anything to record
