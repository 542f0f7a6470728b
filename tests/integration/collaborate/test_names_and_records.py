"""What meets under one name, and what is said of models: tags, tests, results and bugs."""

from __future__ import annotations

import pytest
from tests.integration.collaborate.conftest import Pair, equal, refs
from tests.second_stack import EXCHANGE, Proxy

import mgit
from mgit.errors import AlreadyExistsError, ConflictError, CorruptError, ErrorReason
from mgit_proto.v1 import exchange_pb2

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]


def two_of_a_name(pair: Pair) -> tuple[mgit.Model, mgit.Model]:
    ours = pair.here.add(pair.called("m"), pair.tensors(1), progress=None)
    theirs = pair.there.add(pair.called("m"), pair.tensors(2), progress=None)
    return ours, theirs


def test_a_pulled_model_whose_name_is_taken_goes_behind_the_name_of_the_remote(pair: Pair) -> None:
    ours, theirs = two_of_a_name(pair)
    done = pair.here.pull(pair.called("m"), progress=None)
    renamed = done.renamed[0]
    assert (renamed.ref, renamed.source_ref, renamed.uid) == (f"origin/{theirs.ref}", theirs.ref, theirs.uid)
    assert equal(pair.here.get(f"origin/{theirs.ref}"), pair.tensors(2))
    assert equal(pair.here.get(ours), pair.tensors(1))
    assert pair.here.pull(pair.called("m"), progress=None).models == ()


def test_a_name_in_another_case_is_taken(pair: Pair) -> None:
    pair.here.add(pair.called("Model"), pair.tensors(1), progress=None)
    pair.there.add(pair.called("model"), pair.tensors(2), progress=None)
    done = pair.here.pull(pair.called("model"), progress=None)
    assert [each.ref for each in done.models] == [f"origin/{pair.name}-model@1"]


def test_a_prefix_takes_the_place_of_the_name_of_the_remote(pair: Pair) -> None:
    two_of_a_name(pair)
    done = pair.here.pull(pair.called("m"), prefix="their", progress=None)
    assert [each.ref for each in done.models] == [f"their/{pair.name}-m@1"]


def test_a_pull_that_may_not_rename_is_refused(pair: Pair) -> None:
    _, theirs = two_of_a_name(pair)
    with pytest.raises(AlreadyExistsError, match="--prefix") as caught:
        pair.here.pull(pair.called("m"), rename=False, progress=None)
    assert caught.value.reason is ErrorReason.NAME_TAKEN
    assert caught.value.details["models"] == theirs.ref


def test_a_name_behind_the_prefix_that_is_taken_too_is_refused(pair: Pair) -> None:
    two_of_a_name(pair)
    pair.here.add(f"origin/{pair.name}-m", pair.tensors(3), progress=None)
    with pytest.raises(AlreadyExistsError, match=f"origin/{pair.name}-m@1"):
        pair.here.pull(pair.called("m"), progress=None)


def test_a_push_of_taken_names_is_refused_with_the_list_and_sends_nothing(pair: Pair) -> None:
    base, _ = pair.family(pair.here)
    for suffix in ("base", "tuned"):
        pair.there.add(pair.called(suffix), pair.tensors(7), progress=None)
    with pytest.raises(ConflictError, match="2 models cannot be pushed to origin") as caught:
        pair.here.push(pair.called("tuned"), progress=None)
    assert caught.value.reason is ErrorReason.PUSH_REFUSED
    assert caught.value.details["models"] == f"{pair.name}-base@1, {pair.name}-tuned@1"
    assert len(refs(pair.there, pair.name)) == 2
    assert not equal(pair.there.get(pair.called("base")), base)


def test_a_push_that_may_rename_goes_behind_the_name_of_the_user(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "ann.e")
    two_of_a_name(pair)
    done = pair.here.push(pair.called("m"), rename=True, progress=None)
    assert [each.ref for each in done.models] == [f"ann-e/{pair.name}-m@1"]
    assert equal(pair.there.get(done.models[0].ref), pair.tensors(1))


def test_a_prefix_implies_renaming(pair: Pair) -> None:
    two_of_a_name(pair)
    done = pair.here.push(pair.called("m"), prefix="team/a", progress=None)
    assert [each.ref for each in done.models] == [f"team/a/{pair.name}-m@1"]


def test_one_uid_with_two_contents_is_corrupt_and_nothing_is_exchanged(pair: Pair, proxy: Proxy) -> None:
    pair.family(pair.here)
    pair.here.push(pair.called("tuned"), progress=None)

    def lie(answer: exchange_pb2.ExportModelsResponse) -> None:
        for model in answer.models:
            model.parameters_digest = bytes(32)

    proxy.tamper(EXCHANGE + "ExportModels", exchange_pb2.ExportModelsResponse, lie)
    with pytest.raises(CorruptError, match="different contents under one uid") as caught:
        pair.here.pull(pair.called("tuned"), remote="proxy", progress=None)
    assert caught.value.reason is ErrorReason.MODEL_DIFFERS


