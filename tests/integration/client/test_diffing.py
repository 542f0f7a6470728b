"""What differs between two models, through the SDK and the command line, over a real service and a real Neo4j."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from tests.running_service import RunningService
from tests.unit.service.inference.related_models import adapted, cast, encoder, head, pruned, tuned
from typer.testing import CliRunner

import mgit
from mgit.cli.application import app
from mgit.diffing.values import DiffState, ModelDiff, RelationshipKind
from mgit_core.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from mgit_core.tensor import AnyArray

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]

Tensors = Mapping[str, AnyArray]


@pytest.fixture(scope="module")
def family(repo: mgit.Repository) -> dict[str, Tensors]:
    """A base and what may become of it, each a model of its own name."""
    base = encoder(1)
    family: dict[str, Tensors] = {
        "diff-base": base,
        "diff-tuned": tuned(base, 2),
        "diff-half": cast(base, "float16"),
        "diff-pruned": pruned(base, 0.5),
        "diff-adapted": adapted(base, 3, rank=4),
        "diff-headed": {**base, **head(4, 3)},
        "diff-deeper": {**encoder(1, layers=6), **base},
        "diff-wrapped": {f"model.{name}": array for name, array in base.items()},
    }
    for name, tensors in family.items():
        parents = () if name == "diff-base" else [mgit.derived("diff-base")]
        repo.add(name, tensors, parents=parents, progress=None)
    return family


def differ(repo: mgit.Repository, after: str, *, with_values: bool = True) -> ModelDiff:
    return repo.diff("diff-base", after, with_values=with_values, progress=None)


def run(service: RunningService, *words: str, output: str = "json") -> str:
    done = CliRunner().invoke(app, ["--address", service.address, "--output", output, *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def failure(service: RunningService, *words: str) -> BaseException | None:
    return CliRunner().invoke(app, ["--address", service.address, *words]).exception


@pytest.mark.usefixtures("family")
def test_a_model_does_not_differ_from_itself(repo: mgit.Repository) -> None:
    diff = differ(repo, "diff-base")
    assert not diff
    assert diff.relationship.kind is RelationshipKind.SAME
    assert repr(diff) == "<diff diff-base@1 -> diff-base@1: equal>"


@pytest.mark.usefixtures("family")
def test_a_tuned_model_differs_in_values_alone(repo: mgit.Repository) -> None:
    diff = differ(repo, "diff-tuned")
    assert not diff.structural
    assert {each.state for each in diff.contextual} == {DiffState.CHANGED}
    assert diff.equal_parameters == 1
    changes = {each.name: each.change for each in diff.contextual}
    body = changes["body.0.weight"]
    assert body is not None
    assert body.change_norm == pytest.approx(64 * 0.005, rel=0.1)
    assert body.cosine == pytest.approx(1, abs=0.05)
    assert (body.rank, body.rank_is_bound) == (64, False)
    assert diff.relationship.kind is RelationshipKind.CHILD


@pytest.mark.usefixtures("family")
def test_a_cast_a_pruning_and_an_adapter_are_told_by_their_measures(repo: mgit.Repository) -> None:
    half = differ(repo, "diff-half")
    assert all(each.is_cast for each in half.contextual)
    assert {each.change.rank for each in half.contextual if each.change} <= {0, None}
    sparse = {each.name: each.change for each in differ(repo, "diff-pruned").contextual}
    change = sparse["body.1.weight"]
    assert change is not None
    assert change.after_zeros == change.compared // 2
    low = differ(repo, "diff-adapted")
    assert {each.change.rank for each in low.contextual if each.change} == {4}
    assert not low.structural


@pytest.mark.usefixtures("family")
def test_another_head_and_more_layers_are_structure(repo: mgit.Repository) -> None:
    headed = differ(repo, "diff-headed")
    assert [(layer.path, str(layer.state)) for layer in headed.structural.layers] == [("head", "changed")]
    (parameter,) = headed.contextual
    assert parameter.is_reshaped
    assert parameter.change is not None
    assert parameter.change.compared == 3 * 64
    deeper = differ(repo, "diff-deeper")
    assert {(layer.path, str(layer.state)) for layer in deeper.structural.layers} == {
        (f"{kind}.{at}", "added") for kind in ("body", "norm") for at in (4, 5)
    }
    assert deeper.structural.is_minimal


@pytest.mark.usefixtures("family")
def test_renamed_modules_hold_what_they_held(repo: mgit.Repository, family: Mapping[str, Tensors]) -> None:
    diff = differ(repo, "diff-wrapped")
    assert diff
    assert diff.structural.items == 0
    assert {each.before.name: each.name for each in diff.contextual if each.before} == {
        name: f"model.{name}" for name in family["diff-base"]
    }
    assert all(each.state is DiffState.EQUAL for each in diff.contextual)


@pytest.mark.usefixtures("family")
@pytest.mark.parametrize("name", ["diff-tuned", "diff-half", "diff-headed", "diff-deeper", "diff-wrapped"])
def test_the_diff_back_is_the_mirror(repo: mgit.Repository, name: str) -> None:
    there, back = differ(repo, name), repo.diff(name, "diff-base", progress=None)
    assert sorted(map(repr, there.contextual)) == sorted(repr(each.mirrored()) for each in back.contextual)
    assert sorted(map(repr, there.structural.layers)) == sorted(
        repr(each.mirrored()) for each in back.structural.layers
    )


@pytest.mark.usefixtures("family")
def test_without_values_digests_tell_what_differs(repo: mgit.Repository) -> None:
    diff = differ(repo, "diff-adapted", with_values=False)
    assert [each.name for each in diff.contextual] == [f"body.{at}.weight" for at in range(4)]
    assert all(each.change is None for each in diff.contextual)


@pytest.mark.usefixtures("family")
def test_progress_is_told_in_bytes(repo: mgit.Repository) -> None:
    heard: list[tuple[int, int]] = []
    repo.diff("diff-base", "diff-tuned", progress=lambda *step: heard.append(step))
    assert heard[0][0] == 0
    assert heard[-1][0] == heard[-1][1] > 0


def test_models_without_numbers_and_removed_ones(repo: mgit.Repository) -> None:
    empty = repo.add("diff-empty", {"weight": np.zeros((0, 3), np.float32)})
    assert not repo.diff(empty, empty, progress=None)
    (longer,) = repo.diff(empty, repo.add("diff-empty", {"weight": np.zeros((2, 3), np.float32)})).contextual
    assert (longer.is_reshaped, longer.change) == (True, None)
    gone = repo.add("diff-gone", {"weight": np.ones(3, np.float32)})
    repo.add("diff-left", {"weight": np.ones(4, np.float32)}, parents=[mgit.derived(gone)])
    repo.remove(gone)
    with pytest.raises(FailedPreconditionError):
        repo.diff("diff-left", gone, progress=None)
    with pytest.raises(NotFoundError):
        repo.diff("diff-left", "diff-nobody", progress=None)


@pytest.mark.usefixtures("family")
def test_the_document_of_a_diff(service: RunningService) -> None:
    document = json.loads(run(service, "diff", "diff-base", "diff-headed"))
    assert document["equal"] is False
    assert document["structural"]["layers"][0]["before"]["attributes"]["out_features"] == 10
    assert document["contextual"][0]["change"]["compared"] == 192
    assert document["relationship"]["kind"] == "child"
    same = json.loads(run(service, "diff", "diff-base", "diff-base"))
    assert (same["equal"], same["contextual"], same["structural"]["layers"]) == (True, [], [])
    structure = json.loads(run(service, "diff", "diff-base", "diff-tuned", "--structural"))
    assert (structure["equal"], structure["contextual"]) == (True, None)
    content = json.loads(run(service, "diff", "diff-base", "diff-tuned", "--contextual", "--no-values"))
    assert (content["equal"], content["structural"]) == (False, None)
    assert content["contextual"][0]["change"] is None


@pytest.mark.usefixtures("family")
def test_a_person_sees_what_differs_at_a_glance(service: RunningService) -> None:
    told = run(service, "diff", "diff-base", "diff-deeper", output="human").splitlines()
    assert told[0] == "diff-base@1 -> diff-deeper@1: diff-deeper@1 was derived from diff-base@1"
    assert "4 added" in told[1]
    assert any(line.startswith("added") and "body.[4-5]" in line and "x2" in line for line in told)
    told = run(service, "diff", "diff-base", "diff-tuned", "--limit", "2", output="human").splitlines()
    assert told[-1].startswith("... and 11 more")
    assert run(service, "diff", "diff-base", "diff-tuned", output="quiet") == "different\n"
    assert run(service, "diff", "diff-base", "diff-base", output="quiet") == "equal\n"
    assert "Nothing differs." in run(service, "diff", "diff-base", "diff-base", output="human")


@pytest.mark.usefixtures("family")
def test_a_page_with_both_models_is_written_once(service: RunningService, tmp_path: Path) -> None:
    page = tmp_path / "diff.html"
    told = run(service, "diff", "diff-base", "diff-deeper", "--to", str(page), output="human")
    assert told == f"{page}\n"
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert text.count('class="row') == 14
    words = ["diff", "diff-base", "diff-deeper", "--to", str(page)]
    assert isinstance(failure(service, *words), AlreadyExistsError)
    assert json.loads(run(service, *words, "--force"))["path"] == str(page)


@pytest.mark.usefixtures("family")
def test_both_parts_left_out_are_refused(service: RunningService) -> None:
    words = ["diff", "diff-base", "diff-tuned"]
    assert isinstance(failure(service, *words, "--structural", "--contextual"), InvalidArgumentError)
    assert isinstance(failure(service, *words[:-1], "diff-nobody"), NotFoundError)
