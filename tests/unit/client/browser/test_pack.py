"""The style and the saved queries, as the Browser reads them."""

from __future__ import annotations

import importlib.util
import re
import zipfile
from pathlib import Path

import pytest

from mgit.browser import saved_queries, style_sheet, write_pack
from mgit.pictures.palette import BUG_COLOR, PASSED_COLOR, RELATION_COLORS
from mgit_core.errors import AlreadyExistsError, ErrorReason

ROOT = Path(__file__).parents[4]
COOKBOOK = ROOT / "docs" / "cookbook.md"


def rules() -> dict[str, dict[str, str]]:
    """The style as the Browser's reader takes it apart: selectors, then values between colon and semicolon."""
    return {
        selector: dict(re.findall(r"([\w-]+): ([^;]+);", body))
        for selector, body in re.findall(r"^([\w.]+) \{\n((?:  [^\n]+\n)+)\}", style_sheet(), re.MULTILINE)
    }


def test_every_relation_has_the_color_of_the_pictures() -> None:
    styled = rules()

    for relation, color in RELATION_COLORS.items():
        assert styled[f"relationship.{relation.name}_FROM"]["color"] == color
    assert styled["node.Bug"]["color"] == styled["relationship.AFFECTS"]["color"] == BUG_COLOR
    assert styled["node.Test"]["color"] == styled["relationship.FIXED_IN"]["color"] == PASSED_COLOR


def test_every_documented_node_that_people_look_at_has_a_caption() -> None:
    styled = rules()

    for label in (
        "Model",
        "ModelName",
        "ModelType",
        "ParameterSet",
        "Tensor",
        "Dataset",
        "Tag",
        "Test",
        "Bug",
    ):
        assert "{" in styled[f"node.{label}"]["caption"], label
    assert styled["node.Model"]["caption"] == '"{name} @{version}"'


def test_the_style_is_what_the_reader_of_the_browser_can_read() -> None:
    """It splits at semicolons and at one colon, and knows no comments."""
    text = style_sheet()

    assert "/*" not in text
    assert "".join(text.split()) == "".join(
        f"{selector}{{{''.join(f'{key}:{value};' for key, value in body.items())}}}".replace(" ", "")
        for selector, body in rules().items()
    )


def test_the_saved_queries_are_those_of_the_cookbook() -> None:
    spec = importlib.util.spec_from_file_location("queries", ROOT / "docs" / "queries.py")
    assert spec is not None
    assert spec.loader is not None
    queries = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(queries)

    fresh = queries.queries_of(COOKBOOK.read_text(encoding="utf-8"))

    assert fresh == queries.QUERIES.read_text(encoding="utf-8"), "run: python docs/queries.py"


def test_every_recipe_is_a_saved_query_with_its_title() -> None:
    page = COOKBOOK.read_text(encoding="utf-8")
    saved = saved_queries()

    assert [query.title for query in saved] == re.findall(r"^### (.+)$", page, re.MULTILINE)
    assert list(dict.fromkeys(query.group for query in saved)) == re.findall(r"^## (.+)$", page, re.MULTILINE)
    assert all(f"```cypher\n{query.text}```" in page for query in saved)


def test_the_pack_is_a_style_and_a_zip_of_named_queries(tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "new" / "folder")

    assert pack.style.read_text(encoding="utf-8") == style_sheet()
    with zipfile.ZipFile(pack.queries) as archive:
        names = archive.namelist()
        first = archive.read(names[0]).decode()
    assert len(names) == len(set(names)) == len(saved_queries())
    assert all(re.fullmatch(r"MGit [\w ]+/\d\d-[a-z0-9-]+\.cypher", name) for name in names)
    assert first.splitlines()[0] == f"// {saved_queries()[0].title}"
    assert first.endswith(saved_queries()[0].text)


def test_the_same_pack_may_be_written_again(tmp_path: Path) -> None:
    pack = write_pack(tmp_path)
    before = pack.queries.read_bytes()

    assert write_pack(tmp_path) == pack
    assert pack.queries.read_bytes() == before


def test_a_file_that_is_another_one_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mgit.grass").write_text("node { color: #000000; }", encoding="utf-8")

    with pytest.raises(AlreadyExistsError) as error:
        write_pack(tmp_path)

    assert error.value.reason is ErrorReason.PATH_EXISTS
    assert [path.name for path in tmp_path.iterdir()] == ["mgit.grass"]
    assert (tmp_path / "mgit.grass").read_text(encoding="utf-8") == "node { color: #000000; }"
