"""Laws of model tests: their names, what they apply to, and what happens to them when models go."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from mgit_core.errors import (
    AlreadyExistsError,
    ConflictError,
    ErrorReason,
    FailedPreconditionError,
    MGitError,
    NotFoundError,
)
from mgit_core.lineage import Dataset, Model, ModelState, RequestKey
from mgit_core.metric import MetricDirection
from mgit_core.model_tests import ModelTest, ModelTestKind
from mgit_core.ports.graph import Lineage, Page
from mgit_storage.testing.lineage.steps import add, find, refused
from mgit_storage.testing.values import fresh_uid, make_commit, make_model_test

__all__ = ["ModelTestLaws"]

_LATER = timedelta(hours=1)


def _key(name: str, content: int = 1) -> RequestKey:
    return RequestKey(id=name, arguments_digest=bytes([content]) * 32)


async def _typed(lineage: Lineage, name: str, type_name: str) -> Model:
    commit = replace(make_commit(name), type=type_name)
    return (await lineage.models.commit(commit)).model


async def _names(lineage: Lineage, models: Sequence[Model]) -> dict[str, list[str]]:
    found = await lineage.model_tests.applicable([model.uid for model in models])
    return {each.model.ref: [test.name for test in each.tests] for each in found}


class ModelTestLaws:
    """A test is found by its name until it is deregistered, and by its uid forever."""

    async def test_a_test_is_kept_as_it_was_registered(self, lineage: Lineage) -> None:
        test = make_model_test(
            "quality/Accuracy",
            code_digest=b"c" * 32,
            arguments={"text": "é", "whole": 1, "number": 1.0, "tiny": 5e-324, "flag": True},
            dataset=Dataset(name="glue", version="2"),
            inputs_uri="inputs/glue.json",
            inputs_digest=b"i" * 32,
            direction=MetricDirection.LOWER,
            threshold=0.1 + 0.2,
            tolerance=1 / 3,
            timeout_s=1.5,
        )
        registered = await lineage.model_tests.register(test)
        assert registered == test
        assert await lineage.model_tests.get("QUALITY/accuracy") == test
        kept = await lineage.model_tests.get(f"@{test.uid}")
        assert kept == test
        kinds = {key: type(value) for key, value in kept.arguments.items()}
        assert kinds == {"text": str, "whole": int, "number": float, "tiny": float, "flag": bool}

    async def test_what_was_not_given_stays_absent(self, lineage: Lineage) -> None:
        test = make_model_test("bare", kind=ModelTestKind.BUILTIN, code="finite", threshold=None)
        assert await lineage.model_tests.register(test) == test
        kept = await lineage.model_tests.get("bare")
        assert (kept.threshold, kept.dataset, kept.code_digest, kept.arguments) == (None, None, b"", {})

    async def test_a_test_of_a_model_tells_its_reference(self, lineage: Lineage) -> None:
        await add(lineage, "m")
        model = await add(lineage, "m")
        registered = await lineage.model_tests.register(make_model_test("t", model=model))
        assert (registered.model_uid, registered.model_ref) == (model.uid, "m@2")
        assert await lineage.model_tests.get("t") == registered

    async def test_a_name_is_registered_once_whatever_its_case(self, lineage: Lineage) -> None:
        first = await lineage.model_tests.register(make_model_test("Sane"))
        with refused(AlreadyExistsError, ErrorReason.TEST_EXISTS):
            await lineage.model_tests.register(make_model_test("sANE"))
        assert await lineage.model_tests.list_page(Page()) == [first]

    async def test_of_rivals_for_a_name_one_gets_it(self, lineage: Lineage) -> None:
        rivals = [make_model_test(name) for name in ("rival", "Rival", "rival", "RIVAL")]
        answers = await asyncio.gather(
            *(lineage.model_tests.register(test) for test in rivals), return_exceptions=True
        )
        lost = [answer for answer in answers if isinstance(answer, MGitError)]
        assert [error.reason for error in lost] == [ErrorReason.TEST_EXISTS] * 3
        won = [answer for answer in answers if isinstance(answer, ModelTest)]
        assert await lineage.model_tests.list_page(Page()) == won

    async def test_of_rivals_that_replace_all_are_done_on_one_test(self, lineage: Lineage) -> None:
        rivals = [make_model_test("rival", threshold=at / 8) for at in range(4)]
        answers = await asyncio.gather(*(lineage.model_tests.register(test, replace=True) for test in rivals))
        assert len({answer.uid for answer in answers}) == 1
        [left] = await lineage.model_tests.list_page(Page())
        assert left in answers

    async def test_a_replaced_test_keeps_uid_and_age(self, lineage: Lineage) -> None:
        model = await add(lineage, "m")
        first = await lineage.model_tests.register(make_model_test("T", model=model))
        later = first.created_at + _LATER
        other = make_model_test(
            "t", type_name="bert", code="checks:loss", threshold=None, created_at=later, updated_at=later
        )
        second = await lineage.model_tests.register(other, replace=True)
        assert second == replace(other, uid=first.uid, created_at=first.created_at)
        assert await lineage.model_tests.get("T") == second
        assert await _names(lineage, [model]) == {"m@1": []}

    async def test_the_same_definition_again_changes_nothing(self, lineage: Lineage) -> None:
        model = await add(lineage, "m")
        first = await lineage.model_tests.register(make_model_test("t", model=model, arguments={"a": 1}))
        again = make_model_test("t", model=model, arguments={"a": 1}, updated_at=first.updated_at + _LATER)
        assert await lineage.model_tests.register(again, replace=True) == first
        other = replace(again, arguments={"a": True})
        assert (await lineage.model_tests.register(other, replace=True)).updated_at == again.updated_at

    async def test_replacing_what_is_not_there_registers_it(self, lineage: Lineage) -> None:
        test = make_model_test("t")
        assert await lineage.model_tests.register(test, replace=True) == test

    async def test_a_deregistered_test_gives_its_name_back(self, lineage: Lineage) -> None:
        model = await add(lineage, "m")
        first = await lineage.model_tests.register(make_model_test("t", model=model))
        assert await lineage.model_tests.remove(first.uid) == first
        with refused(NotFoundError, ErrorReason.TEST_NOT_FOUND):
            await lineage.model_tests.get("t")
        gone = await lineage.model_tests.get(f"@{first.uid}")
        assert gone == replace(first, is_removed=True)
        assert await lineage.model_tests.remove(first.uid) == gone
        assert await _names(lineage, [model]) == {"m@1": []}
        second = await lineage.model_tests.register(make_model_test("t"))
        assert await lineage.model_tests.list_page(Page()) == [second]
        assert await lineage.model_tests.get(f"@{first.uid}") == gone

    async def test_a_test_that_is_deregistered_and_replaced_at_once_does_not_come_back(
        self, lineage: Lineage
    ) -> None:
        """Either it was replaced first, or the other one is new: what somebody removed stays removed."""
        for number in range(6):
            first = await lineage.model_tests.register(make_model_test(f"t{number}"))
            other = make_model_test(f"t{number}", threshold=0.25)
            await asyncio.gather(
                lineage.model_tests.remove(first.uid), lineage.model_tests.register(other, replace=True)
            )
            assert (await lineage.model_tests.get(f"@{first.uid}")).is_removed

    async def test_a_test_that_is_not_there_is_not_found(self, lineage: Lineage) -> None:
        with refused(NotFoundError, ErrorReason.TEST_NOT_FOUND):
            await lineage.model_tests.get("none")
        with refused(NotFoundError, ErrorReason.TEST_NOT_FOUND):
            await lineage.model_tests.get(f"@{fresh_uid()}")
        with refused(NotFoundError, ErrorReason.TEST_NOT_FOUND):
            await lineage.model_tests.remove(fresh_uid())

    async def test_tests_come_in_pages_by_name(self, lineage: Lineage) -> None:
        for name in ("b", "A", "c/x", "C"):
            await lineage.model_tests.register(make_model_test(name))
        found: list[str] = []
        page = Page(size=3)
        while part := await lineage.model_tests.list_page(page):
            found += [test.name for test in part]
            page = Page(size=3, after=part[-1].name)
        assert found == ["A", "b", "C", "c/x"]

    async def test_a_model_has_its_own_tests_its_types_and_those_of_all(self, lineage: Lineage) -> None:
        bert, other, bare = (
            await _typed(lineage, "bert", "bert"),
            await _typed(lineage, "vit", "vit"),
            await add(lineage, "bare"),
        )
        register = lineage.model_tests.register
        await register(make_model_test("c-own", model=bert))
        await register(make_model_test("B-type", type_name="bert"))
        await register(make_model_test("a-all"))
        gone = await register(make_model_test("gone"))
        await lineage.model_tests.remove(gone.uid)
        assert await _names(lineage, [other, bare, bert, other]) == {
            "vit@1": ["a-all"],
            "bare@1": ["a-all"],
            "bert@1": ["a-all", "B-type", "c-own"],
        }
        [found] = await lineage.model_tests.applicable([bert.uid])
        assert bert.parameters is not None
        assert (found.model.uid, found.parameters_digest) == (bert.uid, bert.parameters.digest)
        assert found.tests[2] == await lineage.model_tests.get("c-own")

    async def test_a_type_may_have_tests_before_it_has_models(self, lineage: Lineage) -> None:
        test = await lineage.model_tests.register(make_model_test("t", type_name="later"))
        assert (test.type, test.model_uid) == ("later", None)
        model = await _typed(lineage, "m", "later")
        assert await _names(lineage, [model]) == {"m@1": ["t"]}
        await lineage.models.remove(model.uid)
        assert await _names(lineage, [await _typed(lineage, "m", "later")]) == {"m@2": ["t"]}

    async def test_nothing_applies_where_nothing_is_asked(self, lineage: Lineage) -> None:
        await lineage.model_tests.register(make_model_test("t"))
        assert await lineage.model_tests.applicable([]) == []

    async def test_no_test_applies_to_a_model_that_is_not_there(self, lineage: Lineage) -> None:
        model = await add(lineage, "m")
        with refused(NotFoundError, ErrorReason.MODEL_NOT_FOUND):
            await lineage.model_tests.applicable([model.uid, fresh_uid()])
        with refused(NotFoundError, ErrorReason.MODEL_NOT_FOUND):
            await lineage.model_tests.register(
                replace(make_model_test("t", model=model), model_uid=fresh_uid())
            )
        assert await lineage.model_tests.list_page(Page()) == []

    async def test_a_model_with_a_test_leaves_a_tombstone(self, lineage: Lineage) -> None:
        model = await add(lineage, "m")
        test = await lineage.model_tests.register(make_model_test("t", model=model))
        await lineage.models.remove(model.uid)
        assert (await find(lineage, "m@1")).state is ModelState.REMOVED
        assert await lineage.model_tests.get("t") == test
        assert await _names(lineage, [model]) == {}
        with refused(FailedPreconditionError, ErrorReason.MODEL_REMOVED):
            await lineage.model_tests.register(make_model_test("u", model=model))

    async def test_requests_return_the_first_answer(self, lineage: Lineage) -> None:
        test = make_model_test("t")
        first = await lineage.model_tests.register(test, request=_key("r"))
        await lineage.model_tests.register(make_model_test("t", threshold=9.0), replace=True)
        assert await lineage.model_tests.register(make_model_test("t"), request=_key("r")) == first
        removed = await lineage.model_tests.remove(first.uid, _key("gone"))
        assert (removed.threshold, removed.is_removed) == (9.0, False)
        assert await lineage.model_tests.remove(first.uid, _key("gone")) == removed
        with refused(ConflictError, ErrorReason.REQUEST_ID_REUSED):
            await lineage.model_tests.register(make_model_test("u"), request=_key("r", 2))
        with refused(ConflictError, ErrorReason.REQUEST_ID_REUSED):
            await lineage.model_tests.remove(first.uid, _key("gone", 2))
