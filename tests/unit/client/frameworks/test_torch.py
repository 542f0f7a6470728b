from __future__ import annotations

import pickle
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from mgit.frameworks.detection import open_source
from mgit.frameworks.source import Source
from mgit.frameworks.torch import read_torch_file, read_torch_object, to_state_dict, write_torch_file
from mgit_core.chunking import chunk_ranges
from mgit_core.errors import ErrorReason, InvalidArgumentError, NotFoundError
from mgit_core.tensor import DTYPES

TORCH_DTYPES = sorted(name for name in DTYPES if hasattr(torch, name))


class Trap:
    """What a pickle with code in it looks like: loading it would call ``Path.touch`` on a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def content_of(source: Source, position: int = 0) -> bytes:
    parameter = source.parameters[position]
    ranges = chunk_ranges(parameter.spec)
    return b"".join(bytes(parameter.content.read(start, stop)) for start, stop in ranges)


def save(value: object, path: Path) -> Path:
    torch.save(value, path)
    return path


def bytes_of(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


@pytest.mark.parametrize("name", TORCH_DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3, 4)])
def test_every_type_gives_its_bytes(name: str, shape: tuple[int, ...]) -> None:
    raw = torch.randint(0, 2, (*shape, DTYPES[name].itemsize), dtype=torch.uint8)
    tensor = raw.view(getattr(torch, name)).reshape(shape)
    source = read_torch_object({"w": tensor})
    assert (source.parameters[0].spec.dtype, source.parameters[0].spec.shape) == (name, shape)
    assert content_of(source) == bytes_of(tensor)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(600 * 700, dtype=torch.float32).reshape(600, 700).T,
        torch.arange(60, dtype=torch.int16)[::7],
        torch.zeros(3, dtype=torch.float32).expand(4, 3),
        torch.tensor([1 + 2j, 3 - 4j]).conj(),
        torch.tensor([1 + 2j, 3 - 4j]).conj().imag,
        torch.nn.Parameter(torch.ones(3)),
    ],
)
def test_views_and_parameters_give_what_they_show(tensor: torch.Tensor) -> None:
    wanted = bytes_of(tensor.detach().clone().resolve_conj().resolve_neg())
    assert content_of(read_torch_object({"w": tensor})) == wanted


def test_a_module_is_its_state_dict_with_ties() -> None:
    module = torch.nn.ModuleDict({"in": torch.nn.Embedding(5, 3), "out": torch.nn.Linear(3, 5, bias=False)})
    module["out"].weight = module["in"].weight
    source = open_source(module)
    assert source.ties == (("in.weight", "out.weight"),)
    assert source.source_format == "torch"


def test_a_state_dict_in_memory_is_recognized() -> None:
    state = OrderedDict(w=torch.ones(2))
    assert open_source(state).parameters[0].name == "w"


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_gives_its_tensors_and_ties(tmp_path: Path, *, zipped: bool) -> None:
    weight = torch.arange(6, dtype=torch.bfloat16).reshape(2, 3)
    path = tmp_path / "state.pt"
    torch.save({"a": weight, "b": weight, "c": weight[0]}, path, _use_new_zipfile_serialization=zipped)
    source = open_source(path)
    assert [parameter.name for parameter in source.parameters] == ["a", "b", "c"]
    assert source.ties == (("a", "b"),)
    assert content_of(source, 2) == bytes_of(weight[0])


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", "module"])
def test_a_checkpoint_gives_the_state_dict_in_it(tmp_path: Path, key: str) -> None:
    path = save({key: {"w": torch.ones(1)}, "epoch": 3, "lr": 0.1}, tmp_path / "last.ckpt")
    assert [parameter.name for parameter in read_torch_file(path).parameters] == ["w"]


@pytest.mark.parametrize("plant", ["whole", "entry", "protocol 0", "zip"])
def test_code_in_a_pickle_is_refused_and_never_run(tmp_path: Path, plant: str) -> None:
    touched, path = tmp_path / "touched", tmp_path / "model.pt"
    trap = Trap(touched)
    if plant == "whole":
        path.write_bytes(pickle.dumps(trap))
    elif plant == "protocol 0":
        path.write_bytes(pickle.dumps({"w": trap}, protocol=0))
    elif plant == "entry":
        save({"w": torch.ones(1), "trap": trap}, path)
    else:
        save({"w": torch.ones(1)}, path)
        with zipfile.ZipFile(path) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in entries.items():
                archive.writestr(name, pickle.dumps({"w": trap}) if name.endswith("data.pkl") else content)
    with pytest.raises(InvalidArgumentError) as caught:
        open_source(path)
    assert caught.value.reason is ErrorReason.UNSAFE_PICKLE
    assert "model.pt" in caught.value.message
    assert not touched.exists()


def test_the_trap_of_these_tests_would_spring(tmp_path: Path) -> None:
    """Shows that the tests above refuse something that an ordinary loading runs."""
    pickle.loads(pickle.dumps(Trap(tmp_path / "touched")))  # noqa: S301 - its own harmless trap
    assert (tmp_path / "touched").exists()


def test_a_whole_module_in_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        open_source(save(torch.nn.Linear(2, 2), tmp_path / "module.pt"))
    assert caught.value.reason is ErrorReason.UNSAFE_PICKLE


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x04", b"PK\x03\x04broken", b"\0" * 100])
def test_a_file_that_is_no_state_dict_at_all_is_unreadable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    with pytest.raises(InvalidArgumentError) as caught:
        open_source(path)
    assert caught.value.reason is ErrorReason.UNREADABLE_INPUT


def test_a_truncated_file_is_unreadable(tmp_path: Path) -> None:
    path = save({"w": torch.zeros(10_000)}, tmp_path / "model.pt")
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(InvalidArgumentError) as caught:
        open_source(path)
    assert caught.value.reason is ErrorReason.UNREADABLE_INPUT


@pytest.mark.parametrize(
    "value",
    [{}, {"epoch": 3}, torch.ones(2), {"w": torch.ones(1), "epoch": 3}, [torch.ones(1)], {3: torch.ones(1)}],
)
def test_a_value_that_is_no_state_dict_is_unreadable(tmp_path: Path, value: object) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        open_source(save(value, tmp_path / "model.pt"))
    assert caught.value.reason is ErrorReason.UNREADABLE_INPUT


def test_sparse_tensors_and_tensors_without_bytes_are_refused() -> None:
    for tensor in (torch.eye(3).to_sparse(), torch.empty(3, device="meta")):
        with pytest.raises(InvalidArgumentError) as caught:
            read_torch_object({"w": tensor})
        assert caught.value.reason is ErrorReason.UNREADABLE_INPUT


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_torch_file(tmp_path / "nothing.pt")


@pytest.mark.parametrize("name", TORCH_DTYPES)
def test_arrays_become_tensors_over_the_same_memory(name: str) -> None:
    array = np.zeros((2, 3), DTYPES[name])
    tensor = to_state_dict({"w": array}, {"w": name})["w"]
    assert (tensor.dtype, tensor.shape) == (getattr(torch, name), (2, 3))
    assert tensor.data_ptr() == array.__array_interface__["data"][0]


def test_scalars_and_empty_arrays_become_tensors() -> None:
    state = to_state_dict(
        {"scalar": np.array(2.5, np.float32), "empty": np.zeros((2, 0), np.int8)},
        {"scalar": "float32", "empty": "int8"},
    )
    assert state["scalar"].item() == 2.5
    assert state["empty"].shape == (2, 0)


def test_a_written_file_loads_weights_only_with_its_ties(tmp_path: Path) -> None:
    array = np.ones(3, np.float32)
    state = to_state_dict({"a": array, "b": array}, {"a": "float32", "b": "float32"})
    write_torch_file(state, tmp_path / "state.pt")
    loaded = torch.load(tmp_path / "state.pt", weights_only=True)
    assert loaded["a"].data_ptr() == loaded["b"].data_ptr()


def test_without_torch_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "m.pt"
    path.write_bytes(b"x")
    for name in [name for name in sys.modules if name.startswith("mgit.frameworks.torch")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(Exception, match="pip install") as caught:
        open_source(path)
    assert getattr(caught.value, "reason", None) is ErrorReason.FRAMEWORK_MISSING
