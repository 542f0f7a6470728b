"""Every query of the cookbook runs in the real Neo4j and finds what it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import neo4j
import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.integration.local.command_line import CommandLine

pytestmark = [pytest.mark.slow, pytest.mark.neo4j]

PAGE = Path(__file__).resolve().parents[3] / "docs" / "cookbook.md"
RECIPES: dict[str, str] = dict(
    re.findall(
        r"^## (.+?)\n.*?^```cypher\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
)
ANSWERS: dict[str, list[dict[str, Any]]] = {
    "What was this model made from, and how far away is it?": [{"model": "minilm@1", "hops": 1}],
    "Which models descend from a base that must not be used any more?": [
        {"name": "blend", "version": 1},
        {"name": "reviews", "version": 1},
    ],
    "Which models were trained on a data set?": [
        {"name": "reviews", "version": 1, "dataset_version": "3.11"}
    ],
    "Which tensors do two models share?": [{"parameter": "shared", "there": "shared", "size_bytes": 400}],
    "Which models have exactly equal parameters?": [{"models": ["reviews@1", "blend@1"]}],
    "Which models have no known origin?": [{"name": "minilm", "version": 1}],
    "What was averaged or merged, with which weights?": [
        {"model": "blend@1", "how": "AGGREGATED_FROM", "parent": "minilm@1", "weight": 0.25},
        {"model": "blend@1", "how": "AGGREGATED_FROM", "parent": "reviews@1", "weight": 0.75},
    ],
    "Where was a number recorded?": [{"name": "reviews", "version": 1, "accuracy": 0.9}],
    "Which models lost something when they were added?": [{"name": "reviews", "version": 1}],
}


@pytest.fixture(scope="module")
def graph(stack: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[neo4j.Driver]:
    """The stack's own graph, with the family that the cookbook speaks of."""
    folder = tmp_path_factory.mktemp("cookbook")
    shared = np.arange(100, dtype=np.float32)
    for number, name in enumerate(("minilm", "reviews")):
        save_file({"shared": shared, "own": np.full(3, number, np.float32)}, folder / f"{name}.safetensors")
    base, tuned = (str(folder / f"{name}.safetensors") for name in ("minilm", "reviews"))
    stack.quiet("add", base, "--name", "minilm")
    stack.quiet(
        *("add", tuned, "--name", "reviews", "--parent", "minilm:finetuned"),
        *("--dataset", "docstrings@3.11", "--meta", "accuracy=0.9"),
        *("--lossy", "k=1", "--guard", "builtins:len"),
    )
    stack.quiet(
        *("add", tuned, "--name", "blend"),
        *("--parent", "minilm:aggregated:0.25", "--parent", "reviews:aggregated:0.75"),
    )
    status = stack.json("status")
    password = Path(status["password_file"]).read_text(encoding="utf-8").strip()
    with neo4j.GraphDatabase.driver(status["neo4j_uri"], auth=("neo4j", password)) as driver:
        yield driver


def test_every_recipe_has_an_answer_here() -> None:
    assert RECIPES.keys() == ANSWERS.keys()


@pytest.mark.parametrize("question", RECIPES)
def test_a_recipe_finds_what_it_says(question: str, graph: neo4j.Driver) -> None:
    """Models of other tests may be in the answer too."""
    rows = [record.data() for record in graph.execute_query(RECIPES[question]).records]

    for wanted in ANSWERS[question]:
        assert any(row.items() >= wanted.items() for row in rows), rows
