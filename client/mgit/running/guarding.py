"""Registered tests as guards of a lossy model, where the user names no guard.

Like every guard they run in this process: the model that they measure is here and at no service yet.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mgit.chunks import WireChunkReader
from mgit.connection import Connection
from mgit.entry_points import call_by_signature, find_function, user_modules
from mgit.file_layouts import build_weights
from mgit.graph import list_pages
from mgit.lossy.guards import Guard
from mgit.lossy.weights import GuardedModel
from mgit.running.commands import run_command
from mgit.running.digests import check_code, check_inputs
from mgit.running.given import open_model
from mgit.running.measures import Measured, measure_built_in
from mgit.running.messages import read_test
from mgit.running.trust import check_trusted
from mgit.running.weights import ModelWeights, SourceWeights, Weights
from mgit.wire import read_metadata
from mgit_core.chunking import chunk_ranges
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.manifest import Parameter
from mgit_core.model_tests import ModelTest, ModelTestKind, ModelTestScope
from mgit_proto.v1 import model_tests_pb2, parameters_pb2

__all__ = ["find_guards"]

_PAGE_SIZE = 1_000
_LONGEST_LABEL = 500  # As much as a record of loss takes.


def find_guards(connection: Connection, header: parameters_pb2.ModelHeader) -> tuple[Guard, ...]:
    """The tests of the model's type and of all models as guards, by name; empty if there are none.

    Raises:
        FailedPreconditionError: TEST_CODE_CHANGED, TEST_INPUTS_CHANGED or TEST_NOT_TRUSTED, for a test that
            cannot be run here.
        InvalidArgumentError: INVALID_TEST, for an entry point that cannot be imported.
    """
    tests = [test for test in _registered(connection) if _applies(test, header.type)]
    return tuple(_guard(connection, header, test) for test in tests)


def _registered(connection: Connection) -> Iterator[ModelTest]:
    def ask(token: str) -> tuple[Iterator[ModelTest], str]:
        request = model_tests_pb2.ListTestsRequest(page_size=_PAGE_SIZE, page_token=token)
        answer = connection.call(connection.model_tests.ListTests, request)
        return map(read_test, answer.tests), answer.next_page_token

    return list_pages(ask)


def _applies(test: ModelTest, model_type: str) -> bool:
    """A test of one model is none of its new versions."""
    if test.scope is ModelTestScope.TYPE:
        return test.type == model_type
    return test.scope is ModelTestScope.ALL


def _guard(connection: Connection, header: parameters_pb2.ModelHeader, test: ModelTest) -> Guard:
    algorithm = connection.capabilities.algorithm
    check_trusted(test)
    digest = check_code(test, algorithm)
    check_inputs(test, algorithm)
    is_function = test.kind is ModelTestKind.ENTRY_POINT
    label = test.code if is_function else f"{test.kind} {test.code}"
    return Guard(
        function=_function(connection, header, test),
        entry_point=" ".join(label.split())[:_LONGEST_LABEL],
        code_digest=digest,
        metric=test.metric,
        direction=test.direction,
        tolerance=test.tolerance,
        threshold=test.threshold,
        test_name=test.name,
    )


def _function(connection: Connection, header: parameters_pb2.ModelHeader, test: ModelTest) -> Any:
    inputs = Path(test.inputs_uri) if test.inputs_uri else None
    if test.kind is ModelTestKind.COMMAND:
        return _CommandGuard(test, inputs)
    if test.kind is ModelTestKind.BUILTIN:
        return _BuiltInGuard(test, inputs, connection, read_metadata(header.metadata))
    with user_modules():
        function: Any = find_function(test.code, "test", ErrorReason.INVALID_TEST)
    optional = {} if inputs is None else {"inputs": inputs}
    return lambda model: call_by_signature(function, model, test.arguments, optional)


@dataclass(frozen=True, slots=True)
class _BuiltInGuard:
    """A built-in test of a model that is about to be added."""

    test: ModelTest
    inputs: Path | None
    connection: Connection
    metadata: Mapping[str, Any]

    def __call__(self, model: GuardedModel) -> float | bool:
        reader = WireChunkReader(self.connection)

        def open_reference(reference: str) -> tuple[object, Weights]:
            other = open_model(self.connection, reader, reference)
            return other, ModelWeights(other)

        measured = Measured(
            model=model,
            weights=SourceWeights(model.source, self.metadata),
            arguments=self.test.arguments,
            inputs=self.inputs,
            open_reference=open_reference,
        )
        return measure_built_in(self.test.code, measured)


@dataclass(frozen=True, slots=True)
class _CommandGuard:
    """A program that measures a model which is about to be added, written to a folder for it."""

    test: ModelTest
    inputs: Path | None

    def __call__(self, model: GuardedModel) -> float:
        with tempfile.TemporaryDirectory(prefix="mgit-guard-") as folder:
            _write_weights(model, Path(folder) / "model.safetensors")
            found = run_command(
                self.test.code, Path(folder), self.test.arguments, self.inputs, timeout_s=self.test.timeout_s
            )
        if found.value is None:
            raise InvalidArgumentError(ErrorReason.INVALID_GUARD, found.error)
        return found.value


def _write_weights(model: GuardedModel, path: Path) -> None:
    """Write a safetensors file, a chunk at a time."""
    by_name = {each.name: each for each in model.source.parameters}
    parameters = [
        Parameter(name=each.name, spec=each.spec, digest=b"", chunks=()) for each in model.source.parameters
    ]
    layout = build_weights(path.name, parameters, {})
    with path.open("wb") as file:
        file.write(layout.header)
        for name, _ in layout.places:
            for start, stop in chunk_ranges(by_name[name].spec):
                file.write(by_name[name].content.read(start, stop))
