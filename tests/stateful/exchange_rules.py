"""Rules that bring models and records of another store, and ask for both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule
from tests.stateful.twins import Refused, Twins, models, requests

from mgit_core.bugs import BugState, DatasetSubject, ModelSubject, TensorSubject
from mgit_core.lineage import Dataset, Model, ModelState, ModelSummary, Relation, RevisionEdge, Tag
from mgit_core.names import Reference
from mgit_core.ports.exchange import ExchangeRecords, ImportedModel, KeptResult
from mgit_core.ports.graph import Lineage, Page
from mgit_storage.testing.imports import ELSEWHERE, identity_of, make_edge, make_imported, make_tombstone
from mgit_storage.testing.values import fresh_uid, make_bug, make_commit, make_model_test, make_result

__all__ = ["ExchangeRules"]

_NAMES = ("a", "b", "B", "hub/a")
_LONG_AGO, _LATER = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_RELATIONS = (Relation.FINETUNED, Relation.MERGED)


@dataclass(frozen=True)
class Arrival:
    """A model before those that it points to are known; ``known`` is a model that is here already."""

    name: str
    version: int
    content: str
    parents: list[int]
    previous: int | None
    known: int | None
    is_promised: bool
    is_removed: bool


arrivals = st.builds(
    Arrival,
    name=st.sampled_from(_NAMES),
    version=st.integers(min_value=1, max_value=5),
    content=st.sampled_from(("x", "y", "z")),
    parents=st.lists(models, max_size=2, unique=True),
    previous=st.one_of(st.none(), models),
    known=st.one_of(st.none(), st.none(), models),
    is_promised=st.booleans(),
    is_removed=st.sampled_from((False, False, False, True)),
)


@dataclass(frozen=True)
class Parcel:
    """Records before their models are known."""

    edges: list[tuple[int, int, Relation]]
    revisions: list[tuple[int, int]]
    tags: list[tuple[int, str]]
    tested: list[int]
    affected: list[int]
    is_late: bool
    is_removed: bool


pairs = st.tuples(models, models)
parcels = st.builds(
    Parcel,
    edges=st.lists(st.tuples(models, models, st.sampled_from(_RELATIONS)), max_size=3),
    revisions=st.lists(pairs, max_size=2),
    tags=st.lists(st.tuples(models, st.sampled_from(("one", "two"))), max_size=2),
    tested=st.lists(models, max_size=2, unique=True),
    affected=st.lists(models, max_size=2, unique=True),
    is_late=st.booleans(),
    is_removed=st.sampled_from((False, False, True)),
)


class ExchangeRules(Twins):
    """Imports and exports; what is imported may be anything that another store can have."""

    def __init__(self) -> None:
        super().__init__()
        self.test_elsewhere = make_model_test("t", threshold=0.25)
        self.bug_elsewhere = make_bug("of another store", ModelSubject(fresh_uid()))

    def _arriving(self, arrival: Arrival) -> ImportedModel:
        uid = fresh_uid() if arrival.known is None else self.uid(arrival.known)
        older = None if arrival.previous is None else _summary(self.uid(arrival.previous))
        fields: dict[str, Any] = {"uid": uid, "content": arrival.content, "previous": older}
        parents = map(self.uid, arrival.parents)
        if arrival.is_removed:
            return make_tombstone(arrival.name, arrival.version, *parents, **fields)
        promise = ELSEWHERE if arrival.is_promised else None
        return make_imported(arrival.name, arrival.version, *parents, promise=promise, **fields)

    @rule(arriving=st.lists(arrivals, min_size=1, max_size=3), request=requests)
    def import_models(self, arriving: list[Arrival], request: int | None) -> None:
        wanted = list(map(self._arriving, arriving))
        self.ask(lambda lineage: _standings(lineage, wanted))
        key = self.key(request, "import", [arrival.name for arrival in arriving])
        answer = self.ask(
            lambda lineage: lineage.exchange.import_models(wanted, epoch=self.epoch, request=key)
        )
        if not isinstance(answer, Refused):
            self.uids += [model.uid for model in answer if model.uid not in self.uids]

    @rule(parcel=parcels, force=st.booleans(), request=requests)
    def import_records(self, parcel: Parcel, force: bool, request: int | None) -> None:  # noqa: FBT001 - drawn
        moment = _LATER if parcel.is_late else _LONG_AGO
        test = replace(self.test_elsewhere, updated_at=moment, threshold=0.75, is_removed=parcel.is_removed)
        tested = [self._found(self.uid(each)) for each in parcel.tested]
        results = [
            make_result(test, model, 0.5) for model in tested if isinstance(model, Model) and model.parameters
        ]
        data = (
            DatasetSubject(Dataset(name="docs")),
            TensorSubject(make_commit("m", content="x").tensors[0].digest),
        )
        bug = replace(
            self.bug_elsewhere,
            affects=(*(ModelSubject(self.uid(each)) for each in parcel.affected), *data),
            fixed_in=tuple(_summary(self.uid(each)) for each in parcel.affected[:1]),
            state=BugState.CLOSED if parcel.is_late else BugState.OPEN,
            updated_at=moment,
        )
        records = ExchangeRecords(
            edges=tuple(
                make_edge(self.uid(child), self.uid(parent), position, relation=relation)
                for position, (child, parent, relation) in enumerate(parcel.edges)
            ),
            revisions=tuple(
                RevisionEdge(newer_uid=self.uid(newer), older_uid=self.uid(older))
                for newer, older in parcel.revisions
            ),
            tags=tuple(
                Tag(model_name="there", tag=tag, model=_summary(self.uid(model)))
                for model, tag in parcel.tags
            ),
            tests=(test, replace(test, uid=test.uid[:-1] + "f", name="T")),
            results=tuple(KeptResult(result=result, measurement=b"m" * 32) for result in results),
            bugs=(bug,),
        )
        key = self.key(request, "records", parcel)
        self.ask(
            lambda lineage: lineage.exchange.import_records(
                records, remote="hub", force_tags=force, request=key
            )
        )
        self.ask(lambda lineage: lineage.model_tests.list_page(Page()))

    def _found(self, uid: str) -> Model | Refused:
        return self.ask(lambda lineage: lineage.models.get(Reference(uid=uid)))

    @rule(asked=st.lists(models, max_size=4, unique=True))
    def export(self, asked: list[int]) -> None:
        uids = list(dict.fromkeys(map(self.uid, asked)))
        self.ask(lambda lineage: lineage.exchange.export(uids))
        self.ask(lambda lineage: _records(lineage, uids))


def _summary(uid: str) -> ModelSummary:
    return ModelSummary(uid=uid, name="there", version=1, state=ModelState.PRESENT, created_at=_LONG_AGO)


async def _standings(lineage: Lineage, wanted: list[ImportedModel]) -> list[Any]:
    return await lineage.exchange.standings(list(map(identity_of, wanted)))


async def _records(lineage: Lineage, uids: list[str]) -> list[Any]:
    found = await lineage.exchange.export_records(uids)
    return [found.edges, found.revisions, found.tags, found.tests, found.results, found.bugs]
