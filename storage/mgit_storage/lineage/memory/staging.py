"""Staged models in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mgit_core.cascade.values import StepLease
from mgit_core.lineage import (
    CommittedModel,
    Model,
    ModelCommit,
    ModelState,
    ParentLink,
    RequestKey,
)
from mgit_core.ports.graph import Page
from mgit_core.ports.staging import StagedModels
from mgit_storage.lineage import checks
from mgit_storage.lineage.memory.cascade_steps import hold_step, note_staged
from mgit_storage.lineage.memory.models import (
    bare_model,
    commit_models,
    forget_unused,
    keep_set,
    provenance_edges,
)
from mgit_storage.lineage.memory.state import MemoryGraph, Staged, State, summary_of

__all__ = ["MemoryStagedModels", "described_staged", "discard_staged", "publish_staged"]


class MemoryStagedModels(StagedModels):
    """Apart from the models."""

    def __init__(self, graph: MemoryGraph) -> None:
        self._graph = graph

    async def stage(
        self, commit: ModelCommit, lease: StepLease | None = None, request: RequestKey | None = None
    ) -> Model:
        checks.check_batch([commit])
        return self._graph.write(lambda state: _stage(state, commit, lease), request, epochs=[commit.epoch])[
            0
        ]

    async def get(self, uid: str) -> Model:
        return described_staged(self._graph.state, uid)

    async def list_page(self, page: Page) -> list[Model]:
        state = self._graph.state
        found = [uid for uid in sorted(state.staged) if uid > (page.after or "")]
        return [described_staged(state, uid) for uid in found[: page.size]]

    async def list_undecided(self, page: Page) -> list[Model]:
        state = self._graph.state
        of_cascades = {uid for kept in state.cascades.values() for uid in kept.targets()}
        found = [uid for uid in sorted(state.staged) if uid > (page.after or "") and uid not in of_cascades]
        return [described_staged(state, uid) for uid in found[: page.size]]

    async def publish(self, uids: Sequence[str], request: RequestKey | None = None) -> list[CommittedModel]:
        wanted = list(dict.fromkeys(uids))
        answer, is_repeated = self._graph.write(lambda state: _publish(state, wanted), request)
        return [replace(row, repeated=row.repeated or is_repeated) for row in answer]

    async def discard(self, uids: Sequence[str], request: RequestKey | None = None) -> None:
        def unit(state: State) -> None:
            wanted = sorted(set(uids) & state.staged.keys())
            _check_free(state, wanted)
            discard_staged(state, wanted)

        self._graph.write(unit, request)


def described_staged(state: State, uid: str) -> Model:
    """The staged model with this uid, with the edges that it will have."""
    if uid not in state.staged:
        raise checks.model_not_found(f"@{uid}")
    staged = state.staged[uid]
    model = staged.model
    older = state.models.get(staged.previous.uid or "")
    refs = [_ref(state, edge.parent_uid) for edge in model.parents]
    parameters = None if model.parameters is None else state.sets[model.parameters.digest]
    return replace(
        model,
        parameters=parameters,
        parent_refs=tuple(refs),
        previous=None if older is None else summary_of(older),
    )


def _ref(state: State, uid: str) -> str:
    return f"@{uid}" if uid in state.staged else state.models[uid].ref


def _stage(state: State, commit: ModelCommit, lease: StepLease | None) -> Model:
    if lease is not None:
        step = hold_step(state, lease)
        checks.check_target(commit, {target.uid: target for target in step.targets})
        if commit.uid in state.staged:
            return described_staged(state, commit.uid)
    known = state.names.get(commit.name.lower())
    if known is not None and known.name != commit.name:
        raise checks.other_case(commit.name, known.name)
    if commit.previous.uid is not None:
        checks.check_present(state.model(commit.previous.uid))
    for link in commit.parents:
        if link.parent_uid not in state.models and link.parent_uid not in state.staged:
            raise checks.parent_not_found(link.parent_uid)
    bare = replace(bare_model(commit, 0), state=ModelState.STAGED, parents=provenance_edges(commit))
    state.staged[commit.uid] = Staged(bare, commit.previous)
    keep_set(state, commit.parameters)
    state.tensors.setdefault(commit.parameters.digest, commit.tensors)
    if lease is not None:
        note_staged(state, lease)
    return described_staged(state, commit.uid)


def _check_free(state: State, uids: Sequence[str]) -> None:
    for kept in state.cascades.values():
        for uid in uids:
            if uid in kept.targets():
                raise checks.model_staged(uid, "it belongs to a cascade, which publishes or cancels it")


def _publish(state: State, uids: Sequence[str]) -> list[CommittedModel]:
    staged = [uid for uid in uids if uid in state.staged]
    _check_free(state, staged)
    checks.check_batch([_commit_of(state, uid) for uid in staged])
    made = publish_staged(state, staged)
    return [
        made[uid] if uid in made else CommittedModel(model=state.described(uid), same_as=(), repeated=True)
        for uid in uids
    ]


def publish_staged(state: State, uids: Sequence[str]) -> dict[str, CommittedModel]:
    """Number staged models in order; results are theirs by uid already."""
    for uid in uids:
        for parent in sorted(state.staged[uid].parents() & state.staged.keys() - set(uids)):
            raise checks.model_staged(parent, "publish or discard it before what was made from it")
    commits = [_commit_of(state, uid) for uid in uids]
    for uid in uids:
        del state.staged[uid]
    return {done.model.uid: done for done in commit_models(state, commits)}


def _commit_of(state: State, uid: str) -> ModelCommit:
    staged = state.staged[uid]
    model = staged.model
    if model.parameters is None:
        raise checks.model_not_found(f"@{uid}")
    return ModelCommit(
        uid=uid,
        name=model.name,
        created_at=model.created_at,
        parameters=state.sets[model.parameters.digest],
        tensors=state.tensors[model.parameters.digest],
        epoch=0,
        type=model.type,
        metadata=model.metadata,
        parents=tuple(
            ParentLink(
                parent_uid=edge.parent_uid,
                relation=edge.relation,
                weight=edge.weight,
                origin=edge.origin,
                confidence=edge.confidence,
            )
            for edge in model.parents
        ),
        previous=staged.previous,
        datasets=model.datasets,
        files=model.files,
        files_key=model.files_key,
        files_bytes=model.files_bytes,
        loss=model.loss,
        layer_graph=model.layer_graph,
        layer_graph_key=model.layer_graph_key,
        creation=model.creation,
    )


def discard_staged(state: State, uids: Sequence[str]) -> None:
    """Take staged models away with their results, and what nobody else has of what they hold."""
    for uid, staged in sorted(state.staged.items()):
        if uid not in uids and staged.parents() & set(uids):
            raise checks.model_staged(uid, "discard it before what it was made from")
    gone = [state.staged.pop(uid) for uid in uids]
    for uid, result in list(state.results.items()):
        if result.model_uid in uids:
            del state.results[uid]
            del state.measurements[uid]
    for digest in {staged.model.parameters.digest for staged in gone if staged.model.parameters is not None}:
        forget_unused(state, digest)
