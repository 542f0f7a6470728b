"""``mgit browser`` with a model, and the pack that it writes."""

from __future__ import annotations

import urllib.parse
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.integration.local.command_line import CommandLine

pytestmark = [pytest.mark.slow, pytest.mark.neo4j]


def test_with_a_model_its_lineage_is_asked_for(stack: CommandLine, tmp_path: Path) -> None:
    save_file({"weight": np.ones(8, np.float32)}, tmp_path / "one.safetensors")
    added = stack.json("add", str(tmp_path / "one.safetensors"), "--name", "browsed")

    ended = stack.run("browser", "browsed", "--print")

    page, _, question = ended.lines[0].partition("&cmd=edit&arg=")
    assert page == stack.json("status")["browser_url"]
    assert urllib.parse.unquote(question).startswith(
        f"// The lineage of browsed@1\nMATCH (m:Model {{uid: '{added['uid']}'}})"
    )


def test_an_unknown_model_opens_nothing(stack: CommandLine) -> None:
    ended = stack.run("browser", "nobody", "--print", "--output", "json")

    assert (ended.code, ended.out, ended.error["reason"]) == (3, "", "MODEL_NOT_FOUND")


def test_the_pack_needs_no_stack(tmp_path: Path) -> None:
    mgit = CommandLine(tmp_path / "home")

    found = mgit.json("browser", "--pack", str(tmp_path / "pack"))

    assert found == {
        "style": str(tmp_path / "pack" / "mgit.grass"),
        "queries": str(tmp_path / "pack" / "mgit-queries.zip"),
    }
    assert all(Path(path).stat().st_size for path in found.values())
    (tmp_path / "pack" / "mgit.grass").write_text("other", encoding="utf-8")
    assert mgit.run("browser", "--pack", str(tmp_path / "pack")).code == 4


def test_a_picture_tells_what_is_known(stack: CommandLine, tmp_path: Path) -> None:
    save_file({"weight": np.full(8, 2, np.float32)}, tmp_path / "two.safetensors")
    stack.quiet(
        *("add", str(tmp_path / "two.safetensors"), "--name", "pictured", "--type", "encoder"),
        *("--meta", "license=mit", "--dataset", "glue@2"),
    )
    stack.quiet("tag", "pictured", "prod")

    [model] = stack.json("graph", "pictured", "--format", "json")["models"]
    page = stack.run("graph", "pictured", "--format", "html").out

    told = {"type": "encoder", "size_bytes": 32, "metadata": {"license": "mit"}, "tags": ["prod"], "bugs": []}
    assert told.items() <= model.items()
    assert model["datasets"] == [{"name": "glue", "version": "2"}]
    for text in ("type encoder", "tags prod", "trained on glue@2", "license = mit", 'data-test="unknown"'):
        assert text in page
