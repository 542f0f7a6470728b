"""``mgit walk`` against a real stack."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.integration.local.command_line import CommandLine

pytestmark = [pytest.mark.slow, pytest.mark.neo4j]


@pytest.fixture(scope="module")
def walked(stack: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """The model base <-- a <-- c, base <-- b <-- c, and a second version of base."""
    folder = tmp_path_factory.mktemp("walked")
    family = [("base", []), ("a", ["base"]), ("b", ["base"]), ("c", ["a", "b"]), ("base", [])]
    for number, (name, parents) in enumerate(family):
        path = folder / f"{number}.safetensors"
        save_file({"w": np.full(4, number, np.float32)}, path)
        options = [word for parent in parents for word in ("--parent", f"walk/{parent}:finetuned")]
        stack.json("add", str(path), "--name", f"walk/{name}", *options)
    return stack


def refs(walked: CommandLine, *arguments: str) -> list[str]:
    return [ref.removeprefix("walk/") for ref in walked.quiet("walk", *arguments)]


def test_a_walk_is_listed_in_its_order(walked: CommandLine) -> None:
    base = "walk/base@1"
    assert refs(walked, base) == ["base@1", "a@1", "b@1", "c@1"]
    assert refs(walked, base, "--order", "depth-first") == ["base@1", "a@1", "c@1", "b@1"]
    assert refs(walked, base, "--order", "children-first") == ["c@1", "a@1", "b@1", "base@1"]
    assert refs(walked, "walk/c", "--direction", "ancestors", "--depth", "1") == ["c@1", "a@1", "b@1"]
    assert refs(walked, base, "--edges", "version") == ["base@1", "base@2"]
    assert refs(walked, base, "--skip", "walk/a", "--stop", "walk/c") == ["base@1", "b@1"]
    assert refs(walked, base, "--relation", "pruned") == ["base@1"]
    assert refs(walked, "walk/a", "walk/b", "--order", "parents-first") == ["a@1", "b@1", "c@1"]


def test_without_a_reference_all_of_the_graph_is_walked(walked: CommandLine) -> None:
    assert set(refs(walked)) >= {"base@1", "base@2", "a@1", "b@1", "c@1"}


def test_a_walk_answers_with_its_keys(walked: CommandLine) -> None:
    document = walked.json("walk", "walk/base@1", "--limit", "2")
    assert document.keys() == {"models", "truncated"}
    assert [(each["ref"], each["hops"]) for each in document["models"]] == [
        ("walk/base@1", 0),
        ("walk/a@1", 1),
    ]
    assert document["models"][0].keys() >= {"uid", "state", "created_at"}
    assert document["truncated"] is True


def test_a_person_gets_a_table_and_hears_of_a_cut(walked: CommandLine) -> None:
    ended = walked.run("walk", "walk/base@1", "--limit", "2")
    assert ended.code == 0
    assert [line.split()[:2] for line in ended.lines] == [
        ["HOPS", "MODEL"],
        ["0", "walk/base@1"],
        ["1", "walk/a@1"],
    ]
    assert ended.err == "There are more; --limit 2 cut the walk.\n"
    ended = walked.run("walk", "walk/base@1", "--stop", "walk/base@1")
    assert (ended.out, ended.err) == ("", "The walk comes to no model.\n")


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (("walk/base", "--order", "sideways"), 2, "INVALID_ARGUMENT"),
        (("walk/base", "--direction", "up"), 2, "INVALID_ARGUMENT"),
        (("walk/base", "--edges", "none"), 2, "INVALID_ARGUMENT"),
        (("walk/base", "--relation", "cousin"), 2, "INVALID_RELATION"),
        (("walk/base", "--edges", "version", "--relation", "cast"), 2, "INVALID_ARGUMENT"),
        (("walk/nobody",), 3, "MODEL_NOT_FOUND"),
        (("walk/base", "--stop", "walk/nobody"), 3, "MODEL_NOT_FOUND"),
    ],
)
def test_a_walk_that_cannot_be_is_refused(
    walked: CommandLine, arguments: tuple[str, ...], code: int, reason: str
) -> None:
    ended = walked.run("walk", *arguments, "--output", "json")
    assert (ended.code, ended.error["reason"]) == (code, reason)


@pytest.mark.parametrize("bound", ["--depth", "--limit"])
def test_a_bound_below_one_is_wrong_usage(walked: CommandLine, bound: str) -> None:
    assert walked.run("walk", "walk/base", bound, "-1").code == 2
