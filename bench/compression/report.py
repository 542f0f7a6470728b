"""The comparison: one family, every scheme, all bytes counted, everything brought back and compared."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.compression.cutting import XetLike
from bench.compression.deltas import fm_delta, ordered_planes, xor_planes, zipllm
from bench.compression.git_tools import git_lfs, git_theta
from bench.compression.paper import EPSILON, Outcome, run_paper
from bench.compression.plain import EachFile, each_tensor, zipnn
from bench.compression.running import THREADS, Run, run
from bench.compression.schemes import Scheme, SchemeMissingError
from bench.compression.scoring import accuracy_of
from bench.compression.subjects import Subject, subjects_of
from bench.families import build_family, parts_of, store_family
from bench.figures import Figure, Report
from bench.machine import describe_machine
from examples.minilm.family import FULL, Built

__all__ = ["Baseline", "Ratios", "baseline_rows", "measure", "paper_rows"]


@dataclass(frozen=True, slots=True)
class Baseline:
    """A scheme to compare with.

    Attributes:
        make: Makes an empty one; raises SchemeMissingError where it is not installed.
        is_published: Whether it counts among the best that was published.
        takes_16_bits: Whether it takes 16-bit floats.
    """

    make: Callable[[], Scheme]
    is_published: bool = False
    takes_16_bits: bool = True


_BASELINES: dict[str, Baseline] = {
    "1 each file, zstd-3": Baseline(EachFile),
    "2 each distinct tensor, zstd-3": Baseline(each_tensor),
    "3 Xet-like: cut by content, grouped, LZ4": Baseline(XetLike, is_published=True),
    "4 each distinct tensor, ZipNN": Baseline(zipnn, is_published=True),
    "5 ZipLLM's split": Baseline(zipllm, is_published=True),
    "6 FM-Delta-style, base raw": Baseline(fm_delta, is_published=True, takes_16_bits=False),
    "reference: ordered difference, planes, zstd-3, base raw": Baseline(ordered_planes, takes_16_bits=False),
    "reference: XOR, planes, zstd-1": Baseline(xor_planes),
}
_NOTES = {
    "5 ZipLLM's split": "without a base ZipNN where it is installed, else zstd-3",
    "6 FM-Delta-style, base raw": (
        "sign and bit length by pcodec in place of its range coder, lower bits raw; no 16-bit types"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Family:
    """A choice of members, with what the project has to reach on it."""

    title: str
    dtypes: tuple[str, ...]
    fast_goal: float
    dense_goal: float
    over_published: float


_FAMILIES = (
    _Family(title="14 float32", dtypes=("float32",), fast_goal=3.9, dense_goal=4.5, over_published=1.45),
    _Family(title="5 bfloat16", dtypes=("bfloat16",), fast_goal=3.3, dense_goal=3.9, over_published=1.2),
    _Family(
        title="all 21",
        dtypes=("float32", "bfloat16", "float16"),
        fast_goal=4.8,
        dense_goal=5.5,
        over_published=1.9,
    ),
)
_SINGLE = ("ft0@1", "ft1@1", "soup01@1", "pruned0@1", "lora0@1", "lora1@1", "ft0-bf16@1", "ft0-fp16@1")
_FOR_GIT = ("minilm@1", "ft0@1", "ft0v2@1", "ft0v3@1", "head0@1", "lora0@1")
_GIT = {"7 git-lfs": git_lfs, "7 git-theta": git_theta}

Ratios = dict[str, dict[str, float]]
"""By title of the family and name of the scheme."""


def measure() -> Report:
    """Baselines 1 to 6 and the references, git's filters, MGit's own pipeline, then the project itself."""
    members = build_family(FULL)
    subjects = subjects_of(members)
    published: Ratios = {}
    figures: list[Figure] = []
    for name, baseline in _BASELINES.items():
        figures += baseline_rows(name, baseline, subjects, published)
    figures += _git(subjects)
    figures += paper_rows(run_paper(_of(subjects, _FAMILIES[0]), accuracy_of))
    for family in _FAMILIES:
        figures += _project(family, members, published.get(family.title, {}))
    figures += _project_for_git(members)
    return Report(
        title=f"Compression: the family of 21, {THREADS} threads", machine=describe_machine(), figures=figures
    )


def _of(subjects: Sequence[Subject], family: _Family) -> list[Subject]:
    return [subject for subject in subjects if subject.dtype in family.dtypes]


def baseline_rows(
    name: str, baseline: Baseline, subjects: Sequence[Subject], published: Ratios
) -> list[Figure]:
    """Rows of one scheme on all families; adds its ratios to ``published`` if it was published."""
    _tell(name)
    fp32, bf16, every = _FAMILIES
    try:
        if not baseline.takes_16_bits:
            ran = run(baseline.make, _of(subjects, fp32))
            ratios = {fp32.title: ran.ratio()}
        else:
            ran = run(baseline.make, subjects)
            narrow = run(baseline.make, _of(subjects, bf16))
            wide = [subject.ref for subject in _of(subjects, fp32)]
            ratios = {fp32.title: ran.ratio(wide), bf16.title: narrow.ratio(), every.title: ran.ratio()}
    except SchemeMissingError as missing:
        return [_not_run(name, missing)]
    if baseline.is_published:
        for title, ratio in ratios.items():
            published.setdefault(title, {})[name] = ratio
    note = "; ".join(text for text in (ran.speeds, _NOTES.get(name, "")) if text)
    figures = [Figure(name=f"{name}: {title}", value=ratio, unit="x") for title, ratio in ratios.items()]
    figures[0] = replace(figures[0], note=note)
    return figures + (_one_more(name, ran) if baseline.is_published else [])


def _one_more(name: str, ran: Run) -> list[Figure]:
    return [
        Figure(name=f"{name}: {ref} alone", value=100 * ran.share(ref), unit="% of its size")
        for ref in _SINGLE
        if ref in ran.grown
    ]


def _git(subjects: Sequence[Subject]) -> list[Figure]:
    chosen = [subject for subject in subjects if subject.ref in _FOR_GIT]
    figures = []
    for name, make in _GIT.items():
        _tell(name)
        try:
            ran = run(make, chosen)
        except SchemeMissingError as missing:
            figures.append(_not_run(name, missing))
            continue
        note = (
            f"{ran.encode_s / len(chosen):.2g} s to add one, {ran.decode_s / len(chosen):.2g} s to check out"
        )
        figures.append(Figure(name=f"{name}: {len(chosen)} models", value=ran.ratio(), unit="x", note=note))
    return figures


def paper_rows(outcome: Outcome) -> list[Figure]:
    """Rows of MGit's own pipeline."""
    name = f"8 MGit's pipeline, lossy, epsilon {EPSILON:g}"
    lost = {ref: 100 * (before - after) for ref, (before, after) in outcome.scores.items()}
    worst = max(lost, key=lambda ref: lost[ref])
    zeros = outcome.zeros.get("pruned0@1")
    figures = []
    for codec, grown in outcome.grown.items():
        raw = outcome.raw_bytes
        note = (
            f"in {outcome.coded_bytes / outcome.encode_s[codec] / 1e9:.2g}, "
            f"out {outcome.coded_bytes / outcome.decode_s[codec] / 1e9:.2g} GB/s; base raw"
        )
        title = f"{name}, {codec}"
        figures += [
            Figure(name=f"{title}: 14 float32", value=raw / sum(grown.values()), unit="x", note=note),
            Figure(
                name=f"{title}: ft0@1 alone",
                value=outcome.sizes["ft0@1"] / grown["ft0@1"],
                unit="x",
            ),
        ]
    return [
        *figures,
        Figure(name=f"{name}: largest absolute error", value=outcome.largest_error, unit=""),
        Figure(
            name=f"{name}: most accuracy lost",
            value=lost[worst],
            unit="points",
            note=f"{worst}; of {len(lost)} members that changed, {len(outcome.given_up)} were given up",
        ),
        *(
            [Figure(name=f"{name}: exact zeros left of pruned0@1's {zeros[0]:,}", value=zeros[1], unit="")]
            if zeros
            else []
        ),
    ]


