"""Layer graphs as values, and their documents."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgit_core.digest import DigestAlgorithm
from mgit_core.documents import pack_document
from mgit_core.errors import CorruptError, ErrorReason, InvalidArgumentError
from mgit_core.layers import document as documents
from mgit_core.layers.document import (
    layer_graph_digest,
    layer_graph_from_bytes,
    layer_graph_to_bytes,
    pack_layer_graph,
    unpack_layer_graph,
)
from mgit_core.layers.fitting import fitted_to
from mgit_core.layers.graph import Layer, LayerGraph, LayerGraphSource

EMBEDDING = Layer(
    path="embed", kind="Embedding", attributes={"num_embeddings": 9}, parameters=("embed.weight",)
)
HEAD = Layer(
    path="head",
    kind="Linear",
    attributes={"bias": True, "mode": "é", "kernel": (3, 3)},
    parameters=("head.weight",),
)
AGAIN = Layer(path="embed#2", kind="Embedding", repeats="embed")
GRAPH = LayerGraph(
    layers=(EMBEDDING, HEAD, AGAIN), edges=((0, 1), (1, 2)), source=LayerGraphSource.FX, note="ä"
)

names = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=8)
attributes = st.dictionaries(
    st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,5}", fullmatch=True),
    names
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.tuples(st.integers(0, 9), st.integers(0, 9)),
    max_size=3,
)


@st.composite
def graphs(draw: st.DrawFn) -> LayerGraph:
    paths = draw(st.lists(names, unique=True, max_size=5))
    owned = draw(st.lists(names.filter(bool), unique=True, max_size=5))
    layers = tuple(
        Layer(
            path=path,
            kind=draw(names),
            attributes=draw(attributes),
            parameters=tuple(owned[at : at + 1]),
        )
        for at, path in enumerate(paths)
    )
    pairs = [(giver, taker) for taker in range(len(layers)) for giver in range(taker)]
    edges = tuple(sorted(draw(st.sets(st.sampled_from(pairs))))) if pairs else ()
    return LayerGraph(
        layers=layers, edges=edges, source=draw(st.sampled_from(LayerGraphSource)), note=draw(names)
    )


@given(graphs())
def test_a_document_reads_back(graph: LayerGraph) -> None:
    assert layer_graph_from_bytes(layer_graph_to_bytes(graph)) == graph
    assert unpack_layer_graph(pack_layer_graph(graph)) == graph


def test_the_document_is_canonical_json() -> None:
    assert layer_graph_to_bytes(replace(GRAPH, layers=(HEAD,), edges=())) == (
        b'{"edges":[],"format":"mgit-layers","layers":[{"attributes":{"bias":true,"kernel":[3,3],'
        b'"mode":"\\u00e9"},"kind":"Linear","parameters":["head.weight"],"path":"head","repeats":""}],'
        b'"note":"\\u00e4","source":"fx","version":1}\n'
    )


def test_the_digest_does_not_depend_on_the_order_of_attributes() -> None:
    turned = replace(HEAD, attributes=dict(reversed([*HEAD.attributes.items()])))
    other = replace(GRAPH, layers=(EMBEDDING, turned, AGAIN))
    assert len({layer_graph_digest(DigestAlgorithm.BLAKE3, graph) for graph in (GRAPH, other)}) == 1


def test_owners_tell_the_layer_of_each_parameter() -> None:
    assert GRAPH.owners() == {"embed.weight": 0, "head.weight": 1}


def test_only_names_are_not_traced() -> None:
    assert [replace(GRAPH, source=source).is_traced for source in LayerGraphSource] == [True, True, False]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"edges": ((0, 3),)}, "leads from a layer to a later one of 3; found 0 to 3"),
        ({"edges": ((1, 0),)}, "found 1 to 0"),
        ({"edges": ((1, 1),)}, "found 1 to 1"),
        ({"edges": ((-1, 1),)}, "found -1 to 1"),
        ({"edges": ((1, 2), (0, 1))}, "sorted"),
        ({"edges": ((0, 1), (0, 1))}, "sorted"),
        ({"layers": (EMBEDDING, EMBEDDING), "edges": ()}, "every path is there once"),
        ({"layers": (AGAIN, EMBEDDING), "edges": ()}, "stands before it"),
        ({"layers": (EMBEDDING, replace(AGAIN, parameters=("x",))), "edges": ()}, "owns no parameters"),
        ({"layers": (EMBEDDING, replace(HEAD, parameters=("embed.weight",))), "edges": ()}, "one owner"),
        ({"layers": (replace(HEAD, parameters=("",)),), "edges": ()}, "and a name"),
        ({"layers": (replace(HEAD, path="a\nb"),), "edges": ()}, "control character"),
        ({"layers": (replace(HEAD, path="p" * 1025),), "edges": ()}, "1024"),
        ({"layers": (replace(HEAD, kind="\ud800"),), "edges": ()}, "a kind"),
        ({"layers": (replace(HEAD, attributes={"a b": 1}),), "edges": ()}, "'a b'"),
        ({"layers": (replace(HEAD, attributes={"big": 2**63}),), "edges": ()}, "64-bit"),
        ({"layers": (replace(HEAD, attributes={"real": cast("int", 0.5)}),), "edges": ()}, "float"),
        ({"layers": (replace(HEAD, attributes={"flags": (True, False)}),), "edges": ()}, "tuple"),
        ({"layers": (replace(HEAD, attributes={f"a{at}": 1 for at in range(101)}),), "edges": ()}, "100"),
        ({"note": "n" * 2001}, "a note"),
    ],
)
def test_what_is_no_layer_graph_is_refused(change: dict[str, Any], rule: str) -> None:
    with pytest.raises(InvalidArgumentError, match="no layer graph") as caught:
        replace(GRAPH, **change)
    assert caught.value.reason is ErrorReason.INVALID_LAYER_GRAPH
    assert rule in caught.value.message


def _changed(**fields: object) -> bytes:
    document = json.loads(layer_graph_to_bytes(GRAPH))
    document.update(fields)
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]\n",
        b"\xff",
        b"[" * 100_000,
        layer_graph_to_bytes(GRAPH) + b" ",
        _changed(more=1),
        _changed(edges=[[0]]),
        _changed(edges=[[0, 1, 2]]),
        _changed(edges=[[False, True]]),
        _changed(edges=[["0", "1"]]),
        _changed(edges=[[0, 9]]),
        _changed(edges={"0": 1}),
        _changed(layers="x"),
        _changed(layers=[{}]),
        _changed(layers=[{"path": 1, "kind": "", "attributes": {}, "parameters": [], "repeats": ""}]),
        _changed(
            layers=[{"path": "", "kind": "", "attributes": {"a": None}, "parameters": [], "repeats": ""}]
        ),
        _changed(
            layers=[{"path": "", "kind": "", "attributes": {"a": [[1]]}, "parameters": [], "repeats": ""}]
        ),
        _changed(source="guess"),
        _changed(note=1),
        # The same value twice in JSON, of which only the last counts.
        layer_graph_to_bytes(GRAPH).replace(b'"note"', b'"note":"x","note"'),
    ],
)
def test_a_hostile_document_is_refused(content: bytes) -> None:
    with pytest.raises(CorruptError) as caught:
        layer_graph_from_bytes(content)
    assert caught.value.reason is ErrorReason.MANIFEST_CORRUPT
    with pytest.raises(InvalidArgumentError) as refused:
        unpack_layer_graph(pack_document(content))
    assert refused.value.reason is ErrorReason.INVALID_LAYER_GRAPH


@pytest.mark.parametrize("fields", [{"format": "mgit-manifest"}, {"version": 2}])
def test_another_version_is_told_apart(fields: dict[str, object]) -> None:
    with pytest.raises(CorruptError) as caught:
        layer_graph_from_bytes(_changed(**fields))
    assert caught.value.reason is ErrorReason.UNKNOWN_FORMAT_VERSION


def test_a_document_that_inflates_is_refused_before_memory_is_taken() -> None:
    document = pack_document(bytes(documents.LARGEST_LAYER_GRAPH + 1))
    assert len(document) < documents.LARGEST_SENT_LAYER_GRAPH
    with pytest.raises(InvalidArgumentError, match="claims to be larger than 16777216 bytes"):
        unpack_layer_graph(document)


def test_a_document_that_is_too_long_is_refused_unread() -> None:
    with pytest.raises(InvalidArgumentError, match="at most 524288 bytes; found 524289"):
        unpack_layer_graph(bytes(documents.LARGEST_SENT_LAYER_GRAPH + 1))


def test_a_graph_that_no_service_takes_is_not_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "LARGEST_SENT_LAYER_GRAPH", 10)
    with pytest.raises(InvalidArgumentError, match="trace=False"):
        pack_layer_graph(GRAPH)


@pytest.mark.parametrize("cut", [0, 3, 8, 20])
def test_a_cut_document_is_refused(cut: int) -> None:
    with pytest.raises(InvalidArgumentError):
        unpack_layer_graph(pack_layer_graph(GRAPH)[:cut])


def test_a_graph_fits_a_model_with_fewer_names_for_its_tensors() -> None:
    fitted = fitted_to(GRAPH, ["embed.weight"])
    assert fitted.owners() == {"embed.weight": 0}
    assert [layer.path for layer in fitted.layers] == [layer.path for layer in GRAPH.layers]
    assert fitted_to(GRAPH, ["head.weight", "embed.weight"]) is GRAPH


def test_a_graph_does_not_fit_a_model_with_other_parameters() -> None:
    with pytest.raises(InvalidArgumentError, match=r"2 of 3 parameters .* 'a'") as caught:
        fitted_to(GRAPH, ["embed.weight", "b", "a"])
    assert caught.value.reason is ErrorReason.INVALID_LAYER_GRAPH
