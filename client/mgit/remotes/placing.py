"""Under which names models come to the destination, and what stands in their way: asked before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from mgit.remotes.selecting import Candidate
from mgit.remotes.sides import Side
from mgit_core.errors import (
    AlreadyExistsError,
    ConflictError,
    CorruptError,
    ErrorReason,
    FailedPreconditionError,
    MGitError,
)
from mgit_core.names import check_model_name
from mgit_proto.v1 import exchange_pb2 as pb
from mgit_proto.v1 import lineage_pb2

__all__ = ["Naming", "Placement", "check_tags", "place_models"]

_MOST_MODELS = 10_000
_SHOWN = 20  # As many as a person reads; the details name all.

_ABSENT = pb.Standing.STANDING_ABSENT
_PROMISED = pb.Standing.STANDING_PROMISED
_REMOVED = pb.Standing.STANDING_REMOVED
_DIFFERENT = pb.Standing.STANDING_DIFFERENT
_TAKEN = pb.Standing.STANDING_NAME_TAKEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """What becomes of models whose names are taken at the destination.

    Attributes:
        prefix: They go to ``PREFIX/NAME``; None refuses the exchange.
        is_push: Whether the destination is the remote.
        remote: Name of the remote.
        is_begun: Whether some of it may have come already: a name was taken while it was under way.
    """

    prefix: str | None
    is_push: bool
    remote: str
    is_begun: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A model of the source and how it stands at the destination.

    Attributes:
        candidate: The model.
        standing: How it stands.
        name: Its name at the destination.
        version: Its number there.
    """

    candidate: Candidate
    standing: pb.Standing.ValueType
    name: str
    version: int

    @property
    def ref(self) -> str:
        """``NAME@VERSION`` at the destination."""
        return f"{self.name}@{self.version}"

    @property
    def is_new(self) -> bool:
        """Whether the destination does not know it."""
        return self.standing == _ABSENT

    @property
    def is_promised(self) -> bool:
        """Whether the destination lacks some of its chunks."""
        return self.standing == _PROMISED

    @property
    def is_removed(self) -> bool:
        """Whether it was removed at the destination, and stays so."""
        return self.standing == _REMOVED


def place_models(destination: Side, candidates: Sequence[Candidate], naming: Naming) -> list[Placement]:
    """Where each model goes, in order.

    Raises:
        CorruptError: MODEL_DIFFERS, naming the models whose uids mean something else at the destination.
        ConflictError: PUSH_REFUSED: names are taken at the remote, and ``naming`` has no prefix, or its names are
            taken, too.
        AlreadyExistsError: NAME_TAKEN: the same of a pull.
        InvalidArgumentError: INVALID_NAME, for a name that is too long behind the prefix.
    """
    placements = _compare(destination, [(candidate, candidate.name) for candidate in candidates])
    differing = [each for each in placements if each.standing == _DIFFERENT and not each.candidate.is_removed]
    if differing:
        raise CorruptError(
            ErrorReason.MODEL_DIFFERS,
            f"The two stores have different contents under one uid: {_listed(differing)}. One of them is damaged; "
            "'mgit fsck' on both sides tells which. Nothing was exchanged.",
            models=_all(differing),
        )
    taken = {at: each.candidate for at, each in enumerate(placements) if each.standing == _TAKEN}
    if taken:
        _refuse_if(naming.prefix is None, [placements[at] for at in taken], naming)
        renamed = [(each, check_model_name(f"{naming.prefix}/{each.name}")) for each in taken.values()]
        for at, placement in zip(taken, _compare(destination, renamed), strict=True):
            placements[at] = placement
    still = [each for each in placements if each.standing == _TAKEN]
    _refuse_if(bool(still), still, replace(naming, prefix=None))
    colliding = _colliding(placements)
    _refuse_if(bool(colliding), colliding, replace(naming, prefix=None))
    return placements


