"""The side of a process that runs code of a user's: what it is told, and how it answers.

It gets lines of JSON on standard input, first one with where the service is, then one for each task, and answers each
with a line on a descriptor. What the code prints goes to standard output and error, which the starter reads. When
standard input ends, so does the process, with all that it started: nobody waits for it any more.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from mgit.endpoint import Endpoint

__all__ = ["Desk"]


class Desk:
    """Where tasks come in and answers go out. Takes standard input away from the code that runs.

    Attributes:
        endpoint: Where the service is.
        scratch: A folder for this process alone; the starter deletes it.
    """

    def __init__(self, answers: int) -> None:
        """Read where the service is, and take over the search path of the starter.

        Args:
            answers: Descriptor that answers are written to.
        """
        commands = _take_streams(answers)
        self._answers = answers
        begin = json.loads(commands.readline())
        sys.path[:] = begin["search_path"]
        self.endpoint = _endpoint(begin["endpoint"])
        self.scratch = Path(begin["scratch"])
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=self._listen, args=(commands,), daemon=True).start()

    def tasks(self) -> Iterator[dict[str, Any]]:
        """Tasks as they come; each is to be answered before the next is asked for. Never ends by itself."""
        self.answer({"ready": True})
        while True:
            yield json.loads(self._lines.get())

    def answer(self, document: Mapping[str, Any]) -> None:
        """Answer a task, after all that was printed for it."""
        _flush_printed()
        rest = memoryview(json.dumps(document).encode() + b"\n")
        while rest:
            rest = rest[os.write(self._answers, rest) :]

    def _listen(self, commands: BinaryIO) -> None:
        for line in commands:
            self._lines.put(line)
        shutil.rmtree(self.scratch, ignore_errors=True)
        # The group is ours alone: the starter made it for this process, and what the code started is in it.
        os.killpg(os.getpid(), signal.SIGKILL)


def _take_streams(answers: int) -> BinaryIO:
    """Standard input, which what runs does not read, as it does not keep the descriptor of answers open."""
    os.set_inheritable(answers, False)
    commands = os.fdopen(os.dup(0), "rb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return commands


def _flush_printed() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # noqa: BLE001, S112 - the code may have closed it, or put its own there
            continue


def _endpoint(document: dict[str, Any]) -> Endpoint:
    if document["tls_ca"] is not None:
        document["tls_ca"] = Path(document["tls_ca"])
    return Endpoint(**document)
