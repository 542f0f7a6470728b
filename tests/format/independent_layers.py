"""A check of layer graphs that was written from docs/format.md alone: it imports nothing of the project."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["check_layer_graph"]

_ATTRIBUTE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")


def check_layer_graph(document: dict[str, Any]) -> None:
    """Asserts every rule of the page."""
    assert document.keys() == {"format", "version", "source", "note", "layers", "edges"}
    assert (document["format"], document["version"]) == ("mgit-layers", 1)
    assert document["source"] in {"export", "fx", "names"}
    assert _is_text(document["note"], 2_000)
    layers = document["layers"]
    assert len(layers) <= 100_000
    paths = [layer["path"] for layer in layers]
    assert len(set(paths)) == len(paths)
    names = [name for layer in layers for name in layer["parameters"]]
    assert len(set(names)) == len(names)
    firsts: set[str] = set()
    for layer in layers:
        _check_layer(layer, firsts)
        if not layer["repeats"]:
            firsts.add(layer["path"])
    edges = document["edges"]
    assert len(edges) <= 1_000_000
    assert edges == sorted(edges)
    assert len({tuple(edge) for edge in edges}) == len(edges)
    assert all(0 <= giver < taker < len(layers) for giver, taker in edges)


def _check_layer(layer: dict[str, Any], firsts: set[str]) -> None:
    assert layer.keys() == {"path", "kind", "attributes", "parameters", "repeats"}
    assert _is_text(layer["path"], 1_024)
    assert _is_text(layer["kind"], 200)
    assert all(name and _is_text(name, 1_024) for name in layer["parameters"])
    assert not layer["repeats"] or (layer["repeats"] in firsts and not layer["parameters"])
    assert len(layer["attributes"]) <= 100
    for name, value in layer["attributes"].items():
        assert _ATTRIBUTE.fullmatch(name)
        if isinstance(value, str):
            assert _is_text(value, 1_000)
        elif isinstance(value, list):
            assert len(value) <= 64
            assert all(type(item) is int and -(2**63) <= item < 2**63 for item in value)
        else:
            assert isinstance(value, bool) or (type(value) is int and -(2**63) <= value < 2**63)


def _is_text(text: str, most: int) -> bool:
    is_plain = all(
        ord(each) >= 0x20 and ord(each) != 0x7F and not 0xD800 <= ord(each) < 0xE000 for each in text
    )
    return len(text) <= most and is_plain
