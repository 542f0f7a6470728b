"""Layer graphs in answers, and as lines."""

from __future__ import annotations

import pytest

from mgit.cli.layers import layer_lines
from mgit.layers import read_layer_graph
from mgit_core.digest import DigestAlgorithm
from mgit_core.errors import CorruptError, ErrorReason
from mgit_core.layers.document import layer_graph_digest, pack_layer_graph
from mgit_core.layers.graph import Layer, LayerGraph, LayerGraphSource
from mgit_proto.v1 import parameters_pb2

ALGORITHM = DigestAlgorithm.SHA256
GRAPH = LayerGraph(
    layers=(
        Layer(
            path="", kind="Odd", attributes={"kernel_size": (3, 3), "of": (), "mode": "same", "bias": False}
        ),
        Layer(path="a", kind="Linear"),
        Layer(path="a#2", kind="Linear", repeats="a"),
    ),
    edges=((0, 1), (0, 2), (1, 2)),
    source=LayerGraphSource.EXPORT,
)


def test_an_answer_is_read() -> None:
    answer = parameters_pb2.GetLayerGraphResponse(
        document=pack_layer_graph(GRAPH), digest=layer_graph_digest(ALGORITHM, GRAPH)
    )
    assert read_layer_graph(ALGORITHM, answer) == GRAPH


@pytest.mark.parametrize(
    ("document", "digest"),
    [(pack_layer_graph(GRAPH), bytes(32)), (b"", bytes(32)), (b"junk", layer_graph_digest(ALGORITHM, GRAPH))],
)
def test_an_answer_that_lies_is_refused(document: bytes, digest: bytes) -> None:
    answer = parameters_pb2.GetLayerGraphResponse(document=document, digest=digest)
    with pytest.raises(CorruptError) as caught:
        read_layer_graph(ALGORITHM, answer)
    assert caught.value.reason is ErrorReason.MANIFEST_CORRUPT


def test_lines_number_the_layers_and_name_what_they_take_from() -> None:
    assert list(layer_lines(GRAPH)) == [
        "NO  LAYER  KIND    ATTRIBUTES                                  TAKES FROM",
        " 0  .      Odd     kernel_size=3x3 of=() mode=same bias=false",
        " 1  a      Linear                                              0",
        " 2  a#2    Linear  again a                                     0 1",
    ]
