"""``repo.bugs`` and ``mgit bug`` over the real service."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from tests.integration.local.command_line import CommandLine
from tests.running_service import RunningService

import mgit
from mgit.bugs import AffectedReason, Bug, BugSeverity, BugState, ModelSubject, subject_text
from mgit.errors import ErrorReason, FailedPreconditionError, InvalidArgumentError, MGitError, NotFoundError

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]

SHARED = np.arange(16, dtype=np.float32)


@pytest.fixture
def mgit_command(service: RunningService, tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "home", {"MGIT_ADDRESS": service.address})


@pytest.fixture(scope="module")
def family(repo: mgit.Repository) -> dict[str, mgit.Model]:
    """base; a and b from it; their merge; a newer version of a; a twin with base's tensor; one with a data set."""
    models = {"base": repo.add("bugs/base", {"shared": SHARED, "own": SHARED + 1})}
    models["a"] = repo.add("bugs/a", {"w": SHARED + 2}, parents=[mgit.finetuned(models["base"])])
    models["b"] = repo.add("bugs/b", {"w": SHARED + 3}, parents=[mgit.pruned(models["base"])])
    parents = [mgit.merged(models[name]) for name in ("a", "b")]
    models["merge"] = repo.add("bugs/merge", {"w": SHARED + 4}, parents=parents)
    models["a2"] = repo.add("bugs/a", {"w": SHARED + 5})
    models["twin"] = repo.add("bugs/twin", {"other": SHARED})
    models["trained"] = repo.add("bugs/trained", {"w": SHARED + 6}, datasets=["glue@1"])
    return models


def refs(models: object) -> list[str]:
    return [model.ref for model in models]  # type: ignore[attr-defined]


