"""What creation functions may give, and that it comes back as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

from mgit.creating.outputs import read_outputs, write_outputs
from mgit.frameworks.source import Source
from mgit_core.chunking import chunk_ranges
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.layers.document import unpack_layer_graph
from mgit_core.layers.graph import LayerGraphSource


def bytes_of_all(source: Source) -> dict[str, bytes]:
    return {
        each.name: b"".join(bytes(each.content.read(*chunk)) for chunk in chunk_ranges(each.spec))
        for each in source.parameters
    }


def specs_of(source: Source) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {each.name: (each.spec.dtype, each.spec.shape) for each in source.parameters}


def test_arrays_of_every_kind_keep_their_bits(tmp_path: Path) -> None:
    arrays = {
        "half": np.array([1.5, np.nan], np.float16),
        "brain": np.array([1.5, -0.0], ml_dtypes.bfloat16),
        "complex": np.array([1 + 2j], np.complex128),
        "flag": np.array([True, False]),
        "large": np.arange(700_000, dtype=np.float64).reshape(700, 1000)[:, ::2],
    }
    write_outputs({"": arrays}, tmp_path)
    source = read_outputs(tmp_path)[""]
    assert bytes_of_all(source) == {name: array.tobytes() for name, array in arrays.items()}
    assert specs_of(source)["brain"] == ("bfloat16", (2,))
    assert source.source_format == "numpy"


def test_tensors_of_torch_keep_their_bits_and_ties(tmp_path: Path) -> None:
    weight = torch.arange(6.0).reshape(2, 3)
    state = {
        "in": weight,
        "out": weight,
        "turned": weight.T,
        "narrow": torch.tensor([1.0, 2.0], dtype=torch.bfloat16),
        "conjugate": torch.tensor([1 + 2j]).conj(),
        "plain": torch.tensor([3]),
    }
    write_outputs({"": state}, tmp_path)
    source = read_outputs(tmp_path)[""]
    found = bytes_of_all(source)
    assert (source.source_format, source.ties) == ("torch", (("in", "out"),))
    assert found["turned"] == np.ascontiguousarray(weight.numpy().T).tobytes()
    assert found["conjugate"] == np.array([1 - 2j], np.complex64).tobytes()
    assert specs_of(source)["narrow"] == ("bfloat16", (2,))


def test_a_module_gives_its_state_and_mixes_with_arrays_are_taken(tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    write_outputs({"module": module, "mixed": {"a": torch.zeros(1), "b": np.ones(1)}}, tmp_path)
    found = read_outputs(tmp_path)
    assert [each.name for each in found["module"].parameters] == list(module.state_dict())
    assert specs_of(found["module"])["1.num_batches_tracked"] == ("int64", ())
    assert specs_of(found["mixed"]) == {"a": ("float32", (1,)), "b": ("float64", (1,))}


def test_one_memory_of_two_modules_is_written_once(tmp_path: Path) -> None:
    one, other = torch.nn.Linear(100, 100), torch.nn.Linear(100, 100)
    other.weight = one.weight
    write_outputs({"one": one, "other": other}, tmp_path)
    found = {member: bytes_of_all(source) for member, source in read_outputs(tmp_path).items()}
    assert found["one"]["weight"] == found["other"]["weight"]
    assert (tmp_path / "parameters.bin").stat().st_size == 100 * 100 * 4 + 2 * 100 * 4


def test_a_view_with_other_bytes_is_no_tie(tmp_path: Path) -> None:
    array = np.arange(4, dtype=np.float32)
    views = {"plain": array, "swapped": array.view(">f4"), "reversed": array[::-1], "part": array[:2]}
    write_outputs({"": views}, tmp_path)
    source = read_outputs(tmp_path)[""]
    assert source.ties == ()
    assert bytes_of_all(source)["swapped"] == array.view(">f4").astype("<f4").tobytes()


def test_empty_tensors_are_no_ties(tmp_path: Path) -> None:
    empty: Any = np.zeros((0, 4), np.float32)
    write_outputs({"": {"a": empty, "b": empty, "c": np.ones(1), "d": torch.empty(0, 2)}}, tmp_path)
    source = read_outputs(tmp_path)[""]
    assert source.ties == ()
    assert specs_of(source)["d"] == ("float32", (0, 2))


class Rude:
    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (
            None,
            "A creation function gives arrays or tensors by name, or a module; it gave None of type NoneType for m.",
        ),
        ("weights", "it gave 'weights' of type str"),
        ((each for each in ()), "of type generator"),
        (Rude(), "it gave something that cannot be shown of type Rude"),
        (torch.nn.Linear, "of type type"),
        ({}, "A model has at least one parameter; the creation function gave none for m."),
        (torch.nn.ReLU(), "at least one parameter"),
        ({3: np.zeros(1)}, "Names of parameters are texts; the creation function gave 3."),
        ({"w": [1.0, 2.0]}, "the creation function gave [1.0, 2.0] of type list for 'w'."),
        ({"w": None}, "gave None of type NoneType for 'w'."),
        ({"w": 1.0}, "gave 1.0 of type float for 'w'."),
    ],
)
def test_what_is_no_parameters_is_refused(tmp_path: Path, value: object, told: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        write_outputs({"m": value}, tmp_path)
    assert caught.value.reason is ErrorReason.INVALID_CREATION
    assert told in caught.value.message


@pytest.mark.parametrize(
    "array",
    [
        np.array([object()]),
        np.array(["a"]),
        np.zeros(2, np.dtype([("a", "f4")])),
        np.array(["2026-01-01"], "M8[D]"),
    ],
)
def test_types_that_no_model_has_are_refused(tmp_path: Path, array: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        write_outputs({"": {"w": array}}, tmp_path)
    assert caught.value.reason is ErrorReason.UNKNOWN_DTYPE
    assert "Array 'w' cannot be stored" in caught.value.message


class Refuses(torch.nn.Module):
    """A module with example inputs that cannot be had."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(2, 2)

    @property
    def dummy_inputs(self) -> dict[str, torch.Tensor]:
        raise RuntimeError("none today")


def test_layers_of_modules_are_traced_and_not_of_arrays(tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
    made: dict[str, object] = {"module": module, "state": module.state_dict(), "refuses": Refuses()}
    write_outputs(made, tmp_path, traces_layers=True)
    sources = read_outputs(tmp_path)
    graph = unpack_layer_graph(sources["module"].layer_graph)
    assert (graph.source, [layer.path for layer in graph.layers]) == (LayerGraphSource.FX, ["0", "2"])
    assert [sources[member].layer_graph for member in ("state", "refuses")] == [b"", b""]
    assert bytes_of_all(sources["module"]) == bytes_of_all(sources["state"])


def test_layers_are_traced_on_request_only(tmp_path: Path) -> None:
    write_outputs({"": torch.nn.Linear(2, 3)}, tmp_path)
    assert read_outputs(tmp_path)[""].layer_graph == b""


def test_a_layer_graph_that_was_changed_meanwhile_is_refused(tmp_path: Path) -> None:
    write_outputs({"": torch.nn.Linear(2, 3)}, tmp_path, traces_layers=True)
    index = tmp_path / "index.json"
    document = json.loads(index.read_text())
    document[""]["layer_graph"] = "00ff"
    index.write_text(json.dumps(document))
    with pytest.raises(InvalidArgumentError) as caught:
        read_outputs(tmp_path)
    assert caught.value.reason is ErrorReason.INVALID_LAYER_GRAPH
