"""Every command of the catalog and the lineage against a real stack: answers, keys, exit codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.integration.local.command_line import CommandLine

pytestmark = [pytest.mark.slow, pytest.mark.neo4j]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files ``base``, ``left`` and ``right`` that share a tensor."""
    folder = tmp_path_factory.mktemp("files")
    generator = np.random.default_rng(5)
    shared = generator.standard_normal((400, 64)).astype(np.float32)
    for name in ("base", "left", "right"):
        own = generator.standard_normal((8, 8)).astype(np.float32)
        save_file({"shared.weight": shared, "own.weight": own}, folder / f"{name}.safetensors")
    return folder


@pytest.fixture(scope="module")
def family(stack: CommandLine, files: Path) -> dict[str, Any]:
    """What ``add`` answered: base, left and right from it, both from left and right, and left again."""
    base, left, right = (str(files / f"{name}.safetensors") for name in ("base", "left", "right"))
    return {
        "base": stack.json("add", base, "--name", "cli/base", "--type", "tiny"),
        "left": stack.json("add", left, "--name", "cli/left", "--parent", "cli/base:finetuned"),
        "right": stack.json(
            *("add", right, "--name", "cli/right", "--parent", "cli/base:pruned", "--meta", "epochs=3"),
            *("--dataset", "docs@2", "--meta", "note=quick"),
        ),
        "both": stack.json(
            *("add", base, "--name", "cli/both"),
            *("--parent", "cli/left:merged:0.25", "--parent", "cli/right:merged:0.75"),
        ),
        "again": stack.json("add", right, "--name", "cli/left", "--parent", "cli/base:finetuned"),
    }


def test_add_answers_with_its_keys(family: dict[str, Any]) -> None:
    right = family["right"]

    assert right["ref"] == "cli/right@1"
    assert right.keys() >= {"ref", "uid", "digest", "parents", "new_bytes", "seconds"}
    assert right["metadata"] == {"epochs": 3, "note": "quick"}
    assert right["datasets"] == [{"name": "docs", "version": "2"}]
    assert [(parent["ref"], parent["relation"]) for parent in right["parents"]] == [("cli/base@1", "pruned")]
    assert 0 < right["sent_bytes"] < family["base"]["sent_bytes"]
    assert family["both"]["same_as"] == ["cli/base@1"]
    assert (family["again"]["ref"], family["again"]["previous"]) == ("cli/left@2", "cli/left@1")


def test_add_prints_the_reference_and_tells_the_rest_apart(stack: CommandLine, files: Path) -> None:
    ended = stack.run("add", str(files / "base.safetensors"), "--name", "cli/printed")

    assert (ended.code, ended.out) == (0, "cli/printed@1\n")
    assert "new in the store" in ended.err
    assert stack.quiet("rm", "cli/printed@1") == ["cli/printed@1"]


def test_files_come_back_byte_for_byte(
    stack: CommandLine, family: dict[str, Any], files: Path, tmp_path: Path
) -> None:
    answer = stack.json("get", family["left"]["ref"], "--to", str(tmp_path / "back.safetensors"))

    assert answer["digest"] == family["left"]["digest"]
    assert (tmp_path / "back.safetensors").read_bytes() == (files / "left.safetensors").read_bytes()


def test_get_refuses_to_overwrite(stack: CommandLine, family: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"kept")
    ended = stack.run("get", family["left"]["ref"], "--to", str(tmp_path / "there"))

    assert ended.code == 4
    assert (tmp_path / "there").read_bytes() == b"kept"


def test_get_takes_tensors_by_pattern(stack: CommandLine, family: dict[str, Any], tmp_path: Path) -> None:
    target = tmp_path / "part.safetensors"
    stack.quiet("get", family["left"]["ref"], "--to", str(target), "--tensor", "own.*")

    assert 256 <= target.stat().st_size < 1000