class TestRepository:
    def test_a_bug_is_given_as_it_was_reported(
        self, repo: mgit.Repository, family: dict[str, mgit.Model]
    ) -> None:
        digest = family["base"].tensors["shared"].digest
        affects = [f"dataset:glue@{1}", f"tensor:{digest}", family["a"], "bugs/b", mgit.Dataset(name="glue")]
        bug = repo.bugs.report(
            "NaN", affects, description="seen", severity="high", carried_by=[mgit.Relation.MERGED, "cast"]
        )
        assert [subject_text(subject) for subject in bug.affects] == [
            "bugs/a@1",
            "bugs/b@1",
            f"tensor:{digest}",
            "dataset:glue",
            "dataset:glue@1",
        ]
        assert (bug.title, bug.description, bug.severity) == ("NaN", "seen", BugSeverity.HIGH)
        assert bug.carried_by == (mgit.Relation.MERGED, mgit.Relation.CAST)
        assert repo.bugs.get(bug) == repo.bugs.get(bug.id[:20]) == bug

    def test_affected_models_come_with_witnesses(
        self, repo: mgit.Repository, family: dict[str, mgit.Model]
    ) -> None:
        bug = repo.bugs.report("in the base", family["base"])
        repo.tag(family["merge"], "deployed")
        reach = repo.bugs.affected(bug)
        assert refs(each.model for each in reach.models) == [
            "bugs/base@1",
            "bugs/a@1",
            "bugs/b@1",
            "bugs/merge@1",
        ]
        assert refs(reach.witness(reach.models[-1])) == ["bugs/merge@1", "bugs/a@1", "bugs/base@1"]
        assert refs(reach.witness(reach.models[0])) == ["bugs/base@1"]
        assert {tag: model.ref for tag, model in reach.tags.items()} == {
            "bugs/merge@deployed": "bugs/merge@1"
        }
        assert (refs(reach.unknown), reach.cleared, reach.truncated) == (["bugs/a@2"], (), False)
        assert repo.bugs.count_affected(bug) == 4
        fixed = repo.bugs.affected(bug, assumed_fixed=[family["a"], "bugs/b"])
        assert refs(fixed.cleared) == ["bugs/a@1", "bugs/b@1", "bugs/merge@1"]
        assert repo.bugs.count_affected(bug, assumed_fixed=[family["a"], "bugs/b"]) == 1
        assert repo.bugs.affected(bug, limit=1).truncated

    def test_a_fix_clears_what_is_behind_it(
        self, repo: mgit.Repository, family: dict[str, mgit.Model]
    ) -> None:
        bug = repo.bugs.report("fixed in a", "bugs/base", carried_by="finetuned")
        fixed = repo.bugs.fix(bug, family["a"])
        assert refs(fixed.fixed_in) == ["bugs/a@1"]
        assert refs(each.model for each in repo.bugs.affected(bug).models) == ["bugs/base@1"]
        with pytest.raises(FailedPreconditionError) as refused:
            repo.bugs.fix(bug, "bugs/twin")
        assert refused.value.reason is ErrorReason.MODEL_NOT_AFFECTED
        assert len(repo.bugs.fix(bug, "bugs/twin", force=True).fixed_in) == 2

    def test_models_with_the_same_tensor_are_found_without_an_edge(
        self, repo: mgit.Repository, family: dict[str, mgit.Model]
    ) -> None:
        bug = repo.bugs.report("in the tensor", f"tensor:{family['base'].tensors['shared'].digest}")
        reasons = {each.model.ref: each.reason for each in repo.bugs.affected(bug).models}
        assert reasons["bugs/twin@1"] is reasons["bugs/base@1"] is AffectedReason.TENSOR
        assert reasons["bugs/merge@1"] is AffectedReason.INHERITED

    @pytest.mark.usefixtures("family")
    def test_bugs_are_closed_opened_and_listed(self, repo: mgit.Repository) -> None:
        older, newer = (repo.bugs.report(title, "bugs/trained") for title in ("older", "newer"))
        assert repo.bugs.close(older).state is BugState.CLOSED
        assert [bug.title for bug in repo.bugs.list(model="bugs/trained")] == ["newer", "older"]
        assert [bug.id for bug in repo.bugs.list(model="bugs/trained", state="open")] == [newer.id]
        assert repo.bugs.reopen(older.id).state is BugState.OPEN

    @pytest.mark.usefixtures("family")
    def test_bad_input_says_what_is_bad(self, repo: mgit.Repository) -> None:
        for call, reason in (
            (lambda: repo.bugs.report("", "bugs/a"), ErrorReason.INVALID_BUG),
            (lambda: repo.bugs.report("t", []), ErrorReason.INVALID_BUG),
            (lambda: repo.bugs.report("t", "bugs/a", severity="awful"), ErrorReason.INVALID_BUG),
            (lambda: repo.bugs.report("t", "bugs/a", carried_by="copied"), ErrorReason.INVALID_RELATION),
            (lambda: repo.bugs.report("t", "tensor:12"), ErrorReason.INVALID_ARGUMENT),
            (lambda: repo.bugs.report("t", f"tensor:{'0' * 64}"), ErrorReason.TENSOR_NOT_FOUND),
            (lambda: repo.bugs.report("t", "dataset:nothing"), ErrorReason.DATASET_NOT_FOUND),
            (lambda: repo.bugs.report("t", "bugs/nobody"), ErrorReason.MODEL_NOT_FOUND),
            (lambda: repo.bugs.list(state="done"), ErrorReason.INVALID_ARGUMENT),
            (lambda: repo.bugs.affected("f", limit=0), ErrorReason.INVALID_ARGUMENT),
            (lambda: repo.bugs.get(""), ErrorReason.INVALID_ARGUMENT),
            (lambda: repo.bugs.get("f"), ErrorReason.BUG_NOT_FOUND),
        ):
            with pytest.raises(MGitError) as refused:
                call()
            assert refused.value.reason is reason, refused.value

    @pytest.mark.usefixtures("family")
    def test_a_beginning_of_several_ids_is_refused(self, repo: mgit.Repository) -> None:
        bugs: list[Bug] = [repo.bugs.report(title, "bugs/a") for title in ("one", "two")]
        assert isinstance(bugs[0].affects[0], ModelSubject)
        with pytest.raises(InvalidArgumentError, match="several bugs"):
            repo.bugs.affected(bugs[0].id[:4])
        with pytest.raises(NotFoundError):
            repo.bugs.close("f")