def check_tags(destination: Side, placements: Iterable[Placement]) -> None:
    """Refuse tags that point elsewhere at the destination.

    Raises:
        ConflictError: TAG_MOVED, naming all of them.
    """
    wanted: dict[str, dict[str, str]] = {}
    for each in placements:
        if not each.is_removed:
            wanted.setdefault(each.name, {}).update(dict.fromkeys(each.candidate.tags, each.candidate.uid))
    moved = []
    for name, tags in wanted.items():
        if tags:
            request = lineage_pb2.ListTagsRequest(name=name)
            there = destination.ask(destination.connection.lineage.ListTags, request).tags
            moved += [
                f"{name}@{tag.tag}" for tag in there if tags.get(tag.tag, tag.model.uid) != tag.model.uid
            ]
    if moved:
        raise ConflictError(
            ErrorReason.TAG_MOVED,
            f"{len(moved)} tags point elsewhere at {destination.address}: {_shown(moved)}. --force moves them; nothing "
            "was exchanged.",
            tags=", ".join(moved),
        )


def _compare(destination: Side, named: Sequence[tuple[Candidate, str]]) -> list[Placement]:
    method = destination.connection.exchange.CompareModels
    placements = []
    for start in range(0, len(named), _MOST_MODELS):
        part = named[start : start + _MOST_MODELS]
        request = pb.CompareModelsRequest(models=[_identity(candidate, name) for candidate, name in part])
        standings = destination.ask(method, request).standings
        placements += [
            _place(destination, candidate, name, standing)
            for (candidate, name), standing in zip(part, standings, strict=True)
        ]
    return placements


def _identity(candidate: Candidate, name: str) -> pb.ModelIdentity:
    return pb.ModelIdentity(
        uid=candidate.uid,
        name=name,
        version=candidate.version,
        parameters_digest=candidate.parameters_digest,
        files_digest=candidate.files_digest,
    )


def _place(destination: Side, candidate: Candidate, name: str, found: pb.ModelStanding) -> Placement:
    """A model that is there has the name that it has there."""
    if not _ABSENT <= found.standing <= _TAKEN:
        raise FailedPreconditionError(
            ErrorReason.REMOTE_VERSION_UNKNOWN,
            f"The service at {destination.address} says of {candidate.ref} what this version does not know. Update the "
            "older of the two; nothing was exchanged.",
        )
    is_there = found.HasField("model") and found.model.uid == candidate.uid
    return Placement(
        candidate=candidate,
        standing=found.standing,
        name=found.model.name if is_there else name,
        version=found.model.version if is_there else candidate.version,
    )


def _colliding(placements: Iterable[Placement]) -> list[Placement]:
    """New models that would take a name and number from each other, or write a name in two cases."""
    spelled: dict[str, str] = {}
    refs: set[str] = set()
    colliding = []
    for each in placements:
        if each.is_new:
            if each.ref in refs or spelled.setdefault(each.name.lower(), each.name) != each.name:
                colliding.append(each)
            refs.add(each.ref)
    return colliding


def _refuse_if(is_refused: bool, placements: Sequence[Placement], naming: Naming) -> None:  # noqa: FBT001 - private, and named by its callers
    if not is_refused:
        return
    count = "1 model cannot" if len(placements) == 1 else f"{len(placements)} models cannot"
    reason = f"since the names and numbers belong to other models there: {_listed(placements)}"
    stays = "what came before stays there" if naming.is_begun else ""
    error: MGitError
    if naming.is_push:
        error = ConflictError(
            ErrorReason.PUSH_REFUSED,
            f"{count} be pushed to {naming.remote}, {reason}. --rename pushes them under another name; "
            f"{stays or 'nothing was sent'}.",
            models=_all(placements),
        )
    else:
        error = AlreadyExistsError(
            ErrorReason.NAME_TAKEN,
            f"{count} be pulled from {naming.remote}, {reason}. --prefix gives them another name; "
            f"{stays or 'nothing was fetched'}.",
            models=_all(placements),
        )
    raise error


def _listed(placements: Sequence[Placement]) -> str:
    return _shown([each.ref for each in placements])


def _shown(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _all(placements: Sequence[Placement]) -> str:
    return ", ".join(each.ref for each in placements)
