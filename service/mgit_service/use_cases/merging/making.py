"""Makes the model of a merge without open conflicts: computed, written, and committed or staged."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace

from mgit_core.creation import CreationRecord
from mgit_core.layers.document import pack_layer_graph
from mgit_core.lineage import Model, Relation, RequestKey
from mgit_core.manifest import Manifest, Parameter
from mgit_core.merge.comparing import classify
from mgit_core.merge.layout import fits_layout
from mgit_core.merge.planning import MergePlan
from mgit_core.merge.values import ConflictChoice, MergeClass, MergeSides, ParameterClass
from mgit_service.use_cases.backend import Backend, in_thread
from mgit_service.use_cases.draft_header import DraftHeader
from mgit_service.use_cases.epochs import EpochWatch
from mgit_service.use_cases.merging.computing import ParameterComputer
from mgit_service.use_cases.merging.filing import merge_files
from mgit_service.use_cases.merging.recipe import RECIPE_KEY, write_recipe
from mgit_service.use_cases.merging.request import MergeEnd, MergeOrder, MergeOutcome, MergeProgress
from mgit_service.use_cases.merging.sides import MergeContents
from mgit_service.use_cases.merging.steps import StepMerge
from mgit_service.use_cases.promises import check_here
from mgit_service.use_cases.references import ParentRequest
from mgit_service.use_cases.transfer.commit import prepare_commit
from mgit_service.use_cases.transfer.drafting import Draft

__all__ = ["Making", "MergeMaterial", "MergeWanted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeWanted:
    """A merge of three models that were found.

    Attributes:
        order: What was asked for.
        contents: The three models.
        creation: How the result is created, for a merge of its own.
        step: The step of a cascade that it is; None for a merge of its own.
    """

    order: MergeOrder
    contents: MergeContents
    creation: CreationRecord | None = None
    step: StepMerge | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeMaterial:
    """All that a merged model is made of and said of it.

    Attributes:
        wanted: What is merged.
        sides: The same as the plan wanted them.
        plan: Without open conflicts.
    """

    wanted: MergeWanted
    sides: MergeSides
    plan: MergePlan


class Making:
    """Makes the model of a plan without open conflicts."""

    def __init__(self, backend: Backend, material: MergeMaterial) -> None:
        self._backend = backend
        self._order = material.wanted.order
        self._contents = material.wanted.contents
        self._creation = material.wanted.creation
        self._step = material.wanted.step
        self._sides = material.sides
        self._plan = material.plan
        self._computer = ParameterComputer(backend, self._order.options)

    @property
    def parameters(self) -> list[Parameter]:
        """Of the result, when all is computed."""
        computed = self._computer.computed
        return [each.source or computed[each.name] for each in self._plan.parameters]

    async def make(self, request: RequestKey | None) -> AsyncGenerator[MergeProgress | MergeEnd]:
        """Compute, write and commit or stage; ends with the end of the merge."""
        # Before anything is looked up: what is there now stays for a commit with this epoch.
        epoch = await EpochWatch(self._backend).read()
        async with contextlib.aclosing(self.compute()) as steps:
            async for step in steps:
                yield step
        draft, outcome = await self._draft(self.parameters)
        model = await self._finish(draft, outcome, epoch, request)
        yield MergeEnd(outcome=outcome, model=model, stored_bytes=self._computer.stored_bytes)

    async def compute(self) -> AsyncGenerator[MergeProgress]:
        """Compute the parameters that are neither side's, and write their chunks."""
        computed = [each for each in self._plan.parameters if each.choice is not None]
        of_base = [each.base for each in computed if each.base is not None]
        needed = [digest for parameter in of_base for digest in parameter.chunks]
        await check_here(self._backend, self._contents.base.model, needed)
        total = sum(each.ours.spec.size_bytes for each in computed if each.ours is not None)
        done = 0
        async with contextlib.aclosing(self._computer.compute(computed)) as steps:
            async for size_bytes in steps:
                done += size_bytes
                yield MergeProgress(done, total)

    async def _draft(self, parameters: Sequence[Parameter]) -> tuple[Draft, MergeOutcome]:
        merged = await merge_files(self._backend, self._contents, self._plan.files, parameters)
        outcome = self._outcome()
        layer_graph = await in_thread(self._backend, self._layer_graph, parameters)
        header = replace(self._header(outcome), layer_graph=layer_graph)
        if merged.files is not None:
            header = replace(header, source_format=merged.files.source_format, ties=merged.files.ties)
        manifest = Manifest(self._backend.chunks.algorithm, tuple(parameters))
        return Draft(header=header, manifest=manifest, files=merged.files), outcome

    def _header(self, outcome: MergeOutcome) -> DraftHeader:
        """What is said of the model; one of a step is in all but its recipe like the one that it replaces."""
        recipe = {RECIPE_KEY: write_recipe(self._contents, self._plan, self._order, outcome)}
        if self._step is not None:
            return replace(self._step.header, metadata={**self._step.old.metadata, **recipe})
        ours, theirs = self._contents.ours.model, self._contents.theirs.model
        weight = self._weight()
        return DraftHeader(
            name=self._order.name,
            parents=tuple(
                ParentRequest(reference=f"@{side.uid}", relation=Relation.MERGED, weight=weight)
                for side in (ours, theirs)
            ),
            type=self._type(),
            metadata=recipe,
            datasets=tuple(dict.fromkeys((*ours.datasets, *theirs.datasets))),
            creation=self._creation,
        )

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
        if self._order.step is not None:
            return await self._backend.lineage.staging.stage(commit, self._order.step.lease)
        if outcome is MergeOutcome.STAGED:
            return await self._backend.lineage.staging.stage(commit, request=request)
        committed = await self._backend.lineage.models.commit(commit, request)
        self._backend.committed.set()
        return committed.model