@pytest.mark.usefixtures("family")
def test_ls_lists_the_latest_version_of_each_name(stack: CommandLine) -> None:
    listed = stack.json("ls", "cli/")

    refs = [model["ref"] for model in listed["models"]]
    assert refs == ["cli/base@1", "cli/both@1", "cli/left@2", "cli/right@1"]
    assert all(model["uid"] for model in listed["models"])
    assert stack.quiet("ls", "CLI/", "--type", "tiny") == ["cli/base@1"]
    assert stack.run("ls", "cli/").lines[0].split()[:2] == ["MODEL", "TYPE"]


def test_show_describes_a_model(stack: CommandLine, family: dict[str, Any]) -> None:
    shown = stack.json("show", "cli/right")

    keys = {"ref", "uid", "digest", "state", "parents", "metadata", "tags", "tensors"}
    assert shown.keys() >= keys
    assert shown["parents"][0].keys() >= {"ref", "relation", "origin", "confidence"}
    assert {(tensor["name"], tensor["dtype"], tuple(tensor["shape"])) for tensor in shown["tensors"]} == {
        ("own.weight", "float32", (8, 8)),
        ("shared.weight", "float32", (400, 64)),
    }
    assert shown["files"] == [{"path": "right.safetensors", "size_bytes": shown["files"][0]["size_bytes"]}]
    human = stack.run("show", f"@{family['right']['uid']}").out
    assert "cli/base@1 (pruned, declared)" in human
    assert "400 x 64" in human


@pytest.mark.usefixtures("family")
def test_log_lists_versions_newest_first(stack: CommandLine) -> None:
    assert stack.quiet("log", "cli/left") == ["cli/left@2", "cli/left@1"]
    assert stack.quiet("log", "cli/left@1") == ["cli/left@1"]


@pytest.mark.usefixtures("family")
def test_a_tag_is_set_listed_moved_and_deleted(stack: CommandLine) -> None:
    assert stack.json("tag", "cli/left@1", "best")["ref"] == "cli/left@1"
    moved = stack.run("tag", "cli/left@2", "best", "--output", "json")
    assert (moved.code, moved.error["reason"]) == (4, "TAG_MOVED")
    assert stack.quiet("tag", "cli/left@2", "best", "--force") == ["cli/left@2"]
    assert stack.json("show", "cli/left@best")["tags"] == ["best"]
    assert stack.quiet("tag", "cli/left") == ["best"]
    assert "deleted" in stack.run("tag", "cli/left", "best", "--delete").out
    assert stack.run("show", "cli/left@best").code == 3


@pytest.mark.usefixtures("family")
def test_ancestors_come_nearest_first_with_their_hops(stack: CommandLine) -> None:
    found = stack.json("ancestors", "cli/both")

    assert [(model["ref"], model["hops"]) for model in found["models"]] == [
        ("cli/left@1", 1),
        ("cli/right@1", 1),
        ("cli/base@1", 2),
    ]
    assert found["truncated"] is False
    assert stack.quiet("ancestors", "cli/both", "--depth", "1") == ["cli/left@1", "cli/right@1"]
    assert stack.quiet("ancestors", "cli/right", "--relation", "merged") == []


@pytest.mark.usefixtures("family")
def test_a_limit_that_cut_descendants_is_said(stack: CommandLine) -> None:
    cut = stack.json("descendants", "cli/base", "--limit", "1")

    assert (len(cut["models"]), cut["truncated"]) == (1, True)
    assert "--limit 1 cut the list" in stack.run("descendants", "cli/base", "--limit", "1").err
    assert set(stack.quiet("descendants", "cli/base")) == {
        "cli/left@1",
        "cli/left@2",
        "cli/right@1",
        "cli/both@1",
    }


@pytest.mark.usefixtures("family")
def test_lineage_gives_models_and_edges(stack: CommandLine) -> None:
    found = stack.json("lineage", "cli/both")

    assert {(edge["child"], edge["parent"], edge["relation"]) for edge in found["edges"]} == {
        ("cli/left@1", "cli/base@1", "finetuned"),
        ("cli/right@1", "cli/base@1", "pruned"),
        ("cli/both@1", "cli/left@1", "merged"),
        ("cli/both@1", "cli/right@1", "merged"),
    }
    assert [model["ref"] for model in found["models"]] == [
        "cli/base@1",
        "cli/left@1",
        "cli/right@1",
        "cli/both@1",
    ]


