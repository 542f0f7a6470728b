"""Models of a merge as manifests, without a store: a small network with every way in which layers can depend.

``left`` and ``right`` feed ``top``, which feeds two heads; ``tower`` stands alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mgit_core.chunking import chunk_ranges
from mgit_core.digest import DigestAlgorithm, digest_of
from mgit_core.files import FileList
from mgit_core.layers.graph import Layer, LayerGraph, LayerGraphSource
from mgit_core.layers.naming import layers_from_names
from mgit_core.manifest import Manifest, Parameter, make_parameter
from mgit_core.merge.planning import MergePlan, plan_merge
from mgit_core.merge.values import ConflictChoice, MergeOptions, MergeSide, MergeSides
from mgit_core.tensor import AnyArray, TensorSpec, name_of_dtype

ALGORITHM = DigestAlgorithm.BLAKE3
EDGES = (("left", "top"), ("right", "top"), ("top", "head_a"), ("top", "head_b"))
NAMES = (
    "left.weight",
    "left.bias",
    "right.weight",
    "top.weight",
    "head_a.weight",
    "head_b.weight",
    "tower.weight",
)
Contents = Mapping[str, int | AnyArray]


def parameter(name: str, content: int | AnyArray) -> Parameter:
    """A parameter; a number stands for a small tensor that differs from those of other numbers."""
    array = np.full(4, content, np.float32) if isinstance(content, int) else content
    spec = TensorSpec(name_of_dtype(array.dtype), array.shape)
    raw = array.tobytes()
    digests = [digest_of(ALGORITHM, raw[start:stop]) for start, stop in chunk_ranges(spec)]
    return make_parameter(ALGORITHM, name, spec, digests)


def manifest(contents: Contents) -> Manifest:
    return Manifest(ALGORITHM, tuple(parameter(name, content) for name, content in contents.items()))


def traced(names: Sequence[str], edges: Sequence[tuple[str, str]] = EDGES) -> LayerGraph:
    """The layers that own ``names``, with the data flow among them."""
    order = ("left", "right", "top", "head_a", "head_b", "tower")
    owned: dict[str, list[str]] = {}
    for name in names:
        owned.setdefault(name.rpartition(".")[0], []).append(name)
    paths = sorted(owned, key=lambda path: order.index(path) if path in order else len(order))
    layers = tuple(Layer(path=path, kind="Linear", parameters=tuple(owned[path])) for path in paths)
    places = {path: at for at, path in enumerate(paths)}
    known = sorted((places[one], places[other]) for one, other in edges if one in places and other in places)
    return LayerGraph(layers=layers, edges=tuple(known), source=LayerGraphSource.EXPORT)


def side(
    contents: Contents,
    *,
    is_traced: bool = True,
    ties: tuple[tuple[str, ...], ...] = (),
    files: FileList | None = None,
    edges: Sequence[tuple[str, str]] = EDGES,
) -> MergeSide:
    made = manifest(contents)
    if ties:
        files = FileList(algorithm=ALGORITHM, source_format="torch", ties=ties)
    graph = traced(list(contents), edges) if is_traced else layers_from_names(made.parameters)
    return MergeSide(manifest=made, graph=graph, files=files)


BASE: dict[str, int] = dict.fromkeys(NAMES, 0)


def sides(ours: Contents, theirs: Contents, base: Contents | None = None) -> MergeSides:
    """Three models that were traced."""
    return MergeSides(base=side(BASE if base is None else base), ours=side(ours), theirs=side(theirs))


def planned(
    ours: Contents, theirs: Contents, base: Contents | None = None, choice: ConflictChoice | None = None
) -> MergePlan:
    return plan_merge(sides(ours, theirs, base), MergeOptions(on_conflict=choice))


def result_of(plan: MergePlan) -> Manifest:
    """The manifest of a result of which nothing is computed."""
    return Manifest(ALGORITHM, tuple(each.source for each in plan.parameters if each.source is not None))
