"""A really trained family of 21 models: what each takes, fast and dense, and how fast each comes back."""

from __future__ import annotations

from dataclasses import replace

from bench.families import Part, StoredFamily, build_family, parts_of, store_family
from bench.figures import Figure, Report
from bench.machine import describe_machine
from examples.minilm.family import FULL, Built

__all__ = ["measure"]

_COMPUTABLE = 0.1  # Of what nothing but packs with empty payloads, indexes and a manifest has to be kept.
_GOALS = {
    "soup01@1": _COMPUTABLE,
    **{f"ft{number}-bf16@1": _COMPUTABLE for number in range(4)},
    "minilm-bf16@1": _COMPUTABLE,
    "minilm-fp16@1": _COMPUTABLE,
    "ft0-fp16@1": _COMPUTABLE,
    "pruned0@1": 1.6,
    "lora0@1": 0.6,
    "lora1@1": 2.6,
}
"""Most that a member may take after a repack, in percent of its size."""
_FINETUNE = "ft0@1"


def measure() -> Report:
    """Adds all, repacks once, and brings all back; then again with a repack after each; then with adapters."""
    members = build_family(FULL)
    parts = parts_of(members)
    whole = store_family(parts)
    single = store_family(parts, repack_each=True, reads=1)
    adapted = store_family(_with_adapters(members), repack_each=True, reads=1)
    figures = [
        *_totals(whole),
        *(figure for part in parts for figure in _shares(part.ref, whole, single)),
        *(
            replace(
                _share(f"{ref} beside its adapter, after repack", adapted.share(ref)),
                note="found in the store as a parent" if "adapter" not in ref else "the adapter itself",
            )
            for ref in adapted.sizes
            if ref.startswith("lora")
        ),
        *_reading(whole),
    ]
    return Report(title="A trained family of 21 models", machine=describe_machine(), figures=figures)


def _with_adapters(members: list[Built]) -> list[Part]:
    """The base, the two adapters and the two models that they were merged into."""
    wanted = [built for built in members if built.member.name.startswith(("minilm", "lora"))]
    parts = {part.ref: part for part in parts_of(wanted)}
    found = []
    for built in wanted:
        if built.member.is_adapter:
            found.append(Part(ref=built.ref, source=built.path, parents=built.member.parents))
        elif built.ref == "minilm@1" or built.member.name.startswith("lora"):
            found.append(replace(parts[built.ref], parents=built.member.parents))
    return found


def _totals(family: StoredFamily) -> list[Figure]:
    return [
        Figure(name="all weight files", value=family.raw_bytes / 1e6, unit="MB"),
        Figure(name="an empty store, counted in both that follow", value=family.empty_bytes / 1e3, unit="kB"),
        Figure(name="store after ingest, all bytes counted", value=family.fast_bytes / 1e6, unit="MB"),
        Figure(name="store after repack, all bytes counted", value=family.dense_bytes / 1e6, unit="MB"),
        Figure(
            name="statistics of the store, beside the sizes on disk",
            value=family.off_by,
            unit="bytes apart",
            goal="0",
            is_reached=family.off_by == 0,
        ),
        Figure(name="adding, file to acknowledged", value=family.add_speed, unit="GB/s"),
        Figure(name="repack through the service", value=family.repack_speed, unit="GB/s"),
        Figure(name="getting, to file, after the repack", value=family.get_speed, unit="GB/s"),
    ]


def _shares(ref: str, whole: StoredFamily, single: StoredFamily) -> list[Figure]:
    ingested = _share(f"{ref}, after ingest", whole.share(ref))
    dense = _share(f"{ref}, after repack", single.share(ref))
    described = _share(
        f"{ref}, after repack: packs, indexes and manifests alone", single.described[ref] / single.sizes[ref]
    )
    goal = _GOALS.get(ref)
    if goal == _COMPUTABLE:
        return [ingested, dense, _with_goal(described, goal)]
    return [ingested, dense if goal is None else _with_goal(dense, goal)]


def _with_goal(figure: Figure, goal: float) -> Figure:
    return replace(figure, goal=f"at most {goal} %", is_reached=figure.value <= goal)


def _share(name: str, share: float) -> Figure:
    return Figure(name=name, value=100 * share, unit="% of its size")


def _reading(family: StoredFamily) -> list[Figure]:
    """Getting each member, beside the fine-tune: no kind may be slow to read."""
    speeds = {ref: family.sizes[ref] / seconds / 1e9 for ref, seconds in family.get_s.items()}
    beside = speeds[_FINETUNE]
    return [
        Figure(
            name=f"getting {ref}, dense",
            value=speed,
            unit="GB/s",
            goal="" if ref == _FINETUNE else f"at least half of {_FINETUNE}",
            is_reached=None if ref == _FINETUNE else speed >= beside / 2,
        )
        for ref, speed in speeds.items()
    ]
