"""Port to what push and pull need of the graph. As in ``ports.graph``, every mutating method is one transaction."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass

from mgit_core.bugs import Bug
from mgit_core.digest import Digest
from mgit_core.lineage import (
    Model,
    ModelSummary,
    ProvenanceEdge,
    RequestKey,
    RevisionEdge,
    Tag,
    TensorRecord,
)
from mgit_core.model_tests import ModelTest, ModelTestResult
from mgit_core.standings import Standing

__all__ = [
    "Exchange",
    "ExchangeRecords",
    "ImportedModel",
    "KeptResult",
    "ModelIdentity",
    "ModelStanding",
    "RecordChanges",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelIdentity:
    """What tells models of two stores apart.

    Attributes:
        uid: UID.
        name: Name that it is to have here.
        version: Number that it is to have here.
        parameters: Digest of its parameter set; None for a tombstone.
        files: Digest of its file list, or None.
    """

    uid: str
    name: str
    version: int
    parameters: Digest | None
    files: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStanding:
    """How one model stands.

    Attributes:
        standing: How.
        model: The model here that has its uid, or its name and number; None if it is absent.
    """

    standing: Standing
    model: ModelSummary | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptResult:
    """A result as it is kept.

    Attributes:
        result: With its uid; its judgement is not heeded.
        measurement: ``mgit_core.model_tests.measurement_digest`` of its test at that time.
    """

    result: ModelTestResult
    measurement: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeRecords:
    """What goes along with models: all that concerns only them.

    Attributes:
        edges: Provenance edges.
        revisions: Version edges.
        tags: Tags that point to them.
        tests: Tests that apply to them, or that have results on them, deregistered ones too.
        results: Results on them.
        bugs: Bugs that touch them or their tensors and data sets, with what is fixed.
    """

    edges: tuple[ProvenanceEdge, ...] = ()
    revisions: tuple[RevisionEdge, ...] = ()
    tags: tuple[Tag, ...] = ()
    tests: tuple[ModelTest, ...] = ()
    results: tuple[KeptResult, ...] = ()
    bugs: tuple[Bug, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedModel:
    """A model of another store, as it is to be here.

    Attributes:
        model: All of it, with keys of documents that are stored here. Its parents and previous version are followed as
            far as they are here or in the same import; their references, and tags, are not heeded. State REMOVED makes
            a tombstone. ``parameters.promised_by`` says that chunks of its parameters may lack.
        tensors: Its tensors, in order; none for a tombstone.
    """

    model: Model
    tensors: tuple[TensorRecord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordChanges:
    """How many records an import changed.

    Attributes:
        edges: New edges of both kinds.
        tags: New and moved tags.
        tests: New and changed tests.
        results: New results.
        bugs: New and changed bugs.
    """

    edges: int = 0
    tags: int = 0
    tests: int = 0
    results: int = 0
    bugs: int = 0


class Exchange(abc.ABC):
    """Models with their own uids and numbers, in and out."""

    @abc.abstractmethod
    async def standings(self, models: Sequence[ModelIdentity]) -> list[ModelStanding]:
        """How each of up to 10,000 models stands, in order."""

    @abc.abstractmethod
    async def export(self, uids: Sequence[str]) -> list[Model]:
        """Up to 1,000 models in order, tombstones too.

        Raises:
            NotFoundError: MODEL_NOT_FOUND.
        """

    @abc.abstractmethod
    async def export_records(self, uids: Sequence[str]) -> ExchangeRecords:
        """What goes along with up to 1,000 models; edges from them lead to any model.

        Raises:
            NotFoundError: MODEL_NOT_FOUND.
        """

    @abc.abstractmethod
    async def import_models(
        self, models: Sequence[ImportedModel], *, epoch: int, request: RequestKey | None = None
    ) -> list[ModelSummary]:
        """Make up to 1,000 models visible under their own uids, names and numbers, all or none.

        Those that are here stay, removed ones too; one that is promised here and comes without a promise is whole then.
        The last number of a name rises to the highest that was imported.

        Args:
            models: In any order.
            epoch: Epoch of the store before it was asked for their chunks; another epoch now refuses them.
            request: Makes the change idempotent.

        Returns:
            All of them as they are now, in order.

        Raises:
            AlreadyExistsError: NAME_TAKEN, naming the models.
            CorruptError: MODEL_DIFFERS, for a uid that is here with another manifest or file list.
            ConflictError: CYCLE among the models; REQUEST_ID_REUSED.
            UnavailableError: UPLOAD_STALE.
        """

    @abc.abstractmethod
    async def import_records(
        self,
        records: ExchangeRecords,
        *,
        remote: str,
        force_tags: bool = False,
        request: RequestKey | None = None,
    ) -> RecordChanges:
        """Unite edges and results; of bugs and tests with one uid the later change wins. All or none.

        Records about models that are not here, or that were removed here, are left out; edges between tombstones are
        not. What a bug affects and where it is fixed is united, whichever change is later. A test that was removed
        here stays so; one whose name is taken by another becomes ``REMOTE/NAME``. A model has one version edge: if it
        has another here, that one stays. Tags are those of the name that the model has here.

        Raises:
            ConflictError: CYCLE, naming the edges; TAG_MOVED, if tags point elsewhere here and ``force_tags`` is
                false: names them all; REQUEST_ID_REUSED.
        """
