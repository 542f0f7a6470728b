"""Models between two real services: whole, with their lineage, and nothing twice."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from tests.integration.collaborate.conftest import Pair, changed, equal, refs

import mgit
from mgit.errors import ErrorReason, InvalidArgumentError, NotFoundError, UnavailableError
from mgit.remotes import Transfer
from mgit_core.lineage import ModelState

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]


def test_a_pushed_model_is_there_with_its_ancestors_bit_for_bit(pair: Pair) -> None:
    base, tuned = pair.family(pair.here)
    done = pair.here.push(pair.called("tuned"), progress=None)
    assert [each.ref for each in done.models] == [f"{pair.name}-base@1", f"{pair.name}-tuned@1"]
    assert equal(pair.there.get(pair.called("base")), base)
    assert equal(pair.there.get(pair.called("tuned")), tuned)


def test_what_is_known_of_a_model_comes_along(pair: Pair) -> None:
    first = pair.here.add(
        pair.called("m"), pair.tensors(0), type="encoder", datasets=["wiki@3"], progress=None
    )
    second = pair.here.add(
        pair.called("m"), pair.tensors(1), metadata={"lr": 0.5, "note": "b", "ok": True}, progress=None
    )
    pair.here.push(pair.called("m"), progress=None)
    for one in (first, second):
        other = pair.there.get(f"@{one.uid}")
        assert (other.ref, other.created_at, other.digest) == (one.ref, one.created_at, one.digest)
        assert (other.type, other.metadata, other.datasets) == (one.type, one.metadata, one.datasets)
        assert other.previous == one.previous


def test_edges_keep_relation_order_and_weight(pair: Pair) -> None:
    left = pair.here.add(pair.called("left"), pair.tensors(0), progress=None)
    right = pair.here.add(pair.called("right"), pair.tensors(1), progress=None)
    merged = pair.here.add(
        pair.called("merged"),
        pair.tensors(2),
        parents=[mgit.merged(right, 0.25), mgit.merged(left, 0.75)],
        progress=None,
    )
    pair.here.push(merged, progress=None)
    assert pair.there.get(merged).parents == merged.parents


def test_files_come_back_byte_for_byte(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    safetensors.numpy.save_file(pair.tensors(0), path, {"format": "pt"})
    added = pair.here.add(pair.called("m"), path, progress=None)
    pair.here.push(added, progress=None)
    back = pair.there.get(added).save(tmp_path / "back.safetensors", progress=None)
    assert back.read_bytes() == path.read_bytes()


def test_a_second_push_changes_nothing_and_sends_next_to_nothing(pair: Pair) -> None:
    pair.family(pair.here)
    pair.here.push(pair.called("tuned"), progress=None)
    again = pair.here.push(pair.called("tuned"), progress=None)
    assert (again.models, again.known, again.edges, again.chunk_bytes) == ((), 2, 0, 0)
    assert again.bytes_sent < 5_000


def test_a_fine_tune_travels_as_its_difference_where_the_base_is(pair: Pair) -> None:
    _, tuned = pair.family(pair.here)
    pair.here.push(pair.called("base"), progress=None)
    done = pair.here.push(pair.called("tuned"), progress=None)
    stored = pair.here.model_statistics(pair.called("tuned")).stored_bytes
    assert (done.chunks_as_stored, done.chunks_alone) == (len(tuned), 0)
    assert done.chunk_bytes < done.size_bytes / 2
    assert done.bytes_sent <= 1.1 * stored
    assert pair.there.model_statistics(pair.called("tuned")).delta_bytes > 0


def test_a_model_that_is_pulled_is_equal_to_one_that_is_pushed(pair: Pair) -> None:
    _, tuned = pair.family(pair.there)
    done = pair.here.pull(pair.called("tuned"), progress=None)
    assert [each.ref for each in done.models] == [f"{pair.name}-base@1", f"{pair.name}-tuned@1"]
    assert done.bytes_received > done.chunk_bytes > 0
    assert done.bytes_sent < 10_000
    assert equal(pair.here.get(pair.called("tuned")), tuned)
    assert pair.here.get(pair.called("tuned")).parents == pair.there.get(pair.called("tuned")).parents


def test_pulling_what_was_pushed_finds_it_there(pair: Pair) -> None:
    pair.family(pair.here)
    pair.here.push(pair.called("tuned"), progress=None)
    done = pair.here.pull(pair.called("tuned"), progress=None)
    assert (done.models, done.known) == ((), 2)


def test_what_was_added_there_meanwhile_comes_and_the_rest_stays(pair: Pair) -> None:
    base, _ = pair.family(pair.here)
    pair.here.push(pair.called("tuned"), progress=None)
    newer = changed(base, 2)
    pair.there.add(pair.called("tuned"), newer, parents=[mgit.finetuned(pair.called("base"))], progress=None)
    done = pair.here.pull(pair.called("tuned"), progress=None)
    assert [each.ref for each in done.models] == [f"{pair.name}-tuned@2"]
    assert equal(pair.here.get(pair.called("tuned")), newer)


def test_numbers_go_on_behind_those_that_came(pair: Pair) -> None:
    for seed in range(3):
        pair.there.add(pair.called("m"), pair.tensors(seed), progress=None)
    pair.here.pull(pair.called("m") + "@3", progress=None)
    assert pair.here.add(pair.called("m"), pair.tensors(9), progress=None).version == 4


def test_removed_models_come_as_tombstones_so_that_the_lineage_is_whole(pair: Pair) -> None:
    pair.family(pair.here)
    pair.here.remove(pair.called("base"))
    done = pair.here.push(pair.called("tuned"), progress=None)
    tombstone, _ = done.models
    assert tombstone.state is ModelState.REMOVED
    assert pair.there.get(f"@{tombstone.uid}").state is ModelState.REMOVED
    assert [each.model.ref for each in pair.there.ancestors(pair.called("tuned"))] == [tombstone.ref]


def test_what_was_removed_stays_removed(pair: Pair) -> None:
    pair.family(pair.here)
    pair.here.push(pair.called("tuned"), progress=None)
    pair.there.remove(pair.called("tuned"))
    done = pair.here.push(pair.called("tuned"), progress=None)
    assert done.models == ()
    assert pair.there.get(pair.called("tuned") + "@1").state is ModelState.REMOVED


def test_two_pushes_of_one_model_at_once_both_end_well(pair: Pair) -> None:
    _, tuned = pair.family(pair.here)
    done: list[Transfer] = []

    def push() -> None:
        done.append(pair.here.push(pair.called("tuned"), progress=None))

    threads = [threading.Thread(target=push) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 2
    assert equal(pair.there.get(pair.called("tuned")), tuned)
    assert pair.there.fsck(progress=None).ok


def test_equal_parameters_under_another_uid_need_no_chunks(pair: Pair) -> None:
    same = pair.tensors(0)
    pair.here.add(pair.called("ours"), same, progress=None)
    pair.there.add(pair.called("theirs"), same, progress=None)
    done = pair.here.push(pair.called("ours"), progress=None)
    assert (len(done.models), done.chunk_bytes) == (1, 0)
    assert done.saved_bytes == done.size_bytes


def test_progress_rises_to_all_bytes(pair: Pair) -> None:
    base, tuned = pair.family(pair.here)
    told: list[tuple[int, int]] = []
    pair.here.push(pair.called("tuned"), progress=lambda done, total: told.append((done, total)))
    total = sum(values.nbytes for each in (base, tuned) for values in each.values())
    assert {whole for _, whole in told} == {total}
    assert told[0][0] == 0
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == total


def test_a_model_without_parameters_travels(pair: Pair) -> None:
    empty = {"nothing": np.zeros((0, 4), np.float32)}
    pair.here.add(pair.called("m"), empty, progress=None)
    pair.here.push(pair.called("m"), progress=None)
    assert equal(pair.there.get(pair.called("m")), empty)


def test_a_model_that_is_not_there_is_told_before_anything_is_asked_of_the_other_side(pair: Pair) -> None:
    with pytest.raises(NotFoundError) as caught:
        pair.here.push(pair.called("nothing"), progress=None)
    assert caught.value.reason is ErrorReason.MODEL_NOT_FOUND


def test_a_store_is_not_its_own_remote(pair: Pair) -> None:
    pair.here.remotes.add("self", pair.here.address)
    with pytest.raises(InvalidArgumentError, match="the same store") as caught:
        pair.here.push(remote="self", progress=None)
    assert caught.value.reason is ErrorReason.INVALID_REMOTE


def test_a_remote_that_does_not_answer_is_told(pair: Pair) -> None:
    pair.here.remotes.add("gone", "127.0.0.1:1")
    with pytest.raises(UnavailableError, match="No service answers at 127"):
        pair.here.pull(remote="gone", progress=None)


def test_the_store_of_a_remote_is_remembered(pair: Pair) -> None:
    pair.family(pair.here)
    assert pair.here.remotes.get("origin").store_id is None
    pair.here.push(pair.called("base"), progress=None)
    assert pair.here.remotes.get("origin").store_id == pair.there.status().store_id


def test_refs_that_share_ancestors_bring_each_once(pair: Pair) -> None:
    pair.family(pair.here)
    done = pair.here.push([pair.called("tuned"), pair.called("base"), pair.called("tuned")], progress=None)
    assert [each.ref for each in done.models] == [f"{pair.name}-base@1", f"{pair.name}-tuned@1"]
    assert refs(pair.there, pair.name) == {f"{pair.name}-base@1", f"{pair.name}-tuned@1"}