@pytest.mark.usefixtures("family")
class TestCommands:
    def test_a_bug_from_its_report_to_its_end(self, mgit_command: CommandLine, repo: mgit.Repository) -> None:
        reported = mgit_command.run(
            "bug", "report", "--title", "NaN in half precision", "--affects", "bugs/base"
        )
        assert reported.code == 0
        [bug_id] = reported.lines
        assert f"mgit bug affected {bug_id}" in reported.err
        shown = mgit_command.json("bug", "show", bug_id[:20])
        assert (shown["id"], shown["title"], shown["state"]) == (bug_id, "NaN in half precision", "open")
        assert (shown["affects"], shown["severity"], len(shown["carried_by"])) == (
            ["bugs/base@1"],
            "medium",
            9,
        )
        assert bug_id in mgit_command.quiet("bug", "ls", "--affects", "bugs/base")
        fixed = mgit_command.run("bug", "fix", bug_id, "bugs/a@1")
        assert fixed.lines == [f"Bug {bug_id} is fixed in bugs/a@1 and in what was made from it."]
        assert mgit_command.run("bug", "close", bug_id).lines == [f"Bug {bug_id} is closed."]
        assert bug_id not in mgit_command.quiet("bug", "ls")
        assert bug_id in mgit_command.quiet("bug", "ls", "--state", "closed")
        assert bug_id in mgit_command.quiet("bug", "ls", "--state", "all")
        assert mgit_command.json("bug", "close", bug_id, "--reopen")["state"] == "open"
        assert refs(repo.bugs.get(bug_id).fixed_in) == ["bugs/a@1"]

    def test_affected_models_as_json(self, mgit_command: CommandLine) -> None:
        [bug_id] = mgit_command.quiet(
            "bug", "report", "--title", "t", "--affects", "bugs/base", "--severity", "LOW"
        )
        found = mgit_command.json("bug", "affected", bug_id)
        assert list(found) == ["models", "unknown", "cleared", "tags", "truncated"]
        ways = {model["ref"]: (model["reason"], model["witness"]) for model in found["models"]}
        assert ways["bugs/base@1"] == ("direct", ["bugs/base@1"])
        assert ways["bugs/merge@1"] == ("inherited", ["bugs/merge@1", "bugs/a@1", "bugs/base@1"])
        assert [model["ref"] for model in found["unknown"]] == ["bugs/a@2"]
        some = mgit_command.json("bug", "affected", bug_id, "--assume-fixed", "bugs/a@1", "--declared-only")
        assert [model["ref"] for model in some["cleared"]] == ["bugs/a@1"]
        assert mgit_command.json("bug", "affected", bug_id, "--limit", "2")["truncated"] is True

    def test_affected_models_for_a_person(
        self, mgit_command: CommandLine, repo: mgit.Repository, family: dict[str, mgit.Model]
    ) -> None:
        repo.tag(family["merge"], "prod")
        digest = family["base"].tensors["shared"].digest
        [bug_id] = mgit_command.quiet("bug", "report", "--title", "t", "--affects", f"tensor:{digest}")
        lines = mgit_command.run("bug", "affected", bug_id, "--assume-fixed", "bugs/b").lines
        assert lines[0].split() == ["MODEL", "WHY", "FROM", "TAGS"]
        table = {line.split()[0]: " ".join(line.split()[1:]) for line in lines[1:5]}
        assert table["bugs/twin@1"] == "holds the tensor"
        assert table["bugs/merge@1"].startswith("inherited bugs/a@1 -> bugs/base@1")
        assert "  bugs/merge@prod" in lines
        assert lines[lines.index("Would be cleared:") + 1] == "  bugs/b@1"
        assert lines[-1] == "  bugs/a@2"
        cut = mgit_command.run("bug", "affected", bug_id, "--limit", "1")
        assert "--limit 1 cut the list" in cut.err

    def test_a_data_set_and_a_description(self, mgit_command: CommandLine) -> None:
        report = (
            "bug",
            "report",
            "--title",
            "leak",
            "--affects",
            "dataset:glue",
            "--carried-by",
            "finetuned",
        )
        [bug_id] = mgit_command.quiet(*report, "--description", "test rows\nin the training rows")
        lines = mgit_command.run("bug", "show", bug_id).lines
        assert lines[-2:] == ["test rows", "in the training rows"]
        assert "dataset:glue" in " ".join(lines)
        found = mgit_command.json("bug", "affected", bug_id)
        assert [(model["ref"], model["reason"]) for model in found["models"]] == [
            ("bugs/trained@1", "dataset")
        ]

    def test_a_description_is_read_from_standard_input(
        self, mgit_command: CommandLine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO("long\nstory\n"))
        report = ("bug", "report", "--title", "told", "--affects", "bugs/twin", "--description", "-")
        assert mgit_command.json(*report)["description"] == "long\nstory\n"

    @pytest.mark.parametrize(
        ("arguments", "code", "reason"),
        [
            (("report", "--title", " ", "--affects", "bugs/a"), 2, "INVALID_BUG"),
            (("report", "--title", "t", "--affects", "bugs/a", "--severity", "bad"), 2, "INVALID_BUG"),
            (("report", "--title", "t", "--affects", "bugs/a", "--carried-by", "x"), 2, "INVALID_RELATION"),
            (("report", "--title", "t", "--affects", "bugs/nobody"), 3, "MODEL_NOT_FOUND"),
            (("report", "--title", "t", "--affects", "dataset:none"), 3, "DATASET_NOT_FOUND"),
            (("report", "--title", "t", "--affects", f"tensor:{'0' * 64}"), 3, "TENSOR_NOT_FOUND"),
            (("fix", "f", "bugs/a"), 3, "BUG_NOT_FOUND"),
            (("show", "f"), 3, "BUG_NOT_FOUND"),
            (("affected", "f"), 3, "BUG_NOT_FOUND"),
            (("close", ""), 2, "INVALID_ARGUMENT"),
            (("ls", "--state", "new"), 2, "INVALID_ARGUMENT"),
        ],
    )
    def test_bad_input_ends_with_its_code(
        self, mgit_command: CommandLine, arguments: tuple[str, ...], code: int, reason: str
    ) -> None:
        ended = mgit_command.run("bug", *arguments, "--output", "json")
        assert (ended.code, ended.error["reason"]) == (code, reason)

    def test_a_fix_in_a_stranger_is_refused_unless_forced(self, mgit_command: CommandLine) -> None:
        [bug_id] = mgit_command.quiet("bug", "report", "--title", "t", "--affects", "bugs/trained")
        ended = mgit_command.run("bug", "fix", bug_id, "bugs/twin", "--output", "json")
        assert (ended.code, ended.error["reason"]) == (4, "MODEL_NOT_AFFECTED")
        assert mgit_command.quiet("bug", "fix", bug_id, "bugs/twin", "--force") == ["bugs/twin@1"]

    def test_no_bugs_and_no_models_are_said(self, mgit_command: CommandLine) -> None:
        assert "no such bugs" in mgit_command.run("bug", "ls", "--affects", "bugs/merge").err
        [bug_id] = mgit_command.quiet("bug", "report", "--title", "t", "--affects", "bugs/twin")
        mgit_command.run("bug", "fix", bug_id, "bugs/twin")
        assert "affects no model" in mgit_command.run("bug", "affected", bug_id).err
