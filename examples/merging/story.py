"""Anna and Ben edit one base: apart, one under the other, and both the same head."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from examples.merging.accuracy import worst_head
from examples.merging.network import TwoHeads, accuracies, make_base, set_weights, teach
from examples.throwaway import choose_prefix

import mgit
from mgit.merging import Merge

__all__ = ["Findings", "tell_story"]

Say = Callable[[str], None]

_THRESHOLD = 0.5
_LAYER = "trunk.encoder.layer.5.output.dense.weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What came out.

    Attributes:
        apart: Anna taught one head, Ben the other.
        dependent: Anna taught a head, Ben shrank a layer beneath it a little.
        harmful: The same, but Ben spoilt the layer.
        conflict: Both taught the same head.
        averaged: That conflict, resolved by the mean.
    """

    apart: Merge
    dependent: Merge
    harmful: Merge
    conflict: Merge
    averaged: Merge


def tell_story(repository: mgit.Repository, say: Say) -> Findings:
    """Runs the example on a repository, under a prefix that is free.

    Raises:
        MGitError: As the SDK raises it.
    """
    prefix = choose_prefix(repository, "merging")
    network = make_base()
    teach(network, "mail", rate=1e-2, steps=20)
    teach(network, "code", rate=1e-2, steps=20)
    desk = _Desk(repository, prefix, say)
    base = desk.add("base", network)
    repository.tests.register(
        f"{prefix}/worst-head", worst_head, type=prefix, metric="accuracy", threshold=_THRESHOLD
    )

    say("\n== Anna teaches the head for mail, Ben the head for code: nothing depends on both")
    anna = desk.edit("anna", network, base, lambda edited: teach(edited, "mail", rate=1e-2, steps=60))
    ben = desk.edit("ben", network, base, lambda edited: teach(edited, "code", rate=1e-2, steps=60))
    apart = desk.merge(anna, ben, "apart")

    say("\n== Ben shrinks a layer beneath Anna's head a little: the registered tests decide")
    ben = desk.edit("ben-below", network, base, lambda edited: _scale(edited, 0.98))
    dependent = desk.merge(anna, ben, "dependent")
    say("\n== The same, but the layer is spoilt")
    ben = desk.edit("ben-spoilt", network, base, lambda edited: _scale(edited, -30.0))
    harmful = desk.merge(anna, ben, "harmful")

    say("\n== Both teach the head for mail: a person decides")
    ben = desk.edit("ben-mail", network, base, lambda edited: teach(edited, "mail", rate=3e-3, steps=40))
    conflict = desk.merge(anna, ben, "conflict")
    averaged = desk.merge(anna, ben, "conflict", on_conflict="average")
    return Findings(apart=apart, dependent=dependent, harmful=harmful, conflict=conflict, averaged=averaged)


@dataclass(frozen=True, slots=True)
class _Desk:
    """Where models are added and merged, and what came out is told."""

    repository: mgit.Repository
    prefix: str
    say: Say

    def add(self, name: str, network: TwoHeads, *parents: mgit.Parent) -> mgit.Model:
        added = self.repository.add(
            f"{self.prefix}/{name}", network, parents=parents, type=self.prefix, trace=True, progress=None
        )
        self.say(f"   {added.ref}: {_tell(network)}")
        return added

    def edit(
        self, name: str, network: TwoHeads, base: mgit.Model, change: Callable[[TwoHeads], None]
    ) -> mgit.Model:
        edited = copy.deepcopy(network)
        change(edited)
        return self.add(name, edited, mgit.finetuned(base))

    def merge(self, ours: mgit.Model, theirs: mgit.Model, name: str, on_conflict: str = "fail") -> Merge:
        chosen = "" if on_conflict == "fail" else f" --on-conflict {on_conflict}"
        self.say(f"   mgit merge {ours.ref} {theirs.ref} --name {self.prefix}/{name}{chosen}")
        merged = self.repository.merge(
            ours, theirs, name=f"{self.prefix}/{name}", on_conflict=on_conflict, progress=None
        )
        self.say(f"   {merged.outcome.value}")
        for conflict in merged.conflicts:
            self.say(f"     {', '.join(conflict.names)}: {conflict.why}")
        for note in merged.notes:
            self.say(f"     {note}")
        if merged.model is not None:
            weights = merged.model.load(framework="torch", progress=None)
            statistics = self.repository.model_statistics(merged.model)
            self.say(
                f"   {merged.model.ref}: {_tell(set_weights(weights))}; the store keeps {statistics.unique_bytes:,} "
                f"bytes for its {merged.model.size_bytes:,}"
            )
        return merged


def _scale(network: TwoHeads, factor: float) -> None:
    with torch.no_grad():
        network.get_parameter(_LAYER).mul_(factor)


def _tell(network: TwoHeads) -> str:
    return ", ".join(f"{head} {share:.0%}" for head, share in accuracies(network).items())
