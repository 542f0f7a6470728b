"""Rounds are run, and when the first model changes, one command runs them again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from examples.federated.creation import average, train_part
from examples.robustness.creation import robust
from examples.robustness.learning import read_base
from examples.throwaway import choose_prefix, tell_steps

import mgit
from mgit.updating import Update

__all__ = ["BRIEF", "Findings", "Size", "tell_story"]

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is trained.

    Attributes:
        workers: Workers of a round.
        rounds: Rounds.
        steps: Steps of training of a worker in a round.
    """

    workers: int
    rounds: int
    steps: int


BRIEF = Size(workers=3, rounds=1, steps=8)
"""A round on two cores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What came out.

    Attributes:
        globals_: The means, one a round.
        mean_bytes: What the last mean takes in the store, besides what it shares.
        update: The update after the first model changed.
    """

    globals_: tuple[mgit.Model, ...]
    mean_bytes: int
    update: Update


def tell_story(repository: mgit.Repository, say: Say, size: Size = BRIEF) -> Findings:
    """Runs the example on a repository, under a prefix that is free.

    Raises:
        MGitError: As the SDK raises it.
    """
    prefix = choose_prefix(repository, "federated")
    say(f"\n== {size.workers} workers train one model on what they have; their mean is the next one")
    base = repository.add(f"{prefix}/base", read_base(), progress=None)
    model, means = base, list[mgit.Model]()
    for turn in range(size.rounds):
        workers = []
        for worker in _train_workers(repository, prefix, model, turn, size):
            say(f"   {worker.ref}, trained from {model.ref}")
            workers.append(worker)
        model = repository.create(
            average,
            name=f"{prefix}/global",
            parents=[mgit.aggregated(worker) for worker in workers],
            progress=None,
        )
        say(f"   {model.ref}, the mean of {', '.join(worker.ref for worker in workers)}")
        means.append(model)
    statistics = repository.model_statistics(model)
    say(
        f"   {model.ref} has {model.size_bytes:,} bytes; the store keeps {statistics.unique_bytes:,} for it, since it is "
        "predicted from its parents."
    )
    say("\n== The first model changes, and one command runs the rounds again, workers before their mean")
    new = repository.create(
        robust, name=base.name, parents=[mgit.finetuned(base)], arguments={"steps": 4}, seed=1, progress=None
    )
    say(f"   mgit update {base.ref} {new.ref}")
    update = repository.update(base, new, progress=tell_steps(say))
    made = {step.new.uid: step.new.ref for step in update.steps if step.new}
    for step in update.steps:
        parents = ", ".join(made.get(parent.uid, parent.ref) for parent in step.parents)
        say(f"   {step.old.ref:<24} -> {step.new.ref if step.new else step.state} from {parents}")
    return Findings(globals_=tuple(means), mean_bytes=statistics.unique_bytes, update=update)


def _train_workers(
    repository: mgit.Repository, prefix: str, model: mgit.Model, turn: int, size: Size
) -> Iterator[mgit.Model]:
    for worker in range(size.workers):
        yield repository.create(
            train_part,
            name=f"{prefix}/worker{worker}",
            parents=[mgit.finetuned(model)],
            arguments={"worker": worker, "workers": size.workers, "steps": size.steps},
            seed=turn,  # The same for all, so that in the first round their heads begin alike.
            progress=None,
        )
