"""Parents of models, claimed from their weights."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass

from mgit_core.errors import CorruptError, ErrorReason, InvalidArgumentError, NotFoundError
from mgit_core.inference.kinship import DEFAULT_CONFIDENCE, Claim, Kinship
from mgit_core.inference.pairing import Pairing, pair
from mgit_core.inference.placing import Placement, place_model
from mgit_core.inference.relatives import Candidate, screen
from mgit_core.inference.samples import SampledModel, choose_compared
from mgit_core.lineage import Model, ModelSummary
from mgit_core.manifest import Manifest, Parameter
from mgit_core.names import Reference
from mgit_core.ports.graph import Page
from mgit_service.use_cases.backend import Backend, in_thread
from mgit_service.use_cases.inference.adapters import place_adapter
from mgit_service.use_cases.inference.gathering import find_candidates, is_before
from mgit_service.use_cases.inference.sampling import BlockReader
from mgit_service.use_cases.promises import check_whole
from mgit_service.use_cases.references import find_model
from mgit_service.use_cases.transfer.reading import read_content

__all__ = ["MAX_REFERENCES", "Inference", "InferenceJob", "infer_lineage", "infer_parents"]

MAX_REFERENCES = 10_000
_PAGE = 200
# A first look at some matrices tells strangers; all are read of so many that are left.
_SCREENED_TENSORS = 6
_SCREENED_ITEMS = 4_096
_MOST_MEASURED = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceJob:
    """What is wanted.

    Attributes:
        min_confidence: Only claims at least so sure; 0 means ``DEFAULT_CONFIDENCE``.
        any_time: Whether later models count as parents where the weights alone say so.
        only_orphans: Whether models with declared parents are left out, of many.
    """

    min_confidence: float = 0.0
    any_time: bool = False
    only_orphans: bool = False

    def __post_init__(self) -> None:
        """Refuses a confidence that is none.

        Raises:
            InvalidArgumentError: INVALID_ARGUMENT.
        """
        if not 0 <= self.min_confidence <= 1:
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT,
                f"A confidence is between 0 and 1; found {self.min_confidence}.",
                field="min_confidence",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """What was found for one model.

    Attributes:
        model: The model.
        claims: Surest first.
        note: Why nothing is claimed; empty if something is.
        done: Models that were looked at so far.
        total: Models to look at.
    """

    model: ModelSummary
    claims: tuple[Claim, ...]
    note: str
    done: int = 1
    total: int = 1


@dataclass(frozen=True, slots=True)
class _Relative:
    """A candidate, paired, before its blocks are read."""

    model: Model
    pairing: Pairing


async def infer_parents(backend: Backend, reference: str, job: InferenceJob) -> Inference:
    """The parents of one model. Nothing is recorded.

    Raises:
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
        FailedPreconditionError: MODEL_REMOVED or PARAMETERS_PROMISED.
        CorruptError: MANIFEST_CORRUPT or CHUNK_CORRUPT, for the model itself; relatives are passed over.
    """
    content = await read_content(backend, reference)
    check_whole(content.model)
    model, manifest = content.model, content.manifest
    adapter = await place_adapter(backend, model, manifest)
    if adapter is not None:
        placement, models = adapter
    else:
        placement, models = await _place(backend, model, manifest, job)
    return _claimed(model, placement, models, job)


async def infer_lineage(
    backend: Backend, references: Sequence[str], job: InferenceJob
) -> AsyncGenerator[Inference]:
    """The parents of many models, by creation time. One that cannot be read gives a note.

    Args:
        backend: Store and graph.
        references: Which; empty means all present models.
        job: What is wanted.

    Raises:
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND, at the first step.
        InvalidArgumentError: INVALID_ARGUMENT for more than ``MAX_REFERENCES``.
    """
    if len(references) > MAX_REFERENCES:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"At most {MAX_REFERENCES:,} references; found {len(references):,}. Name none for all models.",
            field="models",
        )
    named = [await find_model(backend.lineage, reference) for reference in references]
    named = sorted({each.uid: each for each in named}.values(), key=lambda each: (each.created_at, each.uid))
    total = len(named) if references else (await backend.lineage.content.counts()).models
    done = 0
    async for model in _each(named) if references else _all_models(backend):
        done += 1
        if job.only_orphans and await _has_parents(backend, model):
            continue
        found = await _infer_or_note(backend, model, job)
        yield Inference(
            model=found.model, claims=found.claims, note=found.note, done=done, total=max(total, done)
        )


async def _each(models: Sequence[Model]) -> AsyncIterator[Model]:
    for model in models:
        yield model


async def _all_models(backend: Backend) -> AsyncIterator[Model]:
    """Present models by uid, which begins with the time."""
    after: str | None = None
    while True:
        page = await backend.lineage.content.parameter_sets(Page(size=_PAGE, after=after))
        for model in page:
            yield model
        if len(page) < _PAGE:
            return
        after = page[-1].uid


async def _has_parents(backend: Backend, model: Model) -> bool:
    try:
        return bool((await backend.lineage.models.get(Reference(uid=model.uid))).parents)
    except NotFoundError:
        return True


async def _infer_or_note(backend: Backend, model: Model, job: InferenceJob) -> Inference:
    if model.parameters is None:
        return Inference(model=model, claims=(), note="It was removed.")
    if not model.parameters.is_whole:
        return Inference(model=model, claims=(), note="Its parameters are in another store.")
    try:
        return await infer_parents(backend, f"@{model.uid}", job)
    except (NotFoundError, CorruptError) as error:
        return Inference(model=model, claims=(), note=f"It cannot be read: {error.message}")


async def _place(
    backend: Backend, model: Model, manifest: Manifest, job: InferenceJob
) -> tuple[Placement, dict[str, Model]]:
    wanted = await find_candidates(backend, model, manifest, any_time=job.any_time)
    twin = _twin(model, wanted)
    if twin is not None:
        return _duplicate(twin), {twin.uid: twin}
    compared = choose_compared(manifest.parameters)
    reader = BlockReader(backend)
    own = await reader.sample(compared, {each.name: each for each in compared})
    paired = [each for each in [await _pair(backend, manifest, each) for each in wanted] if each is not None]
    near = await _screen(backend, reader, compared, paired)
    near.sort(key=lambda each: (each.model.created_at, each.model.uid))
    candidates = [
        each
        for each in [await _candidate(reader, compared, model, each) for each in near]
        if each is not None
    ]
    placement = await in_thread(backend, place_model, manifest, own, candidates)
    return placement, {each.model.uid: each.model for each in near}


def _twin(model: Model, candidates: Sequence[Model]) -> Model | None:
    own = model.parameters
    same = [each for each in candidates if each.parameters and own and each.parameters.digest == own.digest]
    older = [each for each in same if is_before(each, model)]
    return min(older, key=lambda each: (each.created_at, each.uid), default=None)


def _duplicate(twin: Model) -> Placement:
    from_twin = (f"all parameters are bit-equal to those of {twin.ref}",)
    return Placement.of(twin.uid, Kinship.DUPLICATE, 1.0, from_twin)


async def _pair(backend: Backend, manifest: Manifest, model: Model) -> _Relative | None:
    """A candidate with its manifest, unless that cannot be read: fsck is what tells of damage."""
    if model.parameters is None:
        return None
    try:
        theirs = await in_thread(backend, backend.parameters.read_manifest, model.parameters.manifest_key)
    except (NotFoundError, CorruptError):
        return None
    return _Relative(model, await in_thread(backend, pair, manifest, theirs))


async def _screen(
    backend: Backend, reader: BlockReader, compared: Sequence[Parameter], relatives: Sequence[_Relative]
) -> list[_Relative]:
    """The nearest, by a first look at some matrices."""
    few = choose_compared(compared, _SCREENED_TENSORS)
    own = await reader.sample(few, {each.name: each for each in few}, _SCREENED_ITEMS)
    looks: list[tuple[_Relative, SampledModel]] = []
    for relative in relatives:
        look = await _read(reader, few, relative, _SCREENED_ITEMS)
        if look is not None:
            looks.append((relative, look))
    places = await in_thread(backend, screen, own, [look for _, look in looks])
    return [looks[place][0] for place in places[:_MOST_MEASURED]]


async def _candidate(
    reader: BlockReader, compared: Sequence[Parameter], model: Model, relative: _Relative
) -> Candidate | None:
    sample = await _read(reader, compared, relative)
    if sample is None:
        return None
    return Candidate(
        key=relative.model.uid,
        name=relative.model.ref,
        is_older=is_before(relative.model, model),
        pairing=relative.pairing,
        sample=sample,
    )


async def _read(
    reader: BlockReader, compared: Sequence[Parameter], relative: _Relative, *most: int
) -> SampledModel | None:
    try:
        return await reader.sample(compared, relative.pairing.counterparts, *most)
    except (NotFoundError, CorruptError):
        return None


def _claimed(model: Model, placement: Placement, models: dict[str, Model], job: InferenceJob) -> Inference:
    least = job.min_confidence or DEFAULT_CONFIDENCE
    kept = [each for each in placement.findings if each.confidence >= least]
    note = placement.note
    if placement.findings and not kept:
        best = placement.findings[0]
        note = (
            f"{models[best.key].ref} may be its parent ({best.kinship}), with a confidence of "
            f"{best.confidence:.2f} where {least:.2f} is wanted: {'; '.join(best.evidence)}."
        )
    claims = tuple(
        Claim(
            child=model,
            parent=models[each.key],
            kinship=each.kinship,
            weight=each.weight,
            confidence=each.confidence,
            evidence=each.evidence,
        )
        for each in kept
    )
    return Inference(model=model, claims=claims, note="" if claims else note)
