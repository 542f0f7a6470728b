"""Laws of idempotent requests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from mgit_core.errors import ConflictError, ErrorReason, NotFoundError
from mgit_core.lineage import ParentLink, RequestKey
from mgit_core.ports.graph import Lineage, Page
from mgit_storage.testing.lineage.steps import add, refused
from mgit_storage.testing.values import fresh_uid, make_commit

__all__ = ["RequestLaws"]


def _key(name: str, content: int = 1) -> RequestKey:
    return RequestKey(id=name, arguments_digest=bytes([content]) * 32)


class RequestLaws:
    """A request id does its change once, and its answer is the first one however the graph has changed."""

    async def test_the_same_request_returns_the_first_answer(self, lineage: Lineage) -> None:
        first = await lineage.models.commit(make_commit("m", content="same"), _key("r"))
        await lineage.tags.put(first.model.uid, "later")
        again = await lineage.models.commit(make_commit("m", content="same"), _key("r"))
        assert again == replace(first, repeated=True)
        assert not first.repeated
        assert len(await lineage.models.list_versions("m", Page())) == 1

    async def test_a_commit_is_found_by_its_request(self, lineage: Lineage) -> None:
        assert await lineage.models.find_commit(_key("r")) is None
        first = await lineage.models.commit(make_commit("m"), _key("r"))
        await lineage.models.remove(first.model.uid)
        assert await lineage.models.find_commit(_key("r")) == replace(first, repeated=True)
        assert await lineage.models.find_commit(_key("s")) is None
        with refused(ConflictError, ErrorReason.REQUEST_ID_REUSED):
            await lineage.models.find_commit(_key("r", 2))

    async def test_an_answer_outlives_its_model(self, lineage: Lineage) -> None:
        first = await lineage.models.commit(make_commit("m"), _key("r"))
        removed = await lineage.models.remove(first.model.uid, _key("gone"))
        assert await lineage.models.commit(make_commit("m"), _key("r")) == replace(first, repeated=True)
        assert await lineage.models.remove(first.model.uid, _key("gone")) == removed == first.model
        assert (await lineage.content.counts()).models == 0

    async def test_a_request_id_with_other_arguments_is_refused(self, lineage: Lineage) -> None:
        model = (await lineage.models.commit(make_commit("m"), _key("r"))).model
        link = ParentLink(parent_uid=model.uid)
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: lineage.models.commit(make_commit("m"), _key("r", 2)),
            lambda: lineage.models.remove(model.uid, _key("r", 2)),
            lambda: lineage.tags.put(model.uid, "t", request=_key("r", 2)),
            lambda: lineage.tags.delete("m", "t", _key("r", 2)),
            lambda: lineage.edges.link(model.uid, link, _key("r", 2)),
            lambda: lineage.edges.unlink(model.uid, model.uid, None, _key("r", 2)),
            lambda: lineage.edges.link_revision(model.uid, model.uid, _key("r", 2)),
            lambda: lineage.edges.unlink_revision(model.uid, model.uid, _key("r", 2)),
        ]
        for call in calls:
            with refused(ConflictError, ErrorReason.REQUEST_ID_REUSED):
                await call()

    async def test_a_request_that_failed_may_be_sent_again(self, lineage: Lineage) -> None:
        parent = make_commit("base")
        link = ParentLink(parent_uid=parent.uid)
        with refused(NotFoundError, ErrorReason.PARENT_NOT_FOUND):
            await lineage.models.commit(make_commit("m", link), _key("r"))
        await lineage.models.commit(parent)
        done = await lineage.models.commit(make_commit("m", link), _key("r"))
        assert (done.model.ref, done.repeated) == ("m@1", False)

    async def test_one_request_sent_by_many_at_once_makes_one_model(self, lineage: Lineage) -> None:
        answers = await asyncio.gather(
            *(lineage.models.commit(make_commit("m"), _key("r")) for _ in range(6))
        )
        assert {answer.model.uid for answer in answers} == {answers[0].model.uid}
        assert sorted(answer.repeated for answer in answers) == [False, *[True] * 5]
        assert len(await lineage.models.list_versions("m", Page())) == 1

    async def test_tag_requests_return_the_first_answer(self, lineage: Lineage) -> None:
        first, second = await add(lineage, "m"), await add(lineage, "m")
        put = await lineage.tags.put(first.uid, "t", request=_key("put"))
        await lineage.tags.put(second.uid, "t", force=True)
        assert await lineage.tags.put(first.uid, "t", request=_key("put")) == put
        deleted = await lineage.tags.delete("m", "t", _key("delete"))
        assert await lineage.tags.delete("m", "t", _key("delete")) == deleted
        assert deleted.model.ref == "m@2"

    async def test_edge_requests_return_the_first_answer(self, lineage: Lineage) -> None:
        base, child = await add(lineage, "base"), await add(lineage, "child")
        link, edges = ParentLink(parent_uid=base.uid), lineage.edges
        made = await edges.link(child.uid, link, _key("link"))
        gone = await edges.unlink(child.uid, base.uid, None, _key("unlink"))
        assert gone == [made]
        assert await edges.link(child.uid, link, _key("link")) == made
        assert await edges.unlink(child.uid, base.uid, None, _key("unlink")) == gone
        revision = await edges.link_revision(child.uid, base.uid, _key("newer"))
        assert await edges.link_revision(child.uid, base.uid, _key("newer")) == revision
        assert await edges.unlink_revision(child.uid, base.uid, _key("older")) == revision
        assert await edges.unlink_revision(child.uid, base.uid, _key("older")) == revision
        assert (await lineage.content.counts()).edges == 0

    async def test_requests_of_different_ids_are_different_changes(self, lineage: Lineage) -> None:
        for name in (fresh_uid(), "r", "R"):
            await lineage.models.commit(make_commit("m"), _key(name))
        assert len(await lineage.models.list_versions("m", Page())) == 3
