"""Makes ``tests/format/v1/layers.json``. It was made once; what version 1 wrote never changes.

Run as ``python -m tests.format.make_layers FILE`` to see what today's code would write.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

from mgit_core.digest import DigestAlgorithm
from mgit_core.layers.document import layer_graph_digest, layer_graph_to_bytes, pack_layer_graph
from mgit_core.layers.graph import Layer, LayerGraph, LayerGraphSource

__all__ = ["GRAPHS", "vector_of"]

GRAPHS = {
    "traced": LayerGraph(
        layers=(
            Layer(
                path="embed",
                kind="Embedding",
                attributes={"num_embeddings": 50, "embedding_dim": 8},
                parameters=("embed.weight",),
            ),
            Layer(
                path="conv ä",
                kind="Conv2d",
                attributes={
                    "kernel_size": (3, 3),
                    "padding": "same \U0001f600",
                    "bias": True,
                    "none": (),
                    "least": -(2**63),
                },
                parameters=("conv ä.weight", "conv ä.bias"),
            ),
            Layer(path=":add", kind="add"),
            Layer(path="embed#2", kind="Embedding", attributes={}, repeats="embed"),
            Layer(path="unused", kind="Parameters", parameters=("unused.x",)),
        ),
        edges=((0, 1), (0, 2), (1, 2), (2, 3)),
        source=LayerGraphSource.EXPORT,
    ),
    "named": LayerGraph(
        layers=(Layer(path="", kind="Linear", parameters=("weight",)),),
        edges=(),
        source=LayerGraphSource.NAMES,
        note='Not traced: "reason".',
    ),
    "symbolic": LayerGraph(layers=(), edges=(), source=LayerGraphSource.FX),
}


def vector_of(graph: LayerGraph) -> dict[str, Any]:
    """What a reader must find."""
    return {
        "stored": base64.b64encode(pack_layer_graph(graph)).decode("ascii"),
        "content": layer_graph_to_bytes(graph).decode("ascii"),
        "digests": {
            algorithm.value: layer_graph_digest(algorithm, graph).hex() for algorithm in DigestAlgorithm
        },
    }


if __name__ == "__main__":
    vectors = {name: vector_of(graph) for name, graph in GRAPHS.items()}
    Path(sys.argv[1]).write_text(json.dumps(vectors, indent=1) + "\n", encoding="utf-8")
