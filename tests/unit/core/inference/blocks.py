"""Models as manifests and blocks, without a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mgit_core.chunking import chunk_ranges
from mgit_core.digest import DigestAlgorithm, digest_of
from mgit_core.inference.pairing import pair
from mgit_core.inference.relatives import Candidate
from mgit_core.inference.samples import SampledModel, block_range, choose_compared
from mgit_core.manifest import Manifest, make_parameter
from mgit_core.tensor import AnyArray, TensorSpec, name_of_dtype

ALGORITHM = DigestAlgorithm.BLAKE3
Tensors = Mapping[str, AnyArray]


def manifest_of(tensors: Tensors) -> Manifest:
    parameters = []
    for name, array in tensors.items():
        spec = TensorSpec(name_of_dtype(array.dtype), array.shape)
        content = array.tobytes()
        digests = [digest_of(ALGORITHM, content[start:stop]) for start, stop in chunk_ranges(spec)]
        parameters.append(make_parameter(ALGORITHM, name, spec, digests))
    return Manifest(ALGORITHM, tuple(parameters))


def block_of(array: AnyArray) -> AnyArray:
    start, stop = block_range(array.shape)
    return array.reshape(-1)[start:stop]


def sampled(tensors: Tensors) -> SampledModel:
    names = [parameter.name for parameter in choose_compared(manifest_of(tensors).parameters)]
    return SampledModel({name: block_of(tensors[name]) for name in names})


def candidates_of(
    child: Tensors, *others: tuple[str, Tensors], younger: Sequence[str] = ()
) -> list[Candidate]:
    """The others, oldest first, as candidates for the parents of ``child``."""
    own = manifest_of(child)
    found = []
    for key, tensors in others:
        pairing = pair(own, manifest_of(tensors))
        blocks = {
            name: block_of(tensors[pairing.counterparts[name].name])
            for name in sampled(child).blocks
            if name in pairing.counterparts
        }
        sample = SampledModel(blocks)
        is_older = key not in younger
        found.append(Candidate(key=key, name=f"{key}@1", is_older=is_older, pairing=pairing, sample=sample))
    return found


def body(seed: int, layers: int = 5, width: int = 48) -> dict[str, AnyArray]:
    """Matrices with a few strong directions each, as training leaves them."""
    random = np.random.default_rng(seed)
    strong = random.normal(0, 0.3, (layers, width, 3)) @ random.normal(0, 0.3, (layers, 3, width))
    weights = strong + random.normal(0, 0.05, (layers, width, width))
    return {f"layer.{at}.weight": weights[at].astype(np.float32) for at in range(layers)}


def moved(tensors: Tensors, seed: int, size: float = 0.005) -> dict[str, AnyArray]:
    random = np.random.default_rng(seed)
    return {
        name: (array + size * random.standard_normal(array.shape)).astype(array.dtype)
        for name, array in tensors.items()
    }
