"""What a draft asks of the graph and the store before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mgit_core.creation import CreationRecord
from mgit_core.digest import Digest
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import ParentLink, Previous
from mgit_core.names import Reference
from mgit_service.use_cases.backend import Backend, in_thread
from mgit_service.use_cases.draft_header import DraftHeader
from mgit_service.use_cases.references import ParentRequest, find_model, resolve_parent

__all__ = ["MissingChunks", "resolve_parents", "resolve_previous", "settle_header"]


class MissingChunks:
    """Asks the store part by part which chunks it lacks; names each at most once."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._told: set[Digest] = set()

    async def find(self, digests: Sequence[Digest]) -> list[Digest]:
        """Those of ``digests`` that are missing and were not named before, in order of first occurrence."""
        asked = [digest for digest in digests if digest not in self._told]
        if not asked:
            return []
        missing = await in_thread(self._backend, self._backend.chunks.find_missing, asked)
        self._told.update(missing)
        return missing


async def settle_header(backend: Backend, header: DraftHeader) -> DraftHeader:
    """The header with all that a step's target says of the model; as it is for a model that no step makes.

    Type and data sets are those of the model that is replaced, unless the header has others.

    Raises:
        NotFoundError: CASCADE_NOT_FOUND.
        ConflictError: STEP_LEASE_LOST.
        InvalidArgumentError: INVALID_CREATION, for a target that is not the step's, or a header that says otherwise.
    """
    draft = header.step
    if draft is None:
        return header
    step = await backend.lineage.cascades.leased_step(draft.lease)
    target = next((each for each in step.targets if each.uid == draft.target_uid), None)
    if target is None or header.name not in ("", target.old.name) or header.parents or header.previous:
        raise InvalidArgumentError(
            ErrorReason.INVALID_CREATION,
            f"What a step makes is one of its targets, and its plan says of what name, parents and version; "
            f"@{draft.target_uid} is none, or was given others.",
            uid=draft.target_uid,
        )
    old = await backend.lineage.models.get(Reference(uid=target.old.uid))
    return replace(
        header,
        name=target.old.name,
        parents=tuple(
            ParentRequest(
                reference=f"@{link.parent_uid}",
                relation=link.relation,
                weight=link.weight,
                origin=link.origin,
                confidence=link.confidence,
            )
            for link in target.parents
        ),
        previous=f"@{target.old.uid}",
        automatic_previous=False,
        type=header.type or old.type,
        datasets=header.datasets or old.datasets,
        creation=_creation(header.creation, target.creation, old.creation),
        step=replace(draft, target=target),
    )


def _creation(
    given: CreationRecord | None, planned: CreationRecord, of_old: CreationRecord | None
) -> CreationRecord:
    """How the model was created: as the worker says, else as planned; of the planned group in any case."""
    source = of_old.source if of_old is not None and of_old.code_digest == planned.code_digest else ""
    record = given or replace(planned, source=source)
    return replace(record, group=planned.group, member=planned.member)


async def resolve_parents(backend: Backend, header: DraftHeader) -> tuple[ParentLink, ...]:
    """The parents that ``header`` names, pinned to models that exist; of a step's target those of its plan.

    Raises:
        NotFoundError: PARENT_NOT_FOUND.
        InvalidArgumentError: INVALID_REFERENCE, INVALID_NAME, or INVALID_RELATION for one parent and relation
            twice.
    """
    if header.step is not None and header.step.target is not None:
        return header.step.target.parents
    links: list[ParentLink] = []
    for parent in header.parents:
        link = await resolve_parent(backend.lineage, parent)
        if any((other.parent_uid, other.relation) == (link.parent_uid, link.relation) for other in links):
            raise InvalidArgumentError(
                ErrorReason.INVALID_RELATION,
                f"Parent {parent.reference} was named twice with relation {parent.relation}.",
                parent=parent.reference,
            )
        links.append(link)
    return tuple(links)


async def resolve_previous(backend: Backend, header: DraftHeader) -> Previous:
    """The version edge that ``header`` asks for.

    Raises:
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
        InvalidArgumentError: INVALID_REFERENCE or INVALID_NAME.
    """
    if header.previous is None:
        return Previous(automatic=header.automatic_previous)
    model = await find_model(backend.lineage, header.previous)
    return Previous(uid=model.uid, automatic=False)
