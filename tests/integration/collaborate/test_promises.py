"""Partial exchanges: the lineage comes whole, parameters stay promised until they are asked for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from safetensors.numpy import save_file
from tests.integration.collaborate.conftest import Pair, changed, equal

import mgit
from mgit.errors import ErrorReason, FailedPreconditionError, NotFoundError
from mgit_core.lineage import Promise

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]


def test_since_leaves_parameters_behind_and_brings_the_lineage_whole(pair: Pair) -> None:
    base, tuned = pair.family(pair.there)
    done = pair.here.pull(pair.called("tuned"), since=pair.called("base"), progress=None)
    assert [(each.ref, each.promised) for each in done.models] == [
        (f"{pair.name}-base@1", True),
        (f"{pair.name}-tuned@1", False),
    ]
    promise = pair.here.get(pair.called("base")).promised_by
    assert promise == Promise(store_id=pair.there.status().store_id, remote="origin")
    assert pair.here.get(pair.called("tuned")).promised_by is None
    assert [each.model.ref for each in pair.here.ancestors(pair.called("tuned"))] == [f"{pair.name}-base@1"]
    assert equal(pair.here.get(pair.called("tuned")), tuned)
    assert (done.chunks_as_stored, done.chunks_alone) == (0, len(base))


def test_reading_what_is_promised_says_where_it_is_and_how_to_get_it(pair: Pair) -> None:
    pair.family(pair.there)
    pair.here.pull(pair.called("tuned"), since=pair.called("base"), progress=None)
    with pytest.raises(FailedPreconditionError, match=r"origin.*mgit pull") as caught:
        pair.here.get(pair.called("base")).load(progress=None)
    assert caught.value.reason is ErrorReason.PARAMETERS_PROMISED


def test_a_model_that_is_made_takes_over_no_files_of_a_promised_one(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "made_here.py").write_text("def same(parents):\n    return parents[0].load(progress=None)\n")
    folder = tmp_path / "base"
    folder.mkdir()
    save_file(pair.tensors(0), folder / "model.safetensors")
    (folder / "vocab.txt").write_text("words that are in no other store\n")
    base = pair.there.add(pair.called("base"), folder, progress=None)
    tuned = pair.there.add(
        pair.called("tuned"), pair.tensors(1), parents=[mgit.finetuned(base)], progress=None
    )
    pair.here.pull(tuned.ref, since=base.ref, progress=None)
    made = pair.here.create("made_here:same", name=base.name, parents=[tuned.ref], progress=None)
    assert (made.version, made.digest) == (2, tuned.digest)
    assert made.files_digest == tuned.files_digest != base.files_digest
    sys.modules.pop("made_here", None)


def test_a_promised_model_is_completed_when_it_is_named(pair: Pair) -> None:
    base, _ = pair.family(pair.there)
    pair.here.pull(pair.called("tuned"), since=pair.called("base"), progress=None)
    done = pair.here.pull(pair.called("base"), progress=None)
    assert [(each.ref, each.promised) for each in done.models] == [(f"{pair.name}-base@1", False)]
    assert equal(pair.here.get(pair.called("base")), base)


def test_a_promised_model_stays_so_when_it_is_not_named(pair: Pair) -> None:
    pair.family(pair.there)
    pair.here.pull(pair.called("tuned"), since=pair.called("base"), progress=None)
    done = pair.here.pull(pair.called("tuned"), progress=None)
    assert (done.models, done.known) == ((), 2)
    with pytest.raises(FailedPreconditionError):
        pair.here.get(pair.called("base")).load(progress=None)


def test_who_promised_is_found_under_another_name_of_the_remote(pair: Pair) -> None:
    base, _ = pair.family(pair.there)
    pair.here.pull(pair.called("tuned"), since=pair.called("base"), progress=None)
    pair.here.remotes.remove("origin")
    pair.here.remotes.add("gone", "127.0.0.1:1")
    pair.here.remotes.add("upstream", pair.there.address)
    done = pair.here.pull(pair.called("base"), progress=None)
    assert done.remote == "upstream"
    assert equal(pair.here.get(pair.called("base")), base)


def test_a_store_that_no_remote_has_is_told(pair: Pair) -> None:
    pair.family(pair.there)
    pair.here.pull(pair.called("tuned"), since=pair.called("base"), progress=None)
    pair.here.remotes.remove("origin")
    with pytest.raises(NotFoundError, match=r"came as 'origin'.*mgit remote add") as caught:
        pair.here.pull(pair.called("base"), progress=None)
    assert caught.value.reason is ErrorReason.REMOTE_NOT_FOUND
    assert caught.value.details["store_id"] == pair.there.status().store_id


def test_only_brings_the_parameters_that_fit(pair: Pair) -> None:
    whole = pair.tensors(4, count=4)
    pair.there.add(pair.called("m"), whole, progress=None)
    done = pair.here.pull(pair.called("m"), only=["layer.[12].*"], progress=None)
    assert (done.chunks_as_stored, done.models[0].promised) == (2, True)
    model = pair.here.get(pair.called("m"))
    found = model.load(tensors=["layer.[12].*"], progress=None)
    assert {name: values.tobytes() for name, values in found.items()} == {
        name: whole[name].tobytes() for name in ("layer.1.weight", "layer.2.weight")
    }
    with pytest.raises(FailedPreconditionError) as caught:
        model.load(tensors=["layer.0.*"], progress=None)
    assert caught.value.reason is ErrorReason.PARAMETERS_PROMISED
    rest = pair.here.pull(pair.called("m"), progress=None)
    assert (rest.chunks_as_stored, rest.models[0].promised) == (2, False)
    assert equal(pair.here.get(pair.called("m")), whole)


def test_a_push_promises_too_and_a_later_push_of_the_name_completes(pair: Pair) -> None:
    base, tuned = pair.family(pair.here)
    done = pair.here.push(pair.called("tuned"), since=pair.called("base"), progress=None)
    assert [each.promised for each in done.models] == [True, False]
    assert equal(pair.there.get(pair.called("tuned")), tuned)
    with pytest.raises(FailedPreconditionError):
        pair.there.get(pair.called("base")).load(progress=None)
    pair.here.push(pair.called("base"), progress=None)
    assert equal(pair.there.get(pair.called("base")), base)


def test_a_promise_is_passed_on_unchanged_with_what_is_there(pair: Pair) -> None:
    """A model that is promised at the source is promised at the destination, by who has it."""
    _, tuned = pair.family(pair.there)
    pair.here.pull(pair.called("tuned"), since=pair.called("base"), progress=None)
    gone = pair.there.get(pair.called("base"))
    newer = changed(tuned, 5)
    pair.here.add(pair.called("newer"), newer, parents=[mgit.finetuned(pair.called("tuned"))], progress=None)
    done = pair.here.push(pair.called("newer"), progress=None)
    assert [each.ref for each in done.models] == [f"{pair.name}-newer@1"]
    assert equal(pair.there.get(pair.called("newer")), newer)
    assert equal(gone, pair.tensors(0))


def test_parameters_that_are_all_there_are_never_promised(pair: Pair) -> None:
    """Another model has them already."""
    same = pair.tensors(0)
    pair.here.add(pair.called("same"), same, progress=None)
    pair.there.add(pair.called("m"), same, progress=None)
    done = pair.here.pull(pair.called("m"), since=pair.called("m"), progress=None)
    assert [each.promised for each in done.models] == [False]
    assert equal(pair.here.get(pair.called("m")), same)


def test_a_store_with_promises_has_no_fault(pair: Pair) -> None:
    pair.family(pair.there)
    pair.here.pull(pair.called("tuned"), since=pair.called("base"), progress=None)
    found = pair.here.fsck(progress=None)
    assert found.ok, found.problems
    pair.here.gc()
    assert pair.here.pull(pair.called("base"), progress=None).models[0].promised is False
