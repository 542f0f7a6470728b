"""Models: frozen values of the graph that know where their bytes are."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from mgit.content import ModelContent
from mgit.creation_records import read_creation
from mgit.lossy.messages import read_loss
from mgit.progress import Progress, open_progress
from mgit.values import Addition, Dataset, Edge, FileInfo, ModelState, ModelSummary
from mgit.wire import read_dataset, read_edge, read_metadata, read_promise, read_summary
from mgit_core.creation import CreationRecord
from mgit_core.lineage import MetadataValue, Promise
from mgit_core.loss import LossRecord
from mgit_proto.v1 import types_pb2

if TYPE_CHECKING:
    import torch
    import zarr

    from mgit.tensors import Tensors
    from mgit_core.layers.graph import LayerGraph
    from mgit_core.tensor import AnyArray

__all__ = ["Framework", "Model", "read_model"]

Framework = Literal["numpy", "torch"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Model:
    """A model as the graph knew it when it was asked; its parameters never change.

    Attributes:
        uid: The same wherever the model is copied to.
        name: Model name.
        version: Version number, from 1, never given again; 0 for a staged model.
        state: Whether it can be read.
        created_at: When it was added, UTC.
        type: Model type, a free label; None if not given.
        metadata: What its author wrote about it.
        digest: Identity of the parameter set, hexadecimal; None for a removed model.
        size_bytes: Bytes of all tensors.
        tensor_count: Number of parameters.
        files_digest: Identity of the file list, hexadecimal; None without files.
        files_bytes: Bytes of attached content besides the tensors.
        parents: Provenance edges to its parents, in order.
        previous: The model that the version edge points to, or None.
        tags: Tags that point to it, sorted.
        datasets: What it was trained on, sorted.
        loss: What guarded loss did to it before it was added; None for a model that was added as it is.
        creation: The creation function that made it, and what that was called with; None if it is not known.
        layer_graph_digest: Identity of the layer graph that was added with it, hexadecimal; None without one.
        promised_by: The store that has the parameters which this one lacks, and what it came as; None for a model
            that is whole.
        content: How its bytes are read; for the SDK's own use.
        addition: What adding it did; None for a model that was only looked up.
    """

    uid: str
    name: str
    version: int
    state: ModelState
    created_at: datetime
    type: str | None
    metadata: Mapping[str, MetadataValue]
    digest: str | None
    size_bytes: int
    tensor_count: int
    files_digest: str | None
    files_bytes: int
    parents: tuple[Edge, ...]
    previous: ModelSummary | None
    tags: tuple[str, ...]
    datasets: tuple[Dataset, ...]
    loss: LossRecord | None
    creation: CreationRecord | None
    promised_by: Promise | None = None
    layer_graph_digest: str | None
    content: ModelContent = field(compare=False)
    addition: Addition | None = field(default=None, compare=False)

    @property
    def ref(self) -> str:
        """``NAME@VERSION``, or ``@UID`` for a staged model."""
        return f"@{self.uid}" if self.state is ModelState.STAGED else f"{self.name}@{self.version}"

    @property
    def tensors(self) -> Tensors:
        """Its tensors by name, fetched when they are indexed.

        Raises:
            FailedPreconditionError: MODEL_REMOVED.
        """
        from mgit.tensors import Tensors  # noqa: PLC0415 - the catalog does without numpy

        return Tensors(self.content.listing.manifest, self.content.reader)

    @property
    def files(self) -> tuple[FileInfo, ...]:
        """Its files, by path; empty for a model that was added from arrays.

        Raises:
            FailedPreconditionError: MODEL_REMOVED.
        """
        return tuple(
            FileInfo(path=each.path, size_bytes=each.size_bytes) for each in self.content.listing.files.files
        )

    def layers(self) -> LayerGraph:
        """Its layers and the data flow between them, as they were added with it.

        Without a layer graph of its own it is what the parameter names tell: ``source`` is ``names`` then, and the
        edges only say what comes next in the file.

        Raises:
            FailedPreconditionError: MODEL_REMOVED.
            CorruptError: MANIFEST_CORRUPT.
            UnavailableError: SERVICE_UNAVAILABLE.
        """
        return self.content.layers

    @overload
    def load(
        self,
        framework: Literal["numpy"] = "numpy",
        *,
        tensors: Sequence[str] = (),
        progress: Progress = True,
    ) -> dict[str, AnyArray]: ...

    @overload
    def load(
        self,
        framework: Literal["torch"],
        *,
        tensors: Sequence[str] = (),
        progress: Progress = True,
    ) -> dict[str, torch.Tensor]: ...

    def load(
        self,
        framework: Framework = "numpy",
        *,
        tensors: Sequence[str] = (),
        progress: Progress = True,
    ) -> Mapping[str, Any]:
        """All parameters in memory, bit for bit, in the model's order; names that were tied share one memory.

        Args:
            framework: ``numpy`` gives arrays, ``torch`` a state dict on the CPU; both writable.
            tensors: Shell patterns over parameter names; empty means all.
            progress: ``progress(done_bytes, total_bytes)``; True for a bar on a terminal; None for none.

        Raises:
            NotFoundError: TENSOR_NOT_FOUND, for a pattern that fits no parameter.
            FailedPreconditionError: MODEL_REMOVED or FRAMEWORK_MISSING.
            CorruptError: CHUNK_CORRUPT.
            UnavailableError: SERVICE_UNAVAILABLE.
        """
        from mgit.loading import check_framework, load_model  # noqa: PLC0415 - the catalog does without numpy

        check_framework(framework)
        with open_progress(progress, f"load {self.ref}") as counter:
            arrays = load_model(self.content, tensors, counter)
        if framework == "numpy":
            return arrays
        from mgit.frameworks.torch import to_state_dict  # noqa: PLC0415 - torch for torch outputs only

        return to_state_dict(arrays, self.content.listing.dtypes)

    def zarr(self) -> zarr.Group:
        """A read-only Zarr group over the wire: an array a parameter, chunks fetched when they are touched.

        An array's key is the parameter's name, escaped where Zarr would take it for something else; the true
        name is its attribute ``mgit_name``.

        Raises:
            FailedPreconditionError: MODEL_REMOVED.
        """
        from mgit.frameworks.zarr import show_zarr  # noqa: PLC0415 - zarr takes long to import

        return show_zarr(self.content.listing.manifest, self.content.reader)

    def save(
        self,
        to: str | os.PathLike[str],
        *,
        format: str | None = None,  # noqa: A002 - the word for it, and by keyword only
        tensors: Sequence[str] = (),
        progress: Progress = True,
    ) -> Path:
        """Write the model to a new file or folder, which appears complete and durable, or not at all.

        Files that were added come back byte for byte. Of torch files the tensors come back, not the pickle.

        Args:
            to: Must not exist; its folder must.
            format: ``safetensors``, ``folder``, ``zarr`` or ``torch``; None means by the ending of ``to``, else
                as the model was added. ``torch`` holds the model in memory, the others do not.
            tensors: Shell patterns over parameter names; empty means all.
            progress: As in ``load``.

        Raises:
            AlreadyExistsError: PATH_EXISTS.
            NotFoundError: PATH_NOT_FOUND, or TENSOR_NOT_FOUND.
            InvalidArgumentError: INVALID_ARGUMENT, or UNKNOWN_DTYPE for a type that the format lacks.
            ResourceExhaustedError: DISK_FULL.
            FailedPreconditionError: MODEL_REMOVED or FRAMEWORK_MISSING.
            CorruptError: CHUNK_CORRUPT.
            UnavailableError: SERVICE_UNAVAILABLE.
        """
        from mgit.saving import SaveJob, save_model  # noqa: PLC0415 - for outputs only

        job = SaveJob(to=Path(to), format=format, tensors=tuple(tensors))
        with open_progress(progress, f"get {self.ref}") as counter:
            return save_model(self.content, job, counter)

    def __hash__(self) -> int:
        return hash(self.uid)

    def __repr__(self) -> str:
        parents = ", ".join(f"{edge.relation} {edge.parent_ref}" for edge in self.parents)
        state = "" if self.state is ModelState.PRESENT else f", {self.state}"
        made = f", {parents}" if parents else ""
        return f"<model {self.ref}{state}, {self.tensor_count} tensors, {self.size_bytes} bytes{made}>"

    def _repr_html_(self) -> str:
        """A small table, which notebooks show."""
        rows = {
            "model": self.ref,
            "uid": self.uid,
            "state": self.state.value,
            "type": self.type or "",
            "added": f"{self.created_at:%Y-%m-%d %H:%M:%S} UTC",
            "size": f"{self.size_bytes:,} bytes in {self.tensor_count:,} tensors",
            "parents": ", ".join(f"{edge.parent_ref} ({edge.relation})" for edge in self.parents),
            "tags": " ".join(self.tags),
            **{f"meta {key}": str(value) for key, value in self.metadata.items()},
        }
        cells = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
            for name, value in rows.items()
            if value
        )
        return f"<table>{cells}</table>"


def read_model(model: types_pb2.Model, content: ModelContent, addition: Addition | None = None) -> Model:
    """A model from the wire."""
    summary = read_summary(model.summary)
    return Model(
        uid=summary.uid,
        name=summary.name,
        version=summary.version,
        state=summary.state,
        created_at=summary.created_at,
        type=model.type or None,
        metadata=read_metadata(model.metadata),
        digest=model.parameters_digest.hex() or None,
        size_bytes=model.size_bytes,
        tensor_count=model.tensor_count,
        files_digest=model.files_digest.hex() or None,
        files_bytes=model.files_bytes,
        parents=tuple(map(read_edge, model.parents)),
        previous=read_summary(model.previous) if model.HasField("previous") else None,
        tags=tuple(model.tags),
        datasets=tuple(map(read_dataset, model.datasets)),
        loss=read_loss(model.loss) if model.HasField("loss") else None,
        creation=read_creation(model.creation) if model.HasField("creation") else None,
        promised_by=read_promise(model.promised_by) if model.HasField("promised_by") else None,
        layer_graph_digest=model.layer_graph_digest.hex() or None,
        content=content,
        addition=addition,
    )
