"""Repositories: what a service keeps, as a program sees it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from mgit.auditing import AuditCalls
from mgit.bisecting import BisectCalls
from mgit.bugs import Bugs
from mgit.chunks import WireChunkReader
from mgit.closing import Closing
from mgit.connection import Connection
from mgit.content import ModelContent
from mgit.creating.repository_calls import CreationCalls
from mgit.diffing.calls import DiffCalls
from mgit.endpoint import Endpoint
from mgit.graph import LineageCalls, as_parent, list_pages, new_request_id
from mgit.inference import InferenceCalls, add_inferred_parents
from mgit.maintenance import MaintenanceCalls
from mgit.merging import MergeCalls
from mgit.model import Framework, Model, read_model
from mgit.model_tests import ModelTests
from mgit.progress import Progress, open_progress
from mgit.remotes.calls import ExchangeCalls
from mgit.settings import read_settings
from mgit.updating import UpdateCalls
from mgit.values import (
    Addition,
    Dataset,
    ModelReference,
    ModelStatistics,
    Parent,
    ServiceStatus,
    Statistics,
    reference_of,
)
from mgit.walking import WalkCalls
from mgit.wire import (
    read_model_statistics,
    read_statistics,
    read_status,
    write_dataset,
    write_metadata,
    write_parent,
)
from mgit_core.errors import ErrorReason, UnavailableError
from mgit_core.names import check_model_name
from mgit_proto.v1 import lineage_pb2, maintenance_pb2, parameters_pb2, types_pb2

if TYPE_CHECKING:
    import torch

    from mgit.creating.functions import CreationFunction
    from mgit.frameworks.torch import ExampleInputs
    from mgit.loading import LoadedModels
    from mgit.lossy import GuardFunction, Lossy
    from mgit_core.layers.graph import LayerGraph
    from mgit_core.tensor import AnyArray

__all__ = ["Repository", "connect"]

_PAGE_SIZE = 100


def connect(
    address: str | None = None,
    *,
    token: str | None = None,
    tls_ca: str | os.PathLike[str] | None = None,
    timeout_s: float = 60.0,
) -> Repository:
    """A repository on a service. Nothing is sent before the first call.

    Args:
        address: ``HOST:PORT``; None means ``MGIT_ADDRESS``, else the local stack that runs in ``MGIT_HOME``.
        token: Bearer token; None means ``MGIT_TOKEN``.
        tls_ca: File with the authority of the service's certificate; None means ``MGIT_TLS_CA``, else
            plaintext.
        timeout_s: Time for one question; transfers have none.

    Raises:
        UnavailableError: SERVICE_UNAVAILABLE: no address is known.
        NotFoundError: PATH_NOT_FOUND: the authority cannot be read.
        InvalidArgumentError: INVALID_ARGUMENT: a token would go over the network in plaintext.
    """
    settings = read_settings()
    found = address or settings.address
    if found is None:
        from mgit.local.state import find_address  # noqa: PLC0415 - only where no address is given

        found = find_address(settings.home)
    if found is None:
        raise UnavailableError(
            ErrorReason.SERVICE_UNAVAILABLE,
            f"No service is known: no stack runs in {settings.home}. 'mgit up' starts one; MGIT_ADDRESS names "
            "another service.",
        )
    return Repository(
        Endpoint(
            address=found,
            token=token or settings.token,
            tls_ca=settings.tls_ca if tls_ca is None else Path(tls_ca),
            timeout_s=timeout_s,
        )
    )


class Repository(
    LineageCalls,
    MaintenanceCalls,
    BisectCalls,
    WalkCalls,
    InferenceCalls,
    AuditCalls,
    CreationCalls,
    ExchangeCalls,
    UpdateCalls,
    MergeCalls,
    DiffCalls,
    Closing,
):
    """A connection to a service. Thread-safe; a context manager that closes itself.

    Models are given by reference (``NAME``, ``NAME@VERSION``, ``NAME@TAG``, ``@UID``) or as values.

    Every method raises besides its own errors: UnavailableError (SERVICE_UNAVAILABLE and others: ask again),
    UnauthenticatedError, DeadlineExceededError.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(Connection(endpoint))
        self._reader = WireChunkReader(self._connection)

    @property
    def address(self) -> str:
        """``HOST:PORT`` of the service."""
        return self._connection.endpoint.address

    @property
    def bugs(self) -> Bugs:
        """The bugs of models, tensors and data sets, and whom they reach."""
        return Bugs(self._connection)

    @property
    def tests(self) -> ModelTests:
        """The model tests of the service: registered there, run here."""
        return ModelTests(self._connection)

    def add(  # noqa: PLR0913 - one call says all of a new model; all but two by keyword
        self,
        name: str,
        source: object,
        *,
        parents: Iterable[Parent | ModelReference] = (),
        previous: ModelReference | None = None,
        no_previous: bool = False,
        metadata: Mapping[str, object] | None = None,
        type: str | None = None,  # noqa: A002 - the word for it, and by keyword only
        datasets: Iterable[Dataset | str] = (),
        lossy: Lossy | None = None,
        guard: str | GuardFunction | None = None,
        recipe: str | os.PathLike[str] | None = None,
        auto_parent: bool = False,
        created_by: CreationFunction | None = None,
        arguments: Mapping[str, object] | None = None,
        seed: int | None = None,
        trace: bool | ExampleInputs = False,
        layer_graph: LayerGraph | None = None,
        request_id: str | None = None,
        progress: Progress = True,
    ) -> Model:
        """Add a model, a new version if the name is used. When this returns it is durable and readable.

        Only what the service lacks is sent. A service that restarts meanwhile is waited for; after an
        interrupt the same call goes on where the first one ended.

        Args:
            name: Model name.
            source: Path of a safetensors file, an index of shards, a folder, a PEFT adapter, a torch file or a
                Zarr group; a dict of numpy arrays; a torch module or state dict.
            parents: What it was made from, in order: ``mgit.finetuned(base)`` and its like. The base that an
                adapter names is added to them if the service knows it.
            previous: The older version; None means the latest of the name.
            no_previous: No version edge at all.
            metadata: Keys and values of the author's; nested values are kept as JSON text.
            type: A label that groups models.
            datasets: What it was trained on; text is ``NAME[@VERSION]``.
            lossy: Move its weights near those of its first parent before it is sent, so that it takes far less
                room: ``mgit.Lossy(k=2)``. What is stored then is another model, with its own digest. The guard
                decides how far; if it never holds, or there is none, the model is stored exactly, and the notes
                of ``addition`` say so.
            guard: What has to hold for the lossy model: a function, or ``MODULE:FUNCTION``, that gets a model
                (arrays by name, and ``load`` as of ``mgit.Model``) and returns a number. ``mgit.guard`` tells
                what it measures. It runs here, in this process. None means that every registered
                test of ``type`` and of all models has to hold.
            recipe: A file that says how it was made: the YAML of a merge as mergekit takes it, or a model card
                (``*.md``). The models that it names become parents, with relations and weights, besides those in
                ``parents``; the method, the licence and the data sets are kept too.
            auto_parent: Whether the service looks for its parents too, by its weights, once it is stored. Claims
                above the service's threshold become edges of inferred origin; ``addition.notes`` say which, and why.
            created_by: The creation function that made it, if that is known: a function of a module, or
                ``MODULE:FUNCTION``. It is recorded, not run; ``create`` runs one. With the record an update can make
                the model again when a parent changes.
            arguments: What the creation function was called with, by name.
            seed: Its seed; None means 0 if it takes one.
            trace: Whether the layers of a torch module and the data flow between them are traced and kept, or what the
                module is called with for that; True takes its own example inputs, which models of transformers have.
                ``addition.notes`` say what was done. It takes a second or so.
            layer_graph: A layer graph that was made before, such as ``layers()`` of a model with the same parameters.
            request_id: The same id with the same model gives the first answer again; None means a new one.
            progress: ``progress(done_bytes, total_bytes)``; True for a bar on a terminal; None for none.

        Raises:
            InvalidArgumentError: INVALID_NAME, INVALID_METADATA, UNREADABLE_INPUT, UNSAFE_PICKLE,
                UNKNOWN_DTYPE, SHAPE_MISMATCH or DUPLICATE_PARAMETER; INVALID_GUARD; INVALID_ARGUMENT for a loss
                without a parent that has tensors of the same names, or a guard without a loss; INVALID_CREATION;
                INVALID_LAYER_GRAPH, for one of another model, or a trace of what is no module.
            NotFoundError: PATH_NOT_FOUND, PARENT_NOT_FOUND or MODEL_NOT_FOUND.
            ConflictError: REQUEST_ID_REUSED.
            ResourceExhaustedError: DISK_FULL at the service, or here with ``lossy``.
            FailedPreconditionError: FRAMEWORK_MISSING.
        """
        # Readers of models bring numpy and more, which the catalog does without.
        from mgit.adding import NewModel, add_model, open_recipe, request_loss, write_previous  # noqa: PLC0415
        from mgit.creating.recording import describe_creation  # noqa: PLC0415 - as above
        from mgit.layers import request_layers  # noqa: PLC0415 - as above

        header = parameters_pb2.ModelHeader(
            name=check_model_name(name),
            parents=[write_parent(as_parent(parent)) for parent in parents],
            previous=write_previous(previous, no_previous=no_previous),
            type=type or "",
            metadata=write_metadata(metadata or {}),
            datasets=map(write_dataset, datasets),
        )
        creation = describe_creation(self._connection, created_by, arguments, seed)
        if creation is not None:
            header.creation.CopyFrom(creation)
        new = NewModel(
            header=header,
            source=source,
            request_id=request_id or new_request_id(),
            loss=request_loss(lossy, guard),
            recipe=None if recipe is None else open_recipe(recipe),
            layers=request_layers(trace, layer_graph),
        )
        with open_progress(progress, f"add {name}") as counter:
            added, addition = add_model(self._connection, new, counter)
        if auto_parent:
            added, notes = add_inferred_parents(self._connection, added)
            addition = replace(addition, notes=(*addition.notes, *notes))
        return self._model(added, addition)

    def get(self, model: ModelReference) -> Model:
        """The model that a reference names; a removed one too if it is named by uid or number.

        Raises:
            NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
            InvalidArgumentError: INVALID_REFERENCE or INVALID_NAME.
        """
        request = lineage_pb2.GetModelRequest(model=reference_of(model))
        return self._model(self._connection.call(self._connection.lineage.GetModel, request).model)

    def models(self, prefix: str = "", type: str | None = None) -> Iterator[Model]:  # noqa: A002 - as in add
        """The latest present version of each name, by name, as pages arrive.

        Args:
            prefix: Only names that begin so, case ignored.
            type: Only models of this type.
        """

        def ask(token: str) -> tuple[Iterable[Model], str]:
            request = lineage_pb2.ListModelsRequest(
                page_size=_PAGE_SIZE, page_token=token, name_prefix=prefix, type=type or ""
            )
            answer = self._connection.call(self._connection.lineage.ListModels, request)
            return map(self._model, answer.models), answer.next_page_token

        return list_pages(ask)

    def versions(self, name: str) -> Iterator[Model]:
        """All versions of a name, newest first, removed ones too.

        Raises:
            NotFoundError: MODEL_NOT_FOUND: the name was never used; when the iteration begins.
            InvalidArgumentError: INVALID_NAME.
        """

        def ask(token: str) -> tuple[Iterable[Model], str]:
            request = lineage_pb2.ListVersionsRequest(name=name, page_size=_PAGE_SIZE, page_token=token)
            answer = self._connection.call(self._connection.lineage.ListVersions, request)
            return map(self._model, answer.models), answer.next_page_token

        return list_pages(ask)

    def remove(self, model: ModelReference) -> Model:
        """Remove a model; gives it as it was. Its number is never given again, its tags go.

        A tombstone stays where an edge touches it. Removing it again changes nothing.

        Raises:
            NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
        """
        request = lineage_pb2.RemoveModelRequest(model=reference_of(model), request_id=new_request_id())
        return self._model(self._connection.call(self._connection.lineage.RemoveModel, request).model)

    @overload
    def load_many(
        self,
        models: Sequence[ModelReference],
        *,
        framework: Literal["numpy"] = "numpy",
        writable: bool = False,
        tensors: Sequence[str] = (),
        progress: Progress = True,
    ) -> LoadedModels[dict[str, AnyArray]]: ...

    @overload
    def load_many(
        self,
        models: Sequence[ModelReference],
        *,
        framework: Literal["torch"],
        writable: bool = False,
        tensors: Sequence[str] = (),
        progress: Progress = True,
    ) -> LoadedModels[dict[str, torch.Tensor]]: ...

    def load_many(
        self,
        models: Sequence[ModelReference],
        *,
        framework: Framework = "numpy",
        writable: bool = False,
        tensors: Sequence[str] = (),
        progress: Progress = True,
    ) -> LoadedModels[Any]:
        """The parameters of several models, in memory that they share wherever tensors are equal.

        Each chunk is fetched once, and each tensor lies in memory once, in however many models it is.
        ``memory_bytes`` and ``saved_bytes`` of the answer tell what that comes to.

        Args:
            models: Which models, in the order of the answer.
            framework: ``numpy`` gives arrays, ``torch`` state dicts on the CPU.
            writable: False gives read-only arrays, and equal tensors are one array. True gives each model arrays of
                its own, whose memory is copied, in pages of some kilobytes, when it is written. torch cannot forbid
                writing: its tensors are always of the second kind.
            tensors: Shell patterns over parameter names; empty means all.
            progress: As in ``add``.

        Raises:
            NotFoundError: MODEL_NOT_FOUND, TAG_NOT_FOUND, or TENSOR_NOT_FOUND for a pattern that fits nothing.
            FailedPreconditionError: MODEL_REMOVED or FRAMEWORK_MISSING.
            CorruptError: CHUNK_CORRUPT.
        """
        from mgit.loading import check_framework, load_together  # noqa: PLC0415 - the catalog does without numpy

        check_framework(framework)
        contents = [self.get(model).content for model in models]
        with open_progress(progress, f"load {len(contents)} models") as counter:
            loaded = load_together(contents, tensors, counter, writable=writable or framework == "torch")
        if framework == "numpy":
            return loaded
        from mgit.frameworks.torch import to_state_dict  # noqa: PLC0415 - torch for torch outputs only

        return loaded.converted(
            [
                to_state_dict(arrays, content.listing.dtypes)
                for arrays, content in zip(loaded, contents, strict=True)
            ]
        )

    def status(self) -> ServiceStatus:
        """How the service is; it answers while Neo4j or the store is down."""
        request = maintenance_pb2.GetStatusRequest()
        return read_status(self._connection.call(self._connection.maintenance.GetStatus, request))

    def statistics(self) -> Statistics:
        """Sums over the whole store; walks its folder."""
        request = maintenance_pb2.GetStatisticsRequest()
        return read_statistics(self._connection.call(self._connection.maintenance.GetStatistics, request))

    def model_statistics(self, model: ModelReference) -> ModelStatistics:
        """Sums over one model, and how each of its tensors is stored.

        Raises:
            NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
            FailedPreconditionError: MODEL_REMOVED.
        """
        request = maintenance_pb2.GetModelStatisticsRequest(model=reference_of(model))
        method = self._connection.maintenance.GetModelStatistics
        return read_model_statistics(self._connection.collect(method, request))

    def close(self) -> None:
        """End running calls and the connection. Idempotent."""
        self._connection.close()

    def __repr__(self) -> str:
        return f"<repository at {self.address}{', closed' if self._connection.is_closed else ''}>"

    def _model(self, model: types_pb2.Model, addition: Addition | None = None) -> Model:
        content = ModelContent(self._connection, self._reader, model.summary.uid)
        return read_model(model, content, addition)
