"""Checks that the documentation is true: links, commands, options, Python names, make targets, paths, reasons.

Run by ``make check``. Prints each untrue place as ``FILE:LINE: WHAT`` and ends with exit code 1 if there is one.
"""  # noqa: INP001 - a script, no package

from __future__ import annotations

import ast
import importlib
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SOURCES = ("proto", "core", "storage", "service", "client", "examples", "bench")

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_SPAN = re.compile(r"`([^`]+)`")
_MAKE = re.compile(r"\bmake ([a-z-]+)")
_ADR = re.compile(r"\bADR[ -]?0*(\d+)")
_PLACE = re.compile(r"((?:[\w.-]+/)+[\w.-]*)(?::([\w.]+))?")
_FRAGMENT = re.compile(r"[^\w\- ]")
# Written by make targets, so not there after a clone.
_WRITTEN = {"demo/summary.json", "demo/lineage.html", "bench/results", "docs/benchmarks.md"}
_WITH_VALUE = ("--address", "--output")

Finding = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the documentation, its code apart from its prose."""

    path: Path
    prose: list[tuple[int, str]]
    blocks: list[tuple[int, str, list[str]]]  # First line, language, lines.

    @property
    def spans(self) -> Iterator[tuple[int, str]]:
        """Code in the prose."""
        for number, line in self.prose:
            for span in _SPAN.findall(line):
                yield number, span.replace("\\|", "|")


def read_page(path: Path) -> Page:
    """The page at ``path``."""
    prose: list[tuple[int, str]] = []
    blocks: list[tuple[int, str, list[str]]] = []
    is_code = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.startswith("```"):
            is_code = not is_code
            if is_code:
                blocks.append((number + 1, line[3:].strip(), []))
        elif is_code:
            blocks[-1][2].append(line)
        else:
            prose.append((number, line))
    return Page(path, prose, blocks)


def check_links(page: Page) -> Iterator[Finding]:
    """Relative links lead to files, and their fragments to headings."""
    for number, line in page.prose:
        for target in _LINK.findall(line):
            if "://" in target or target.startswith("mailto:"):
                continue
            name, _, fragment = target.partition("#")
            path = (page.path.parent / name).resolve() if name else page.path
            if not path.exists():
                yield number, f"the link to {target} leads nowhere"
            elif fragment and path.suffix == ".md" and fragment not in _fragments(path):
                yield number, f"{name or 'this page'} has no heading #{fragment}"


@cache
def _fragments(path: Path) -> frozenset[str]:
    headings = (line.lstrip("#").strip() for _, line in read_page(path).prose if line.startswith("#"))
    return frozenset(_FRAGMENT.sub("", heading.lower()).replace(" ", "-") for heading in headings)


def check_commands(page: Page) -> Iterator[Finding]:
    """Commands and options of ``mgit`` exist."""
    lines = [
        (first + offset, line.removeprefix("$ "))
        for first, language, block in page.blocks
        if language in {"console", "sh", "bash"}
        for offset, line in enumerate(block)
    ]
    for number, text in [*page.spans, *lines]:
        words = _words(text)
        while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
            words.pop(0)
        if words[:1] == ["mgit"]:
            yield from ((number, f"{what} in {text!r}") for what in _wrong_words(words[1:]))


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        return text.split()


def _wrong_words(words: list[str]) -> Iterator[str]:
    # A usage line may have brackets around options.
    stripped = [word.strip("[]….") for word in words]
    named = [
        word
        for before, word in zip(["", *stripped], stripped, strict=False)
        if word and not word.startswith("-") and before not in _WITH_VALUE
    ]
    if named and named[0] not in {*_options(), "COMMAND"}:
        yield f"there is no command {named[0]!r}"
        return
    known = _options()[""] | (_options().get(named[0], frozenset()) if named else frozenset())
    for word in stripped:
        option = word.partition("=")[0]
        if option.startswith("-") and option != "-" and option not in known:
            yield f"there is no option {option!r}"


@cache
def _options() -> dict[str, frozenset[str]]:
    """Options by command; under the empty name those of all."""
    import typer  # noqa: PLC0415 - only this check needs it

    from mgit.cli.application import app  # noqa: PLC0415
    from mgit.cli.commands import COMMANDS  # noqa: PLC0415

    group = typer.main.get_group(app)
    everywhere = frozenset(name for option in group.params for name in option.opts) | {"--help", "-h"}
    found = {"": everywhere}
    for name in COMMANDS:
        command = group.get_command(None, name)
        assert command is not None  # noqa: S101 - the table is what get_command reads
        commands = [
            command,
            *getattr(command, "commands", {}).values(),
        ]  # Of a group those of all its commands.
        found[name] = frozenset(
            opt
            for each in commands
            for option in each.params
            for opt in (*option.opts, *option.secondary_opts)
        )
    return found


def check_python(page: Page) -> Iterator[Finding]:
    """Python blocks parse, and what they take from ``mgit`` exists."""
    for first, language, lines in page.blocks:
        if language != "python":
            continue
        try:
            tree = ast.parse("\n".join(lines))
        except SyntaxError as error:
            yield first + (error.lineno or 1) - 1, f"the block does not parse: {error.msg}"
            continue
        values = _Values()
        values.visit(tree)
        yield from ((first + line - 1, what) for line, what in values.wrong)


class _Values(ast.NodeVisitor):
    """Follows names of ``mgit``, repositories and models through a block."""

    def __init__(self) -> None:
        from mgit.model import Model  # noqa: PLC0415 - only this check needs them
        from mgit.repository import Repository  # noqa: PLC0415
        from mgit.values import Relative  # noqa: PLC0415

        self._made_by = {"mgit.connect": Repository, "mgit.local": Repository}
        self._made_by |= dict.fromkeys(("Repository.add", "Repository.get"), Model)
        self._made_by |= dict.fromkeys(("Repository.ancestors", "Repository.descendants"), Relative)
        self._made_by |= dict.fromkeys(("Repository.models", "Repository.versions"), Model)
        self._names: dict[str, object] = {}
        self.wrong: list[Finding] = []

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name.partition(".")[0] == "mgit":
                self._names[alias.asname or "mgit"] = importlib.import_module("mgit")
                if not _imports(alias.name):
                    self.wrong.append((node.lineno, f"there is no module {alias.name}"))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.module and node.module.partition(".")[0] == "mgit":
            module = importlib.import_module(node.module) if _imports(node.module) else None
            self.wrong.extend(
                (node.lineno, f"{node.module} has no {alias.name}")
                for alias in node.names
                if not hasattr(module, alias.name)
            )

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        for target in node.targets:
            if isinstance(target, ast.Name):
                self._names[target.id] = self._type_of(node.value)

    def visit_For(self, node: ast.For) -> None:
        if isinstance(node.target, ast.Name):
            self._names[node.target.id] = self._type_of(node.iter)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        owner = (
            self._names.get(node.value.id) if isinstance(node.value, ast.Name) else self._type_of(node.value)
        )
        if owner is not None and not hasattr(owner, node.attr):
            self.wrong.append((node.lineno, f"{_name_of(owner)} has no {node.attr}"))
        self.generic_visit(node)

    def _type_of(self, node: ast.expr) -> object:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            known = self._names.get(owner.id) if isinstance(owner, ast.Name) else self._type_of(owner)
            return self._made_by.get(f"{_name_of(known)}.{node.func.attr}")
        return None


def _name_of(value: object) -> str:
    return str(getattr(value, "__name__", value))


def _imports(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


def check_make(page: Page) -> Iterator[Finding]:
    """Make targets exist."""
    code = [(first + at, line) for first, _, block in page.blocks for at, line in enumerate(block)]
    for number, text in [*page.spans, *code]:
        for target in _MAKE.findall(text):
            if not re.search(rf"^{re.escape(target)}:", _text(ROOT / "Makefile"), re.MULTILINE):
                yield number, f"the Makefile has no target {target}"


def check_decisions(page: Page) -> Iterator[Finding]:
    """Decisions that are named by number exist."""
    for number, line in page.prose:
        for decision in _ADR.findall(line):
            if int(decision) not in _decisions():
                yield number, f"there is no ADR {decision}"


@cache
def _decisions() -> frozenset[int]:
    return frozenset(int(path.name[:4]) for path in (ROOT / "docs" / "adr").glob("[0-9]*.md"))


def check_places(page: Page) -> Iterator[Finding]:
    """Paths in the repository exist, and names after a colon stand in their file."""
    for number, span in page.spans:
        place = _PLACE.fullmatch(span)
        if place is None or not (ROOT / span.split("/", 1)[0]).is_dir():
            continue
        path = ROOT / place[1]
        if not path.exists() and place[1] not in _WRITTEN:
            yield number, f"there is no {place[1]}"
        elif place[2]:
            missing = [name for name in place[2].split(".") if not _defines(path, name)]
            yield from ((number, f"{place[1]} defines no {name}") for name in missing)


def _defines(path: Path, name: str) -> bool:
    return (
        re.search(rf"^ *(?:class|def|async def) {re.escape(name)}\b", _text(path), re.MULTILINE) is not None
    )


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def check_whole() -> Iterator[tuple[Path, int, str]]:
    """What no single page can be wrong about: commands and reasons that no page documents, numbers in code."""
    from mgit_core.errors import ErrorReason  # noqa: PLC0415 - only this check needs it

    commands = ROOT / "docs" / "commands.md"
    for name in _options():
        if name and not re.search(rf"`mgit {name}\b", _text(commands)):
            yield commands, 1, f"the command {name} is not documented"
    errors = ROOT / "docs" / "errors.md"
    for reason in ErrorReason:
        if f"| `{reason}` |" not in _text(errors):
            yield errors, 1, f"the reason {reason} is not documented"
    for source in SOURCES:
        for path in (ROOT / source).rglob("*.py"):
            for decision in _ADR.findall(_text(path)):
                if int(decision) not in _decisions():
                    yield path, 1, f"there is no ADR {decision}"


CHECKS: tuple[Callable[[Page], Iterator[Finding]], ...] = (
    check_links,
    check_commands,
    check_python,
    check_make,
    check_decisions,
    check_places,
)


def main() -> int:
    """Check everything; the number of findings, at most 1."""
    pages = [read_page(path) for path in PAGES]
    found = [(page.path, number, what) for page in pages for check in CHECKS for number, what in check(page)]
    found += check_whole()
    for path, number, what in found:
        sys.stderr.write(f"{path.relative_to(ROOT)}:{number}: {what}\n")
    if not found:
        sys.stdout.write(f"{len(pages)} pages are true.\n")
    return min(len(found), 1)


if __name__ == "__main__":
    sys.exit(main())
