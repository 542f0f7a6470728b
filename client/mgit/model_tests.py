"""``repo.tests``: tests of models are registered, run here, and their results looked at."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mgit.connection import Connection
from mgit.graph import list_pages, new_request_id
from mgit.progress import Progress, open_count
from mgit.values import Dataset, ModelReference, reference_of
from mgit.wire import read_dataset, read_metadata, read_summary, write_dataset, write_metadata
from mgit_core.lineage import MetadataValue
from mgit_core.model_tests import ModelTestKind
from mgit_proto.v1 import lineage_pb2, model_tests_pb2

if TYPE_CHECKING:
    from mgit.running import ModelTestRun
    from mgit_core.model_tests import ModelTest, ModelTestResult

__all__ = ["ModelTests"]

_PAGE_SIZE = 100
_REFERENCE = "reference"


class ModelTests:
    """The tests of a repository. The service keeps tests and results; what runs, runs on this machine.

    Every method raises besides its own errors: UnavailableError, UnauthenticatedError, DeadlineExceededError.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def register(  # noqa: PLR0913 - one call says all of a test; all but two by keyword
        self,
        name: str,
        entry_point: str | Callable[..., Any] | None = None,
        *,
        command: str | None = None,
        builtin: str | None = None,
        model: ModelReference | None = None,
        type: str | None = None,  # noqa: A002 - the word for it, and by keyword only
        arguments: Mapping[str, object] | None = None,
        inputs: str | os.PathLike[str] | None = None,
        dataset: Dataset | str | None = None,
        metric: str | None = None,
        direction: str | None = None,
        threshold: float | None = None,
        tolerance: float | None = None,
        timeout_s: float | None = None,
        replace: bool = False,
        request_id: str | None = None,
    ) -> ModelTest:
        """Register a test: for ``model``, for the models of ``type``, or else for all models, later ones too.

        Args:
            name: Written as a model name.
            entry_point: A function of a module, or ``MODULE:FUNCTION``. It gets a model as ``get`` gives it,
                with read-only arrays, and ``arguments`` and ``inputs`` by keyword; it returns a number or a truth
                value.
            command: A command line, run without a shell. The model's folder is ``MGIT_MODEL``; the last line
                that it prints is the value.
            builtin: ``finite``, ``finite-in-half``, ``sparsity``, ``size``, ``equals`` or ``drift``.
            model: The one model that it is for.
            type: The model type that it is for.
            arguments: Handed to the test by name.
            inputs: File or folder that the test reads; its digest is kept.
            dataset: What the inputs belong to; text is ``NAME[@VERSION]``.
            metric: Name of what is measured; None means what the code says of itself.
            direction: ``higher`` or ``lower``: which values are better; None likewise.
            threshold: The worst value that passes; None means that of a built-in test, else that values are only
                kept, and that a truth value has to be true.
            tolerance: Largest loss where it guards a lossy model, in units of the metric; None means 0.005.
            timeout_s: Seconds after which a run is given up; None means 600.
            replace: Whether a test of that name gets this definition and keeps its results.
            request_id: The same id with the same test gives the first answer again; None means a new one.

        Raises:
            InvalidArgumentError: INVALID_TEST, INVALID_NAME or INVALID_METADATA.
            AlreadyExistsError: TEST_EXISTS: the name is taken, and ``replace`` is not set.
            NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
            FailedPreconditionError: MODEL_REMOVED.
        """
        from mgit.running.messages import read_test, write_test  # noqa: PLC0415 - the catalog does without
        from mgit.running.registering import Registration, build_test  # noqa: PLC0415 - as above
        from mgit.running.trust import trust_command  # noqa: PLC0415 - as above

        registration = Registration(
            name=name,
            entry_point=entry_point,
            command=command,
            built_in=builtin,
            model=None if model is None else reference_of(model),
            type=type,
            arguments=self._pinned(arguments or {}, is_pinned=builtin is not None),
            inputs=inputs,
            dataset=None if dataset is None else read_dataset(write_dataset(dataset)),
            metric=metric,
            direction=direction,
            threshold=threshold,
            tolerance=tolerance,
            timeout_s=timeout_s,
        )
        test = build_test(registration, self._connection.capabilities.algorithm)
        request = model_tests_pb2.RegisterTestRequest(
            test=write_test(test), replace=replace, request_id=request_id or new_request_id()
        )
        registered = read_test(self._connection.call(self._connection.model_tests.RegisterTest, request).test)
        if command is not None:
            trust_command(command)
        return registered

    def trust(self, test: str) -> ModelTest:
        """Let the program of a test that was registered elsewhere run here, from now on; gives the test.

        Whoever may register tests chooses the program: look at ``get(test).code`` first. What is trusted is that
        command line, in the home that ``MGIT_HOME`` names. Nothing happens for a test that is no program.

        Raises:
            NotFoundError: TEST_NOT_FOUND.
        """
        from mgit.running.trust import trust_command  # noqa: PLC0415 - the catalog does without

        found = self.get(test)
        if found.kind is ModelTestKind.COMMAND:
            trust_command(found.code)
        return found

    def get(self, test: str) -> ModelTest:
        """The test of a name, or ``@UID``, which names a deregistered one, too.

        Raises:
            NotFoundError: TEST_NOT_FOUND.
        """
        from mgit.running.messages import read_test  # noqa: PLC0415 - the catalog does without

        request = model_tests_pb2.GetTestRequest(test=test)
        return read_test(self._connection.call(self._connection.model_tests.GetTest, request).test)

    def list(self) -> Iterator[ModelTest]:
        """The registered tests, by name, as pages arrive."""
        from mgit.running.messages import read_test  # noqa: PLC0415 - the catalog does without

        def ask(token: str) -> tuple[Iterable[ModelTest], str]:
            request = model_tests_pb2.ListTestsRequest(page_size=_PAGE_SIZE, page_token=token)
            answer = self._connection.call(self._connection.model_tests.ListTests, request)
            return map(read_test, answer.tests), answer.next_page_token

        return list_pages(ask)

    def remove(self, test: str) -> ModelTest:
        """Deregister a test; gives it as it was. Its results stay.

        Raises:
            NotFoundError: TEST_NOT_FOUND.
        """
        from mgit.running.messages import read_test  # noqa: PLC0415 - the catalog does without

        request = model_tests_pb2.RemoveTestRequest(test=test, request_id=new_request_id())
        return read_test(self._connection.call(self._connection.model_tests.RemoveTest, request).test)

    def run(
        self,
        pattern: str = "",
        *,
        models: Iterable[ModelReference] | None = None,
        jobs: int | None = None,
        rerun: bool = False,
        progress: Progress = True,
    ) -> Iterator[ModelTestRun]:
        """Run the tests that apply to some models; what is known is not run again.

        Each test runs in a process of its own. What goes wrong with one, a crash too, is its result, and the
        others go on. Results are recorded before they are given: a call after a stop in the middle goes on from
        there.

        Args:
            pattern: Shell pattern over test names; empty means all.
            models: Which models; None means the latest present version of each name.
            jobs: How many tests at a time; None means one for each core, four at most.
            rerun: Whether tests with a known result run again.
            progress: ``progress(done, total)``, in tests; True for a bar on a terminal; None for none.

        Returns:
            Runs: those that were known first, then each as it ends.

        Raises:
            NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND; when the iteration begins, as all others.
            InvalidArgumentError: INVALID_ARGUMENT.
        """
        from mgit.running import RunOptions, plan_tests, run_tests  # noqa: PLC0415 - brings numpy

        wanted = list(self._latest() if models is None else models)
        pairs = plan_tests(self._connection, wanted, pattern)
        with open_count(progress, f"test {len(wanted)} models", "test") as tell:
            options = RunOptions(jobs=jobs, is_rerun=rerun, progress=tell)
            yield from run_tests(self._connection, pairs, options)

    def results(
        self, test: str | None = None, model: ModelReference | None = None
    ) -> Iterator[ModelTestResult]:
        """Recorded results, newest first, as pages arrive; each judged by the test's threshold of today.

        Args:
            test: Name or ``@UID`` of a test; None means all, deregistered ones too.
            model: A model; None means all.

        Raises:
            NotFoundError: TEST_NOT_FOUND, MODEL_NOT_FOUND or TAG_NOT_FOUND; when the iteration begins.
        """
        from mgit.running.messages import read_result  # noqa: PLC0415 - the catalog does without

        reference = "" if model is None else reference_of(model)

        def ask(token: str) -> tuple[Iterable[ModelTestResult], str]:
            request = model_tests_pb2.ListResultsRequest(
                test=test or "", model=reference, page_size=_PAGE_SIZE, page_token=token
            )
            answer = self._connection.call(self._connection.model_tests.ListResults, request)
            return map(read_result, answer.results), answer.next_page_token

        return list_pages(ask)

    def _pinned(self, arguments: Mapping[str, object], *, is_pinned: bool) -> dict[str, MetadataValue]:
        """Arguments as they are kept; another model as a version, whose bytes never change."""
        plain = read_metadata(write_metadata(arguments))
        reference = plain.get(_REFERENCE)
        if is_pinned and isinstance(reference, str) and reference:
            request = lineage_pb2.GetModelRequest(model=reference)
            answer = self._connection.call(self._connection.lineage.GetModel, request)
            plain[_REFERENCE] = read_summary(answer.model.summary).ref
        return plain

    def _latest(self) -> Iterator[ModelReference]:
        def ask(token: str) -> tuple[Iterable[ModelReference], str]:
            request = lineage_pb2.ListModelsRequest(page_size=_PAGE_SIZE, page_token=token)
            answer = self._connection.call(self._connection.lineage.ListModels, request)
            return [read_summary(model.summary) for model in answer.models], answer.next_page_token

        return list_pages(ask)
