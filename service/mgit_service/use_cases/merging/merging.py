"""A merge from end to end: what differs is found, conflicts are named or resolved, and a model is made or staged."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from mgit_core.layers.document import pack_layer_graph
from mgit_core.lineage import Model, Relation, RequestKey
from mgit_core.manifest import Manifest, Parameter
from mgit_core.merge.comparing import classify
from mgit_core.merge.layout import fits_layout
from mgit_core.merge.planning import MergePlan, plan_merge
from mgit_core.merge.values import (
    ConflictChoice,
    MergeClass,
    MergeSides,
    ParameterClass,
)
from mgit_core.names import check_model_name
from mgit_service.use_cases.backend import Backend, in_thread
from mgit_service.use_cases.draft_header import DraftHeader
from mgit_service.use_cases.epochs import EpochWatch
from mgit_service.use_cases.merging.computing import ParameterComputer
from mgit_service.use_cases.merging.filing import merge_files
from mgit_service.use_cases.merging.recipe import RECIPE_KEY, earlier_steps, write_recipe
from mgit_service.use_cases.merging.request import (
    MergeEnd,
    MergeFindings,
    MergeOrder,
    MergeOutcome,
    MergeProgress,
    MergeStep,
)
from mgit_service.use_cases.merging.sides import MergeContents, read_contents, read_sides
from mgit_service.use_cases.promises import check_here
from mgit_service.use_cases.references import ParentRequest
from mgit_service.use_cases.transfer.commit import prepare_commit
from mgit_service.use_cases.transfer.drafting import Draft

__all__ = ["decide_merge", "merge_models"]


async def merge_models(
    backend: Backend, order: MergeOrder, request: RequestKey | None = None
) -> AsyncGenerator[MergeStep]:
    """Merge two models: first what was found, then how far it is, and last how it ended.

    Nothing is visible before the last step. Cut off, it leaves chunks that the next try finds.

    Raises:
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
        InvalidArgumentError: INVALID_ARGUMENT, INVALID_NAME or INVALID_REFERENCE.
        FailedPreconditionError: MODEL_REMOVED, MODEL_STAGED, PARAMETERS_PROMISED, NO_MERGE_BASE,
            MERGE_BASE_AMBIGUOUS or MODELS_UNLIKE.
        ConflictError: REQUEST_ID_REUSED.
        CorruptError: CHUNK_CORRUPT or MANIFEST_CORRUPT.
        UnavailableError: UPLOAD_STALE: a collection began meanwhile; the same call may be repeated.
        ResourceExhaustedError: DISK_FULL.
    """
    check_model_name(order.name)
    earlier = None if request is None else await backend.lineage.models.find_commit(request)
    if earlier is not None:
        for told in await earlier_steps(backend, earlier.model):
            yield told
        return
    contents = await read_contents(backend, order)
    sides = await read_sides(backend, contents)
    plan = await in_thread(backend, plan_merge, sides, order.options)
    yield _findings(contents, plan)
    if plan.kind is MergeClass.CONFLICT:
        yield MergeEnd(outcome=MergeOutcome.CONFLICTED)
        return
    making = _Making(backend, order, contents, sides, plan)
    async with contextlib.aclosing(making.make(request)) as steps:
        async for step in steps:
            yield step


async def decide_merge(
    backend: Backend, uid: str, *, is_published: bool, request: RequestKey | None
) -> Model | None:
    """Publish a staged merge, or discard it; gives the published model.

    Raises:
        NotFoundError: MODEL_NOT_FOUND; PARENT_NOT_FOUND.
        FailedPreconditionError: MODEL_STAGED, if it belongs to a cascade.
        ConflictError: REQUEST_ID_REUSED.
    """
    if not is_published:
        await backend.lineage.staging.discard([uid], request)
        return None
    [published] = await backend.lineage.staging.publish([uid], request)
    backend.committed.set()
    return published.model


def _findings(contents: MergeContents, plan: MergePlan) -> MergeFindings:
    return MergeFindings(
        base=contents.base.model,
        ours=contents.ours.model,
        theirs=contents.theirs.model,
        counts=plan.counts,
        notes=(*contents.notes, *plan.notes),
        conflicts=plan.conflicts,
        possible=plan.possible,
    )


class _Making:
    """Makes the model of a plan without open conflicts."""

    def __init__(
        self,
        backend: Backend,
        order: MergeOrder,
        contents: MergeContents,
        sides: MergeSides,
        plan: MergePlan,
    ) -> None:
        self._backend = backend
        self._order = order
        self._contents = contents
        self._sides = sides
        self._plan = plan

    async def make(self, request: RequestKey | None) -> AsyncGenerator[MergeProgress | MergeEnd]:
        """Compute, write and commit or stage; ends with the end of the merge."""
        computed = [each for each in self._plan.parameters if each.choice is not None]
        of_base = [each.base for each in computed if each.base is not None]
        needed = [digest for parameter in of_base for digest in parameter.chunks]
        await check_here(self._backend, self._contents.base.model, needed)
        # Before anything is looked up: what is there now stays for a commit with this epoch.
        epoch = await EpochWatch(self._backend).read()
        computer = ParameterComputer(self._backend, self._order.options, self._relatives())
        total = sum(each.ours.spec.size_bytes for each in computed if each.ours is not None)
        done = 0
        async with contextlib.aclosing(computer.compute(computed)) as steps:
            async for size_bytes in steps:
                done += size_bytes
                yield MergeProgress(done, total)
        draft, outcome = await self._draft(self._parameters(computer.computed))
        model = await self._finish(draft, outcome, epoch, request)
        yield MergeEnd(outcome=outcome, model=model, stored_bytes=computer.stored_bytes)

    def _relatives(self) -> list[Manifest]:
        return [side.manifest for side in (self._contents.base, self._contents.ours, self._contents.theirs)]

    def _parameters(self, computed: dict[str, Parameter]) -> list[Parameter]:
        return [each.source or computed[each.name] for each in self._plan.parameters]

    async def _draft(self, parameters: Sequence[Parameter]) -> tuple[Draft, MergeOutcome]:
        merged = await merge_files(self._backend, self._contents, self._plan.files, parameters)
        outcome = self._outcome()
        ours, theirs = self._contents.ours.model, self._contents.theirs.model
        weight = self._weight()
        header = DraftHeader(
            name=self._order.name,
            parents=tuple(
                ParentRequest(reference=f"@{side.uid}", relation=Relation.MERGED, weight=weight)
                for side in (ours, theirs)
            ),
            type=self._type(),
            metadata={RECIPE_KEY: write_recipe(self._contents, self._plan, self._order, outcome)},
            datasets=tuple(dict.fromkeys((*ours.datasets, *theirs.datasets))),
            layer_graph=await in_thread(self._backend, self._layer_graph, parameters),
        )
        if merged.files is not None:
            header = replace(header, source_format=merged.files.source_format, ties=merged.files.ties)
        manifest = Manifest(self._backend.chunks.algorithm, tuple(parameters))
        return Draft(header=header, manifest=manifest, files=merged.files), outcome

    def _outcome(self) -> MergeOutcome:
        if self._contents.is_fast_forward:
            return MergeOutcome.FAST_FORWARDED
        is_possible = self._plan.kind is MergeClass.POSSIBLE_CONFLICT and not self._order.is_accepted
        return MergeOutcome.STAGED if is_possible else MergeOutcome.MERGED

    def _weight(self) -> float | None:
        """The share of each side, where one number says what was done with all that was computed."""
        choices = {each.choice for each in self._plan.parameters if each.choice is not None}
        if choices == {ConflictChoice.AVERAGE}:
            return 0.5
        return self._order.options.scale if choices == {ConflictChoice.TASK_ARITHMETIC} else None

    def _type(self) -> str | None:
        base, ours, theirs = (
            content.model.type
            for content in (self._contents.base, self._contents.ours, self._contents.theirs)
        )
        return theirs if classify(base, ours, theirs) is ParameterClass.THEIRS else ours

    def _layer_graph(self, parameters: Sequence[Parameter]) -> bytes:
        """The traced graph of a side whose parameters have the same names, types and shapes; none without one."""
        for side in (self._sides.ours, self._sides.theirs):
            if side.graph.is_traced and fits_layout(parameters, side.manifest.parameters):
                return pack_layer_graph(side.graph)
        return b""

    async def _finish(
        self, draft: Draft, outcome: MergeOutcome, epoch: int, request: RequestKey | None
    ) -> Model:
        commit = await prepare_commit(self._backend, draft, epoch)
        if outcome is MergeOutcome.STAGED:
            return await self._backend.lineage.staging.stage(commit, request=request)
        committed = await self._backend.lineage.models.commit(commit, request)
        self._backend.committed.set()
        return committed.model
