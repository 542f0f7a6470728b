"""Values as JSON: the keys that ``--output json`` promises."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from mgit.values import (
    DuplicateGroup,
    Edge,
    Lineage,
    ModelFacts,
    ModelStatistics,
    ModelSummary,
    Statistics,
    TensorUse,
)

if TYPE_CHECKING:
    from mgit.model import Model
    from mgit_core.creation import CreationRecord
    from mgit_core.layers.graph import LayerGraph

__all__ = [
    "document_of_creation",
    "document_of_duplicates",
    "document_of_edge",
    "document_of_facts",
    "document_of_layers",
    "document_of_lineage",
    "document_of_model",
    "document_of_model_statistics",
    "document_of_parent",
    "document_of_statistics",
    "document_of_summary",
    "document_of_use",
]

Document = dict[str, object]


def document_of_summary(model: ModelSummary) -> Document:
    """A model in a list."""
    return {
        "ref": model.ref,
        "uid": model.uid,
        "name": model.name,
        "version": model.version,
        "state": model.state.value,
        "created_at": _moment(model.created_at),
    }


def document_of_model(model: Model) -> Document:
    """A model with all that the graph knows of it."""
    return {
        "ref": model.ref,
        "uid": model.uid,
        "name": model.name,
        "version": model.version,
        "digest": model.digest,
        "state": model.state.value,
        "type": model.type,
        "created_at": _moment(model.created_at),
        "size_bytes": model.size_bytes,
        "tensor_count": model.tensor_count,
        "files_digest": model.files_digest,
        "layer_graph_digest": model.layer_graph_digest,
        "parents": [document_of_parent(edge) for edge in model.parents],
        "previous": None if model.previous is None else model.previous.ref,
        "metadata": dict(model.metadata),
        "tags": list(model.tags),
        "datasets": [{"name": each.name, "version": each.version} for each in model.datasets],
        "loss": None if model.loss is None else model.loss.as_document(),
        "creation": None if model.creation is None else document_of_creation(model.creation),
    }


def document_of_creation(record: CreationRecord) -> Document:
    """How a model was created; without the source, which may be long."""
    return {
        "function": record.entry_point,
        "code_digest": record.code_digest.hex(),
        "arguments": dict(record.arguments),
        "seed": record.seed,
        "environment": dict(record.environment),
        "group": record.group or None,
        "member": record.member or None,
    }


def document_of_parent(edge: Edge) -> Document:
    """An edge as its child tells it."""
    return {
        "ref": edge.parent_ref,
        "uid": edge.parent_uid,
        "relation": edge.relation.value,
        "weight": edge.weight,
        "origin": edge.origin.value,
        "confidence": edge.confidence,
    }


def document_of_layers(graph: LayerGraph) -> Document:
    """The layers of a model; edges name them by their places in the list."""
    return {
        "source": graph.source.value,
        "note": graph.note,
        "layers": [
            {
                "path": layer.path,
                "kind": layer.kind,
                "attributes": dict(layer.attributes),
                "parameters": list(layer.parameters),
                "repeats": layer.repeats or None,
            }
            for layer in graph.layers
        ],
        "edges": [list(edge) for edge in graph.edges],
    }


def document_of_edge(edge: Edge, refs: Mapping[str, str]) -> Document:
    """An edge; ``refs`` gives the reference of each uid."""
    return {
        "child": refs.get(edge.child_uid, f"@{edge.child_uid}"),
        "parent": refs.get(edge.parent_uid, f"@{edge.parent_uid}"),
        "relation": edge.relation.value,
        "child_uid": edge.child_uid,
        "parent_uid": edge.parent_uid,
        "position": edge.position,
        "weight": edge.weight,
        "origin": edge.origin.value,
        "confidence": edge.confidence,
    }


def document_of_lineage(lineage: Lineage) -> Document:
    """Nodes and edges; version edges apart from the others. With facts, each model holds its own."""
    refs = {model.uid: model.ref for model in lineage.models}
    facts = {each.uid: document_of_facts(each) for each in lineage.facts}
    return {
        "models": [{**document_of_summary(model), **facts.get(model.uid, {})} for model in lineage.models],
        "edges": [document_of_edge(edge, refs) for edge in lineage.edges],
        "revisions": [
            {"newer": refs[edge.newer_uid], "older": refs[edge.older_uid]} for edge in lineage.revisions
        ],
        "truncated": lineage.truncated,
    }


def document_of_facts(facts: ModelFacts) -> Document:
    """What is known of a model besides its edges."""
    return {
        "type": facts.type,
        "size_bytes": facts.size_bytes,
        "metadata": dict(facts.metadata),
        "tags": list(facts.tags),
        "datasets": [{"name": each.name, "version": each.version} for each in facts.datasets],
        "passed_tests": list(facts.passed_tests),
        "failed_tests": list(facts.failed_tests),
        "bugs": list(facts.bug_ids),
    }


def document_of_use(use: TensorUse) -> Document:
    """A model that holds a tensor."""
    return {"ref": use.model.ref, "uid": use.model.uid, "parameter": use.parameter}


def document_of_duplicates(groups: Iterable[DuplicateGroup]) -> Document:
    """Groups of equal models."""
    return {
        "groups": [
            {"digest": group.digest, "models": [document_of_summary(model) for model in group.models]}
            for group in groups
        ]
    }


def document_of_statistics(statistics: Statistics) -> Document:
    """Sums over the whole store."""
    return {
        "models": statistics.models,
        "edges": statistics.edges,
        "tensors": statistics.tensors,
        "chunks": statistics.chunks,
        "logical_bytes": statistics.logical_bytes,
        "stored_bytes": statistics.stored_bytes,
        "pack_bytes": statistics.pack_bytes,
        "index_bytes": statistics.index_bytes,
        "manifest_bytes": statistics.manifest_bytes,
        "other_bytes": statistics.other_bytes,
        "reclaimable_bytes": statistics.reclaimable_bytes,
        "promised": statistics.promised,
        "promised_bytes": statistics.promised_bytes,
        "ratio": statistics.ratio,
    }


def document_of_model_statistics(statistics: ModelStatistics) -> Document:
    """Sums over one model, and its tensors."""
    return {
        "ref": statistics.model.ref,
        "uid": statistics.model.uid,
        "logical_bytes": statistics.logical_bytes,
        "unique_bytes": statistics.unique_bytes,
        "shared_bytes": statistics.shared_bytes,
        "stored_bytes": statistics.stored_bytes,
        "delta_bytes": statistics.delta_bytes,
        "tensors": [
            {
                "name": tensor.name,
                "digest": tensor.digest,
                "logical_bytes": tensor.logical_bytes,
                "stored_bytes": tensor.stored_bytes,
                "encoding": _main_form(tensor.encodings),
                "encodings": dict(tensor.encodings),
                "predictor": _main_form(tensor.predictors),
                "predictors": dict(tensor.predictors),
                "shared_with": tensor.shared_with,
            }
            for tensor in statistics.tensors
        ],
    }


def _main_form(forms: Mapping[str, int]) -> str:
    """The encoding or predictor that most chunks have; of equals the first by name; empty for an empty tensor."""
    return min(forms, key=lambda name: (-forms[name], name), default="")


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
