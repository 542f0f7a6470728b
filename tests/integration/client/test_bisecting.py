"""``repo.bisect`` over a real service: which models it tests, what it knows, and what it says."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

import mgit
from mgit.bisecting import Bisection, BisectOutcome, BisectProgress, BisectSource, BisectVerdict
from mgit.errors import ErrorReason, FailedPreconditionError, InvalidArgumentError, NotFoundError

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]

_UNTESTABLE = """
def is_whole(model):
    weight = model["weight"]
    if weight[1] == 7:
        raise RuntimeError("no tokenizer")
    return bool(weight[0] == 0)
"""


def add_chain(repo: mgit.Repository, name: str, qualities: Sequence[float]) -> list[mgit.Model]:
    """Versions whose weights are well (0) or not (NaN), each made from the one before."""
    models: list[mgit.Model] = []
    for place, quality in enumerate(qualities):
        weights = {"weight": np.array([quality, place], "f4")}
        models.append(repo.add(name, weights, parents=models[-1:]))
    return models


def bad_from(place: int, length: int) -> list[float]:
    return [math.nan if each >= place else 0.0 for each in range(length)]


def register(repo: mgit.Repository, name: str) -> str:
    """The built-in test that no weight is NaN, for one model only: any may be bisected with it."""
    return repo.tests.register(name, builtin="finite").name


def sources(found: Bisection) -> dict[str, tuple[BisectVerdict, BisectSource]]:
    return {each.model.ref: (each.verdict, each.source) for each in found.findings}


def refs(models: Iterable[mgit.Model]) -> list[str]:
    return [model.ref for model in models]


def is_well(model: mgit.Model) -> bool:
    return bool(np.isfinite(model.tensors["weight"][0]))


def test_ten_versions_take_four_tests(repo: mgit.Repository) -> None:
    models = add_chain(repo, "ten", bad_from(6, 10))
    steps: list[BisectProgress] = []
    found = repo.bisect("ten", is_well, on_step=steps.append)

    assert found.outcome is BisectOutcome.FOUND
    assert found.first_bad is not None
    assert found.first_bad.ref == models[6].ref
    assert found.reason == "ten@7 is bad, and its parent ten@6 is good."
    assert found.tests_run == len(steps) <= math.ceil(math.log2(11))
    assert (found.searched, found.unexplored, found.is_answered) == (10, 0, True)
    assert [step.model.ref for step in steps] == [each.model.ref for each in found.findings]
    assert steps[-1].most_left == 1


def test_chain_that_is_well_and_one_that_never_was(repo: mgit.Repository) -> None:
    add_chain(repo, "well", bad_from(5, 5))
    add_chain(repo, "never", bad_from(0, 5))
    well, never = repo.bisect("well", is_well), repo.bisect("never", is_well)

    assert (well.outcome, well.first_bad) == (BisectOutcome.ALL_PASS, None)
    assert never.outcome is BisectOutcome.ALL_FAIL
    assert never.first_bad is not None
    assert never.first_bad.ref == "never@1"


def test_version_edges_count_as_provenance_edges_do(repo: mgit.Repository) -> None:
    """Versions that all were made from one base, and know of each other by version edges alone."""
    base = repo.add("origin", {"weight": np.zeros(2, "f4")})
    for quality in (0.0, 0.0, math.nan, math.nan):
        repo.add("spokes", {"weight": np.array([quality, 1], "f4")}, parents=[mgit.finetuned(base)])
    found = repo.bisect("spokes", is_well)

    assert found.first_bad is not None
    assert found.first_bad.ref == "spokes@3"


def test_registered_test_is_run_recorded_and_not_run_again(repo: mgit.Repository) -> None:
    add_chain(repo, "recorded", bad_from(4, 7))
    test = register(repo, "recorded-finite")
    first = repo.bisect("recorded", test)
    again = repo.bisect("recorded", test)
    anew = repo.bisect("recorded", test, rerun=True)

    assert first.tests_run == len(list(repo.tests.results(test))) - anew.tests_run <= 3
    assert (again.tests_run, anew.tests_run) == (0, first.tests_run)
    assert again.first_bad == first.first_bad == anew.first_bad
    assert {source for _, source in sources(again).values()} == {BisectSource.KNOWN}
    assert [each.value for each in first.findings if each.verdict is BisectVerdict.GOOD].count(0.0)


def test_known_results_come_first(repo: mgit.Repository) -> None:
    """A sweep over the ends leaves half of the work."""
    models = add_chain(repo, "swept", bad_from(5, 8))
    test = register(repo, "swept-finite")
    list(repo.tests.run(test, models=[models[3], models[6]], progress=None))
    found = repo.bisect("swept", test)

    assert found.first_bad is not None
    assert found.first_bad.ref == "swept@6"
    assert found.tests_run <= 2
    assert sources(found)["swept@4"] == (BisectVerdict.GOOD, BisectSource.KNOWN)
    assert set(refs(models[:3])).isdisjoint(sources(found))


def test_known_results_that_contradict_are_told_with_both_names(repo: mgit.Repository) -> None:
    models = add_chain(repo, "mended", [0.0, math.nan, 0.0, math.nan])
    test = register(repo, "mended-finite")
    list(repo.tests.run(test, models=models, progress=None))
    found = repo.bisect("mended", test)

    assert (found.outcome, found.first_bad) == (BisectOutcome.NON_MONOTONIC, None)
    assert found.contradiction is not None
    assert [each.ref for each in found.contradiction] == ["mended@2", "mended@3"]
    assert not found.is_answered


def test_callers_word_goes_before_known_results(repo: mgit.Repository) -> None:
    """So that a search goes on above or below a contradiction."""
    models = add_chain(repo, "word", [0.0, math.nan, 0.0, math.nan])
    test = register(repo, "word-finite")
    list(repo.tests.run(test, models=models, progress=None))
    above = repo.bisect("word", test, good="word@3")
    below = repo.bisect("word", test, bad=models[1])

    assert above.first_bad is not None
    assert below.first_bad is not None
    assert (above.first_bad.ref, below.first_bad.ref) == ("word@4", "word@2")
    assert above.searched == 1


def test_good_and_bad_ends_bound_the_search(repo: mgit.Repository) -> None:
    models = add_chain(repo, "bound", bad_from(5, 9))
    found = repo.bisect(None, is_well, good=["bound@3", models[3]], bad=["bound@8", "bound@7"])

    assert found.first_bad is not None
    assert found.first_bad.ref == "bound@6"
    assert found.tests_run <= 2
    assert sources(found)["bound@7"] == (BisectVerdict.BAD, BisectSource.GIVEN)


def test_removed_and_skipped_models_are_gone_around(repo: mgit.Repository) -> None:
    models = add_chain(repo, "gone", bad_from(6, 8))
    repo.remove(models[3])
    found = repo.bisect("gone", is_well, skip=models[4])

    assert found.first_bad is not None
    assert found.first_bad.ref == "gone@7"
    assert sources(found)["gone@4"] == (BisectVerdict.SKIPPED, BisectSource.REMOVED)
    assert sources(found)["gone@5"] == (BisectVerdict.SKIPPED, BisectSource.GIVEN)


def test_only_skipped_models_between_good_and_bad_are_suspects(repo: mgit.Repository) -> None:
    add_chain(repo, "vague", bad_from(3, 6))
    found = repo.bisect("vague", is_well, skip=["vague@3", "vague@4"])

    assert (found.outcome, found.first_bad, found.is_answered) == (BisectOutcome.AMBIGUOUS, None, False)
    assert [model.ref for model in found.suspects] == ["vague@3", "vague@4", "vague@5"]


def test_function_that_raises_or_gives_none_leaves_the_model_out(repo: mgit.Repository) -> None:
    add_chain(repo, "shaky", bad_from(2, 4))

    def shaky(model: mgit.Model) -> bool | None:
        if model.version == 2:
            raise ValueError("no such layer")
        return None if model.version == 3 else is_well(model)

    found = repo.bisect("shaky", shaky)

    assert [model.ref for model in found.suspects] == ["shaky@2", "shaky@3", "shaky@4"]
    assert {each.model.ref: each.error for each in found.findings if each.error} == {
        "shaky@2": "ValueError: no such layer",
        "shaky@3": "The function gave None.",
    }


def test_truth_values_of_numpy_are_truth_values(repo: mgit.Repository) -> None:
    add_chain(repo, "numpy-truth", bad_from(1, 2))
    found = repo.bisect("numpy-truth", lambda model: np.isfinite(model.load()["weight"][0]))

    assert found.first_bad is not None
    assert found.first_bad.ref == "numpy-truth@2"


def test_number_of_a_function_is_refused(repo: mgit.Repository) -> None:
    add_chain(repo, "numbers", [0.0])

    with pytest.raises(InvalidArgumentError, match=r"for numbers@1 it gave '0\.5'") as raised:
        repo.bisect("numbers", lambda _: 0.5)  # type: ignore[arg-type,return-value]
    assert raised.value.reason is ErrorReason.INVALID_TEST


def test_test_that_measures_without_a_threshold_is_refused(repo: mgit.Repository) -> None:
    add_chain(repo, "measured", [0.0, 0.0])
    repo.tests.register("measured-size", builtin="size")

    with pytest.raises(InvalidArgumentError, match="has no threshold") as raised:
        repo.bisect("measured", "measured-size")
    assert raised.value.reason is ErrorReason.INVALID_TEST


def test_model_on_which_a_test_ends_in_an_error_is_gone_around(
    repo: mgit.Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wholeness_checks.py").write_text(_UNTESTABLE, encoding="utf-8")
    repo.tests.register("wholeness", "wholeness_checks:is_whole")
    add_chain(repo, "errors", [float(place >= 9) for place in range(12)])
    found = repo.bisect("errors", "wholeness", good="errors@7")

    assert found.first_bad is not None
    assert found.first_bad.ref == "errors@10"
    assert all("no tokenizer" in each.error for each in found.findings if each.error)


def test_code_that_changed_since_it_was_registered_ends_the_search(
    repo: mgit.Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    module = tmp_path / "changing_checks.py"
    module.write_text(_UNTESTABLE, encoding="utf-8")
    repo.tests.register("changing", "changing_checks:is_whole")
    module.write_text(_UNTESTABLE + "# edited\n", encoding="utf-8")
    add_chain(repo, "changing", [0.0])

    with pytest.raises(FailedPreconditionError) as raised:
        repo.bisect("changing", "changing")
    assert raised.value.reason is ErrorReason.TEST_CODE_CHANGED


def test_nothing_to_search_is_said(repo: mgit.Repository) -> None:
    add_chain(repo, "nothing", [0.0, 0.0])

    with pytest.raises(
        FailedPreconditionError, match="nothing@1, or a model that was made from it"
    ) as raised:
        repo.bisect("nothing@1", is_well, good="nothing@2")
    assert raised.value.reason is ErrorReason.NOTHING_TO_BISECT
    with pytest.raises(InvalidArgumentError, match="where to search"):
        repo.bisect(None, is_well, good="nothing")
    with pytest.raises(InvalidArgumentError, match="nothing@1 is given as good and as bad"):
        repo.bisect("nothing", is_well, good="nothing@1", bad=["nothing@1"])


def test_unknown_models_and_tests_are_told(repo: mgit.Repository) -> None:
    add_chain(repo, "known", [0.0])

    with pytest.raises(NotFoundError) as raised:
        repo.bisect("known", "no-such-test")
    assert raised.value.reason is ErrorReason.TEST_NOT_FOUND
    with pytest.raises(NotFoundError) as raised:
        repo.bisect("unknown", is_well)
    assert raised.value.reason is ErrorReason.MODEL_NOT_FOUND


def test_second_origin_beside_the_first_is_announced(repo: mgit.Repository) -> None:
    left = repo.add("left", {"weight": np.array([math.nan, 1], "f4")})
    right = repo.add("right", {"weight": np.array([math.nan, 2], "f4")})
    parents = [mgit.merged(left), mgit.merged(right)]
    repo.add("both", {"weight": np.array([math.nan, 3], "f4")}, parents=parents)
    found = repo.bisect("both", is_well)

    assert found.first_bad is not None
    assert found.first_bad.name in {"left", "right"}
    assert (found.outcome, found.unexplored) == (BisectOutcome.FOUND, 1)
    assert "may have another origin" in found.reason
