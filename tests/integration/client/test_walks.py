"""Walks through the SDK, over the real service: decided there or, for functions, here."""

from __future__ import annotations

import itertools
import random
import threading
from typing import Any

import numpy as np
import pytest

import mgit
from mgit.errors import ErrorReason, InvalidArgumentError, NotFoundError
from mgit.walking import WalkedModel
from mgit_core.walks.question import WalkDirection, WalkEdges, WalkOrder

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]

_NUMBERS = itertools.count(1)
_SIZE = 14


def add(repo: mgit.Repository, name: str, *parents: mgit.Parent | mgit.Model, **more: Any) -> mgit.Model:
    return repo.add(name, {"w": np.full(3, next(_NUMBERS), np.int32)}, parents=parents, progress=None, **more)


@pytest.fixture(scope="module")
def family(repo: mgit.Repository) -> list[mgit.Model]:
    """A random lineage with diamonds and version edges, the same in each run."""
    chance = random.Random(7)
    models: list[mgit.Model] = []
    for number in range(_SIZE):
        parents = chance.sample(models, min(len(models), chance.randrange(3)))
        kind = chance.choice([mgit.finetuned, mgit.merged])
        models.append(add(repo, f"w/m{number % 9}", *map(kind, parents), metadata={"number": number}))
    return models


def refs(walk: mgit.walking.Walk) -> list[tuple[str, int]]:  # type: ignore[name-defined]
    return [(each.ref, each.hops) for each in walk]


@pytest.mark.parametrize("order", WalkOrder)
@pytest.mark.parametrize("direction", WalkDirection)
@pytest.mark.parametrize("edges", WalkEdges)
def test_what_is_decided_here_is_what_the_service_decides(
    repo: mgit.Repository, family: list[mgit.Model], order: str, direction: str, edges: str
) -> None:
    """Names go to the service; a function makes the same walk here."""
    choices: dict[str, Any] = {"order": order, "direction": direction, "edges": edges}
    skipped, stopped = {family[3].uid, family[9].uid}, {family[6].uid}
    for starts in ([], [family[0]], [family[4].ref, family[11]]):
        for depth, limit in ((None, None), (2, None), (None, 3)):
            bounds = {"depth": depth, "limit": limit}
            there = repo.walk(starts, skip=[family[3], family[9].ref], stop=family[6], **bounds, **choices)
            here = repo.walk(
                starts,
                skip=lambda model: model.uid in skipped,
                stop=lambda model: model.uid in stopped,
                **bounds,
                **choices,
            )
            assert refs(there) == refs(here)
            assert there.truncated == here.truncated
            mixed = repo.walk(
                starts, skip=lambda model: model.uid in skipped, stop=[family[6].ref], **bounds, **choices
            )
            assert refs(mixed) == refs(
                repo.walk(starts, skip=skipped_refs(family), stop=family[6], **bounds, **choices)
            )


def skipped_refs(family: list[mgit.Model]) -> list[str]:
    return [family[3].ref, f"@{family[9].uid}"]


