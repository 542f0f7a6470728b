"""Port to what push and pull need of the graph. As in ``ports.graph``, every mutating method is one transaction."""

from __future__ import annotations

import abc
import enum
from collections.abc import Sequence
from dataclasses import dataclass

from mgit_core.bugs import Bug
from mgit_core.digest import Digest
from mgit_core.lineage import (
    Model,
    ModelCommit,
    ModelSummary,
    ProvenanceEdge,
    RequestKey,
    RevisionEdge,
    Tag,
)
from mgit_core.model_tests import ModelTest, ModelTestResult

__all__ = ["Exchange", "ExchangeRecords", "ModelIdentity", "ModelStanding", "Standing"]


class Standing(enum.StrEnum):
    """How a model of another store stands to this one."""

    ABSENT = "absent"
    """Neither its uid nor its name and number are here."""
    PRESENT = "present"
    PROMISED = "promised"
    """It is here, some of its chunks are not."""
    REMOVED = "removed"
    """It was removed here, and stays so."""
    DIFFERENT = "different"
    """Its uid is here with another manifest or file list: one of the two stores is corrupt."""
    NAME_TAKEN = "name-taken"
    """Its uid is not here; its name and number belong to another model, or its name is written in another case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelIdentity:
    """What tells models of two stores apart.

    Attributes:
        uid: UID.
        name: Name that it is to have here.
        version: Number that it is to have here.
        parameters: Digest of its parameter set.
        files: Digest of its file list, or None.
    """

    uid: str
    name: str
    version: int
    parameters: Digest
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
class ExchangeRecords:
    """What goes along with models: all that concerns only them.

    Attributes:
        edges: Provenance edges whose two ends are among the models.
        revisions: Version edges whose two ends are.
        tags: Tags that point to them.
        tests: Tests that apply to them, or that have results on them, deregistered ones too.
        results: Results on them.
        bugs: Bugs that touch them or their tensors and data sets, with what is fixed.
    """

    edges: tuple[ProvenanceEdge, ...] = ()
    revisions: tuple[RevisionEdge, ...] = ()
    tags: tuple[Tag, ...] = ()
    tests: tuple[ModelTest, ...] = ()
    results: tuple[ModelTestResult, ...] = ()
    bugs: tuple[Bug, ...] = ()


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
        """What goes along with up to 10,000 models.

        Raises:
            NotFoundError: MODEL_NOT_FOUND.
        """

    @abc.abstractmethod
    async def import_models(
        self, commits: Sequence[ModelCommit], request: RequestKey | None = None
    ) -> list[Model]:
        """Make models visible under their own uids, names and numbers, all or none; those that are here stay.

        Parents and version edges come with the records. ``created_at`` is the original's. The last number of a name
        rises to the highest that was imported. A model that is promised here and comes whole becomes present.

        Raises:
            AlreadyExistsError: NAME_TAKEN.
            CorruptError: MODEL_DIFFERS, for a uid that is here with another manifest or file list.
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
    ) -> ExchangeRecords:
        """Unite edges and results; of bugs and tests with one uid the later change wins. All or none.

        Records about models that are not here, or that were removed here, are left out. A test whose name is taken by
        another becomes ``REMOTE/NAME``.

        Returns:
            What changed.

        Raises:
            ConflictError: CYCLE, naming the edges; TAG_MOVED, if a tag points elsewhere here and ``force_tags`` is
                false: names them all.
        """

    @abc.abstractmethod
    async def complete(self, parameter_set: Digest) -> None:
        """A promised parameter set is whole now; a no-op for one that is not promised.

        Raises:
            NotFoundError: MODEL_NOT_FOUND, if no present model has it.
        """
