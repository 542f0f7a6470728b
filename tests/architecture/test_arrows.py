"""The layout holds: arrows between packages, sizes of files, names that are given away."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mgit.cli.commands import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
ROOTS = {
    "core": ("mgit_core",),
    "storage": ("mgit_storage", "mgit_zarr"),
    "service": ("mgit_service",),
    "client": ("mgit",),
}
MAX_LINES = 500
PRODUCT = sorted(
    path
    for root, packages in ROOTS.items()
    for package in packages
    for path in (ROOT / root / package).rglob("*.py")
)

COMMAND_MODULES = {
    ROOT / "client" / "mgit" / "cli" / f"{entry.module.rpartition('.')[2]}.py" for entry in COMMANDS.values()
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.mark.slow
def test_imports_point_one_way() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-2000:]


def test_no_file_is_longer_than_500_lines() -> None:
    files = [*PRODUCT, *(ROOT / "tests").rglob("*.py"), *(ROOT / "examples").rglob("*.py")]

    assert [name_of(path) for path in files if len(text_of(path).splitlines()) > MAX_LINES] == []


def test_no_file_reads_its_environment_at_import() -> None:
    """Settings are read once, when they are asked for."""
    loose = {
        name_of(path): ast.unparse(node)
        for path in PRODUCT
        for node in ast.parse(text_of(path)).body
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }

    assert [name for name, code in loose.items() if "os.environ" in code or "getenv" in code] == []


@pytest.mark.slow
def test_every_module_is_documented_and_gives_its_public_names_away() -> None:
    """Modules of commands give nothing away: their commands are found by name."""
    wrong = [what for path in PRODUCT if path.name != "__main__.py" for what in wrong_names(path)]

    assert wrong == []


def wrong_names(path: Path) -> Iterator[str]:
    tree = ast.parse(text_of(path))
    if not ast.get_docstring(tree):
        yield f"{name_of(path)} has no docstring"
    public = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
    }
    if not public or path in COMMAND_MODULES:
        return
    yield from (f"{name_of(path)} does not give away {name}" for name in sorted(public - given_names(tree)))


def given_names(tree: ast.Module) -> set[str]:
    """The literal ``__all__``; that its names exist is ruff's to check."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def test_source_roots_are_no_packages() -> None:
    assert [root for root in (*ROOTS, "proto") if (ROOT / root / "__init__.py").exists()] == []
