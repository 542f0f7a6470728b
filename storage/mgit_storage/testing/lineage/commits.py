"""Laws of a commit."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from mgit_core.errors import (
    ErrorReason,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)
from mgit_core.lineage import Dataset, EdgeOrigin, ParentLink, Previous, Relation
from mgit_core.ports.graph import Lineage, Page
from mgit_storage.testing.lineage.steps import add, child_of, find, refused
from mgit_storage.testing.values import fresh_uid, make_commit, make_loss

__all__ = ["CommitLaws"]

_WRITERS = 4
_EACH = 5


class CommitLaws:
    """A commit makes one model visible, whole, under the next number, or nothing at all."""

    async def test_versions_count_up_from_one(self, lineage: Lineage) -> None:
        assert [(await add(lineage, "a/b")).ref for _ in range(3)] == ["a/b@1", "a/b@2", "a/b@3"]

    async def test_a_model_reads_back_as_it_was_answered(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        link = ParentLink(parent_uid=base.uid, relation=Relation.MERGED, weight=0.5)
        commit = replace(
            make_commit("child", link),
            type="bert",
            metadata={"text": "é\n", "whole": -(2**63), "real": 0.1, "yes": True, "a.b-c": ""},
            datasets=(Dataset(name="z"), Dataset(name="a", version="2"), Dataset(name="a", version="1")),
            files=b"\7" * 32,
            files_key="files/key",
            files_bytes=7,
            loss=make_loss(base.uid),
            layer_graph=b"\6" * 32,
            layer_graph_key="layers/key",
        )
        answered = (await lineage.models.commit(commit)).model
        model = await find(lineage, "child")
        assert model == answered
        assert (model.uid, model.created_at, model.parameters) == (
            commit.uid,
            commit.created_at,
            commit.parameters,
        )
        assert (model.type, model.metadata) == ("bert", commit.metadata)
        assert [type(model.metadata[key]) for key in ("whole", "real", "yes")] == [int, float, bool]
        assert [(each.name, each.version) for each in model.datasets] == [("a", "1"), ("a", "2"), ("z", "")]
        assert (model.files, model.files_key, model.files_bytes) == (b"\7" * 32, "files/key", 7)
        assert (base.loss, model.loss) == (None, commit.loss)
        assert (model.layer_graph, model.layer_graph_key) == (b"\6" * 32, "layers/key")
        assert (base.layer_graph, base.layer_graph_key) == (None, None)

    async def test_parents_keep_their_order_and_properties(self, lineage: Lineage) -> None:
        one, two = await add(lineage, "one"), await add(lineage, "two")
        inferred = ParentLink(
            parent_uid=two.uid, relation=Relation.CAST, origin=EdgeOrigin.INFERRED, confidence=0.25
        )
        links = (inferred, *child_of(one), *child_of(two, relation=Relation.PRUNED))
        model = (await lineage.models.commit(make_commit("child", *links))).model
        assert model.parent_refs == ("two@1", "one@1", "two@1")
        assert [edge.position for edge in model.parents] == [0, 1, 2]
        assert [edge.relation for edge in model.parents] == [
            Relation.CAST,
            Relation.FINETUNED,
            Relation.PRUNED,
        ]
        first = model.parents[0]
        assert (first.origin, first.confidence, first.weight) == (EdgeOrigin.INFERRED, 0.25, None)
        assert await find(lineage, "child") == model

    async def test_a_second_version_points_to_the_first(self, lineage: Lineage) -> None:
        first, second = await add(lineage, "m"), await add(lineage, "m")
        assert second.previous is not None
        assert (first.previous, second.previous.uid) == (None, first.uid)

    async def test_a_version_edge_may_be_waived_or_chosen(self, lineage: Lineage) -> None:
        first = await add(lineage, "m")
        alone = await lineage.models.commit(make_commit("m", previous=Previous(automatic=False)))
        chosen = await lineage.models.commit(make_commit("n", previous=Previous(uid=first.uid)))
        assert chosen.model.previous is not None
        assert (alone.model.previous, chosen.model.previous.ref) == (None, "m@1")

    async def test_a_previous_version_must_exist_and_be_present(self, lineage: Lineage) -> None:
        with refused(NotFoundError, ErrorReason.MODEL_NOT_FOUND):
            await lineage.models.commit(make_commit("m", previous=Previous(uid=fresh_uid())))
        base = await add(lineage, "base")
        await add(lineage, "child", base)
        await lineage.models.remove(base.uid)
        with refused(FailedPreconditionError, ErrorReason.MODEL_REMOVED):
            await lineage.models.commit(make_commit("m", previous=Previous(uid=base.uid)))

    async def test_a_removed_version_is_nobodys_previous(self, lineage: Lineage) -> None:
        first, second = await add(lineage, "m"), await add(lineage, "m")
        await add(lineage, "child", second)
        await lineage.models.remove(second.uid)
        third = await add(lineage, "m")
        assert third.previous is not None
        assert (third.version, third.previous.uid) == (3, first.uid)

    async def test_a_name_that_differs_in_case_is_refused(self, lineage: Lineage) -> None:
        await add(lineage, "Model")
        with refused(InvalidArgumentError, ErrorReason.INVALID_NAME):
            await add(lineage, "model")
        assert (await add(lineage, "Model")).version == 2

    async def test_a_parent_that_does_not_exist_leaves_nothing(self, lineage: Lineage) -> None:
        with refused(NotFoundError, ErrorReason.PARENT_NOT_FOUND):
            await lineage.models.commit(make_commit("m", ParentLink(parent_uid=fresh_uid())))
        assert await lineage.models.list_latest(Page()) == []
        assert (await lineage.content.counts()).tensors == 0
        assert (await add(lineage, "M")).version == 1

    async def test_a_model_is_not_its_own_parent(self, lineage: Lineage) -> None:
        commit = make_commit("m")
        with refused(NotFoundError, ErrorReason.PARENT_NOT_FOUND):
            await lineage.models.commit(replace(commit, parents=(ParentLink(parent_uid=commit.uid),)))

    async def test_a_parent_named_twice_is_refused(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        with refused(InvalidArgumentError, ErrorReason.INVALID_ARGUMENT):
            await lineage.models.commit(make_commit("m", *child_of(base, base)))

    async def test_a_stale_epoch_leaves_nothing(self, lineage: Lineage) -> None:
        with refused(UnavailableError, ErrorReason.UPLOAD_STALE):
            await lineage.models.commit(make_commit("m", epoch=0))
        assert (await lineage.content.counts()).models == 0
        assert (await add(lineage, "m")).version == 1

    async def test_equal_content_is_a_new_version_that_says_so(self, lineage: Lineage) -> None:
        first = await lineage.models.commit(make_commit("m", content="same"))
        again = await lineage.models.commit(make_commit("m", content="same"))
        third = await lineage.models.commit(make_commit("a", content="same"))
        assert (first.same_as, again.same_as, third.same_as) == ((), ("m@1",), ("m@1", "m@2"))
        assert first.model.parameters == again.model.parameters, "who came first names the manifest"

    async def test_a_set_may_hold_a_tensor_twice_or_nothing(self, lineage: Lineage) -> None:
        tied = make_commit("tied", tensors=2)
        tensor = tied.tensors[0]
        await lineage.models.commit(replace(tied, tensors=(tensor, replace(tensor, name="head"))))
        await lineage.models.commit(make_commit("empty", tensors=0))
        uses = await lineage.content.models_with_tensor(tensor.digest, Page())
        assert [use.parameter for use in uses] == ["head", "layer.0"]
        assert (await lineage.content.counts()).tensors == 1

    async def test_writers_at_once_get_dense_numbers(self, lineage: Lineage) -> None:
        """They share names, parents and tensors, in opposite orders."""
        base = await add(lineage, "base")

        async def write(writer: int) -> list[tuple[str, int]]:
            names = [f"m{(number + writer) % _EACH}" for number in range(_EACH)]
            names = names if writer % 2 else names[::-1]
            commits = [make_commit(name, *child_of(base), content=f"c-{name}", tensors=20) for name in names]
            return [
                (done.model.name, done.model.version)
                for done in [await lineage.models.commit(commit) for commit in commits]
            ]

        done = await asyncio.gather(*(write(writer) for writer in range(_WRITERS)))
        expected = [(f"m{name}", number + 1) for name in range(_EACH) for number in range(_WRITERS)]
        assert sorted(pair for part in done for pair in part) == expected
        assert (await lineage.content.counts()).tensors == 2 + 20 * _EACH
