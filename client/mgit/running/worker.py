"""The process that tests run in: ``python -m mgit.running.worker FD``, started by ``mgit.running.processes``.

It gets lines of JSON on standard input, first one with where the service is, then one for each test, and answers
each with a line on the descriptor FD. What tests print goes to standard output and error, which the starter
reads. When standard input ends, so does this process, with all that it started: nobody waits for it any more.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import sys
import tempfile
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from mgit.chunks import WireChunkReader
from mgit.connection import Connection
from mgit.endpoint import Endpoint
from mgit.running.commands import run_command
from mgit.running.digests import RunnableCode, code_digest
from mgit.running.given import GivenModel, open_model
from mgit.running.tasks import RawResult, Task, attempt, call_entry_point, read_value
from mgit_core.errors import ErrorReason, FailedPreconditionError
from mgit_core.model_tests import ModelTestKind

__all__ = ["main"]


def main(arguments: list[str]) -> None:
    """Answer until standard input ends."""
    commands, answers = _take_streams(int(arguments[0]))
    begin = json.loads(commands.readline())
    sys.path[:] = begin["search_path"]
    scratch = Path(begin["scratch"])
    tests = _Tests(Connection(_endpoint(begin["endpoint"])), scratch)
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(commands, lines, scratch), daemon=True).start()
    _answer(answers, {"ready": True})
    while True:
        task = _read_task(json.loads(lines.get()))
        result = attempt(tests.run, task)
        _flush_printed()
        _answer(answers, asdict(result))


class _Tests:
    """Runs tests on models of one service."""

    def __init__(self, connection: Connection, scratch: Path) -> None:
        self._connection = connection
        self._reader = WireChunkReader(connection)
        self._scratch = scratch
        self._checked: set[tuple[str, str]] = set()

    def run(self, task: Task) -> RawResult:
        self._check_code(task)
        model = open_model(self._connection, self._reader, f"@{task.model_uid}")
        inputs = None if task.inputs is None else Path(task.inputs)
        if task.kind is ModelTestKind.ENTRY_POINT:
            return call_entry_point(task.code, model, task.arguments, inputs)
        if task.kind is ModelTestKind.COMMAND:
            return self._run_command(task, model, inputs)
        return self._run_built_in(task, model, inputs)

    def _check_code(self, task: Task) -> None:
        """A module that was edited since the tests were planned must not give results for what it was."""
        wanted = (task.code, task.code_digest)
        if wanted in self._checked and task.kind is not ModelTestKind.COMMAND:
            return  # What was imported once stays as it is.
        runnable = RunnableCode(kind=task.kind, code=task.code, arguments=task.arguments)
        found = code_digest(runnable, self._connection.capabilities.algorithm)
        if found.hex() != task.code_digest:
            raise FailedPreconditionError(
                ErrorReason.TEST_CODE_CHANGED, f"The code of the test, {task.code}, was changed meanwhile."
            )
        self._checked.add(wanted)

    def _run_command(self, task: Task, model: GivenModel, inputs: Path | None) -> RawResult:
        with tempfile.TemporaryDirectory(dir=self._scratch) as name:
            folder = Path(name) / "model"
            if model.content.listing.files.source_format == "folder":
                model.save(folder, format="folder", progress=None)
            else:
                folder.mkdir()
                model.save(folder / "model.safetensors", format="safetensors", progress=None)
            return run_command(task.code, folder, task.arguments, inputs)

    def _run_built_in(self, task: Task, model: GivenModel, inputs: Path | None) -> RawResult:
        # Entry points and commands do without what these read weights with.
        from mgit.running.measures import Measured, measure_built_in  # noqa: PLC0415
        from mgit.running.weights import ModelWeights, Weights  # noqa: PLC0415

        def open_reference(reference: str) -> tuple[object, Weights]:
            other = open_model(self._connection, self._reader, reference)
            return other, ModelWeights(other)

        measured = Measured(
            model=model,
            weights=ModelWeights(model),
            arguments=task.arguments,
            inputs=inputs,
            open_reference=open_reference,
        )
        return read_value(measure_built_in(task.code, measured))


def _take_streams(answers: int) -> tuple[BinaryIO, int]:
    """Standard input and the descriptor of answers, which a test's own programs neither read nor keep open."""
    os.set_inheritable(answers, False)
    commands = os.fdopen(os.dup(0), "rb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return commands, answers


def _listen(commands: BinaryIO, lines: queue.SimpleQueue[bytes], scratch: Path) -> None:
    for line in commands:
        lines.put(line)
    shutil.rmtree(scratch, ignore_errors=True)
    # The group is ours alone: the starter made it for this process, and a test's programs are in it.
    os.killpg(os.getpid(), signal.SIGKILL)


def _answer(answers: int, document: dict[str, Any]) -> None:
    rest = memoryview(json.dumps(document).encode() + b"\n")
    while rest:
        rest = rest[os.write(answers, rest) :]


def _flush_printed() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # noqa: BLE001, S112 - a test may have closed it, or put its own there
            continue


def _read_task(document: dict[str, Any]) -> Task:
    document["kind"] = ModelTestKind(document["kind"])
    return Task(**document)


def _endpoint(document: dict[str, Any]) -> Endpoint:
    if document["tls_ca"] is not None:
        document["tls_ca"] = Path(document["tls_ca"])
    return Endpoint(**document)


if __name__ == "__main__":
    main(sys.argv[1:])
