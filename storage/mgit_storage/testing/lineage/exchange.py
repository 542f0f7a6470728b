"""Laws of models that come from another store, and go to one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from mgit_core.creation import CreationRecord
from mgit_core.errors import (
    AlreadyExistsError,
    ConflictError,
    CorruptError,
    ErrorReason,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)
from mgit_core.lineage import Dataset, EdgeOrigin, ModelState, ModelSummary, Relation, RequestKey
from mgit_core.ports.exchange import ImportedModel
from mgit_core.ports.graph import Lineage, Page
from mgit_core.standings import Standing
from mgit_storage.testing.imports import (
    ELSEWHERE,
    identity_of,
    make_edge,
    make_imported,
    make_tombstone,
)
from mgit_storage.testing.lineage.steps import add, child_of, find, refs, refused
from mgit_storage.testing.values import fresh_uid, make_commit, make_loss

__all__ = ["ImportLaws", "PromiseLaws"]


async def _take(
    lineage: Lineage, *models: ImportedModel, request: RequestKey | None = None
) -> list[ModelSummary]:
    return await lineage.exchange.import_models(models, epoch=1, request=request)


async def _standings(lineage: Lineage, models: Sequence[ImportedModel]) -> list[Standing]:
    found = await lineage.exchange.standings([identity_of(model) for model in models])
    return [each.standing for each in found]


def _summary(imported: ImportedModel) -> ModelSummary:
    model = imported.model
    return ModelSummary(
        uid=model.uid,
        name=model.name,
        version=model.version,
        state=model.state,
        created_at=model.created_at,
    )


class ImportLaws:
    """A model keeps uid, number, time and edges wherever it is copied to; what is here stays as it is."""

    async def test_a_model_comes_in_as_it_was(self, lineage: Lineage) -> None:
        base = make_imported("base", 3)
        edge = make_edge("", base.model.uid, 4, relation=Relation.MERGED, weight=0.25)
        child = make_imported(
            "a/child",
            7,
            type="bert",
            metadata={"b": 1, "a": "é"},
            datasets=(Dataset(name="z"), Dataset(name="a", version="1")),
            files=b"\7" * 32,
            files_key="files/key",
            files_bytes=7,
            loss=make_loss(base.model.uid),
            layer_graph=b"\6" * 32,
            layer_graph_key="layers/key",
            creation=CreationRecord(
                entry_point="team.make:tune",
                code_digest=b"c" * 32,
                source="def tune(): ...",
                arguments={"k": 1},
                seed=3,
            ),
        )
        parents = (replace(edge, child_uid=child.model.uid),)
        child = replace(child, model=replace(child.model, parents=parents, previous=_summary(base)))
        assert await _take(lineage, child, base) == [_summary(child), _summary(base)]
        model = await find(lineage, "a/child@7")
        wanted = replace(
            child.model,
            parent_refs=("base@3",),
            datasets=(Dataset(name="a", version="1"), Dataset(name="z")),
        )
        assert model == wanted
        assert await lineage.exchange.export([model.uid, base.model.uid]) == [model, base.model]

    async def test_an_inferred_edge_stays_inferred(self, lineage: Lineage) -> None:
        base, child = make_imported("base"), make_imported("child")
        edge = make_edge(
            child.model.uid,
            base.model.uid,
            origin=EdgeOrigin.INFERRED,
            confidence=0.75,
            relation=Relation.CAST,
        )
        await _take(lineage, base, replace(child, model=replace(child.model, parents=(edge,))))
        assert (await find(lineage, "child")).parents == (edge,)

    async def test_the_last_number_rises_to_the_highest(self, lineage: Lineage) -> None:
        await add(lineage, "m")
        await _take(lineage, make_imported("m", 9), make_imported("m", 4))
        assert refs(await lineage.models.list_versions("m", Page())) == ["m@9", "m@4", "m@1"]
        assert (await add(lineage, "m")).ref == "m@10"
        await _take(lineage, make_imported("m", 2))
        assert (await add(lineage, "m")).ref == "m@11"

    async def test_what_is_here_is_imported_once(self, lineage: Lineage) -> None:
        here = await add(lineage, "m", content="x")
        known = make_imported("other/name", 5, content="x", uid=here.uid)
        new = make_imported("n", 1, here.uid)
        assert await _take(lineage, known, new) == [
            replace(_summary(known), name="m", version=1, created_at=here.created_at),
            _summary(new),
        ]
        assert await _take(lineage, known, new) == await _take(lineage, known, new)
        assert (await find(lineage, "n")).parent_refs == ("m@1",)
        with refused(NotFoundError, ErrorReason.MODEL_NOT_FOUND):
            await find(lineage, "other/name@5")
        assert (await lineage.content.counts()).models == 2

    async def test_edges_to_models_that_are_not_here_are_left_out(self, lineage: Lineage) -> None:
        stranger = _summary(make_imported("stranger"))
        await _take(lineage, make_imported("m", 1, fresh_uid(), previous=stranger))
        model = await find(lineage, "m")
        assert (model.parents, model.previous) == ((), None)

    async def test_removed_models_come_as_tombstones(self, lineage: Lineage) -> None:
        base = make_imported("base")
        gone = make_tombstone("gone", 2, base.model.uid)
        child = make_imported("child", 1, gone.model.uid)
        await _take(lineage, child, gone, base)
        model = await find(lineage, "gone@2")
        assert (model.state, model.parameters, model.parent_refs) == (ModelState.REMOVED, None, ("base@1",))
        assert (await find(lineage, "child")).parent_refs == ("gone@2",)
        with refused(NotFoundError, ErrorReason.MODEL_NOT_FOUND):
            await find(lineage, "gone")
        assert (await lineage.exchange.export([model.uid]))[0].state is ModelState.REMOVED

    async def test_what_was_removed_here_stays_removed(self, lineage: Lineage) -> None:
        base = await add(lineage, "base", content="x")
        await add(lineage, "child", base)
        await lineage.models.remove(base.uid)
        again = make_imported("base", 1, content="x", uid=base.uid)
        assert await _standings(lineage, [again]) == [Standing.REMOVED]
        assert [model.state for model in await _take(lineage, again)] == [ModelState.REMOVED]
        assert (await find(lineage, "base@1")).parameters is None

    async def test_what_was_removed_elsewhere_stays_here(self, lineage: Lineage) -> None:
        model = await add(lineage, "m")
        gone = make_tombstone("m", 1, uid=model.uid)
        assert await _standings(lineage, [gone]) == [Standing.PRESENT]
        await _take(lineage, gone)
        assert await find(lineage, "m@1") == model

    async def test_standings(self, lineage: Lineage) -> None:
        here = await add(lineage, "m", content="x")
        same = make_imported("m", 1, content="x", uid=here.uid)
        files = replace(same, model=replace(same.model, files=b"f" * 32))
        other = make_imported("m", 1, content="y", uid=here.uid)
        taken, another_case = make_imported("m", 1), make_imported("M", 2)
        wanted = [same, files, other, taken, another_case, make_imported("m", 2), make_imported("n")]
        found = await lineage.exchange.standings([identity_of(model) for model in wanted])
        assert [each.standing for each in found] == [
            Standing.PRESENT,
            Standing.DIFFERENT,
            Standing.DIFFERENT,
            Standing.NAME_TAKEN,
            Standing.NAME_TAKEN,
            Standing.ABSENT,
            Standing.ABSENT,
        ]
        holders = [None if each.model is None else each.model.uid for each in found]
        assert holders == [here.uid, here.uid, here.uid, here.uid, None, None, None]

    async def test_one_uid_with_two_contents_is_corrupt_and_nothing_comes_in(self, lineage: Lineage) -> None:
        here = await add(lineage, "m", content="x")
        with refused(CorruptError, ErrorReason.MODEL_DIFFERS):
            await _take(lineage, make_imported("new"), make_imported("m", 1, content="y", uid=here.uid))
        assert (await lineage.content.counts()).models == 1

    async def test_taken_names_are_all_named_and_nothing_comes_in(self, lineage: Lineage) -> None:
        await add(lineage, "m")
        await add(lineage, "n")
        with pytest.raises(AlreadyExistsError, match="m@1, N@3") as error:
            await _take(lineage, make_imported("m"), make_imported("N", 3), make_imported("new"))
        assert (error.value.reason, error.value.details["models"]) == (ErrorReason.NAME_TAKEN, "m@1,N@3")
        assert (await lineage.content.counts()).models == 2
        assert (await add(lineage, "New")).version == 1

    async def test_models_of_one_import_do_not_share_a_number_or_a_spelling(self, lineage: Lineage) -> None:
        for pair in (("m", 1, "m", 1), ("m", 1, "M", 2)):
            one, two = make_imported(pair[0], pair[1]), make_imported(pair[2], pair[3])
            with refused(AlreadyExistsError, ErrorReason.NAME_TAKEN):
                await _take(lineage, one, two)
        twice = make_imported("m")
        with refused(InvalidArgumentError, ErrorReason.INVALID_ARGUMENT):
            await _take(lineage, twice, twice)

    async def test_a_cycle_among_models_is_refused_and_named(self, lineage: Lineage) -> None:
        one, two = fresh_uid(), fresh_uid()
        models = [
            make_imported("one", 1, two, uid=one),
            make_imported("two", 1, previous=_summary(make_imported("one", uid=one)), uid=two),
        ]
        with pytest.raises(ConflictError, match=r"one@1 -> two@1 -> one@1|two@1 -> one@1 -> two@1") as error:
            await _take(lineage, *models)
        assert error.value.reason is ErrorReason.CYCLE
        own = fresh_uid()
        with refused(ConflictError, ErrorReason.CYCLE):
            await _take(lineage, make_imported("own", 1, own, uid=own))
        assert (await lineage.content.counts()).models == 0

    async def test_a_stale_epoch_leaves_nothing(self, lineage: Lineage) -> None:
        with refused(UnavailableError, ErrorReason.UPLOAD_STALE):
            await lineage.exchange.import_models([make_imported("m")], epoch=0)
        assert (await lineage.content.counts()).models == 0

    async def test_a_request_is_done_once(self, lineage: Lineage) -> None:
        key = RequestKey(id="r", arguments_digest=b"a" * 32)
        model = make_imported("m")
        first = await _take(lineage, model, request=key)
        assert await _take(lineage, model, request=key) == first
        with refused(ConflictError, ErrorReason.REQUEST_ID_REUSED):
            await _take(lineage, model, request=replace(key, arguments_digest=b"b" * 32))

    async def test_a_model_without_a_manifest_must_be_here(self, lineage: Lineage) -> None:
        bare = make_imported("m")
        assert bare.model.parameters is not None
        parameters = replace(bare.model.parameters, manifest_key="")
        with refused(UnavailableError, ErrorReason.TRANSACTION_CONFLICT):
            await _take(lineage, replace(bare, model=replace(bare.model, parameters=parameters)))

    async def test_two_imports_of_one_model_at_once_make_one(self, lineage: Lineage) -> None:
        models = [make_imported(f"m{number}") for number in range(3)]
        answers = await asyncio.gather(*(_take(lineage, *models) for _ in range(4)))
        assert answers == [[_summary(model) for model in models]] * 4
        assert (await lineage.content.counts()).models == 3

    async def test_an_unknown_model_is_not_exported(self, lineage: Lineage) -> None:
        model = await add(lineage, "m")
        with refused(NotFoundError, ErrorReason.MODEL_NOT_FOUND):
            await lineage.exchange.export([model.uid, fresh_uid()])


class PromiseLaws:
    """What is promised is known and counts for nothing, until it is whole."""

    async def test_a_promised_model_is_known_as_such(self, lineage: Lineage) -> None:
        model = make_imported("m", promise=ELSEWHERE)
        await _take(lineage, model)
        found = await find(lineage, "m")
        assert found == model.model
        assert found.parameters is not None
        assert found.parameters.promised_by == ELSEWHERE
        assert await _standings(lineage, [model]) == [Standing.PROMISED]
        [listed] = await lineage.content.parameter_sets(Page())
        assert listed.parameters == found.parameters
        assert [each.parameters for each in await lineage.models.list_latest(Page())] == [found.parameters]

    async def test_promised_parameters_have_no_sketch_and_no_tests_and_count_apart(
        self, lineage: Lineage
    ) -> None:
        whole = await add(lineage, "whole")
        promised = make_imported("promised", promise=ELSEWHERE)
        await _take(lineage, promised)
        assert whole.parameters is not None
        assert await lineage.sketches.lacking(Page()) == [whole.parameters]
        applicable = await lineage.model_tests.applicable([whole.uid, promised.model.uid])
        assert [each.model.uid for each in applicable] == [whole.uid]
        counts = await lineage.content.counts()
        assert (counts.models, counts.promised) == (2, 1)
        assert (counts.logical_bytes, counts.promised_bytes) == (64, 64)

    async def test_a_model_that_comes_whole_keeps_its_promise(self, lineage: Lineage) -> None:
        promised = make_imported("m", content="x", promise=ELSEWHERE)
        await _take(lineage, promised)
        await _take(lineage, promised)
        assert await _standings(lineage, [promised]) == [Standing.PROMISED]
        whole = make_imported("m", content="x", uid=promised.model.uid)
        await _take(lineage, whole)
        assert await _standings(lineage, [whole]) == [Standing.PRESENT]
        [lacking] = await lineage.sketches.lacking(Page())
        assert promised.model.parameters is not None
        assert lacking == replace(promised.model.parameters, promised_by=None), (
            "who came first names the manifest"
        )
        await _take(lineage, promised)
        assert await _standings(lineage, [promised]) == [Standing.PRESENT], "what is whole stays so"

    async def test_whoever_brings_the_parameters_makes_all_models_of_them_whole(
        self, lineage: Lineage
    ) -> None:
        await _take(lineage, make_imported("one", content="x", promise=ELSEWHERE))
        await _take(lineage, make_imported("two", content="y", promise=ELSEWHERE))
        await lineage.models.commit(make_commit("three", content="x"))
        await _take(lineage, make_imported("four", content="y"))
        found = [await find(lineage, name) for name in ("one", "two", "three", "four")]
        assert [model.parameters and model.parameters.promised_by for model in found] == [None] * 4
        assert len(await lineage.sketches.lacking(Page())) == 2

    async def test_a_promise_of_what_is_whole_here_is_not_heeded(self, lineage: Lineage) -> None:
        here = await add(lineage, "m", content="x")
        await _take(lineage, make_imported("n", 1, here.uid, content="x", promise=ELSEWHERE))
        model = await find(lineage, "n")
        assert model.parameters == here.parameters

    async def test_a_promised_model_may_be_a_parent(self, lineage: Lineage) -> None:
        await _take(lineage, make_imported("base", promise=ELSEWHERE))
        child = await add(lineage, "child", await find(lineage, "base"))
        assert child.parent_refs == ("base@1",)
        commit = make_commit("other", *child_of(child), content="z")
        assert (await lineage.models.commit(commit)).model.version == 1
