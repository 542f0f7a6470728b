"""The ``zarr.json`` documents of a model: a group with an array for each parameter."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

from mgit_core.chunking import chunk_shape
from mgit_core.manifest import Manifest, Parameter
from mgit_core.tensor import TensorSpec
from mgit_zarr.names import NAME_ATTRIBUTE, POSITION_ATTRIBUTE, zarr_key

__all__ = ["METADATA_KEY", "Document", "array_document", "group_document", "to_json"]

METADATA_KEY = "zarr.json"

Document: TypeAlias = dict[str, Any]


def array_document(parameter: Parameter, position: int) -> Document:
    """The metadata of a parameter's array.

    The fill value has only zero bits, so a padded edge holds fill values, and a chunk without a set bit may
    be left out.

    Args:
        parameter: The parameter.
        position: Its place in the manifest, from 0; kept as attribute ``mgit_position``.
    """
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(parameter.spec.shape),
        "data_type": parameter.spec.dtype,
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": list(chunk_shape(parameter.spec))},
        },
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": _fill_value(parameter.spec),
        "codecs": [_bytes_codec(parameter.spec)],
        "attributes": {NAME_ATTRIBUTE: parameter.name, POSITION_ATTRIBUTE: position},
        "storage_transformers": [],
    }


def group_document(manifest: Manifest) -> Document:
    """The metadata of the group, with that of all its arrays, so that a reader opens them in one step."""
    arrays = {
        zarr_key(parameter.name): array_document(parameter, position)
        for position, parameter in enumerate(manifest.parameters)
    }
    return {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {},
        "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": arrays},
    }


def to_json(document: Document) -> bytes:
    """The bytes of a ``zarr.json``."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2).encode() + b"\n"


def _fill_value(spec: TensorSpec) -> object:
    if spec.dtype == "bool":
        return False
    if spec.dtype.startswith("complex"):
        return [0.0, 0.0]
    if spec.dtype.startswith("float8"):
        return "0x00"  # Bits, since zarrs takes no numbers and float8_e8m0fnu has no zero.
    return 0.0 if "float" in spec.dtype else 0


def _bytes_codec(spec: TensorSpec) -> Document:
    if spec.itemsize == 1:
        return {"name": "bytes"}
    return {"name": "bytes", "configuration": {"endian": "little"}}
