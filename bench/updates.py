"""The paper's update tables, G2 and G5, with a small encoder: 90 cells each, before and after a robustness update.

Tasks and seeds stand below and were fixed before the first run, and so were the steps, after pilots with other seeds that
saw six of these nine tasks. Everything is kept in a stack of its own in the cache folder, so a run that is cut
goes on where it was: models that are there are not made again, an update is resumed, and measured cells are kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import chain
from pathlib import Path

import platformdirs
from bench.figures import Figure, Report
from bench.machine import describe_machine
from bench.stack import running_stack
from examples.robustness.cells import Cell, CellPlan, mean_change, measure_cells, share_not_worse
from examples.robustness.creation import robust, task_model, task_models
from examples.robustness.damage import KINDS
from examples.robustness.learning import TASKS, read_base

import mgit
from mgit.errors import NotFoundError
from mgit.updating import Update

__all__ = ["measure"]

_SEED = 2024
_ROBUST_STEPS = 600
_TASK_STEPS = 20
_SHARE_GOAL = 0.9
_PAPER_G2, _PAPER_G5 = 2.98, 1.17
_OVER = {"published"}
# Half of a creation is the start of its process, which keeps one core busy.
_AT_ONCE = 2


def measure() -> Report:
    """Make what is not there, update, and measure what was not measured."""
    home = Path(platformdirs.user_cache_dir("mgit")) / "updates"
    with running_stack(home) as state, mgit.connect(state.address) as repo:
        base = _find(repo, "encoder@1") or repo.add("encoder", read_base(), progress=None)
        olds = [*_task_versions(repo, base), *_task_models(repo, base)]
        new = _find(repo, "encoder@2") or repo.create(
            robust,
            name="encoder",
            parents=[mgit.finetuned(base)],
            arguments={"steps": _ROBUST_STEPS},
            seed=_SEED,
            progress=None,
        )
        update = _update(repo, base, new)
        made = {step.old.uid: step.new for step in update.steps}
        cells = {
            title: _measured(
                home / f"{title}.json",
                [
                    CellPlan(old=old, new=repo.get(made[old.uid] or old), task=task, kind=kind)
                    for old, task, kinds in olds
                    if len(kinds) == (1 if title == "G2" else KINDS + 1)
                    for kind in kinds
                ],
            )
            for title in ("G2", "G5")
        }
    return Report(
        title="An update of the encoder, followed by its task models",
        machine=describe_machine(),
        figures=[
            *_figures("G2, 9 tasks in 10 versions", cells["G2"], _PAPER_G2, "78 of 90, +2.98"),
            *_figures("G5, 9 tasks on one encoder", cells["G5"], _PAPER_G5, "58 of 90, +1.17"),
        ],
    )


Made = tuple[mgit.Model, int, Sequence[int]]
"""A model, its task, and the kinds of damage that it is judged by."""


def _task_versions(repo: mgit.Repository, base: mgit.Model) -> list[Made]:
    """Ten versions of each task's model, of some tasks at a time."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        made = pool.map(lambda task: list(_versions(repo, base, task)), range(len(TASKS)))
        return list(chain.from_iterable(made))


def _versions(repo: mgit.Repository, base: mgit.Model, task: int) -> Iterator[Made]:
    for kinds in range(KINDS + 1):
        model = _find(repo, f"task{task}@{kinds + 1}") or repo.create(
            task_model,
            name=f"task{task}",
            parents=[mgit.finetuned(base)],
            arguments={"task": task, "kinds": kinds, "steps": _TASK_STEPS},
            seed=_SEED + task,
            progress=None,
        )
        yield model, task, [kinds]


def _task_models(repo: mgit.Repository, base: mgit.Model) -> Iterator[Made]:
    names = [f"shared{task}" for task in range(len(TASKS))]
    if _find(repo, names[-1]) is None:
        repo.create_together(
            task_models,
            {name: [mgit.finetuned(base)] for name in names},
            arguments={
                "tasks": ",".join(map(str, range(len(TASKS)))),
                "steps": _TASK_STEPS * len(TASKS),
            },
            seed=_SEED,
            progress=None,
        )
    for task, name in enumerate(names):
        yield repo.get(f"{name}@1"), task, range(KINDS + 1)


def _update(repo: mgit.Repository, base: mgit.Model, new: mgit.Model) -> Update:
    """The one update of the encoder, gone on with if it was cut."""
    known = next((update for update in repo.updates.list() if update.old.uid == base.uid), None)
    if known is None:
        return repo.update(base, new, workers=_AT_ONCE, progress=True)
    if known.state in _OVER:
        return repo.updates.get(known)
    return repo.updates.resume(known, workers=_AT_ONCE)


def _find(repo: mgit.Repository, reference: str) -> mgit.Model | None:
    try:
        return repo.get(reference)
    except NotFoundError:
        return None


def _measured(path: Path, plans: Sequence[CellPlan]) -> list[Cell]:
    """The cells, those that ``path`` has not yet measured one by one."""
    known = [Cell(**cell) for cell in json.loads(path.read_text())] if path.exists() else []
    for plan in plans[len(known) :]:
        known += measure_cells([plan])
        path.write_text(json.dumps([asdict(cell) for cell in known]), encoding="utf-8")
    return known


def _figures(title: str, cells: Sequence[Cell], paper: float, note: str) -> list[Figure]:
    not_worse = sum(cell.change >= 0 for cell in cells)
    said = f"the paper: {note}; tasks of docstrings, seed {_SEED}, steps fixed by a pilot"
    return [
        Figure(
            name=f"{title}: cells not worse",
            value=100 * share_not_worse(cells),
            unit=f"% ({not_worse} of {len(cells)})",
            goal=f"at least {_SHARE_GOAL:.0%}",
            is_reached=share_not_worse(cells) >= _SHARE_GOAL,
            note=said,
        ),
        Figure(
            name=f"{title}: mean change",
            value=mean_change(cells),
            unit="points",
            goal=f"above {paper:+.2f}",
            is_reached=mean_change(cells) > paper,
            note=said,
        ),
    ]