def test_a_walk_gives_models_whose_rest_is_looked_up_once(
    repo: mgit.Repository, family: list[mgit.Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    get = mgit.Repository.get

    def counted(self: mgit.Repository, model: Any) -> mgit.Model:
        asked.append(model)
        return get(self, model)

    monkeypatch.setattr(mgit.Repository, "get", counted)
    found = {each.uid: each for each in repo.walk(skip=lambda model: model.name == "elsewhere")}
    assert not asked
    model, expected = found[family[5].uid], family[5]
    assert (model.ref, model.version, model.state) == (expected.ref, expected.version, expected.state)
    assert model.created_at == expected.created_at
    assert model.metadata == {"number": 5}
    assert model.model == expected
    assert (model.type, model.tags, model.parents) == (None, (), expected.parents)
    assert [*model.tensors] == ["w"]
    np.testing.assert_array_equal(model.load(progress=None)["w"], expected.load(progress=None)["w"])
    assert asked == [f"@{expected.uid}"]
    assert repr(model) == f"<{expected.ref}, {model.hops} hop{'' if model.hops == 1 else 's'}>"


def test_functions_may_look_at_everything_of_a_model(repo: mgit.Repository, family: list[mgit.Model]) -> None:
    """What a function looked up is not asked again of the model that comes."""
    found = list(repo.walk(skip=lambda model: model.metadata.get("number", 0) % 2))
    assert {each.metadata["number"] for each in found if each.name.startswith("w/")} == set(
        range(0, _SIZE, 2)
    )
    assert len(family) == _SIZE


def test_a_stop_may_follow_from_results(repo: mgit.Repository) -> None:
    """Whoever tests a chain and stops at failures does not see what was made from the first bad one."""
    chain = [add(repo, "chain/0")]
    for number in range(1, 6):
        chain.append(add(repo, f"chain/{number}", mgit.finetuned(chain[-1])))
    bad = set[str]()
    walk = repo.walk(
        chain[0], order="parents-first", stop=lambda model: any(e.parent_uid in bad for e in model.parents)
    )
    seen = []
    for mapped in repo.map(lambda model: model.name != "chain/2", walk, progress=None):
        seen.append(mapped.model.name)
        if not mapped.get():
            bad.add(mapped.model.uid)
    assert seen == ["chain/0", "chain/1", "chain/2"]


def test_a_function_over_a_walk_gives_results_in_order(
    repo: mgit.Repository, family: list[mgit.Model]
) -> None:
    def weigh(model: WalkedModel) -> int:
        if model.uid == family[2].uid:
            raise ArithmeticError(model.ref)
        return int(model.load(progress=None)["w"].sum())

    walk = repo.walk([family[0], family[1], family[2]], order="parents-first")
    told: list[tuple[int, int]] = []
    found = list(repo.map(weigh, walk, workers=3, progress=lambda done, total: told.append((done, total))))
    uids = [each.uid for each in repo.walk(family[:3], order="parents-first")]
    assert [each.model.uid for each in found] == uids
    assert [str(each.error) for each in found if each.error] == [family[2].ref]
    assert [each.result is None for each in found] == [each.error is not None for each in found]
    assert told == [(done, 0) for done in range(1, len(found) + 1)]


def test_the_version_before_and_the_next_one(repo: mgit.Repository) -> None:
    first, second = add(repo, "v"), add(repo, "v")
    fork = add(repo, "v/fork", previous=first)
    late = add(repo, "v")
    forward = repo.walk(first, edges="version", order="depth-first")
    assert [each.ref for each in forward] == ["v@1", "v@2", "v@3", "v/fork@1"]
    back = repo.walk(late, edges="version", direction="ancestors")
    assert [each.ref for each in back] == ["v@3", "v@2", "v@1"]
    assert repo.next_version(second) == late
    assert repo.next_version("v@3") is None
    assert repo.next_version(first, towards=late) == second
    assert repo.next_version(first, towards=fork) == fork
    for refused in ({}, {"towards": first}):
        with pytest.raises(InvalidArgumentError) as caught:
            repo.next_version(first, **refused)
        assert caught.value.reason is ErrorReason.INVALID_ARGUMENT
    assert "found none" in caught.value.message


def test_more_names_than_a_request_takes_are_walked_around(
    repo: mgit.Repository, family: list[mgit.Model]
) -> None:
    walk = repo.walk(family[0], stop=[family[0]] * 1_500)
    assert list(walk) == []
    assert list(repo.walk(family[0], skip=[*family, *family[:1] * 1_500], edges="all")) == []


def test_a_walk_that_is_left_ends_the_question(repo: mgit.Repository, family: list[mgit.Model]) -> None:
    assert len(family) == _SIZE
    with repo.walk() as walk:
        assert next(walk).hops == 0
    assert list(walk) == []
    assert not [each for each in threading.enumerate() if each.name == "mgit walk" and _outlives(each)]


def _outlives(thread: threading.Thread) -> bool:
    thread.join(30)
    return thread.is_alive()


def test_a_model_that_vanishes_during_a_walk_is_still_named(repo: mgit.Repository) -> None:
    lonely = add(repo, "vanish/one")
    walk = repo.walk([lonely, add(repo, "vanish/two")])
    assert next(walk).ref == "vanish/one@1"
    repo.remove("vanish/two")
    [last] = list(walk)
    assert last.ref == "vanish/two@1"
    with pytest.raises(NotFoundError) as caught:
        last.load(progress=None)
    assert caught.value.reason is ErrorReason.MODEL_NOT_FOUND


@pytest.mark.parametrize(
    "choices",
    [
        {"order": "sideways"},
        {"direction": "up"},
        {"edges": "some"},
        {"depth": 0},
        {"depth": -1},
        {"limit": 0},
        {"relations": ["cousin"]},
    ],
)
def test_a_walk_that_cannot_be_is_refused_at_once(repo: mgit.Repository, choices: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        repo.walk(**choices)


def test_what_is_not_there_is_told_when_the_walk_begins(repo: mgit.Repository) -> None:
    walks = [
        repo.walk("w/nobody"),
        repo.walk("w/m0", skip=["w/nobody"]),
        repo.walk("w/m0", skip=lambda _model: False, stop="w/nobody"),
    ]
    for walk in walks:
        with pytest.raises(NotFoundError) as caught:
            next(walk)
        assert caught.value.reason is ErrorReason.MODEL_NOT_FOUND
    with pytest.raises(InvalidArgumentError) as refused:
        next(repo.walk(["w/m0"] * 1_001))
    assert refused.value.reason is ErrorReason.INVALID_ARGUMENT
