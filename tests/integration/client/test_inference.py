"""Where models belong, through the SDK and the command line, over a real service and a real Neo4j."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.running_service import RunningService
from tests.unit.service.inference.related_models import adapted, cast, encoder, head, mixed, pruned, tuned
from typer.testing import CliRunner

import mgit
from mgit.cli.application import app
from mgit.inference import Kinship
from mgit.values import EdgeOrigin
from mgit_core.errors import InvalidArgumentError, NotFoundError

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]


@pytest.fixture
def repo(service: RunningService) -> Iterator[mgit.Repository]:
    """A repository that is empty: a claim may be about any model in it."""
    with mgit.connect(service.address) as opened:
        for model in opened.lineage().models:
            opened.remove(model)
        yield opened


def names(pairs: object) -> list[tuple[str, ...]]:
    """References without their versions, which the tests of this module share."""
    assert isinstance(pairs, list)
    return [tuple(text.partition("@")[0] for text in pair) for pair in pairs]


def run(service: RunningService, *words: str) -> dict[str, object]:
    done = CliRunner().invoke(app, ["--address", service.address, "--output", "json", *words])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_models_that_were_added_one_after_the_other_are_placed_at_once(repo: mgit.Repository) -> None:
    """Later ones have no sketch yet: what was added a moment ago is compared without one."""
    base = encoder(1)
    repo.add("base", base)
    repo.add("stranger", encoder(2))
    repo.backfill_sketches(progress=None)
    for name, tensors, kinship in (
        ("tuned", tuned(base, 1), Kinship.FINETUNED),
        ("half", cast(base, "float16"), Kinship.CAST),
        ("sparse", pruned(base, 0.5), Kinship.PRUNED),
        ("adapted", adapted(base, 3), Kinship.ADAPTED),
        ("task", {**base, **head(4, 3)}, Kinship.HEAD_REPLACED),
    ):
        model = repo.add(name, tensors, auto_parent=True)
        assert names([(edge.parent_ref,) for edge in model.parents]) == [("base",)], name
        assert model.parents[0].origin is EdgeOrigin.INFERRED
        assert model.parents[0].confidence is not None
        assert model.addition is not None
        assert f"Linked to {model.parents[0].parent_ref} ({kinship}" in model.addition.notes[-1]


def test_a_stranger_is_added_without_parents_and_told_why(repo: mgit.Repository) -> None:
    repo.add("base", encoder(1))
    model = repo.add("stranger", encoder(2), auto_parent=True)
    assert model.parents == ()
    assert model.addition is not None
    assert "No parent was found" in model.addition.notes[-1]


def test_a_merge_is_linked_to_its_members_with_their_shares(repo: mgit.Repository) -> None:
    base = encoder(1)
    one, other = tuned(base, 2), tuned(base, 3)
    for name, tensors in (("base", base), ("one", one), ("other", other)):
        repo.add(name, tensors)
    model = repo.add("soup", mixed((0.3, one), (0.7, other)), auto_parent=True)
    shares = {edge.parent_ref.partition("@")[0]: edge.weight for edge in model.parents}
    assert shares == pytest.approx({"one": 0.3, "other": 0.7}, abs=1e-3)


def test_sketches_find_what_is_old_after_a_backfill(repo: mgit.Repository) -> None:
    base = encoder(1)
    repo.add("base", base)
    repo.add("child", tuned(base, 2))
    heard: list[tuple[int, int]] = []
    assert repo.backfill_sketches(progress=lambda *step: heard.append(step)) >= 2
    assert heard[-1][0] == heard[-1][1]
    assert repo.backfill_sketches(progress=None) == 0
    assert [claim.parent.name for claim in repo.infer("child").claims] == ["base"]


def test_claims_are_applied_once_and_what_is_skipped_is_said(
    repo: mgit.Repository, service: RunningService
) -> None:
    base = encoder(1)
    repo.add("base", base)
    repo.add("child", tuned(base, 2))
    repo.add("twin", base)
    found = run(service, "infer", "--backfill")
    claims = found["claims"]
    assert isinstance(claims, list)
    assert names([(each["child"], each["parent"], each["kinship"]) for each in claims]) == [
        ("child", "base", "finetuned"),
        ("twin", "base", "duplicate"),
    ]
    assert not any(each["linked"] for each in claims)
    assert repo.get("child").parents == ()
    applied = run(service, "infer", "--apply")["claims"]
    assert isinstance(applied, list)
    assert [(each["linked"], each["skipped"]) for each in applied] == [
        (True, ""),
        (False, "a duplicate gets no edge"),
    ]
    again = run(service, "infer", "--apply", "child")["claims"]
    assert isinstance(again, list)
    assert [each["skipped"] for each in again] == ["the edge is there"]
    orphans = repo.infer_lineage(only_orphans=True, progress=None)
    assert [step.model.name for step in orphans] == ["base", "twin"]


def test_an_edge_that_would_close_a_cycle_is_skipped(repo: mgit.Repository) -> None:
    base = encoder(1)
    repo.add("base", base)
    repo.add("child", tuned(base, 2))
    repo.link("base", mgit.derived("child"))
    linked = repo.link_claims(repo.infer("child").claims)
    assert [each.reason for each in linked] == ["the edge would close a cycle"]


@pytest.mark.usefixtures("repo")
def test_a_command_adds_and_tells_what_it_linked(service: RunningService, tmp_path: Path) -> None:
    base = {name: array for name, array in encoder(1).items() if array.dtype.kind == "f"}
    save_file(base, tmp_path / "base.safetensors")
    save_file(tuned(base, 2), tmp_path / "child.safetensors")
    run(service, "add", str(tmp_path / "base.safetensors"), "--name", "base")
    added = run(service, "add", str(tmp_path / "child.safetensors"), "--name", "child", "--auto-parent")
    parents, notes = added["parents"], added["notes"]
    assert isinstance(parents, list)
    assert isinstance(notes, list)
    assert names([(each["ref"], each["origin"]) for each in parents]) == [("base", "inferred")]
    assert any("Linked to base@" in note for note in notes)
    told = CliRunner().invoke(app, ["--address", service.address, "infer", "child", "base"])
    assert "finetuned from base@" in told.stdout
    assert ": no parent claimed." in told.stdout


def test_what_is_wrong_is_refused(repo: mgit.Repository) -> None:
    repo.add("base", {"weight": np.ones((3, 3), np.float32)})
    with pytest.raises(NotFoundError):
        repo.infer("nobody")
    for confidence in (0.0, -1.0, 1.5, float("nan")):
        with pytest.raises(InvalidArgumentError):
            repo.infer("base", min_confidence=confidence)


def test_leaving_a_long_answer_ends_the_call(repo: mgit.Repository) -> None:
    for seed in range(3):
        repo.add(f"model-{seed}", encoder(seed))
    found = repo.infer_lineage(progress=None)
    assert next(iter(found)).model.name == "model-0"
    found.close()  # type: ignore[attr-defined]
    assert len(list(repo.infer_lineage(progress=None))) == 3
