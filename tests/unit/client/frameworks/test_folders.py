from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch

from mgit.frameworks.detection import open_source
from mgit.frameworks.folders import read_folder
from mgit_core.errors import ErrorReason, InvalidArgumentError, MGitError
from mgit_core.files import FileKind


def save_weights(path: Path, **arrays: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    safetensors.numpy.save_file(arrays, path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    save_weights(made / "model.safetensors", w=np.arange(6, dtype=np.float32))
    (made / "config.json").write_text('{"a": 1}')
    return made


def test_all_files_are_kept_in_subfolders_and_hidden_ones_too(folder: Path) -> None:
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text("{}")
    (folder / ".gitattributes").write_text("x")
    (folder / "empty").write_bytes(b"")
    source = read_folder(folder)
    assert [file.path for file in source.files] == [
        ".gitattributes",
        "1_Pooling/config.json",
        "config.json",
        "empty",
        "model.safetensors",
    ]
    assert source.files[-1].kind is FileKind.SAFETENSORS


def test_folders_of_tools_are_left_out(folder: Path) -> None:
    for name in (".git", ".cache", "__pycache__"):
        (folder / name).mkdir()
        (folder / name / "thing").write_text("x")
    assert [file.path for file in read_folder(folder).files] == ["config.json", "model.safetensors"]


def test_weights_in_a_subfolder_get_its_path_before_their_names(folder: Path) -> None:
    save_weights(folder / "unet" / "weights.safetensors", w=np.zeros(2, np.int8))
    source = read_folder(folder)
    assert [parameter.name for parameter in source.parameters] == ["w", "unet/w"]
    assert {file.path: file.prefix for file in source.files}["unet/weights.safetensors"] == "unet/"


def test_a_second_file_with_the_same_names_is_kept_as_bytes_and_noted(folder: Path) -> None:
    path = save_weights(folder / "model.fp16.safetensors", w=np.zeros(6, np.float16))
    source = read_folder(folder)
    kinds = {file.path: file.kind for file in source.files}
    assert kinds["model.fp16.safetensors"] is FileKind.OPAQUE
    assert kinds["model.safetensors"] is FileKind.SAFETENSORS
    assert source.parameters[0].spec.dtype == "float32"
    assert path.name in source.notes[0]


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "readme.md").write_text("x")
    with pytest.raises(InvalidArgumentError, match="no weights") as caught:
        open_source(tmp_path)
    assert caught.value.reason is ErrorReason.UNREADABLE_INPUT


def test_a_file_with_a_header_and_no_tensor_holds_no_weights(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    with pytest.raises(InvalidArgumentError, match="no weights"):
        open_source(tmp_path)


def test_a_link_inside_the_folder_is_read_through(folder: Path) -> None:
    (folder / "again.json").symlink_to("config.json")
    files = {file.path: file for file in read_folder(folder).files}
    assert bytes(files["again.json"].content.read(0, 8)) == b'{"a": 1}'


def test_a_link_into_the_blobs_of_a_hub_cache_is_read_through(tmp_path: Path, folder: Path) -> None:
    repository = tmp_path / "models--org--name"
    (repository / "blobs").mkdir(parents=True)
    snapshot = repository / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (folder / name).rename(repository / "blobs" / f"blob-{name}")
        (snapshot / name).symlink_to(f"../../blobs/blob-{name}")
    assert [file.path for file in read_folder(snapshot).files] == ["config.json", "model.safetensors"]


@pytest.mark.parametrize(
    ("target", "word"),
    [("/etc/passwd", "leads out"), ("../../outside.json", "leads"), ("nothing", "nowhere"), (".", "folder")],
)
def test_any_other_link_is_refused(tmp_path: Path, folder: Path, target: str, word: str) -> None:
    (tmp_path / "outside.json").write_text("secret")
    (folder / "sub").mkdir()
    (folder / "sub" / "link").symlink_to(target)
    with pytest.raises(InvalidArgumentError, match=word) as caught:
        read_folder(folder)
    assert caught.value.reason is ErrorReason.UNREADABLE_INPUT
    assert "sub/link" in caught.value.message


def test_a_linked_folder_is_refused(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "other").mkdir()
    (folder / "other").symlink_to(tmp_path / "other")
    with pytest.raises(InvalidArgumentError, match="'other'"):
        read_folder(folder)


def test_a_pipe_in_the_folder_is_refused_and_does_not_block(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(InvalidArgumentError, match="no file"):
        read_folder(folder)


def test_a_name_with_a_control_character_is_refused(folder: Path) -> None:
    (folder / "a\nb").write_text("x")
    with pytest.raises(InvalidArgumentError) as caught:
        read_folder(folder)
    assert caught.value.reason is ErrorReason.INVALID_NAME


def test_a_name_that_is_no_text_is_refused(folder: Path) -> None:
    (folder / os.fsdecode(b"\xff.json")).write_text("x")
    with pytest.raises(MGitError) as caught:
        read_folder(folder)
    assert caught.value.reason is ErrorReason.INVALID_NAME


def test_a_missing_shard_is_refused(folder: Path) -> None:
    index = {"weight_map": {"w": "model-00001-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InvalidArgumentError, match="missing") as caught:
        read_folder(folder)
    assert caught.value.reason is ErrorReason.UNREADABLE_INPUT


def test_shards_and_their_index_are_kept(tmp_path: Path) -> None:
    save_weights(tmp_path / "model-00001-of-00002.safetensors", a=np.zeros(1, np.int8))
    save_weights(tmp_path / "model-00002-of-00002.safetensors", b=np.ones(1, np.int8))
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    source = read_folder(tmp_path)
    assert [parameter.name for parameter in source.parameters] == ["a", "b"]
    assert len(source.files) == 3


def test_without_safetensors_the_tensors_of_a_torch_file_are_read(tmp_path: Path) -> None:
    torch.save({"w": torch.arange(3)}, tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text("{}")
    source = read_folder(tmp_path)
    assert [parameter.name for parameter in source.parameters] == ["w"]
    assert [file.path for file in source.files] == ["config.json"]
    assert "pytorch_model.bin is a pickle" in source.notes[0]


def test_a_pickle_that_holds_no_weights_is_kept_and_never_opened(folder: Path) -> None:
    (folder / "optimizer.pt").write_bytes(b"\x80\x04not a pickle")
    kinds = {file.path: file.kind for file in read_folder(folder).files}
    assert kinds["optimizer.pt"] is FileKind.OPAQUE


def test_an_adapter_tells_its_base(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "org/base"}')
    assert read_folder(folder).base_model == "org/base"


@pytest.mark.parametrize(
    "text", ["{}", '{"base_model_name_or_path": null}', '{"base_model_name_or_path": ""}']
)
def test_an_adapter_may_tell_no_base(folder: Path, text: str) -> None:
    (folder / "adapter_config.json").write_text(text)
    assert read_folder(folder).base_model is None


@pytest.mark.parametrize("text", ["[]", "{", "[" * 100_000])
def test_an_adapter_config_that_is_no_object_is_refused(folder: Path, text: str) -> None:
    (folder / "adapter_config.json").write_text(text)
    with pytest.raises(InvalidArgumentError) as caught:
        read_folder(folder)
    assert caught.value.reason is ErrorReason.UNREADABLE_INPUT