def test_tags_come_along(pair: Pair) -> None:
    pair.family(pair.here)
    pair.here.tag(pair.called("tuned"), "best")
    done = pair.here.push(pair.called("tuned"), progress=None)
    assert done.tags == 1
    assert pair.there.get(pair.called("tuned") + "@best").tags == ("best",)


def test_the_tag_of_a_renamed_model_belongs_to_its_new_name(pair: Pair) -> None:
    ours, theirs = two_of_a_name(pair)
    pair.here.tag(ours, "best")
    pair.there.tag(theirs, "best")
    pair.here.pull(pair.called("m"), progress=None)
    assert pair.here.get(pair.called("m") + "@best").uid == ours.uid
    assert pair.here.get(f"origin/{pair.name}-m@best").uid == theirs.uid


def test_tags_that_diverged_are_refused_unless_forced(pair: Pair) -> None:
    first = pair.here.add(pair.called("m"), pair.tensors(1), progress=None)
    second = pair.here.add(pair.called("m"), pair.tensors(2), progress=None)
    pair.here.push(pair.called("m"), progress=None)
    pair.there.tag(first, "best")
    pair.here.tag(second, "best")
    third = pair.here.add(pair.called("m"), pair.tensors(3), progress=None)
    with pytest.raises(ConflictError, match="1 tags point elsewhere") as caught:
        pair.here.push(pair.called("m"), progress=None)
    assert caught.value.reason is ErrorReason.TAG_MOVED
    assert caught.value.details["tags"] == f"{pair.name}-m@best"
    assert refs(pair.there, pair.called("m")) == {second.ref}
    pair.here.push(pair.called("m"), force=True, progress=None)
    assert pair.there.get(pair.called("m") + "@best").uid == second.uid
    assert refs(pair.there, pair.called("m")) == {third.ref}


def test_tests_and_results_come_along(pair: Pair) -> None:
    pair.family(pair.here)
    pair.here.tests.register(pair.called("finite"), builtin="finite", model=pair.called("tuned"))
    assert len(list(pair.here.tests.run(pair.called("finite"), models=[pair.called("tuned")]))) == 1
    done = pair.here.push(pair.called("tuned"), progress=None)
    assert (done.tests, done.results) == (1, 1)
    there = pair.there.tests.get(pair.called("finite"))
    assert there.uid == pair.here.tests.get(pair.called("finite")).uid
    results = list(pair.there.tests.results(pair.called("finite")))
    assert [each.model.ref for each in results] == [f"{pair.name}-tuned@1"]
    again = pair.here.push(pair.called("tuned"), progress=None)
    assert (again.tests, again.results) == (0, 0)


def test_a_test_whose_name_is_taken_goes_behind_the_name_of_the_remote(pair: Pair) -> None:
    model = pair.there.add(pair.called("m"), pair.tensors(1), progress=None)
    pair.there.tests.register(pair.called("check"), builtin="finite", model=model)
    pair.here.tests.register(pair.called("check"), builtin="size")
    pair.here.pull(model, progress=None)
    assert pair.here.tests.get(pair.called("check")).code == "size"
    assert pair.here.tests.get(f"origin/{pair.name}-check").code == "finite"
    pair.here.tests.remove(pair.called("check"))


def test_bugs_come_along_and_the_later_change_wins(pair: Pair) -> None:
    pair.family(pair.here)
    bug = pair.here.bugs.report("NaN", [pair.called("base")])
    assert pair.here.push(pair.called("tuned"), progress=None).bugs == 1
    assert [each.model.ref for each in pair.there.bugs.affected(bug.id).models] == [
        f"{pair.name}-base@1",
        f"{pair.name}-tuned@1",
    ]
    pair.there.bugs.close(bug.id)
    assert pair.here.push(pair.called("tuned"), progress=None).bugs == 0
    assert pair.here.pull(pair.called("tuned"), progress=None).bugs == 1
    assert pair.here.bugs.get(bug.id).state == "closed"


def test_edges_of_models_that_both_sides_know_are_united(pair: Pair) -> None:
    base, _ = pair.family(pair.here)
    del base
    pair.here.add(pair.called("late"), pair.tensors(5), progress=None)
    pair.here.push([pair.called("tuned"), pair.called("late")], progress=None)
    pair.here.link(pair.called("late"), mgit.distilled(pair.called("base")))
    done = pair.here.push(pair.called("late"), progress=None)
    assert (done.models, done.edges) == ((), 1)
    assert [edge.relation.value for edge in pair.there.get(pair.called("late")).parents] == ["distilled"]


def test_a_union_that_closes_a_cycle_is_refused_naming_the_edges(pair: Pair) -> None:
    one = pair.here.add(pair.called("one"), pair.tensors(1), progress=None)
    two = pair.here.add(pair.called("two"), pair.tensors(2), progress=None)
    pair.here.push([one, two], progress=None)
    pair.here.link(one, two)
    pair.there.link(two, one)
    with pytest.raises(ConflictError) as caught:
        pair.here.push([one, two], progress=None)
    assert caught.value.reason is ErrorReason.CYCLE
    assert pair.there.get(one).parents == ()
