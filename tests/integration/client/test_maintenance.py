"""Collection, repack and check through the SDK, over real services, a real Neo4j and a real folder."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.neo4j_server import TestServer
from tests.running_service import RunningService, run_service

import mgit
from mgit import upload
from mgit.resending import Resending

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]

Tensors = dict[str, np.ndarray]


@pytest.fixture
def repo(service: RunningService) -> Iterator[mgit.Repository]:
    """A repository that is empty: collections are about the whole store."""
    with mgit.connect(service.address) as opened:
        for model in opened.lineage().models:
            opened.remove(model)
        opened.gc(grace=0, delete_everything=True)
        opened.fsck(repair=True)
        yield opened


def weights(seed: int, tensors: int = 3, rows: int = 300) -> Tensors:
    random = np.random.default_rng(seed)
    return {f"layer.{at}": random.standard_normal((rows, 300)).astype(np.float32) for at in range(tensors)}


def changed(original: Tensors, seed: int) -> Tensors:
    random = np.random.default_rng(seed)
    return {
        name: (array + 1e-4 * random.standard_normal(array.shape)).astype(np.float32)
        for name, array in original.items()
    }


def assert_reads_back(model: mgit.Model, original: Tensors) -> None:
    loaded = model.load()
    assert loaded.keys() == original.keys()
    for name, array in original.items():
        np.testing.assert_array_equal(loaded[name].view(np.uint32), array.view(np.uint32))


def apparent_size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in [folder, *folder.rglob("*")])


def damage_packs(store: Path) -> int:
    """Turn over a byte in the middle of each pack."""
    packs = [path for path in (store / "packs").rglob("*") if path.is_file()]
    for path in packs:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
    return len(packs)


def test_a_collection_frees_what_a_removal_left_and_nothing_else(
    repo: mgit.Repository, service: RunningService
) -> None:
    base = weights(1)
    repo.add("base", base)
    kept = changed(base, 2)
    child = repo.add("child", kept, parents=[mgit.finetuned("base")])
    repo.add("gone", weights(3))
    repo.remove("gone")
    repo.remove("base")
    before = apparent_size(service.store)
    assert repo.gc().chunks == 0
    told = repo.gc(dry_run=True, grace=0)
    assert apparent_size(service.store) == before
    done = repo.gc(grace=timedelta(0))
    assert (told.chunks, told.documents, told.dry_run) == (done.chunks, done.documents, True)
    assert done.chunks >= 3
    assert done.documents == 4
    assert done.bytes_freed > 900_000
    assert abs(before - apparent_size(service.store) - done.bytes_freed) < 100_000  # Folders and one list.
    assert_reads_back(child, kept)
    assert repo.fsck().ok
    assert repo.gc(grace=0).chunks == 0


def test_everything_is_kept_through_a_repack_and_a_collection(repo: mgit.Repository) -> None:
    base = weights(1)
    children = {f"child{at}": changed(base, at) for at in range(3)}
    repo.add("base", base)
    for name, tensors in children.items():
        repo.add(name, tensors, parents=[mgit.finetuned("base")])
    heard: list[tuple[str, int, int]] = []
    done = repo.repack(cores=1, progress=lambda *step: heard.append(step))
    assert (done.is_complete, done.damaged_chunks) == (True, 0)
    assert done.bytes_after <= done.bytes_before
    repo.gc(grace=0)
    checked = repo.fsck()
    assert (checked.ok, checked.problems, checked.missing) == (True, (), ())
    assert checked.raw_bytes >= 4 * sum(array.nbytes for array in base.values())
    for name, tensors in {"base": base, **children}.items():
        assert_reads_back(repo.get(name), tensors)


def test_an_empty_graph_empties_no_store(repo: mgit.Repository) -> None:
    repo.add("only", weights(1))
    repo.remove("only")
    with pytest.raises(mgit.errors.FailedPreconditionError) as caught:
        repo.gc(grace=0)
    assert caught.value.reason == "GRAPH_WITHOUT_MODELS"
    assert repo.gc(grace=0, delete_everything=True).chunks > 0
    assert repo.statistics().chunks == 0


@pytest.mark.parametrize("work", ["gc", "repack"])
def test_negative_times_are_refused(repo: mgit.Repository, work: str) -> None:
    with pytest.raises(mgit.errors.InvalidArgumentError):
        repo.gc(grace=-1) if work == "gc" else repo.repack(time=timedelta(seconds=-1))
    with pytest.raises(mgit.errors.InvalidArgumentError):
        repo.repack(cores=0)


def test_damage_is_told_with_its_models_and_mended_from_a_file(
    repo: mgit.Repository, service: RunningService, tmp_path: Path
) -> None:
    base = weights(1)
    path = tmp_path / "base.safetensors"
    save_file(base, path)
    refs = {repo.add("base", path).ref, repo.add("copy", base).ref}
    assert damage_packs(service.store) > 0
    found = repo.fsck()
    assert not found.ok
    assert found.missing
    assert {model for problem in found.problems for model in problem.models} >= refs
    assert {problem.reason for problem in found.problems} == {"CHUNK_CORRUPT"}
    other = tmp_path / "other.safetensors"
    save_file(weights(7), other)
    useless = repo.fsck(source=other)
    assert (useless.ok, useless.sent_bytes, useless.missing) == (False, 0, found.missing)
    mended = repo.fsck(source=path)
    assert (mended.ok, mended.missing) == (True, ())
    assert mended.sent_bytes > 0
    assert all(problem.repaired for problem in mended.problems)
    assert repo.fsck().ok
    assert_reads_back(repo.get("base"), base)


def test_a_client_that_was_told_present_before_a_collection_succeeds_in_the_end(
    repo: mgit.Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its draft is older than the condemnation, so its commit is stale, and it asks again."""
    again = weights(1)
    repo.add("kept", weights(2))
    repo.add("gone", again)
    repo.remove("gone")
    sent: list[int] = []
    original = upload._Sender._draft

    def draft_and_collect(sender: object) -> object:
        answer = original(sender)
        sent.append(len(answer[0]))
        if len(sent) == 1:
            assert repo.gc(grace=0).chunks == 3
        return answer

    monkeypatch.setattr(upload._Sender, "_draft", draft_and_collect)
    model = repo.add("late", again)
    assert sent == [0, 3]
    assert_reads_back(model, again)
    assert repo.fsck().ok


