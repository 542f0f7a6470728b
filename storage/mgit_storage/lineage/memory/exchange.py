"""Models of other stores in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mgit_core.lineage import Model, ModelState, ModelSummary, RequestKey
from mgit_core.ports.exchange import (
    Exchange,
    ExchangeRecords,
    ImportedModel,
    ModelIdentity,
    ModelStanding,
    RecordChanges,
)
from mgit_core.standings import Standing
from mgit_storage.lineage import exchange_rules as rules
from mgit_storage.lineage.memory.exchange_records import export_records, import_records
from mgit_storage.lineage.memory.models import keep_set
from mgit_storage.lineage.memory.state import MemoryGraph, Name, State, summary_of

__all__ = ["MemoryExchange"]


class MemoryExchange(Exchange):
    """Models with their own uids and numbers, in and out."""

    def __init__(self, graph: MemoryGraph) -> None:
        self._graph = graph

    async def standings(self, models: Sequence[ModelIdentity]) -> list[ModelStanding]:
        state = self._graph.state
        found: list[ModelStanding] = []
        for identity in models:
            known = _known(state, identity)
            standing = rules.standing_of(identity, known)
            found.append(ModelStanding(standing=standing, model=known.model or known.holder))
        return found

    async def export(self, uids: Sequence[str]) -> list[Model]:
        return [self._graph.state.described(uid) for uid in uids]

    async def export_records(self, uids: Sequence[str]) -> ExchangeRecords:
        return export_records(self._graph.state, uids)

    async def import_models(
        self, models: Sequence[ImportedModel], *, epoch: int, request: RequestKey | None = None
    ) -> list[ModelSummary]:
        rules.check_import(models)

        def unit(state: State) -> list[str]:
            _import(state, models)
            return [imported.model.uid for imported in models]

        uids, _ = self._graph.write(unit, request, epochs=[epoch])
        state = self._graph.state
        return [summary_of(state.models[uid]) for uid in uids if uid in state.models]

    async def import_records(
        self,
        records: ExchangeRecords,
        *,
        remote: str,
        force_tags: bool = False,
        request: RequestKey | None = None,
    ) -> RecordChanges:
        return self._graph.write(
            lambda state: import_records(state, records, remote, force_tags=force_tags), request
        )[0]


def _known(state: State, identity: ModelIdentity) -> rules.Known:
    model = state.models.get(identity.uid)
    name = state.names.get(identity.name.lower())
    parameters = None if model is None or model.parameters is None else state.sets[model.parameters.digest]
    holders = [
        summary_of(other)
        for other in state.models.values()
        if (other.name, other.version) == (identity.name, identity.version)
    ]
    return rules.Known(
        model=None if model is None else summary_of(model),
        parameters=None if parameters is None else parameters.digest,
        files=None if model is None else model.files,
        is_promised=parameters is not None and parameters.promised_by is not None,
        holder=holders[0] if holders else None,
        name=None if name is None else name.name,
    )


def _import(state: State, models: Sequence[ImportedModel]) -> None:
    found = [
        (imported, rules.standing_of(identity, _known(state, identity)))
        for imported, identity in ((each, rules.identity_of(each)) for each in models)
    ]
    rules.refuse_import(found)
    new = [imported for imported, standing in found if standing is Standing.ABSENT]
    for imported in new:
        _add(state, imported)
    for imported in new:
        _tie(state, imported.model)
    for imported, standing in found:
        if standing is Standing.PROMISED and imported.model.parameters is not None:
            keep_set(state, imported.model.parameters)


def _add(state: State, imported: ImportedModel) -> None:
    model = imported.model
    lower = model.name.lower()
    known = state.names.get(lower, Name(model.name, 0))
    state.names[lower] = Name(known.name, max(known.last_version, model.version))
    state.models[model.uid] = replace(
        model,
        state=ModelState.REMOVED if model.parameters is None else ModelState.PRESENT,
        metadata=dict(sorted(model.metadata.items())),
        datasets=tuple(sorted(set(model.datasets), key=lambda each: (each.name, each.version))),
        parents=(),
        parent_refs=(),
        previous=None,
        tags=(),
    )
    if model.parameters is not None:
        keep_set(state, model.parameters)
        state.tensors.setdefault(model.parameters.digest, imported.tensors)


def _tie(state: State, model: Model) -> None:
    state.parents[model.uid] = tuple(edge for edge in model.parents if edge.parent_uid in state.models)
    if model.previous is not None and model.previous.uid in state.models:
        state.revisions[model.uid] = model.previous.uid
