"""The demonstration's adding over a real service, with a family that takes no training."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from examples.demo.adding import Kept, add_family
from examples.demo.restoring import restore_all
from examples.minilm.family import Built
from examples.minilm.recipe import Average, Base, Member, Prune
from safetensors.numpy import save_file
from tests.running_service import RunningService

import mgit
from mgit.errors import CorruptError

pytestmark = pytest.mark.neo4j


@pytest.fixture(scope="module")
def repository(service: RunningService) -> Iterator[mgit.Repository]:
    with mgit.connect(service.address) as opened:
        yield opened


def _member(folder: Path, member: Member, key: str) -> Built:
    path = folder / key
    path.mkdir()
    weight = np.random.default_rng(list(key.encode())).random((4, 5), "f4")
    save_file({"weight": weight}, path / "model.safetensors")
    (path / "config.json").write_text("{}\n")
    metadata = {"operation": "made", "seconds": 0.0, "accuracy": 0.9, "majority": 0.5, "label_set": 2}
    return Built(member=member, key=key, path=path, metadata=metadata)


def _family(folder: Path, name: str) -> list[Built]:
    base = Member(name=name, recipe=Base())
    child = Member(name=name, version=2, parents=((base.ref, "pruned"),), previous=base.ref, recipe=Prune())
    mean = Member(
        name=f"{name}-mean", parents=((base.ref, "merged"), (child.ref, "merged")), recipe=Average()
    )
    return [_member(folder, member, f"{name}-{place}") for place, member in enumerate((base, child, mean))]


def _ignore(_: Kept) -> None: ...


def test_members_are_added_with_edges_metadata_and_data_sets(
    repository: mgit.Repository, tmp_path: Path
) -> None:
    kept = add_family(repository, _family(tmp_path, "fresh"), tmp_path / "added.json", _ignore)
    assert [(each.model.ref, each.reused) for each in kept] == [
        ("fresh@1", False),
        ("fresh@2", False),
        ("fresh-mean@1", False),
    ]
    child, mean = kept[1].model, kept[2].model
    assert child.previous is not None
    assert child.previous.ref == "fresh@1"
    assert [(edge.parent_ref, edge.relation, edge.weight) for edge in mean.parents] == [
        ("fresh@1", mgit.Relation.MERGED, 0.5),
        ("fresh@2", mgit.Relation.MERGED, 0.5),
    ]
    assert mean.metadata["accuracy"] == 0.9
    assert [dataset.name for dataset in mean.datasets] == ["python-docstrings-2"]


def test_second_time_finds_every_member_and_remembers_its_bytes(
    repository: mgit.Repository, tmp_path: Path
) -> None:
    family, record = _family(tmp_path, "again"), tmp_path / "added.json"
    first = add_family(repository, family, record, _ignore)
    second = add_family(repository, family, record, _ignore)
    assert all(each.reused for each in second)
    assert [each.model.uid for each in first] == [each.model.uid for each in second]
    assert [each.new_bytes for each in first] == [each.new_bytes for each in second]
    assert all(each.new_bytes for each in first)


def test_bytes_of_a_member_are_unknown_without_the_record(
    repository: mgit.Repository, tmp_path: Path
) -> None:
    family, record = _family(tmp_path, "unknown"), tmp_path / "added.json"
    add_family(repository, family, record, _ignore)
    record.unlink()
    assert [each.new_bytes for each in add_family(repository, family, record, _ignore)] == [None] * 3


def test_run_that_was_cut_goes_on_where_it_ended(repository: mgit.Repository, tmp_path: Path) -> None:
    family, record = _family(tmp_path, "cut"), tmp_path / "added.json"

    def interrupt(kept: Kept) -> None:
        if kept.built is family[1]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add_family(repository, family, record, interrupt)
    kept = add_family(repository, family, record, _ignore)
    assert [each.reused for each in kept] == [True, True, False]
    assert set(json.loads(record.read_text())) == {each.model.uid for each in kept}


def test_model_of_another_family_under_the_same_name_is_left_alone(
    repository: mgit.Repository, tmp_path: Path
) -> None:
    stranger = repository.add("taken", {"weight": np.zeros(3, "f4")})
    kept = add_family(repository, _family(tmp_path, "taken"), tmp_path / "added.json", _ignore)
    assert [each.model.ref for each in kept] == ["taken@2", "taken@3", "taken-mean@1"]
    assert kept[0].model.previous is None
    assert repository.get("taken@1").uid == stranger.uid


def test_removed_member_is_added_again(repository: mgit.Repository, tmp_path: Path) -> None:
    family, record = _family(tmp_path, "removed"), tmp_path / "added.json"
    first = add_family(repository, family, record, _ignore)
    repository.remove(first[2].model)
    again = add_family(repository, family, record, _ignore)
    assert [each.reused for each in again] == [True, True, False]
    assert again[2].model.ref == "removed-mean@2"


def test_every_restored_member_is_told(repository: mgit.Repository, tmp_path: Path) -> None:
    kept = add_family(repository, _family(tmp_path, "told"), tmp_path / "added.json", _ignore)
    told: list[Kept] = []
    assert restore_all(kept, told.append) == 3
    assert kept == told


def test_member_that_changed_on_disk_is_no_exact_restore(repository: mgit.Repository, tmp_path: Path) -> None:
    kept = add_family(repository, _family(tmp_path, "changed"), tmp_path / "added.json", _ignore)
    (kept[1].built.path / "config.json").write_text("{} \n")
    with pytest.raises(CorruptError, match="changed@2"):
        restore_all(kept, _ignore)
