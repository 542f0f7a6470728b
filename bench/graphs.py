"""The shapes of the paper's graphs G2 to G5, trained for a few minutes: what each takes, fast and dense."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from bench.families import Part, StoredFamily, build_family, open_stack, parts_of, store_family
from bench.figures import Figure, Report
from bench.machine import describe_machine
from examples.minilm.family import Built
from examples.minilm.graphs import FEDERATED, MULTITASK, PRUNING, ROBUSTNESS, TRUNK
from examples.minilm.recipe import Judge, Member, Multitask, TaskHead, Training
from examples.minilm.text import LabeledText, read_label_set
from examples.minilm.variation import task_text
from safetensors import safe_open

import mgit
from mgit.lossy.weights import GuardedModel
from mgit_core.digest import DigestAlgorithm, digest_of

__all__ = ["graph_parts", "measure"]

_GRAPHS: dict[str, tuple[Member, ...]] = {
    "G2, 4 tasks in 3 robustness versions": ROBUSTNESS,
    "G3, 3 federated rounds of 4 workers": FEDERATED,
    "G4, 2 prune ladders with recovery": PRUNING,
    "G5, 9 tasks on one encoder": MULTITASK,
}
_SHARED_GOAL = 7.0


def measure() -> Report:
    """Each graph in a stack of its own: in, repacked once, back; then again with a repack after each member."""
    figures: list[Figure] = []
    for title, graph in _GRAPHS.items():
        members = build_family(graph)
        parts = graph_parts(members)
        whole = store_family(parts, reads=1)
        single = store_family(parts, repack_each=True, reads=1)
        figures += _ratios(title, parts, whole)
        if graph is MULTITASK:
            figures += _shared(title, whole, single)
            figures += _lossy(title, members, whole)
        figures += _shares(title, whole, single)
    return Report(title="The paper's graphs, small", machine=describe_machine(), figures=figures)


def graph_parts(members: Sequence[Built]) -> list[Part]:
    """Every member; those that are cut out of a trunk have its parent, for the trunk is no model of the graph."""
    parents = {built.ref: built.member.parents for built in members}
    return [
        Part(
            ref=part.ref,
            source=part.source,
            parents=parents[TRUNK] if TRUNK in dict(part.parents) else part.parents,
            previous=part.previous,
        )
        for part in parts_of(members)
        if part.ref != TRUNK
    ]


def _ratios(title: str, parts: Sequence[Part], family: StoredFamily) -> list[Figure]:
    note = f"{len(parts)} models, {family.raw_bytes / 1e6:,.0f} MB"
    return [
        Figure(name=f"{title}: each distinct tensor once, raw", value=_by_tensor(parts), unit="x", note=note),
        Figure(name=f"{title}: after ingest", value=family.fast_ratio, unit="x"),
        Figure(name=f"{title}: after repack", value=family.dense_ratio, unit="x"),
    ]


def _shared(title: str, whole: StoredFamily, single: StoredFamily) -> list[Figure]:
    """The ratio beside the most that it can be: the base and the shared encoder's difference, and nothing else."""
    base, first, *_ = single.grown.values()
    bound = Figure(
        name=f"{title}: bound from the base and one encoder's difference, as measured",
        value=single.raw_bytes / (base + first),
        unit="x",
        note=f"the difference is {100 * single.share(list(single.sizes)[1]):.1f} % of the encoder",
    )
    return [
        bound,
        Figure(
            name=f"{title}: lossless, beside the paper's 7",
            value=whole.dense_ratio,
            unit="x",
            goal=f"at least {_SHARED_GOAL:.0f}",
            is_reached=whole.dense_ratio >= _SHARED_GOAL,
            ceiling="the bound",
            ratio=whole.dense_ratio / bound.value,
        ),
    ]


class _TaskAccuracy:
    """The guard: the share of a task's held-out texts whose topic a member finds."""

    metric = "accuracy"

    def __init__(self, built: Built, text: LabeledText) -> None:
        self._built, self._text = built, text

    def __call__(self, model: GuardedModel) -> float:
        # Training of the members needs settings that hold only if torch was not imported before.
        from examples.minilm.training import accuracy  # noqa: PLC0415
        from examples.minilm.weights import Model, read_model  # noqa: PLC0415

        config = read_model(self._built.path).config
        training = Training(label_set=0, steps=0, learning_rate=0.0, tokens=24)
        return accuracy(Model(model.load("torch"), config), Judge(training, self._text))[0]


def _lossy(title: str, members: Sequence[Built], exact: StoredFamily) -> list[Figure]:
    """The same members with guarded loss; each is loaded again and judged again."""
    texts = _task_texts(members)
    lost = []
    with open_stack() as stack:
        for built, part in zip(
            (built for built in members if built.ref != TRUNK), graph_parts(members), strict=True
        ):
            if built.ref not in texts:
                stack.add(part)
                continue
            guard = _TaskAccuracy(built, texts[built.ref])
            parents = [mgit.Parent(ref, mgit.Relation(relation)) for ref, relation in part.parents]
            model = stack.repo.add(
                built.member.name,
                part.source,
                parents=parents,
                lossy=mgit.Lossy(k=2),
                guard=guard,
                progress=None,
            )
            if model.loss is None:
                raise SystemExit(f"{built.ref} was stored exactly: {model.addition}")
            if guard(model) != model.loss.guard.after:
                raise SystemExit(f"{built.ref} came back with another accuracy than it was stored with")
            lost.append(100 * (model.loss.guard.before - model.loss.guard.after))
        stack.repack()
        ratio = exact.raw_bytes / stack.stored_bytes()
    return [
        Figure(
            name=f"{title}: with guarded loss, after repack",
            value=ratio,
            unit="x",
            goal="more than lossless",
            is_reached=ratio > exact.dense_ratio,
            note=f"at most {max(lost):.2g} points of accuracy lost by any member",
        )
    ]


def _task_texts(members: Sequence[Built]) -> dict[str, LabeledText]:
    """The rows of each member that has a task, by reference."""
    read = functools.cache(read_label_set)
    tasks = next(built.member.recipe.tasks for built in members if isinstance(built.member.recipe, Multitask))
    return {
        built.ref: task_text(tasks[built.member.recipe.task], read(tasks[built.member.recipe.task].label_set))
        for built in members
        if isinstance(built.member.recipe, TaskHead)
    }


def _shares(title: str, whole: StoredFamily, single: StoredFamily) -> list[Figure]:
    short = title.partition(",")[0]
    return [
        Figure(
            name=f"{short}: {ref}, after repack",
            value=100 * single.share(ref),
            unit="% of its size",
            note=f"after ingest {100 * whole.share(ref):.3g} %",
        )
        for ref in whole.sizes
    ]


def _by_tensor(parts: Sequence[Part]) -> float:
    """Raw bytes for each byte of distinct tensors."""
    sizes: dict[bytes, int] = {}
    total = 0
    for part in parts:
        with safe_open(part.source, framework="np") as file:
            for name in file.keys():  # noqa: SIM118 - no mapping, whatever it looks like
                array = file.get_tensor(name)
                total += array.nbytes
                sizes[digest_of(DigestAlgorithm.BLAKE3, array.reshape(-1).view("u1").data)] = array.nbytes
    return total / sum(sizes.values())
