"""Small families of models with creation functions, for tests of updates over the real service.

The functions lie in a module that is written into the current folder, and tell each of their runs in a file there: how
often a model was made is what tests of crashes count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

import mgit
from mgit.updating import Update

MODULE = """
import os
import time

import numpy as np


def _tell(word):
    with open("runs.log", "ab") as file:
        file.write(word.encode() + b"\\n")


def _wait(gate):
    # A named pipe: the run stands here until somebody opens its other end.
    if os.path.exists(gate):
        open(gate, "rb").read()


def add(parents, *, name, amount=1.0):
    _tell(name)
    _wait(f"gate-{name}")
    first = parents[0].load()
    rest = [parent.load() for parent in parents[1:]]
    return {key: array + sum((other[key] for other in rest), np.float32(amount)) for key, array in first.items()}


def draw(parents, *, name, seed):
    _tell(name)
    random = np.random.default_rng(seed)
    return {key: array + random.standard_normal(array.shape, np.float32) for key, array in parents[0].load().items()}


def edit(parents, *, name, key, amount, more=""):
    # ``more`` is changed too, once a file of this name is there.
    _tell(name)
    made = parents[0].load()
    for each in [key, more] if more and os.path.exists(more) else [key]:
        made[each] = made[each] + np.float32(amount)
    return made


def together(parents, *, amount):
    _tell("+".join(sorted(parents)))
    shared = next(iter(parents.values()))[0].load()["w"] + np.float32(amount)
    return {member: {"w": shared, "head": np.full(2, len(member), np.float32)} for member in parents}


def fails(parents, *, name):
    _tell(name)
    if os.path.exists("broken"):
        print("about to fail")
        raise ValueError("no luck")
    return dict(parents[0].load())


def hangs(parents, *, name):
    _tell(name)
    while True:
        time.sleep(0.01)


def dies(parents, *, name):
    _tell(name)
    print("last words", flush=True)
    os._exit(3)


def follows_shape(parents, *, name):
    _tell(name)
    return dict(parents[0].load())


def other_shape(parents, *, name):
    _tell(name)
    return {"w": np.zeros(7, np.float32), "extra": np.zeros(1, np.float32)}


def refuses_shape(parents, *, name):
    _tell(name)
    array = parents[0].load()["w"]
    if array.shape != (4,):
        raise ValueError(f"a head for 4 numbers does not fit {array.shape[0]}")
    return {"w": array}


def first_is_small(model):
    _wait("gate-test")
    return bool(model["w"][0] < 1000)


def first(model):
    return float(model["w"][0])
"""


class UpdatingWorld:
    """A repository, and the folder with the creation functions, which is the current one.

    Every name gets ``prefix``, so that tests share a service.
    """

    def __init__(self, repo: mgit.Repository, folder: Path, prefix: str) -> None:
        self.repo = repo
        self.folder = folder
        self.prefix = prefix
        self.module = f"recipes_{prefix.replace('-', '_')}"
        self.path = folder / f"{self.module}.py"
        self.path.write_text(MODULE)

    def name(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def ref(self, name: str) -> str:
        """The reference of ``NAME`` or ``NAME@VERSION``."""
        return self.name(name)

    def base(self, name: str = "base", value: float = 0.0, size: int = 4) -> mgit.Model:
        """A model that nobody made, or its next version: all numbers are ``value``."""
        weights = {"w": np.full(size, value, np.float32)}
        return self.repo.add(self.name(name), weights, progress=None)

    def made(
        self,
        name: str,
        *parents: str,
        function: str = "add",
        type: str | None = None,  # noqa: A002 - as in repo.add
        **arguments: object,
    ) -> mgit.Model:
        """A model of four numbers that ``function`` made from ``parents``."""
        said = {"name": name, **arguments}
        return self.repo.add(
            self.name(name),
            {"w": np.full(4, 5, np.float32)},
            parents=[mgit.finetuned(self.ref(parent)) for parent in parents],
            created_by=f"{self.module}:{function}",
            arguments=said,
            seed=7 if function == "draw" else None,
            type=type,
            metadata={"task": name},
            progress=None,
        )

    def update(self, old: str = "base@1", new: str = "base@2", **said: object) -> Update:
        return self.repo.update(self.ref(old), self.ref(new), progress=None, **said)  # type: ignore[arg-type]

    def parents_of(self, name: str) -> list[str]:
        """References of the parents of a model, without the prefix."""
        found = self.repo.get(self.ref(name)).parents
        return [edge.parent_ref.removeprefix(f"{self.prefix}-") for edge in found]

    def first(self, name: str) -> float:
        return float(self.repo.get(self.ref(name)).load(progress=None)["w"][0])

    def latest(self, names: Iterable[str]) -> dict[str, int]:
        """The latest version of each of some names."""
        return {name: self.repo.get(self.ref(name)).version for name in names}

    @property
    def runs(self) -> Counter[str]:
        """How often each creation function ran."""
        log = self.folder / "runs.log"
        return Counter(log.read_text().split()) if log.exists() else Counter()


def short(refs: Mapping[str, object] | Iterable[str], prefix: str) -> list[str]:
    """References without the prefix of their test."""
    return [ref.removeprefix(f"{prefix}-") for ref in refs]
