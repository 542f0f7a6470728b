"""The lineage graph through the SDK, over the real service."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

import mgit
from mgit.errors import (
    AlreadyExistsError,
    ConflictError,
    ErrorReason,
    InvalidArgumentError,
    MGitError,
    NotFoundError,
)
from mgit.values import EdgeOrigin

pytestmark = pytest.mark.neo4j

_NUMBERS = itertools.count(1)


@pytest.fixture
def add(repo: mgit.Repository) -> Callable[..., mgit.Model]:
    """Adds a small model with content of its own."""

    def add(name: str, *parents: mgit.Parent | mgit.Model, **options: object) -> mgit.Model:
        arrays = {"w": np.full(3, next(_NUMBERS), np.int32)}
        return repo.add(name, arrays, parents=parents, **options)  # type: ignore[arg-type]

    return add


@pytest.fixture
def family(add: Callable[..., mgit.Model], request: pytest.FixtureRequest) -> dict[str, mgit.Model]:
    """base; two fine-tunes of it; their merge; a prune of the merge."""
    own = request.node.name.removeprefix("test_").replace("_", "-")
    base = add(f"{own}/base")
    a = add(f"{own}/a", mgit.finetuned(base))
    b = add(f"{own}/b", mgit.finetuned(base))
    merge = add(f"{own}/merge", mgit.merged(a, 0.25), mgit.merged(b, 0.75))
    prune = add(f"{own}/prune", mgit.pruned(merge))
    return {"base": base, "a": a, "b": b, "merge": merge, "prune": prune}


def test_what_is_said_of_a_model_is_kept(repo: mgit.Repository, add: Callable[..., mgit.Model]) -> None:
    base = add("said/base")
    model = add(
        "said/model",
        mgit.Parent(base, mgit.Relation.DISTILLED, 0.5),
        metadata={
            "epochs": 3,
            "lr": 1e-4,
            "ok": True,
            "note": "é",
            "nested": {"a": [1, None]},
            "nothing": None,
        },
        type="encoder",
        datasets=["glue@1.0", mgit.Dataset(name="squad")],
    )
    found = repo.get("said/model")
    assert found == model
    assert found.metadata == {
        "epochs": 3,
        "lr": 1e-4,
        "ok": True,
        "note": "é",
        "nested": '{"a": [1, null]}',
        "nothing": "null",
    }
    assert found.type == "encoder"
    assert [(each.name, each.version) for each in found.datasets] == [("glue", "1.0"), ("squad", "")]
    [edge] = found.parents
    assert (edge.parent_ref, edge.relation, edge.weight) == ("said/base@1", "distilled", 0.5)
    assert edge.origin is EdgeOrigin.DECLARED


def test_versions_are_counted_and_linked(repo: mgit.Repository, add: Callable[..., mgit.Model]) -> None:
    first, second = add("versions"), add("versions")
    third = add("versions", no_previous=True)
    fourth = add("versions", previous="versions@1")
    assert second.previous is not None
    assert second.previous.uid == first.uid
    assert third.previous is None
    assert fourth.previous is not None
    assert fourth.previous.ref == "versions@1"
    assert [model.version for model in repo.versions("versions")] == [4, 3, 2, 1]


def test_a_previous_version_and_none_at_once_is_refused(add: Callable[..., mgit.Model]) -> None:
    with pytest.raises(InvalidArgumentError):
        add("both", previous="both@1", no_previous=True)


def test_the_catalog_lists_the_latest_of_each_name(
    repo: mgit.Repository, add: Callable[..., mgit.Model]
) -> None:
    for name in ("catalog/b", "catalog/a", "catalog/b"):
        add(name, type="listed" if name.endswith("b") else None)
    assert [model.ref for model in repo.models("CATALOG/")] == ["catalog/a@1", "catalog/b@2"]
    assert [model.ref for model in repo.models(type="listed")] == ["catalog/b@2"]
    assert list(repo.models("catalog/nothing")) == []


def test_the_catalog_comes_in_pages(
    repo: mgit.Repository, add: Callable[..., mgit.Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mgit.repository._PAGE_SIZE", 2)
    names = [f"pages/{number}" for number in range(5)]
    for name in names:
        add(name)
    assert [model.name for model in repo.models("pages/")] == names


def test_a_tag_points_until_it_is_moved_or_deleted(
    repo: mgit.Repository, add: Callable[..., mgit.Model]
) -> None:
    first, second = add("tagged"), add("tagged")
    assert repo.tag(first, "best").model.uid == first.uid
    assert repo.get("tagged@best").uid == first.uid
    with pytest.raises(ConflictError) as caught:
        repo.tag(second, "best")
    assert caught.value.reason is ErrorReason.TAG_MOVED
    repo.tag(second, "best", force=True)
    assert [tag.model.ref for tag in repo.tags("tagged")] == ["tagged@2"]
    assert repo.get("tagged").tags == ("best",)
    assert repo.untag("tagged", "best").model.ref == "tagged@2"
    with pytest.raises(NotFoundError) as missing:
        repo.get("tagged@best")
    assert missing.value.reason is ErrorReason.TAG_NOT_FOUND


@pytest.mark.parametrize("tag", ["latest", "3", "a/b", "..", "", "a" * 10_000, "a\nb"])
def test_a_word_that_is_no_tag_is_refused(
    repo: mgit.Repository, add: Callable[..., mgit.Model], tag: str
) -> None:
    model = add("badly-tagged")
    with pytest.raises(InvalidArgumentError) as caught:
        repo.tag(model, tag)
    assert caught.value.reason is ErrorReason.INVALID_NAME


def test_relatives_come_by_hops(repo: mgit.Repository, family: dict[str, mgit.Model]) -> None:
    found = repo.ancestors(family["prune"])
    hops = {relative.model.uid: relative.hops for relative in found}
    assert hops == {
        family[name].uid: number for name, number in {"merge": 1, "a": 2, "b": 2, "base": 3}.items()
    }
    assert found.truncated is False
    assert [relative.hops for relative in repo.descendants(family["base"])] == [1, 1, 2, 3]
    assert sorted(repo.ancestor_uids(family["prune"])) == sorted(hops)
    assert sorted(repo.descendant_uids(family["merge"])) == [family["prune"].uid]
    assert repo.count_ancestors(family["prune"]) == repo.count_descendants(family["base"]) == 4


def test_relatives_are_bounded_by_relation_depth_and_limit(
    repo: mgit.Repository, family: dict[str, mgit.Model]
) -> None:
    prune, base = family["prune"], family["base"]
    assert [each.model.uid for each in repo.ancestors(prune, depth=1)] == [family["merge"].uid]
    assert len(list(repo.descendants(base, relations=["finetuned"]))) == 2
    assert repo.count_descendants(base, relations=[mgit.Relation.FINETUNED]) == 2
    assert repo.count_ancestors(prune, depth=2) == 3
    limited = repo.descendants(base, limit=2)
    assert limited.truncated is None
    assert len(list(limited)) == 2
    assert limited.truncated is True


@pytest.mark.parametrize("options", [{"depth": 0}, {"depth": -1}, {"limit": 0}, {"limit": 2**31}])
def test_a_bound_that_is_none_is_refused(repo: mgit.Repository, options: dict[str, int]) -> None:
    with pytest.raises(InvalidArgumentError):
        repo.ancestors("anything", **options)  # type: ignore[arg-type]


def test_the_lineage_has_models_and_edges(repo: mgit.Repository, family: dict[str, mgit.Model]) -> None:
    found = repo.lineage([family["a"]])
    assert {model.uid for model in found.models} == {
        family[name].uid for name in ("base", "a", "merge", "prune")
    }
    assert len(found.edges) == 3
    assert found.truncated is False
    assert repo.lineage(family["a"].ref) == found


def test_merge_bases_are_found(repo: mgit.Repository, family: dict[str, mgit.Model]) -> None:
    [base] = repo.merge_bases(family["a"], family["b"])
    assert base.uid == family["base"].uid


def test_edges_are_added_and_deleted(repo: mgit.Repository, add: Callable[..., mgit.Model]) -> None:
    older, newer = add("edges/older"), add("edges/newer")
    edge = repo.link(newer, mgit.cast(older))
    assert (edge.child_uid, edge.parent_uid, edge.relation) == (newer.uid, older.uid, "cast")
    with pytest.raises(AlreadyExistsError) as twice:
        repo.link(newer, mgit.cast(older))
    assert twice.value.reason is ErrorReason.EDGE_EXISTS
    with pytest.raises(ConflictError) as cycle:
        repo.link(older, newer)
    assert cycle.value.reason is ErrorReason.CYCLE
    repo.link("edges/newer", "edges/older")
    assert [edge.relation for edge in repo.unlink(newer, older, "cast")] == ["cast"]
    assert [edge.relation for edge in repo.unlink(newer, older)] == ["derived"]
    with pytest.raises(NotFoundError) as gone:
        repo.unlink(newer, older)
    assert gone.value.reason is ErrorReason.EDGE_NOT_FOUND


def test_version_edges_are_added_and_deleted(repo: mgit.Repository, add: Callable[..., mgit.Model]) -> None:
    older, newer = add("revisions/older"), add("revisions/newer")
    edge = repo.link_revision(newer, older)
    assert (edge.newer_uid, edge.older_uid) == (newer.uid, older.uid)
    assert repo.unlink_revision(newer, older) == edge
    with pytest.raises(NotFoundError):
        repo.unlink_revision(newer, older)


def test_who_holds_a_tensor_and_who_is_equal_is_told(repo: mgit.Repository) -> None:
    arrays = {"w": np.arange(70, 90)}
    one = repo.add("equal/one", arrays)
    two = repo.add("equal/two", arrays)
    third = repo.add("equal/third", {"other-name": np.arange(70, 90), "b": np.ones(1)})
    uses = list(repo.models_with_tensor(one.tensors["w"].digest))
    assert {(use.model.uid, use.parameter) for use in uses} == {
        (one.uid, "w"),
        (two.uid, "w"),
        (third.uid, "other-name"),
    }
    [group] = [group for group in repo.duplicates() if group.digest == one.digest]
    assert [model.ref for model in group.models] == ["equal/one@1", "equal/two@1"]


def test_the_same_request_twice_makes_one_model(repo: mgit.Repository) -> None:
    arrays = {"w": np.arange(3)}
    first = repo.add("once", arrays, request_id="only-once")
    again = repo.add("once", arrays, request_id="only-once")
    assert again.uid == first.uid
    assert again.addition is not None
    assert again.addition.repeated
    with pytest.raises(ConflictError) as caught:
        repo.add("once", {"w": np.arange(4)}, request_id="only-once")
    assert caught.value.reason is ErrorReason.REQUEST_ID_REUSED


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"parents": ["nobody"]}, ErrorReason.PARENT_NOT_FOUND),
        ({"parents": ["nobody@3"]}, ErrorReason.PARENT_NOT_FOUND),
        ({"parents": ["a..b"]}, ErrorReason.INVALID_NAME),
        ({"previous": "nobody@1"}, ErrorReason.MODEL_NOT_FOUND),
        ({"metadata": {"no key": 1}}, ErrorReason.INVALID_METADATA),
        ({"metadata": {"big": "x" * 70_000}}, ErrorReason.INVALID_METADATA),
        ({"metadata": {"object": object()}}, ErrorReason.INVALID_METADATA),
        ({"type": "a/b"}, ErrorReason.INVALID_NAME),
        ({"datasets": ["../x"]}, ErrorReason.INVALID_NAME),
    ],
)
def test_a_wrong_addition_makes_nothing(
    repo: mgit.Repository, options: dict[str, object], reason: ErrorReason
) -> None:
    parents = options.pop("parents", [])
    with pytest.raises(MGitError) as caught:
        repo.add("wrong", {"w": np.ones(1)}, parents=parents, **options)  # type: ignore[arg-type]
    assert caught.value.reason is reason
    with pytest.raises(NotFoundError):
        repo.get("wrong")


@pytest.mark.parametrize("name", ["", "a..b", "../a", "/a", "a/", "a b", "a\x00", "a" * 10_000, "é", "a@1"])
def test_a_name_that_is_none_is_refused(repo: mgit.Repository, name: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        repo.add(name, {"w": np.ones(1)})
    assert caught.value.reason is ErrorReason.INVALID_NAME
    assert len(caught.value.message) < 500


@pytest.mark.parametrize("ref", ["nobody", "nobody@1", "@01890000-0000-7000-8000-000000000000"])
def test_what_is_not_there_is_not_found(repo: mgit.Repository, ref: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        repo.get(ref)
    assert caught.value.reason is ErrorReason.MODEL_NOT_FOUND
    for ask in (repo.ancestors, repo.descendants):
        with pytest.raises(NotFoundError):
            list(ask(ref))


@pytest.mark.parametrize("ref", ["", "@", "@no-uid", "a@0", "a@", "a@b@c", "a@" + "9" * 30])
def test_a_reference_that_is_none_is_refused(repo: mgit.Repository, ref: str) -> None:
    with pytest.raises(InvalidArgumentError):
        repo.get(ref)


def test_statistics_add_up(repo: mgit.Repository, add: Callable[..., mgit.Model]) -> None:
    model = add("statistics")
    found = repo.statistics()
    assert (
        found.stored_bytes == found.pack_bytes + found.index_bytes + found.manifest_bytes + found.other_bytes
    )
    assert found.models >= 1
    assert found.ratio == found.logical_bytes / found.stored_bytes
    of_model = repo.model_statistics(model)
    assert of_model.stored_bytes == of_model.unique_bytes + of_model.shared_bytes
    assert (of_model.logical_bytes, of_model.model.uid) == (12, model.uid)
    assert [tensor.name for tensor in of_model.tensors] == ["w"]


def test_the_status_is_told(repo: mgit.Repository) -> None:
    status = repo.status()
    assert status.healthy
    assert status.problems == ()
    assert status.digest_algorithm == "blake3"
    assert status.neo4j_version.startswith("5.")


def test_a_model_shows_itself(repo: mgit.Repository, add: Callable[..., mgit.Model]) -> None:
    base = add("shown/base")
    model = add("shown/model", mgit.finetuned(base), metadata={"note": "<script>"})
    assert repr(model) == "<model shown/model@1, 1 tensors, 12 bytes, finetuned shown/base@1>"
    page = model._repr_html_()
    assert "shown/base@1 (finetuned)" in page
    assert "<script>" not in page
    assert hash(model) == hash(repo.get(model))
    with pytest.raises(AttributeError):
        model.name = "other"  # type: ignore[misc]
    assert repr(repo) == f"<repository at {repo.address}>"
