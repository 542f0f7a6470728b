"""What goes in through the SDK comes out of it, over the real service."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
import zarr

import mgit
from mgit.errors import AlreadyExistsError, ErrorReason, InvalidArgumentError, MGitError, NotFoundError
from mgit_core.tensor import DTYPES

pytestmark = pytest.mark.neo4j


def odd_file(path: Path, seed: int = 0) -> Path:
    """A right safetensors file as no tool writes it: metadata last, spaces, padding, order of its own."""
    body = np.random.default_rng(seed).integers(0, 256, 3_000_000, np.uint8).tobytes()
    text = (
        '{ "second" : {"data_offsets":[2400000,3000000], "shape":[600000],"dtype":"U8"},\n'
        '\t"fïrst": {"dtype":"F32","shape":[600,1000],"data_offsets":[0,2400000]} ,'
        '"__metadata__":{"zz":"1","format":"pt","aa":"\\u00e9"}}     '
    ).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def make_folder(folder: Path) -> Path:
    """A folder as sentence encoders have it, in two shards."""
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "1_Pooling" / "config.json").write_text('{"dim": 4}')
    (folder / "config.json").write_text("{}")
    (folder / "empty.txt").write_bytes(b"")
    (folder / "vocab.bin").write_bytes(os.urandom(2_500_000))
    shards = {
        "model-00001-of-00002.safetensors": {"a": np.arange(8.0)},
        "model-00002-of-00002.safetensors": {"b": np.ones(3, np.int8)},
    }
    for name, arrays in shards.items():
        safetensors.numpy.save_file(arrays, folder / name, metadata={"format": "pt"})
    weight_map = {tensor: name for name, arrays in shards.items() for tensor in arrays}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder


@pytest.fixture(scope="module")
def every_type() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    arrays = {
        f"{name}/{len(shape)}": np.frombuffer(
            rng.integers(0, 2, int(np.prod(shape)) * dtype.itemsize, np.uint8).tobytes(), dtype
        ).reshape(shape)
        for name, dtype in DTYPES.items()
        for shape in ((), (3, 0), (2, 3, 4))
    }
    return {**arrays, "big": rng.standard_normal((700, 900), np.float32), "c": np.ones(2, np.int8)}


def test_a_safetensors_file_comes_back_byte_for_byte(repo: mgit.Repository, tmp_path: Path) -> None:
    path = odd_file(tmp_path / "odd.safetensors")
    model = repo.add("odd", path)
    assert model.addition is not None
    assert model.addition.sent_bytes > 3_000_000
    saved = repo.get("odd").save(tmp_path / "back.safetensors")
    assert saved.read_bytes() == path.read_bytes()
    assert [file.path for file in model.files] == ["odd.safetensors"]


def test_a_known_model_sends_nothing(repo: mgit.Repository, tmp_path: Path) -> None:
    path = odd_file(tmp_path / "odd.safetensors", seed=3)
    first = repo.add("known", path)
    again = repo.add("known", path)
    assert again.ref == "known@2"
    assert again.digest == first.digest
    assert again.addition is not None
    assert again.addition.sent_bytes == 0
    assert again.addition.same_as == ("known@1",)


@pytest.mark.parametrize("as_what", ["folder", "index"])
def test_shards_and_folders_come_back_byte_for_byte(
    repo: mgit.Repository, tmp_path: Path, as_what: str
) -> None:
    folder = make_folder(tmp_path / "model")
    source = folder if as_what == "folder" else folder / "model.safetensors.index.json"
    saved = repo.add(f"shards-{as_what}", source).save(tmp_path / "back")
    wanted = contents(folder)
    if as_what == "index":
        wanted = {path: content for path, content in wanted.items() if path.startswith("model")}
    assert contents(saved) == wanted


def test_shards_can_be_saved_as_one_file(repo: mgit.Repository, tmp_path: Path) -> None:
    model = repo.add("one-file", make_folder(tmp_path / "model"))
    saved = model.save(tmp_path / "one.safetensors")
    with safetensors.safe_open(saved, framework="numpy") as file:
        assert file.metadata() == {"format": "pt"}
        assert np.array_equal(file.get_tensor("a"), np.arange(8.0))
        assert sorted(file.keys()) == ["a", "b"]


def test_every_type_comes_back_bit_for_bit(repo: mgit.Repository, every_type: dict[str, np.ndarray]) -> None:
    found = repo.add("types", every_type).load()
    assert list(found) == list(every_type)
    for name, array in every_type.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()


def test_every_type_is_saved_as_zarr_and_added_again(
    repo: mgit.Repository, every_type: dict[str, np.ndarray], tmp_path: Path
) -> None:
    model = repo.add("types-zarr", every_type)
    saved = model.save(tmp_path / "types", format="zarr")
    assert zarr.open_group(saved, mode="r")["%63"][...].tolist() == [1, 1]
    assert repo.add("types-again", saved).digest == model.digest


def test_views_and_big_endian_arrays_are_what_they_show(repo: mgit.Repository) -> None:
    array = np.arange(600 * 700, dtype=np.float32).reshape(600, 700)
    shown = {
        "t": array.T,
        "reversed": array[::-1],
        "big": array.astype(">f4"),
        "fortran": np.asfortranarray(array),
    }
    found = repo.add("views", shown).load()
    assert all(np.array_equal(found[name], shown[name]) for name in shown)


def test_tied_weights_stay_tied(repo: mgit.Repository, tmp_path: Path) -> None:
    module = torch.nn.ModuleDict(
        {"in": torch.nn.Embedding(50, 30), "out": torch.nn.Linear(30, 50, bias=False)}
    )
    module["out"].weight = module["in"].weight
    model = repo.add("tied", module)
    arrays, state = model.load(), model.load("torch")
    assert arrays["in.weight"] is arrays["out.weight"]
    assert state["in.weight"].data_ptr() == state["out.weight"].data_ptr()
    saved = torch.load(model.save(tmp_path / "tied.pt"), weights_only=True)
    assert saved["in.weight"].data_ptr() == saved["out.weight"].data_ptr()
    assert torch.equal(saved["in.weight"], module["in"].weight)


def test_a_torch_file_gives_its_tensors_back(repo: mgit.Repository, tmp_path: Path) -> None:
    state = {"w": torch.randn(300, 400, dtype=torch.bfloat16), "n": torch.tensor(3)}
    torch.save(state, tmp_path / "state.pt")
    model = repo.add("torch-file", tmp_path / "state.pt")
    found = model.load("torch")
    assert all(torch.equal(found[name], state[name]) for name in state)
    saved = torch.load(model.save(tmp_path / "as-it-was"), weights_only=True)
    assert torch.equal(saved["w"], state["w"])


def test_of_a_folder_with_a_pickle_the_tensors_come_back(repo: mgit.Repository, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    torch.save({"w": torch.arange(4)}, folder / "pytorch_model.bin")
    (folder / "config.json").write_text("{}")
    model = repo.add("old-folder", folder)
    assert model.addition is not None
    assert "pickle" in model.addition.notes[0]
    saved = model.save(tmp_path / "new")
    assert sorted(contents(saved)) == ["config.json", "model.safetensors"]
    loaded = safetensors.numpy.load_file(saved / "model.safetensors")
    assert loaded["w"].tolist() == [0, 1, 2, 3]


def test_weights_of_mixed_widths_are_aligned_in_a_new_file(repo: mgit.Repository, tmp_path: Path) -> None:
    arrays = {"a": np.ones(3, np.int8), "b": np.arange(3.0), "c": np.ones(1, np.float16)}
    saved = repo.add("mixed", arrays).save(tmp_path / "mixed.safetensors")
    import safetensors.torch  # noqa: PLC0415 - refuses what is not aligned

    loaded = safetensors.torch.load_file(saved)
    assert all(np.array_equal(loaded[name].numpy(), arrays[name]) for name in arrays)


def test_zarr_groups_of_both_versions_are_read(repo: mgit.Repository, tmp_path: Path) -> None:
    array = np.arange(500 * 600, dtype=np.float32).reshape(500, 600)
    digests = set()
    for version in (2, 3):
        group = zarr.open_group(tmp_path / f"v{version}", mode="w", zarr_format=version)
        group.create_array("w", shape=array.shape, dtype=array.dtype, chunks=(70, 90))[...] = array
        model = repo.add(f"zarr-v{version}", tmp_path / f"v{version}")
        assert np.array_equal(model.load()["w"], array)
        digests.add(model.digest)
    assert len(digests) == 1


def adapter(folder: Path, base: str) -> Path:
    folder.mkdir()
    safetensors.numpy.save_file({"lora_A": np.ones((2, 3), np.float32)}, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base, "r": 2}))
    return folder


@pytest.mark.parametrize("base", ["org/peft-base", "org/peft-base@stable", "/somewhere/else/peft-base"])
def test_the_base_of_an_adapter_becomes_a_parent(repo: mgit.Repository, tmp_path: Path, base: str) -> None:
    wanted = [repo.add(name, {"w": np.ones(1)}) for name in ("org/peft-base", "peft-base")][base[0] == "/"]
    if "@" in base:
        repo.tag(wanted, "stable", force=True)
    model = repo.add("adapter", adapter(tmp_path / "adapter", base))
    assert [(edge.parent_uid, edge.relation) for edge in model.parents] == [(wanted.uid, "adapted")]
    assert contents(model.save(tmp_path / "back")) == contents(tmp_path / "adapter")


def test_an_unknown_base_of_an_adapter_is_noted(repo: mgit.Repository, tmp_path: Path) -> None:
    for number, base in enumerate(("org/never-seen", "no name at all!")):
        model = repo.add("adapter", adapter(tmp_path / str(number), base))
        assert model.parents == ()
        assert model.addition is not None
        assert base in model.addition.notes[0]


def test_a_declared_base_of_an_adapter_wins(repo: mgit.Repository, tmp_path: Path) -> None:
    base = repo.add("declared-base", {"w": np.ones(2)})
    folder = adapter(tmp_path / "adapter", "org/never-seen")
    model = repo.add("adapter", folder, parents=[mgit.adapted(base)])
    assert [edge.parent_ref for edge in model.parents] == ["declared-base@1"]
    assert model.addition is not None
    assert model.addition.notes == ()


def test_some_tensors_are_saved_by_pattern(repo: mgit.Repository, tmp_path: Path) -> None:
    model = repo.add("globs", {"a.w": np.ones(1), "a.b": np.zeros(1), "d": np.ones(2)})
    saved = model.save(tmp_path / "part.safetensors", tensors=["a.*"])
    assert sorted(safetensors.numpy.load_file(saved)) == ["a.b", "a.w"]
    assert list(model.load(tensors=["*.w", "d"])) == ["a.w", "d"]
    assert list(zarr.open_group(model.save(tmp_path / "part.zarr", tensors=["d"]), mode="r")) == ["d"]


def test_a_pattern_that_fits_nothing_is_not_found(repo: mgit.Repository, tmp_path: Path) -> None:
    model = repo.add("globs", {"a": np.ones(1)})
    with pytest.raises(NotFoundError) as caught:
        model.save(tmp_path / "x.safetensors", tensors=["b*"])
    assert caught.value.reason is ErrorReason.TENSOR_NOT_FOUND
    assert list(tmp_path.iterdir()) == []


def test_what_exists_is_not_overwritten(repo: mgit.Repository, tmp_path: Path) -> None:
    model = repo.add("exists", {"a": np.ones(1)})
    for to in ("x.safetensors", "x.zarr", "x.pt", "folder"):
        (tmp_path / to).write_text("precious")
        with pytest.raises(AlreadyExistsError) as caught:
            model.save(tmp_path / to)
        assert caught.value.reason is ErrorReason.PATH_EXISTS
        assert (tmp_path / to).read_text() == "precious"
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize(
    ("to", "options", "reason"),
    [
        ("x", {"format": "onnx"}, ErrorReason.INVALID_ARGUMENT),
        ("x", {"format": "folder", "tensors": ["c"]}, ErrorReason.INVALID_ARGUMENT),
        ("x.safetensors", {}, ErrorReason.UNKNOWN_DTYPE),
        ("missing/x.zarr", {}, ErrorReason.PATH_NOT_FOUND),
    ],
)
def test_what_cannot_be_saved_leaves_nothing(
    repo: mgit.Repository, tmp_path: Path, to: str, options: dict[str, object], reason: ErrorReason
) -> None:
    model = repo.add("complex", {"c": np.ones(2, np.complex128)})
    with pytest.raises(MGitError) as caught:
        model.save(tmp_path / to, **options)  # type: ignore[arg-type]
    assert caught.value.reason is reason
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_framework_is_refused(repo: mgit.Repository) -> None:
    model = repo.add("framework", {"a": np.ones(1)})
    with pytest.raises(InvalidArgumentError, match="numpy or torch"):
        model.load("jax")  # type: ignore[call-overload]


def test_progress_of_adding_loading_and_saving_ends_with_all_bytes(
    repo: mgit.Repository, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []

    def tell(done: int, total: int) -> None:
        told.append((done, total))

    model = repo.add("progress", odd_file(tmp_path / "m.safetensors", seed=5), progress=tell)
    model.load(progress=tell)
    model.save(tmp_path / "x.zarr", progress=tell)
    model.save(tmp_path / "x.safetensors", progress=tell)
    ends = [pair for pair in told if pair[0] == pair[1]]
    assert len(ends) == 4
