"""``repo.merge``: two models made one."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mgit.connection import Connection, Patience
from mgit.graph import list_pages, new_request_id
from mgit.merging.judging import accepts, tell_refusal
from mgit.merging.messages import FAIL, MergeAnswer, read_staged, write_choice
from mgit.merging.values import Merge, MergeOutcome, StagedMerge
from mgit.progress import Progress, ProgressCounter, open_count, open_progress
from mgit.values import ModelReference, reference_of
from mgit_core.errors import MGitError
from mgit_proto.v1 import merge_pb2, types_pb2

if TYPE_CHECKING:
    from mgit.model import Model
    from mgit.running import ModelTestRun
    from mgit.values import Addition

__all__ = ["MergeCalls"]


class MergeCalls:
    """The part of a repository that merges models."""

    _connection: Connection

    if TYPE_CHECKING:

        def _model(self, model: types_pb2.Model, addition: Addition | None = None) -> Model: ...

    def merge(  # noqa: PLR0913 - one call says all of a merge; all but two by keyword
        self,
        ours: ModelReference,
        theirs: ModelReference,
        *,
        name: str,
        base: ModelReference | None = None,
        on_conflict: str = FAIL,
        choices: Mapping[str, str] | None = None,
        scale: float = 1.0,
        density: float = 0.2,
        accept: bool = False,
        keep: bool = False,
        jobs: int | None = None,
        request_id: str | None = None,
        progress: Progress = True,
    ) -> Merge:
        """Merge two models against a common ancestor; conflicts are an answer, not an error.

        Changes of different parameters that do not depend on each other make a model at once. Where one side's change
        may spoil the other's, the registered tests that apply to the merged model run here, and it is made only if one
        passes at least and none fails.

        Args:
            ours: One side; where nothing else decides, the result is like it.
            theirs: The other.
            name: Name of the merged model, a new version if it is used.
            base: What both are compared with; None means their merge base in the lineage.
            on_conflict: What becomes of parameters that both changed differently: ``fail``, ``ours``, ``theirs``,
                ``average``, ``task-arithmetic`` or ``ties``.
            choices: The same words for shell patterns over parameter names and file paths; the first that fits counts,
                before ``on_conflict``.
            scale: How much of the changes task arithmetic and TIES add to the base.
            density: Share of each change that TIES keeps.
            accept: Whether a possible conflict makes a model without tests.
            keep: Whether a merged model that was not accepted stays, staged, for ``decide_merge``.
            jobs: How many tests run at a time; None means one for each core, four at most.
            request_id: The same id with the same arguments gives the first answer again; None means a new one.
            progress: ``progress(done_bytes, total_bytes)`` of computed tensors; True for a bar on a terminal; None for
                none.

        Raises:
            NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
            FailedPreconditionError: NO_MERGE_BASE, MERGE_BASE_AMBIGUOUS, MODELS_UNLIKE, MODEL_REMOVED, MODEL_STAGED or
                PARAMETERS_PROMISED.
            InvalidArgumentError: INVALID_ARGUMENT: one model as both sides, or an unknown choice; INVALID_NAME.
            CorruptError: CHUNK_CORRUPT or MANIFEST_CORRUPT.
        """
        request = merge_pb2.MergeModelsRequest(
            ours=reference_of(ours),
            theirs=reference_of(theirs),
            base="" if base is None else reference_of(base),
            name=name,
            on_conflict=write_choice(on_conflict),
            choices=[
                merge_pb2.PatternChoice(pattern=pattern, choice=write_choice(word))
                for pattern, word in (choices or {}).items()
            ],
            scale=scale,
            density=density,
            accept=accept,
            request_id=request_id or new_request_id(),
        )
        with open_progress(progress, f"merge {name}") as counter:
            answer = self._ask(request, counter)
        merge = answer.merge()
        if answer.model is not None:
            merge = replace(merge, model=self._model(answer.model))
        if merge.outcome is not MergeOutcome.STAGED:
            return merge
        return self._judge(merge, keep=keep, jobs=jobs, progress=progress)

    def decide_merge(self, model: ModelReference, *, publish: bool) -> Model | None:
        """Publish a merged model that was kept staged, or discard it; gives the published one.

        Args:
            model: The staged model, as a value or as ``@UID``.
            publish: False discards it; a no-op for one that is gone.

        Raises:
            NotFoundError: MODEL_NOT_FOUND; PARENT_NOT_FOUND: a side was removed meanwhile.
            FailedPreconditionError: MODEL_STAGED: it belongs to a cascade.
        """
        request = merge_pb2.DecideMergeRequest(
            uid=reference_of(model).removeprefix("@"), publish=publish, request_id=new_request_id()
        )
        answer = self._connection.call(self._connection.compare.DecideMerge, request)
        return self._model(answer.model) if answer.HasField("model") else None

    def staged_merges(self) -> Iterator[StagedMerge]:
        """Merged models that wait for ``decide_merge``, oldest first, as pages arrive; whoever made them.

        They were kept, or their client ended while it ran tests. The collection leaves them alone. What a running client
        is testing is among them, too.
        """

        def ask(token: str) -> tuple[Iterable[StagedMerge], str]:
            request = merge_pb2.ListStagedMergesRequest(page_token=token)
            answer = self._connection.call(self._connection.compare.ListStagedMerges, request)
            return map(read_staged, answer.models), answer.next_page_token

        return list_pages(ask)

    def _ask(self, request: merge_pb2.MergeModelsRequest, counter: ProgressCounter) -> MergeAnswer:
        """The whole answer; asked for again, by the same request id, while the service is away or was overtaken."""
        patience = Patience(self._connection)

        def attempt() -> MergeAnswer:
            answer = MergeAnswer()
            done = 0
            with self._connection.stream(self._connection.compare.MergeModels, request) as messages:
                for message in messages:
                    patience.got_through()
                    answer.take(message)
                    if message.total_bytes and not done:
                        counter.begin(message.total_bytes)
                    counter.add(max(0, message.done_bytes - done))
                    done = max(done, message.done_bytes)
            return answer

        return patience.outlast(attempt)

    def _judge(self, merge: Merge, *, keep: bool, jobs: int | None, progress: Progress) -> Merge:
        """Run the tests that apply to a staged merge, and publish or discard it by what they say."""
        staged = merge.model
        assert staged is not None  # noqa: S101 - what is staged is a model
        with self._discarded_on_error(staged):
            runs = self._run_tests(staged, jobs, progress)
        if accepts(runs):
            published = self.decide_merge(staged, publish=True)
            return replace(merge, outcome=MergeOutcome.ACCEPTED, model=published, tests=runs)
        notes = (*merge.notes, _tell_refusal(runs))
        if keep:
            return replace(merge, tests=runs, notes=notes)
        self.decide_merge(staged, publish=False)
        return replace(merge, outcome=MergeOutcome.REJECTED, model=None, tests=runs, notes=notes)

    def _run_tests(self, staged: Model, jobs: int | None, progress: Progress) -> tuple[ModelTestRun, ...]:
        from mgit.running import RunOptions, plan_tests, run_tests  # noqa: PLC0415 - brings numpy

        pairs = plan_tests(self._connection, [f"@{staged.uid}"])
        with open_count(progress if progress is True else None, "test the merged model", "test") as tell:
            return tuple(run_tests(self._connection, pairs, RunOptions(jobs=jobs, progress=tell)))

    @contextlib.contextmanager
    def _discarded_on_error(self, staged: Model) -> Generator[None]:
        """Nobody knows the uid of what an error or an interrupt leaves behind, so nothing is left."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(MGitError):
                self.decide_merge(staged, publish=False)
            raise


def _tell_refusal(runs: Sequence[ModelTestRun]) -> str:
    told = f"It was not accepted, since {tell_refusal(runs)}."
    if any(run.is_bad for run in runs):
        return told
    return f"{told} 'mgit test register' adds one; '--accept' takes the merge without."
