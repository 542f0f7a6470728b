"""Guarded loss on the trained family: what is saved, and what accuracy it costs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from time import perf_counter

import numpy as np
import platformdirs
from bench.figures import Figure, Report
from bench.machine import describe_machine
from bench.stack import new_home, running_stack
from examples.minilm.family import FULL, Built, Progress, build
from examples.minilm.recipe import Adapter, Base, Cast, Judge, Training
from examples.minilm.text import LabeledText, read_label_set
from safetensors.numpy import load_file

import mgit
from mgit.lossy.weights import GuardedModel

__all__ = ["measure"]

_WEIGHTS = "model.safetensors"
_FINE_TUNES = ("ft0", "ft1", "ft2", "ft3")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Added:
    """A member, as it was stored.

    Attributes:
        built: The member.
        model: What the service keeps of it.
        seconds: From opening the file to the answer, the guard's own time included.
    """

    built: Built
    model: mgit.Model
    seconds: float

    @property
    def size_bytes(self) -> int:
        return (self.built.path / _WEIGHTS).stat().st_size

    @property
    def new_bytes(self) -> int:
        return self.model.addition.new_bytes if self.model.addition else 0

    @property
    def points_lost(self) -> float:
        """Points of accuracy, of 100; below 0 if it became better."""
        loss = self.model.loss
        return 0.0 if loss is None else 100 * (loss.guard.before - loss.guard.after)


class _Accuracy:
    """The guard: the share of held-out texts whose topic a member finds."""

    metric = "accuracy"

    def __init__(self, built: Built) -> None:
        self._built = built

    def __call__(self, model: GuardedModel) -> float:
        # Training of the family may need settings that hold only if torch was not imported before.
        from examples.minilm.training import accuracy  # noqa: PLC0415
        from examples.minilm.weights import Model, read_model  # noqa: PLC0415

        config = read_model(self._built.path).config
        return accuracy(Model(model.load("torch"), config), _judge(self._built))[0]


@cache
def _text(label_set: int) -> LabeledText:
    return read_label_set(label_set)


def _judge(built: Built) -> Judge:
    label_set = int(built.metadata["label_set"])
    return Judge(Training(label_set=label_set, steps=0, learning_rate=0.0), _text(label_set))


def measure() -> Report:
    """Adds the 14 members of 32 bits with k = 2 and the guard, brings every one back and compares."""
    folder = platformdirs.user_cache_path("mgit", appauthor=False) / "minilm"
    members = [
        built for built in build(FULL, folder, _tell) if not isinstance(built.member.recipe, Cast | Adapter)
    ]
    with new_home() as home, running_stack(home / "stack") as state, mgit.connect(state.address) as repo:
        added = [_add(repo, built, mgit.Lossy(k=2)) for built in members]
        fast_bytes = repo.statistics().stored_bytes
        repack_s = _seconds_of_repack(repo)
        dense_bytes = repo.statistics().stored_bytes
        for each in added:
            _check(repo, each)
        tuned = next(each for each in added if each.built.member.name == _FINE_TUNES[0])
        epsilon = _add(repo, tuned.built, mgit.Lossy(eps=1e-4))
        _check(repo, epsilon)
    size_bytes = sum(each.size_bytes for each in added)
    return Report(
        title="Guarded loss (k = 2) on the trained family, 14 models of 32 bits",
        machine=describe_machine(),
        figures=[
            *(_member_figure(each) for each in added if each.model.loss is not None),
            _fine_tune_ratio(added),
            Figure(
                name=f"{tuned.built.ref} with eps = 1e-4, MGit's formula",
                value=epsilon.size_bytes / epsilon.new_bytes,
                unit="x",
            ),
            _points_lost(added),
            Figure(name="tensors of all 14 members", value=size_bytes / 1e6, unit="MB"),
            _family_ratio("straight after ingest", size_bytes / fast_bytes, is_goal=False),
            _family_ratio("after repack", size_bytes / dense_bytes, is_goal=True),
            Figure(name="repack", value=repack_s, unit="s"),
        ],
    )


def _tell(progress: Progress) -> None:
    if progress.step == 0 and not progress.reused:
        print(f"building {progress.member.ref}", flush=True)


def _add(repo: mgit.Repository, built: Built, lossy: mgit.Lossy) -> _Added:
    """Adds a member; its adapters are no members here, so what was merged in counts as its own change."""
    adapters = {member.ref for member in FULL if isinstance(member.recipe, Adapter)}
    parents = [
        mgit.Parent(ref, mgit.Relation(relation))
        for ref, relation in built.member.parents
        if ref not in adapters
    ]
    is_base = isinstance(built.member.recipe, Base)
    start = perf_counter()
    model = repo.add(
        built.member.name,
        built.path / _WEIGHTS,
        parents=parents,
        no_previous=True,
        lossy=None if is_base else lossy,
        guard=None if is_base else _Accuracy(built),
        progress=None,
    )
    return _Added(built=built, model=model, seconds=perf_counter() - start)


def _seconds_of_repack(repo: mgit.Repository) -> float:
    start = perf_counter()
    repo.repack(progress=None)
    return perf_counter() - start


def _check(repo: mgit.Repository, added: _Added) -> None:
    """No weight is farther from the original than the record says; all bits come back where there is none."""
    stored = repo.get(added.model).load(progress=None)
    original = load_file(added.built.path / _WEIGHTS)
    loss = added.model.loss
    errors = {tensor.name: tensor.largest_error for tensor in loss.tensors} if loss else {}
    for name, array in original.items():
        if name not in errors:
            is_right = stored[name].tobytes() == array.tobytes()
        else:
            error = np.abs(stored[name].astype(np.float64) - array.astype(np.float64)).max()
            is_right = bool(error == errors[name])
        if not is_right:
            raise SystemExit(f"{name!r} of {added.built.ref} came back with other errors than recorded")


def _member_figure(added: _Added) -> Figure:
    loss = added.model.loss
    assert loss is not None
    return Figure(
        name=f"new bytes of {added.built.ref}",
        value=added.new_bytes / 1e6,
        unit="MB",
        note=(
            f"{added.size_bytes / added.new_bytes:.1f}x, k = {loss.strength:g}, accuracy "
            f"{loss.guard.before:.4f} to {loss.guard.after:.4f}, error {loss.largest_relative_error:.2f} of the "
            f"change, {added.seconds:.1f} s"
        ),
    )


def _fine_tune_ratio(added: list[_Added]) -> Figure:
    ratio = min(each.size_bytes / each.new_bytes for each in added if each.built.member.name in _FINE_TUNES)
    return Figure(
        name="a full fine-tune, the worst of four",
        value=ratio,
        unit="x",
        goal="at least 40x",
        is_reached=ratio >= 40,
    )


def _points_lost(added: list[_Added]) -> Figure:
    lost = max(each.points_lost for each in added)
    return Figure(
        name="accuracy lost, the worst of all",
        value=lost,
        unit="points",
        goal="at most 0.5 points",
        is_reached=lost <= 0.5 + 1e-9,
    )


def _family_ratio(when: str, ratio: float, *, is_goal: bool) -> Figure:
    return Figure(
        name=f"family of 14, {when}, all bytes counted",
        value=ratio,
        unit="x",
        goal="at least 13x" if is_goal else "",
        is_reached=ratio >= 13 if is_goal else None,
    )
