"""The documentation is true, and its check would notice if it were not."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def check() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("documentation_check", ROOT / "docs" / "check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.slow
def test_the_documentation_is_true(check: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    code = check.main()

    assert code == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("[gone](gone.md)", "the link to gone.md leads nowhere"),
        ("[here](#nowhere)", "this page has no heading #nowhere"),
        ("`mgit frobnicate`", "there is no command 'frobnicate' in 'mgit frobnicate'"),
        ("`mgit ls --nonsense`", "there is no option '--nonsense' in 'mgit ls --nonsense'"),
        ("```console\n$ A=b mgit shwo x\n```", "there is no command 'shwo' in 'A=b mgit shwo x'"),
        ("```python\nimport mgit\nmgit.nonsense()\n```", "mgit has no nonsense"),
        ("```python\nimport mgit\nrepo = mgit.local()\nrepo.fetch()\n```", "Repository has no fetch"),
        ('```python\nimport mgit\nmgit.connect().add("a", "b").reff\n```', "Model has no reff"),
        ("```python\nfrom mgit.values import Nothing\n```", "mgit.values has no Nothing"),
        ("```python\nfrom mgit.nowhere import x\n```", "mgit.nowhere has no x"),
        ("```python\nx = (\n```", "the block does not parse: '(' was never closed"),
        ("`make nonsense`", "the Makefile has no target nonsense"),
        ("as ADR 99 says", "there is no ADR 99"),
        ("`core/mgit_core/gone.py`", "there is no core/mgit_core/gone.py"),
        ("`core/mgit_core/names.py:gone`", "core/mgit_core/names.py defines no gone"),
    ],
)
def test_an_untrue_place_is_found(text: str, finding: str, check: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(f"{text}\n", encoding="utf-8")
    page = check.read_page(tmp_path / "page.md")

    assert [what for each in check.CHECKS for _, what in each(page)] == [finding]


@pytest.mark.parametrize(
    "text",
    [
        "# A heading\n\n[up](#a-heading), [out](https://example.org/x)",
        "`mgit add PATH --name NAME [--parent REF]…`, `mgit --output json ls`, `mgit COMMAND --help`",
        "```python\nimport mgit\nfor each in mgit.local().ancestors('a'):\n    each.model\n```",
        "`make test`, ADR 3, `core/mgit_core/names.py:parse_reference`, `NAME/OTHER`",
        "```\nmgit nonsense in a block without a language\n```",
    ],
)
def test_a_true_page_has_no_findings(text: str, check: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(f"{text}\n", encoding="utf-8")
    page = check.read_page(tmp_path / "page.md")

    assert [what for each in check.CHECKS for _, what in each(page)] == []
