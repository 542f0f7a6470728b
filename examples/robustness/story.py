"""Task models are made from an encoder; the encoder gets better; one command makes them all anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from examples.robustness.cells import Cell, CellPlan, measure_cells, table_lines
from examples.robustness.creation import robust, task_model, task_models
from examples.robustness.learning import read_base
from examples.throwaway import choose_prefix, tell_steps

import mgit
from mgit.updating import Update

__all__ = ["BRIEF", "Findings", "Size", "tell_story"]

Say = Callable[[str], None]

_BY_HAND = (
    "find out that it was made from the old encoder",
    "find the program, the arguments and the seed that made it",
    "run it on the new encoder",
    "store the result as a new version with its parents",
    "run its tests",
)
"""What an engineer does for each model without the update."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is trained.

    Attributes:
        tasks: Numbers of the tasks.
        versions: Versions of each task's model, each trained on one kind of damage more.
        robust_steps: Steps of training of the new encoder.
        task_steps: Steps of training of each task's model.
        seed: Of everything.
    """

    tasks: tuple[int, ...]
    versions: int
    robust_steps: int
    task_steps: int
    seed: int


BRIEF = Size(tasks=(0, 1, 2), versions=3, robust_steps=60, task_steps=20, seed=11)
"""Three tasks in three versions: minutes on two cores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What came out.

    Attributes:
        update: The update.
        versions: Cells of the models with versions (G2).
        together: Cells of the models that share an encoder (G5).
        by_hand: Steps that the update saved.
        shared_tensors: Tensors that the models of G5 have in common, after the update.
    """

    update: Update
    versions: tuple[Cell, ...]
    together: tuple[Cell, ...]
    by_hand: int
    shared_tensors: int


def tell_story(repository: mgit.Repository, say: Say, size: Size = BRIEF) -> Findings:
    """Runs the example on a repository, under a prefix that is free.

    Raises:
        MGitError: As the SDK raises it.
    """
    prefix = choose_prefix(repository, "robustness")
    say(
        f"\n== An encoder, {len(size.tasks)} task models of it in {size.versions} versions, and as many that share one"
    )
    base = repository.add(f"{prefix}/encoder", read_base(), progress=None)
    versions = _make_versions(repository, prefix, base, size, say)
    together = _make_together(repository, prefix, base, size, say)
    say("\n== The encoder is taught to read damaged text")
    new = repository.create(
        robust,
        name=base.name,
        parents=[mgit.finetuned(base)],
        arguments={"steps": size.robust_steps},
        seed=size.seed,
        progress=None,
    )
    say(f"   {new.ref}")
    say(f"\n== One command makes everything anew that was made from {base.ref}")
    say(f"   mgit update {base.ref} {new.ref}")
    update = repository.update(base, new, progress=tell_steps(say))
    for step in update.steps:
        say(f"   {step.old.ref:<24} -> {step.new.ref if step.new else step.state}")
    by_hand = len(_BY_HAND) * len(update.steps)
    say(
        f"   By hand: {len(_BY_HAND)} steps for each of {len(update.steps)} models, {by_hand} in all, namely to"
    )
    for step_by_hand in _BY_HAND:
        say(f"     - {step_by_hand}")
    return _judge(repository, update, (versions, together), by_hand, say)


Made = Sequence[tuple[mgit.Model, int, Sequence[int]]]
"""Models, each with its task and the kinds of damage that it is judged by."""


def _make_versions(repository: mgit.Repository, prefix: str, base: mgit.Model, size: Size, say: Say) -> Made:
    made: list[tuple[mgit.Model, int, Sequence[int]]] = []
    for task in size.tasks:
        for kinds in range(size.versions):
            model = repository.create(
                task_model,
                name=f"{prefix}/task{task}",
                parents=[mgit.finetuned(base)],
                arguments={"task": task, "kinds": kinds, "steps": size.task_steps},
                seed=size.seed + task,
                progress=None,
            )
            say(f"   {model.ref}, trained on {kinds} kinds of damage")
            made.append((model, task, [kinds]))
    return made


def _make_together(repository: mgit.Repository, prefix: str, base: mgit.Model, size: Size, say: Say) -> Made:
    names = {f"{prefix}/shared{task}": task for task in size.tasks}
    models = repository.create_together(
        task_models,
        {name: [mgit.finetuned(base)] for name in names},
        arguments={
            "tasks": ",".join(map(str, size.tasks)),
            "steps": size.task_steps * len(size.tasks),
        },
        seed=size.seed,
        progress=None,
    )
    say(f"   {', '.join(model.ref for model in models.values())}, trained in turn")
    return [(models[name], task, range(size.versions)) for name, task in names.items()]


def _judge(
    repository: mgit.Repository, update: Update, made: tuple[Made, Made], by_hand: int, say: Say
) -> Findings:
    new = {step.old.uid: repository.get(step.new) for step in update.steps if step.new is not None}
    say("\n== What it did to the models, in hundredths of held-out rows that they get right")
    versions, together = (
        tuple(
            measure_cells(
                [
                    CellPlan(old=model, new=new[model.uid], task=task, kind=kind)
                    for model, task, kinds in each
                    for kind in kinds
                ]
            )
        )
        for each in made
    )
    for cells in (versions, together):
        for line in table_lines(cells):
            say(f"   {line}")
    shared = _count_shared([new[model.uid] for model, _, _ in made[1]])
    say(f"   The {len(made[1])} models that were trained in turn still have {shared} tensors in common.")
    return Findings(
        update=update, versions=versions, together=together, by_hand=by_hand, shared_tensors=shared
    )


def _count_shared(models: Sequence[mgit.Model]) -> int:
    digests = [{tensor.digest for tensor in model.tensors.values()} for model in models]
    return len(set.intersection(*digests))