@pytest.mark.usefixtures("family")
def test_lineage_is_a_tree_for_a_person(stack: CommandLine) -> None:
    assert stack.run("lineage", "cli/both").lines == [
        "cli/base@1",
        "├── cli/left@1  finetuned",
        "│   └── cli/both@1 *  merged 0.25",
        "└── cli/right@1  pruned",
        "    └── cli/both@1 *  merged 0.75, drawn under cli/left@1",
    ]


@pytest.mark.usefixtures("family")
def test_lineages_meet_at_the_merge_base(stack: CommandLine) -> None:
    assert stack.quiet("merge-base", "cli/left@1", "cli/right") == ["cli/base@1"]
    assert stack.json("merge-base", "cli/left@1", "cli/both")["models"][0]["ref"] == "cli/left@1"


@pytest.mark.usefixtures("family")
@pytest.mark.parametrize(
    ("form", "beginning"),
    [("mermaid", "flowchart"), ("dot", "digraph"), ("html", "<!doctype html>"), ("json", "{")],
)
def test_a_graph_is_drawn(form: str, beginning: str, stack: CommandLine, tmp_path: Path) -> None:
    printed = stack.run("graph", "cli/both", "--format", form)
    written = stack.quiet("graph", "cli/both", "--to", str(tmp_path / f"picture.{form}"), "--format", form)

    assert printed.out.startswith(beginning)
    assert written == [str(tmp_path / f"picture.{form}")]
    assert (tmp_path / f"picture.{form}").read_text(encoding="utf-8") == printed.out


@pytest.mark.usefixtures("family")
def test_a_graph_is_a_document_where_documents_are_wanted(stack: CommandLine, tmp_path: Path) -> None:
    document = stack.json("graph", "cli/both", "--format", "dot")

    assert document["picture"].startswith("digraph")
    assert len(document["models"]) == 4
    (tmp_path / "there.html").touch()
    assert stack.run("graph", "cli/both", "--to", str(tmp_path / "there.html")).code == 4
    assert stack.json("graph", "--to", str(tmp_path / "there.html"), "--force")["format"] == "html"


@pytest.mark.usefixtures("family")
def test_edges_are_added_and_deleted_after_the_fact(stack: CommandLine) -> None:
    assert stack.json("link", "cli/both", "cli/base", "--relation", "adapted")["relation"] == "adapted"
    again = stack.run("link", "cli/both", "cli/base", "--relation", "adapted", "--output", "json")
    assert (again.code, again.error["reason"]) == (4, "EDGE_EXISTS")
    cycle = stack.run("link", "cli/base", "cli/both", "--output", "json")
    assert (cycle.code, cycle.error["reason"]) == (4, "CYCLE")
    assert stack.quiet("unlink", "cli/both", "cli/base") == ["adapted"]
    assert stack.run("unlink", "cli/both", "cli/base").code == 3


@pytest.mark.usefixtures("family")
def test_a_version_edge_is_an_edge_of_its_own(stack: CommandLine) -> None:
    linked = stack.json("link", "cli/right", "cli/left@1", "--relation", "revision")

    assert linked == {"child": "cli/right@1", "parent": "cli/left@1", "relation": "revision"}
    assert stack.json("show", "cli/right")["previous"] == "cli/left@1"
    assert stack.quiet("unlink", "cli/right", "cli/left@1", "--relation", "revision") == ["revision"]
    assert stack.run("link", "cli/right", "cli/left@1", "--relation", "revision", "--weight", "1").code == 2


@pytest.mark.usefixtures("family")
def test_statistics_of_the_store_add_up(stack: CommandLine) -> None:
    found = stack.json("stats")

    parts = ("pack_bytes", "index_bytes", "manifest_bytes", "other_bytes")
    assert found["stored_bytes"] == sum(found[part] for part in parts)
    assert found["ratio"] == pytest.approx(found["logical_bytes"] / found["stored_bytes"])
    assert found["models"] >= 5
    assert "logical bytes for each stored one" in stack.run("stats").out


