"""Models and versions in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mgit_core.digest import Digest
from mgit_core.errors import ErrorReason, FailedPreconditionError
from mgit_core.lineage import (
    CommittedModel,
    Model,
    ModelCommit,
    ModelState,
    ParameterSet,
    ProvenanceEdge,
    RequestKey,
)
from mgit_core.names import Reference
from mgit_core.ports.graph import Models, Page
from mgit_storage.lineage import checks
from mgit_storage.lineage.creation_records import without_source
from mgit_storage.lineage.memory.state import MemoryGraph, Name, State

__all__ = ["MemoryModels", "bare_model", "commit_models", "forget_unused", "keep_set", "provenance_edges"]

_MOST_SAME = 100


class MemoryModels(Models):
    """Models and their versions."""

    def __init__(self, graph: MemoryGraph) -> None:
        self._graph = graph

    async def commit(self, commit: ModelCommit, request: RequestKey | None = None) -> CommittedModel:
        checks.check_batch([commit])
        answer, is_repeated = self._graph.write(
            lambda state: commit_models(state, [commit])[0], request, epochs=[commit.epoch]
        )
        return replace(answer, repeated=is_repeated)

    async def find_commit(self, request: RequestKey) -> CommittedModel | None:
        answer = self._graph.find_answer(request)
        return replace(answer, repeated=True) if isinstance(answer, CommittedModel) else None

    async def commit_batch(self, commits: Sequence[ModelCommit]) -> list[CommittedModel]:
        checks.check_batch(commits)
        if not commits:
            return []
        epochs = [commit.epoch for commit in commits]
        return self._graph.write(lambda state: commit_models(state, commits), epochs=epochs)[0]

    async def get(self, reference: Reference) -> Model:
        state = self._graph.state
        if reference.uid is not None:
            return state.described(reference.uid)
        if reference.tag is not None:
            uid = state.tags.get((reference.name or "", reference.tag))
            if uid is None:
                raise checks.tag_not_found(reference.name, reference.tag)
            return state.described(uid)
        versions = state.versions(reference.name or "")
        if reference.version is None:
            found = [model for model in versions if model.state is ModelState.PRESENT]
        else:
            found = [model for model in versions if model.version == reference.version]
        if not found:
            raise checks.model_not_found(reference)
        return state.described(found[0].uid)

    async def list_latest(self, page: Page, *, prefix: str = "", type_name: str | None = None) -> list[Model]:
        state = self._graph.state
        after = (page.after or "").lower()
        found: list[Model] = []
        for lower in sorted(state.names):
            latest = state.latest(state.names[lower].name)
            is_wanted = lower > after and lower.startswith(prefix.lower())
            if is_wanted and latest is not None and type_name in (None, latest.type):
                found.append(_listed(state, latest.uid))
        return found[: page.size]

    async def list_versions(self, name: str, page: Page) -> list[Model]:
        state = self._graph.state
        after = checks.version_after(page)
        known = state.names.get(name.lower())
        if after is None and (known is None or known.name != name):
            raise checks.model_not_found(name)
        found = [model for model in state.versions(name) if after is None or model.version < after]
        return [_listed(state, model.uid) for model in found[: page.size]]

    async def list_created_together(self, group: str, page: Page) -> list[Model]:
        state = self._graph.state
        found = {
            model.creation.member: model.uid
            for model in state.models.values()
            if model.creation is not None and model.creation.group == group
        }
        members = [member for member in sorted(found) if member > (page.after or "")]
        return [_listed(state, found[member]) for member in members[: page.size]]

    async def remove(self, uid: str, request: RequestKey | None = None) -> Model:
        return self._graph.write(lambda state: _remove(state, uid), request)[0]


def _listed(state: State, uid: str) -> Model:
    """The model as lists give it."""
    model = state.described(uid)
    return replace(model, creation=without_source(model.creation))


def commit_models(state: State, commits: Sequence[ModelCommit]) -> list[CommittedModel]:
    """Make models visible, in order."""
    known_before = set(state.models)
    for commit in commits:
        _check_previous(state, commit, {each.uid for each in commits})
    for commit in commits:
        known = state.names.get(commit.name.lower())
        if known is not None and known.name != commit.name:
            raise checks.other_case(commit.name, known.name)
        state.names.setdefault(commit.name.lower(), Name(commit.name, 0))
    uids = known_before | {commit.uid for commit in commits}
    for commit in commits:
        for link in commit.parents:
            if link.parent_uid not in uids:
                raise checks.parent_not_found(link.parent_uid)
    return [_commit_one(state, commit) for commit in commits]


def _check_previous(state: State, commit: ModelCommit, own: set[str]) -> None:
    uid = commit.previous.uid
    if uid is None or uid in own:
        return
    if state.model(uid).state is ModelState.REMOVED:
        raise FailedPreconditionError(ErrorReason.MODEL_REMOVED, f"The previous version @{uid} was removed.")


def _commit_one(state: State, commit: ModelCommit) -> CommittedModel:
    latest = state.latest(commit.name)
    version = state.names[commit.name.lower()].last_version + 1
    state.names[commit.name.lower()] = Name(commit.name, version)
    previous_uid = commit.previous.uid
    if previous_uid is None and commit.previous.automatic and latest is not None:
        previous_uid = latest.uid
    if previous_uid is not None:
        state.revisions[commit.uid] = previous_uid
    same = sorted(
        (model.name, model.version)
        for model in state.present()
        if model.parameters is not None and model.parameters.digest == commit.parameters.digest
    )
    state.models[commit.uid] = bare_model(commit, version)
    keep_set(state, commit.parameters)
    state.tensors.setdefault(commit.parameters.digest, commit.tensors)
    state.parents[commit.uid] = provenance_edges(commit)
    same_as = tuple(f"{name}@{number}" for name, number in same[:_MOST_SAME])
    return CommittedModel(model=state.described(commit.uid), same_as=same_as)


def provenance_edges(commit: ModelCommit) -> tuple[ProvenanceEdge, ...]:
    """The edges of a new model to its parents, in order."""
    return tuple(
        ProvenanceEdge(
            child_uid=commit.uid,
            parent_uid=link.parent_uid,
            relation=link.relation,
            position=position,
            weight=link.weight,
            origin=link.origin,
            confidence=link.confidence,
            created_at=commit.created_at,
        )
        for position, link in enumerate(commit.parents)
    )


def keep_set(state: State, parameters: ParameterSet) -> None:
    """Keep a parameter set; one that was promised is whole as soon as a model brings it whole."""
    known = state.sets.setdefault(parameters.digest, parameters)
    if parameters.promised_by is None:
        state.sets[parameters.digest] = replace(known, promised_by=None)


def bare_model(commit: ModelCommit, version: int) -> Model:
    """The new model without its edges."""
    return Model(
        uid=commit.uid,
        name=commit.name,
        version=version,
        state=ModelState.PRESENT,
        created_at=commit.created_at,
        type=commit.type,
        metadata=dict(sorted(commit.metadata.items())),
        parameters=commit.parameters,
        files=commit.files,
        files_key=commit.files_key,
        files_bytes=commit.files_bytes,
        datasets=tuple(sorted(set(commit.datasets), key=lambda each: (each.name, each.version))),
        loss=commit.loss,
        layer_graph=commit.layer_graph,
        layer_graph_key=commit.layer_graph_key,
        creation=commit.creation,
    )


def _remove(state: State, uid: str) -> Model:
    before = state.described(uid)
    if before.state is ModelState.REMOVED:
        return before
    for cascade_id in state.cascades_using(uid):
        raise checks.model_in_use(uid, cascade_id)
    is_touched = state.is_touched(uid)
    state.tags = {key: pointed for key, pointed in state.tags.items() if pointed != uid}
    if is_touched:
        state.models[uid] = replace(
            state.models[uid],
            state=ModelState.REMOVED,
            parameters=None,
            files=None,
            files_key=None,
            files_bytes=0,
            layer_graph=None,
            layer_graph_key=None,
        )
    else:
        del state.models[uid]
        state.parents.pop(uid, None)
    if before.parameters is not None:
        forget_unused(state, before.parameters.digest)
    return before


def forget_unused(state: State, digest: Digest) -> None:
    """Let go of a parameter set that no model has, staged or not."""
    models = [*state.models.values(), *(staged.model for staged in state.staged.values())]
    holders = (model.parameters.digest for model in models if model.parameters is not None)
    if digest not in holders:
        del state.sets[digest]
        del state.tensors[digest]
        state.sketches.pop(digest, None)