def test_one_service_collects_while_another_one_ingests(
    repo: mgit.Repository, service: RunningService, neo4j_server: TestServer
) -> None:
    """The same contents come and go, so that what is collected is what is uploaded again."""
    contents = [weights(seed, tensors=2) for seed in range(3)]
    turns: queue.Queue[BaseException | None] = queue.Queue()

    def ingest(address: str) -> None:
        try:
            with mgit.connect(address) as other:
                for turn in range(6):
                    turns.put(None)
                    tensors = contents[turn % 3]
                    model = other.add(f"turn{turn}", tensors, progress=None)
                    assert_reads_back(model, tensors)
                    if turn % 3 != 2:
                        other.remove(model)
        except BaseException as error:  # noqa: BLE001 - told in the test's own thread
            turns.put(error)

    with run_service(neo4j_server, service.store) as other_service:
        repo.add("kept", weights(9))
        worker = threading.Thread(target=ingest, args=[other_service.address])
        worker.start()
        heard = [(turns.get(timeout=60), repo.gc(grace=0).chunks) for _ in range(6)]
        worker.join(60)
        assert [failure for failure, _ in heard] == [None] * 6
        assert turns.empty()
        assert sum(chunks for _, chunks in heard) > 0
        assert repo.fsck().ok
        for turn in range(2, 6, 3):
            assert_reads_back(repo.get(f"turn{turn}"), contents[2])


def test_a_file_that_changes_while_it_is_sent_is_told(repo: mgit.Repository, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file(weights(1), path)
    resending = Resending(repo._connection, path)
    path.write_bytes(path.read_bytes()[:1000])
    missing = tuple(resending._cut.locations)
    with pytest.raises(mgit.errors.MGitError) as caught:
        resending.send(missing)
    assert caught.value.reason == "UNREADABLE_INPUT"


def test_an_interrupt_ends_the_work_and_the_next_call_goes_on(repo: mgit.Repository) -> None:
    repo.add("a", weights(1, tensors=20))

    class InterruptError(Exception):
        pass

    def interrupt(_phase: str, _done: int, _total: int) -> None:
        raise InterruptError

    for work in (repo.fsck, repo.gc, repo.repack):
        try:
            work(progress=interrupt)  # type: ignore[operator]
        except InterruptError:
            continue
    assert repo.fsck(repair=True).ok
