"""The process that tests run in: ``python -m mgit.running.worker FD``, started by ``mgit.running.processes``."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mgit.answers import is_away
from mgit.chunks import WireChunkReader
from mgit.connection import Connection
from mgit.running.answering import Desk
from mgit.running.commands import run_command
from mgit.running.digests import RunnableCode, code_digest
from mgit.running.given import GivenModel, open_model
from mgit.running.tasks import RawResult, Task, attempt, call_entry_point, read_value
from mgit_core.errors import ErrorReason, FailedPreconditionError, UnavailableError
from mgit_core.model_tests import ModelTestKind

__all__ = ["main"]


def main(arguments: list[str]) -> None:
    """Answer until standard input ends."""
    desk = Desk(int(arguments[0]))
    tests = _Tests(Connection(desk.endpoint), desk.scratch)
    for document in desk.tasks():
        result = attempt(tests.run, _read_task(document))
        desk.answer(asdict(result))


class _Tests:
    """Runs tests on models of one service."""

    def __init__(self, connection: Connection, scratch: Path) -> None:
        self._connection = connection
        self._reader = WireChunkReader(connection)
        self._scratch = scratch
        self._checked: set[tuple[str, str]] = set()

    def run(self, task: Task) -> RawResult:
        """What came of a test; that the service is away says nothing of a model, so there is a reason for it."""
        try:
            return self._run(task)
        except UnavailableError as error:
            if not is_away(error, self._connection.endpoint):
                raise
            return RawResult(error=error.message, reason=ErrorReason.SERVICE_UNAVAILABLE)

    def _run(self, task: Task) -> RawResult:
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


def _read_task(document: dict[str, Any]) -> Task:
    document["kind"] = ModelTestKind(document["kind"])
    return Task(**document)


if __name__ == "__main__":
    main(sys.argv[1:])
