"""Where models belong: claims about pools of known lineage, and the time to place one in small and large graphs."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import platformdirs
import torch
from bench.figures import Figure, Report
from bench.machine import describe_machine
from bench.placing.families import FamilyPlan, PoolModel, Tensors, grow_family
from bench.placing.plans import HELD_OUT, TUNING
from bench.placing.released import score_released
from bench.placing.scoring import Score, open_backend, score_pool, store_model
from bench.stack import new_home

from mgit.local.distribution import fetch_neo4j
from mgit.local.neo4j import ManagedNeo4j, free_port
from mgit_core.lineage import ModelCommit, ParameterSet, Previous
from mgit_core.names import make_uid
from mgit_core.similarity import DIMENSIONS
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.inference.inferring import InferenceJob, infer_parents
from mgit_storage.lineage import open_neo4j
from mgit_storage.testing.values import make_tensors

__all__ = ["grow_pool", "measure", "pool_figures"]

_FEW, _MANY = 100, 10_000
_FAMILY = 25
_WARM_UP, _REPEATS = 5, 15
_BATCH, _AT_ONCE = 500, 20
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def measure() -> Report:
    """Both pools, thresholds chosen on the first one only; then the placing times, on a real Neo4j."""
    figures: list[Figure] = []
    for title, plans in (("tuning pool", TUNING), ("held-out pool", HELD_OUT)):
        figures += pool_figures(title, grow_pool(plans), has_goals=plans is HELD_OUT)
    figures += asyncio.run(_placing_figures())
    return Report(title="Where models belong", machine=describe_machine(), figures=figures)


def grow_pool(plans: Sequence[FamilyPlan]) -> list[PoolModel]:
    """All families of a pool, trained."""
    # Networks as small as these gain nothing from threads, and one thread trains the same weights every time.
    torch.set_num_threads(1)
    return [model for plan in plans for model in grow_family(plan)]


def pool_figures(title: str, models: Sequence[PoolModel], *, has_goals: bool) -> list[Figure]:
    """How many claims about a pool are right, beside the rule of the released code."""
    score = asyncio.run(score_pool(models))
    for fault in score.faults:
        print(fault, flush=True)
    right, counted = score_released(models)
    note = f"{len(models)} models"
    shares = (
        ("claims right", score.right, score.claims, 0.95),
        ("parents found", score.found, score.parents, 0.9),
        ("roots about which nothing is claimed", score.clean, score.roots, 1.0),
    )
    figures = [
        Figure(
            name=f"{title}: {name}",
            value=100 * part / whole,
            unit=f"% ({part} of {whole})",
            goal=f"at least {100 * goal:.0f} %" if has_goals else "",
            is_reached=part / whole >= goal if has_goals else None,
            note=note,
        )
        for name, part, whole, goal in shares
    ]
    figures.append(_placed(title, score, models))
    figures.append(
        Figure(
            name=f"{title}: models placed right by the rule of the released code",
            value=100 * right / counted,
            unit=f"% ({right} of {counted})",
            note="one right parent, or none for a root",
        )
    )
    return figures


def _placed(title: str, score: Score, models: Sequence[PoolModel]) -> Figure:
    right = len(models) - len(score.faults)
    return Figure(
        name=f"{title}: models placed right",
        value=100 * right / len(models),
        unit=f"% ({right} of {len(models)})",
        note="all parents and the kinship right, or nothing claimed of a root",
    )


async def _placing_figures() -> list[Figure]:
    with new_home() as home:
        jars = fetch_neo4j(Path(platformdirs.user_cache_dir("mgit")))
        server = ManagedNeo4j(home=home, jars=jars, is_throw_away=True)
        running = server.start(bolt_port=free_port(), http_port=free_port())
        lineage = open_neo4j(running.bolt_uri, running.username, "")
        try:
            async with open_backend(lineage) as backend:
                return await _placing_times(backend)
        finally:
            await lineage.binding.close()
            server.stop()


async def _placing_times(backend: Backend) -> list[Figure]:
    """Place the same model, with the same relatives, in a graph that grew meanwhile."""
    random = np.random.default_rng(1)
    base = {f"layer.{at}": random.normal(0, 0.02, (384, 384)).astype(np.float32) for at in range(24)}
    for number in range(_FAMILY):
        await store_model(
            backend,
            f"member-{number}",
            _changed(base, number) if number else base,
            _BEGIN + timedelta(number),
        )
    model = await store_model(backend, "placed", _changed(base, 99), datetime.now(UTC))
    medians = []
    count = _FAMILY + 1
    for size in (_FEW, _MANY):
        await _fill(backend, count, size)
        count = size
        medians.append(await _median_s(backend, model.uid))
    growth = medians[1] / medians[0]
    return [
        Figure(name=f"placing a model of 14 MB among {_FEW} models", value=1e3 * medians[0], unit="ms"),
        Figure(name=f"placing it among {_MANY:,} models", value=1e3 * medians[1], unit="ms"),
        Figure(
            name=f"placing: {_MANY:,} models over {_FEW}",
            value=growth,
            unit="times",
            goal="at most 1.3 times",
            is_reached=growth <= 1.3,
            note="the same 25 relatives, the others strangers",
        ),
    ]


def _changed(tensors: Tensors, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1_000 + seed)
    return {
        name: (array + random.normal(0, 1e-3, array.shape)).astype(np.float32)
        for name, array in tensors.items()
    }


async def _fill(backend: Backend, begin: int, end: int) -> None:
    """Strangers, by their sketches alone: nothing of them is ever read."""
    random = np.random.default_rng(begin)
    for start in range(begin, end, _BATCH):
        commits = [_stranger(number) for number in range(start, min(start + _BATCH, end))]
        await backend.lineage.models.commit_batch(commits)
        for first in range(0, len(commits), _AT_ONCE):
            vectors = random.normal(0, 1, (_AT_ONCE, DIMENSIONS))
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            puts = zip(commits[first : first + _AT_ONCE], vectors, strict=False)
            await asyncio.gather(
                *(
                    backend.lineage.sketches.put(commit.parameters.digest, vector.tolist())
                    for commit, vector in puts
                )
            )


def _stranger(number: int) -> ModelCommit:
    records = make_tensors(f"stranger {number}", 2)
    digest = records[0].digest
    return ModelCommit(
        uid=make_uid(1_600_000_000_000 + number, number.to_bytes(10, "big")),
        name=f"stranger-{number:06d}",
        created_at=_BEGIN - timedelta(minutes=number),
        parameters=ParameterSet(
            digest=digest,
            manifest_key=f"manifests/{digest.hex()}/{0:032x}",
            size_bytes=64,
            tensor_count=2,
        ),
        tensors=records,
        epoch=1,
        previous=Previous(automatic=False),
    )


async def _median_s(backend: Backend, uid: str) -> float:
    taken = []
    for number in range(_WARM_UP + _REPEATS):
        start = time.perf_counter()
        found = await infer_parents(backend, f"@{uid}", InferenceJob())
        if number >= _WARM_UP:
            taken.append(time.perf_counter() - start)
        if [claim.parent.name for claim in found.claims] != ["member-0"]:
            raise SystemExit(f"the model was placed wrong: {found}")
    return statistics.median(taken)