def _project(family: _Family, members: Sequence[Built], published: Mapping[str, float]) -> list[Figure]:
    _tell(f"the project, {family.title}")
    wanted = {subject.ref for subject in _of(subjects_of(members), family)}
    stored = store_family(parts_of([built for built in members if built.ref in wanted]), reads=1)
    best = max(published, key=lambda name: published[name], default="")
    figures = [
        _goal(f"this project, after ingest: {family.title}", stored.fast_ratio, family.fast_goal),
        _goal(f"this project, after repack: {family.title}", stored.dense_ratio, family.dense_goal),
    ]
    if best:
        over = stored.dense_ratio / published[best]
        figures.append(
            _goal(f"this project over the best of baselines 3-6: {family.title}", over, family.over_published)
        )
    note = f"in {stored.add_speed:.2g}, repack {stored.repack_speed:.2g}, out {stored.get_speed:.2g} GB/s"
    notes = [f"{note}, through the service to files", note, f"best is {best}"]
    return [replace(figure, note=text) for figure, text in zip(figures, notes, strict=False)]


def _goal(name: str, value: float, goal: float) -> Figure:
    return Figure(name=name, value=value, unit="x", goal=f"at least {goal}", is_reached=value >= goal)


def _not_run(name: str, missing: SchemeMissingError) -> Figure:
    return Figure(name=name, value=0.0, unit="(not run)", note=str(missing))


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _project_for_git(members: Sequence[Built]) -> list[Figure]:
    stored = store_family(parts_of([built for built in members if built.ref in _FOR_GIT]), reads=1)
    count = len(stored.sizes)
    note = f"{stored.add_s / count:.2g} s to add one, {sum(stored.get_s.values()) / count:.2g} s to get"
    return [
        Figure(
            name=f"this project, after repack: the {count} models of git",
            value=stored.dense_ratio,
            unit="x",
            note=note,
        )
    ]
