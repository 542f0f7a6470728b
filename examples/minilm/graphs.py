"""The shapes of the lineage graphs that MGit's paper measured, at a scale that two cores train in minutes.

Source: MGit (ICML 2024), the section on its evaluation: G2 tasks times robustness versions, G3 federated rounds,
G4 pruning chains, G5 several tasks with one shared encoder.
"""

from __future__ import annotations

from collections.abc import Iterator

from examples.minilm.recipe import (
    Aggregate,
    Base,
    Finetune,
    Member,
    Multitask,
    Prune,
    Task,
    TaskHead,
    VariedTraining,
)

__all__ = ["FEDERATED", "MULTITASK", "PRUNING", "ROBUSTNESS", "TRUNK"]

_BASE = Member(name="minilm", recipe=Base())
_BASE_REF = "minilm@1"
TRUNK = "multitask@1"
"""What the members of ``MULTITASK`` are cut out of; it is not a model of that graph."""


def _training(label_set: int, *, steps: int, seed: int, perturbations: int = 0) -> VariedTraining:
    return VariedTraining(
        label_set=label_set,
        steps=steps,
        learning_rate=5e-5,
        seed=seed,
        tokens=24,
        held_out=128,
        perturbations=perturbations,
    )


def _robustness() -> Iterator[Member]:
    """Each version is trained from the base, on rows with one more perturbation than the version before."""
    yield _BASE
    for label_set in (1, 2, 3, 4):
        for version in (1, 2, 3):
            name = f"task{label_set}"
            training = _training(
                label_set, steps=20, seed=100 + 10 * label_set + version, perturbations=version - 1
            )
            yield Member(
                name=name,
                version=version,
                parents=((_BASE_REF, "finetuned"),),
                previous=f"{name}@{version - 1}" if version > 1 else None,
                recipe=Finetune(training=training),
            )


def _federated() -> Iterator[Member]:
    """Each round every worker trains the global model on rows of its own kind; their mean is the next one."""
    workers = 4
    yield _BASE
    model = _BASE_REF
    for turn in (1, 2, 3):
        trained = []
        for worker in range(workers):
            training = VariedTraining(
                label_set=4,
                steps=8,
                learning_rate=5e-5,
                seed=200 + turn,  # The same for all workers, so that in the first round their heads agree.
                tokens=24,
                held_out=128,
                worker=worker,
                workers=workers,
            )
            name = f"worker{worker}"
            yield Member(
                name=name,
                version=turn,
                parents=((model, "finetuned"),),
                previous=f"{name}@{turn - 1}" if turn > 1 else None,
                recipe=Finetune(training=training),
            )
            trained.append((f"{name}@{turn}", "aggregated"))
        model = f"global@{turn}"
        yield Member(
            name="global",
            version=turn,
            parents=tuple(trained),
            previous=f"global@{turn - 1}" if turn > 1 else None,
            recipe=Aggregate(),
        )


def _pruning() -> Iterator[Member]:
    """Two ladders: a fine-tune, then prunes that take ever more, each followed by a recovery."""
    yield _BASE
    for label_set, shares in ((1, (0.5, 0.7, 0.9)), (3, (0.6, 0.8))):
        name = f"dense{label_set}"
        yield Member(
            name=name,
            parents=((_BASE_REF, "finetuned"),),
            recipe=Finetune(training=_training(label_set, steps=24, seed=300 + label_set)),
        )
        model = f"{name}@1"
        for share in shares:
            pruned, recovered = (
                f"{kind}{label_set}-{share:.0%}".rstrip("%") for kind in ("pruned", "recovered")
            )
            yield Member(name=pruned, parents=((model, "pruned"),), recipe=Prune(share))
            training = _training(label_set, steps=10, seed=310 + label_set)
            yield Member(
                name=recovered,
                parents=((f"{pruned}@1", "finetuned"),),
                recipe=Finetune(training=training, scope="unpruned"),
            )
            model = f"{recovered}@1"


_TASKS = (
    Task(1),
    Task(2),
    Task(3),
    Task(4),
    Task(1, (0, 1)),
    Task(1, (2, 3)),
    Task(2, (0, 2)),
    Task(3, (0, 3)),
    Task(4, (2, 3)),
)


def _multitask() -> Iterator[Member]:
    """Nine models that were trained together: bit for bit the same encoder, and a head each."""
    yield _BASE
    training = _training(1, steps=135, seed=400)
    yield Member(
        name=TRUNK.partition("@")[0],
        parents=((_BASE_REF, "finetuned"),),
        recipe=Multitask(tasks=_TASKS, training=training),
    )
    for task in range(len(_TASKS)):
        yield Member(name=f"head{task}", parents=((TRUNK, "derived"),), recipe=TaskHead(task))


ROBUSTNESS: tuple[Member, ...] = tuple(_robustness())
"""G2: 4 tasks in 3 versions each."""
FEDERATED: tuple[Member, ...] = tuple(_federated())
"""G3: 3 rounds of 4 workers and their mean."""
PRUNING: tuple[Member, ...] = tuple(_pruning())
"""G4: two ladders of prunes with recoveries."""
MULTITASK: tuple[Member, ...] = tuple(_multitask())
"""G5: 9 tasks that share one encoder, and the trunk that they are cut out of."""