@pytest.mark.usefixtures("family")
def test_statistics_of_a_model_add_up(stack: CommandLine) -> None:
    found = stack.json("stats", "cli/left@1")

    assert found["stored_bytes"] == found["unique_bytes"] + found["shared_bytes"]
    assert {tensor["name"] for tensor in found["tensors"]} == {"own.weight", "shared.weight"}
    assert all(tensor["encoding"] for tensor in found["tensors"])
    assert found.keys() >= {"logical_bytes", "delta_bytes"}
    assert "used by other models too" in stack.run("stats", "cli/left@1").out


@pytest.mark.usefixtures("family")
def test_a_tensor_is_found_in_all_models_that_hold_it(stack: CommandLine) -> None:
    by_name = stack.json("uses", "cli/left@1", "shared.weight")

    assert {"cli/base@1", "cli/left@1", "cli/right@1", "cli/both@1"} <= {
        use["ref"] for use in by_name["uses"]
    }
    assert stack.json("uses", by_name["digest"]) == by_name
    assert stack.run("uses", "cli/left@1", "nothing").code == 3
    assert stack.run("uses", "cli/left@1").code == 2


@pytest.mark.usefixtures("family")
def test_models_with_equal_parameters_are_grouped(stack: CommandLine) -> None:
    groups = [{model["ref"] for model in group["models"]} for group in stack.json("duplicates")["groups"]]

    assert {"cli/base@1", "cli/both@1"} in groups


def test_what_is_removed_leaves_a_tombstone_where_an_edge_touches_it(stack: CommandLine, files: Path) -> None:
    path = str(files / "base.safetensors")
    stack.quiet("add", path, "--name", "cli/gone")
    stack.quiet("add", path, "--name", "cli/heir", "--parent", "cli/gone")

    assert stack.json("rm", "cli/gone", "--yes") == {
        "ref": "cli/gone@1",
        "uid": stack.json("show", "cli/gone@1")["uid"],
        "state": "removed",
    }
    assert stack.run("show", "cli/gone").code == 3
    assert stack.json("show", "cli/gone@1")["state"] == "removed"
    assert stack.quiet("log", "cli/gone") == ["cli/gone@1"]
    removed = stack.run("get", "cli/gone@1", "--to", "nowhere.safetensors", "--output", "json")
    assert (removed.code, removed.error["reason"]) == (3, "MODEL_REMOVED")
    assert stack.quiet("ancestors", "cli/heir") == ["cli/gone@1"]
    assert stack.quiet("rm", "cli/heir") == ["cli/heir@1"]


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (("show", "cli/nothing"), 3, "MODEL_NOT_FOUND"),
        (("show", "no..dots"), 2, "INVALID_NAME"),
        (("show", "@not-a-uid"), 2, "INVALID_REFERENCE"),
        (("ancestors", "cli/nothing"), 3, "MODEL_NOT_FOUND"),
        (("lineage", "cli/nothing"), 3, "MODEL_NOT_FOUND"),
        (("log", "cli/nothing"), 3, "MODEL_NOT_FOUND"),
        (("rm", "cli/nothing"), 3, "MODEL_NOT_FOUND"),
        (("stats", "cli/nothing"), 3, "MODEL_NOT_FOUND"),
        (("add", "no-such-file", "--name", "cli/x"), 3, "PATH_NOT_FOUND"),
        (("add", ".", "--name", "a" * 300), 2, "INVALID_NAME"),
        (("--address", "127.0.0.1:9", "ls"), 5, "SERVICE_UNAVAILABLE"),
    ],
)
def test_an_error_has_its_exit_code_and_reason(
    arguments: tuple[str, ...], code: int, reason: str, stack: CommandLine
) -> None:
    ended = stack.run(*arguments, "--output", "json")

    assert (ended.code, ended.out) == (code, "")
    assert (ended.error["reason"], ended.error["exit_code"]) == (reason, code)
