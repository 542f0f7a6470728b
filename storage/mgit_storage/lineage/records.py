"""Values of the core from rows of the graph, and back.

A row of a model, an edge or a summary has one form, whether it comes from a query or was put together here for
an answer that is kept as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from mgit_core.lineage import (
    Dataset,
    EdgeOrigin,
    MetadataValue,
    Model,
    ModelCommit,
    ModelState,
    ModelSummary,
    ParameterSet,
    ParentLink,
    Promise,
    ProvenanceEdge,
    Relation,
)
from mgit_core.loss import LossRecord
from mgit_storage.lineage.creation_records import creation_from_row

__all__ = [
    "Row",
    "edge_from_row",
    "edge_properties",
    "edge_type",
    "kept_edge_properties",
    "metadata_of",
    "model_from_row",
    "model_properties",
    "moment_of",
    "parameter_properties",
    "parameter_set_from_row",
    "plain",
    "relation_of",
    "summary_from_row",
    "summary_row",
    "tensor_rows",
]

Row: TypeAlias = dict[str, Any]

_METADATA = "meta_"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def plain(value: Any) -> Any:
    """A value of a row with its times as text, so that JSON can hold it."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return (
        moment_of(value).isoformat() if hasattr(value, "to_native") or isinstance(value, datetime) else value
    )


def edge_type(relation: Relation) -> str:
    """The relationship type of a relation."""
    return f"{relation.name}_FROM"


def relation_of(type_name: str) -> Relation:
    """The relation of a relationship type."""
    return Relation[type_name.removesuffix("_FROM")]


def moment_of(value: Any) -> datetime:
    """A time as a query, the driver or an answer gives it, as UTC.

    Most queries give microseconds since 1970, which costs a tenth of a time of the driver's own.
    """
    if isinstance(value, int):
        return _EPOCH + timedelta(microseconds=value)
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    moment: datetime = value if isinstance(value, datetime) else value.to_native()
    return moment.astimezone(UTC)


def summary_from_row(row: Row) -> ModelSummary:
    """A summary from a map of the five properties."""
    return ModelSummary(
        uid=row["uid"],
        name=row["name"],
        version=row["version"],
        state=ModelState(row["state"]),
        created_at=moment_of(row["created_at"]),
    )


def summary_row(properties: Row) -> Row:
    """The five properties of a summary, of all that a model has."""
    return {key: properties[key] for key in ("uid", "name", "version", "state", "created_at")}


def edge_from_row(row: Row) -> ProvenanceEdge:
    """A provenance edge from its properties, type and ends."""
    return ProvenanceEdge(
        child_uid=row["child_uid"],
        parent_uid=row["parent_uid"],
        relation=relation_of(row["relation"]),
        position=row["position"],
        weight=row.get("weight"),
        origin=EdgeOrigin(row["origin"]),
        confidence=row.get("confidence"),
        created_at=moment_of(row["created_at"]),
    )


def edge_properties(link: ParentLink, position: int, created_at: datetime) -> Row:
    """The properties of a new provenance edge."""
    return {
        "position": position,
        "weight": link.weight,
        "origin": link.origin.value,
        "confidence": link.confidence,
        "created_at": created_at,
    }


def kept_edge_properties(edge: ProvenanceEdge) -> Row:
    """The properties of a provenance edge of another store."""
    return {
        "position": edge.position,
        "weight": edge.weight,
        "origin": edge.origin.value,
        "confidence": edge.confidence,
        "created_at": edge.created_at,
    }


def model_properties(commit: ModelCommit, version: int) -> Row:
    """The properties of a new model."""
    return {
        "uid": commit.uid,
        "name": commit.name,
        "version": version,
        "state": ModelState.PRESENT.value,
        "created_at": commit.created_at,
        "files": None if commit.files is None else commit.files.hex(),
        "files_key": commit.files_key,
        "files_bytes": commit.files_bytes,
        "loss": None if commit.loss is None else commit.loss.to_json(),
        "layer_graph": None if commit.layer_graph is None else commit.layer_graph.hex(),
        "layer_graph_key": commit.layer_graph_key,
        **{_METADATA + key: value for key, value in commit.metadata.items()},
    }


def parameter_properties(parameters: ParameterSet) -> Row:
    """The properties of a new parameter set, its digest apart."""
    return {
        "manifest_key": parameters.manifest_key,
        "state": "present" if parameters.promised_by is None else "promised",
        "promised_by": None if parameters.promised_by is None else parameters.promised_by.store_id,
        "promised_remote": None if parameters.promised_by is None else parameters.promised_by.remote,
        "size_bytes": parameters.size_bytes,
        "tensor_count": parameters.tensor_count,
    }


def tensor_rows(commit: ModelCommit) -> list[Row]:
    """Rows that tie a parameter set to its tensors."""
    digest = commit.parameters.digest.hex()
    return [
        {
            "parameters": digest,
            "name": tensor.name,
            "position": position,
            "digest": tensor.digest.hex(),
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "size_bytes": tensor.size_bytes,
        }
        for position, tensor in enumerate(commit.tensors)
    ]


def model_from_row(row: Row) -> Model:
    """A model from a row of one of the describing queries."""
    model = row["model"]
    summary = summary_from_row(model)
    return Model(
        uid=summary.uid,
        name=summary.name,
        version=summary.version,
        state=summary.state,
        created_at=summary.created_at,
        type=row["type"],
        metadata=metadata_of(model),
        parameters=None if row["parameters"] is None else parameter_set_from_row(row["parameters"]),
        files=None if model.get("files") is None else bytes.fromhex(model["files"]),
        files_key=model.get("files_key"),
        files_bytes=model.get("files_bytes") or 0,
        parents=tuple(map(edge_from_row, row["parents"])),
        parent_refs=tuple(edge["parent_ref"] for edge in row["parents"]),
        previous=None if row["previous"] is None else summary_from_row(row["previous"]),
        tags=tuple(row["tags"]),
        datasets=tuple(Dataset(name=name, version=version) for name, version in row["datasets"]),
        loss=None if model.get("loss") is None else LossRecord.from_json(model["loss"]),
        layer_graph=None if model.get("layer_graph") is None else bytes.fromhex(model["layer_graph"]),
        layer_graph_key=model.get("layer_graph_key"),
        creation=creation_from_row(row.get("creation")),
    )


def metadata_of(properties: Row) -> dict[str, MetadataValue]:
    """The metadata among the properties of a model, by key."""
    found = ((key, value) for key, value in properties.items() if key.startswith(_METADATA))
    return {key.removeprefix(_METADATA): value for key, value in sorted(found)}


def parameter_set_from_row(row: Row) -> ParameterSet:
    """A parameter set from a map of its properties."""
    return ParameterSet(
        digest=bytes.fromhex(row["digest"]),
        manifest_key=row["manifest_key"],
        size_bytes=row["size_bytes"],
        tensor_count=row["tensor_count"],
        promised_by=_promise_of(row),
    )


def _promise_of(row: Row) -> Promise | None:
    store_id = row.get("promised_by")
    return None if store_id is None else Promise(store_id=store_id, remote=row.get("promised_remote") or "")
