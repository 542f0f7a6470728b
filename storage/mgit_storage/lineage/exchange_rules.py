"""Rules of import and export that need no look at the graph, the same for every implementation."""

from __future__ import annotations

import graphlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mgit_core.bugs import Bug, BugSubject, ModelSubject, order_subjects
from mgit_core.digest import Digest
from mgit_core.errors import (
    ConflictError,
    ErrorReason,
    InvalidArgumentError,
    MGitError,
    UnavailableError,
)
from mgit_core.lineage import ModelState, ModelSummary, ProvenanceEdge
from mgit_core.model_tests import ModelTest
from mgit_core.ports.exchange import ImportedModel, ModelIdentity
from mgit_core.standings import Standing, check_standings, name_taken
from mgit_storage.lineage import checks

__all__ = [
    "Known",
    "check_import",
    "check_no_cycle",
    "identity_of",
    "is_other_bug",
    "later_bug",
    "later_test",
    "older_of",
    "parents_first",
    "placed",
    "refuse_import",
    "standing_of",
    "tags_moved",
    "test_names",
]

_MOST_NAMED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the graph knows of the uid and the name of a model of another store.

    Attributes:
        model: The model with its uid, or None.
        parameters: Digest of its parameter set, or None.
        files: Digest of its file list, or None.
        is_promised: Whether chunks of it are elsewhere.
        holder: The model with its name and number, or None.
        name: How the name is written here; None if it was never used.
    """

    model: ModelSummary | None = None
    parameters: Digest | None = None
    files: Digest | None = None
    is_promised: bool = False
    holder: ModelSummary | None = None
    name: str | None = None


def identity_of(imported: ImportedModel) -> ModelIdentity:
    """What tells a model that is to be imported apart."""
    model = imported.model
    return ModelIdentity(
        uid=model.uid,
        name=model.name,
        version=model.version,
        parameters=None if model.parameters is None else model.parameters.digest,
        files=model.files,
    )


def standing_of(wanted: ModelIdentity, known: Known) -> Standing:
    """How a model of another store stands to what is known here."""
    if known.model is not None:
        if known.model.state is ModelState.REMOVED:
            return Standing.REMOVED
        if wanted.parameters is not None and (wanted.parameters, wanted.files) != (
            known.parameters,
            known.files,
        ):
            return Standing.DIFFERENT
        return Standing.PROMISED if known.is_promised else Standing.PRESENT
    if known.holder is not None or known.name not in {None, wanted.name}:
        return Standing.NAME_TAKEN
    return Standing.ABSENT


def check_import(models: Sequence[ImportedModel]) -> None:
    """Refuse what no graph can make right.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT for too many models, or a uid twice.
        AlreadyExistsError: NAME_TAKEN for a name and number twice, or a name in two cases.
        ConflictError: CYCLE.
    """
    if len(models) > checks.LARGEST_BATCH:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"An import has at most {checks.LARGEST_BATCH} models; found {len(models)}.",
        )
    uids = {imported.model.uid for imported in models}
    if len(uids) < len(models):
        raise InvalidArgumentError(ErrorReason.INVALID_ARGUMENT, "A model comes twice in one import.")
    spellings: dict[str, str] = {}
    numbers: set[tuple[str, int]] = set()
    taken: list[str] = []
    for imported in models:
        model = imported.model
        spelled = spellings.setdefault(model.name.lower(), model.name)
        if spelled != model.name or (model.name, model.version) in numbers:
            taken.append(model.ref)
        numbers.add((model.name, model.version))
    if taken:
        raise name_taken(taken)
    parents_first(models)


def parents_first(models: Sequence[ImportedModel]) -> list[ImportedModel]:
    """The models in an order in which each comes behind what it points to.

    Raises:
        ConflictError: CYCLE.
    """
    by_uid = {imported.model.uid: imported for imported in models}
    older = {uid: [each for each in older_of(imported) if each in by_uid] for uid, imported in by_uid.items()}
    refs = {uid: imported.model.ref for uid, imported in by_uid.items()}
    return [by_uid[uid] for uid in check_no_cycle(older, refs)]


def older_of(imported: ImportedModel) -> list[str]:
    """What a model points to by edges of both kinds, by uid."""
    previous = imported.model.previous
    return [*(edge.parent_uid for edge in imported.model.parents), *([previous.uid] if previous else ())]


def check_no_cycle(older: Mapping[str, Iterable[str]], refs: Mapping[str, str]) -> list[str]:
    """The nodes, each behind what it points to. Time and memory follow nodes and edges.

    Args:
        older: What each node points to.
        refs: How nodes are called in the message.

    Raises:
        ConflictError: CYCLE.
    """
    try:
        return list(graphlib.TopologicalSorter(older).static_order())
    except graphlib.CycleError as error:
        # The sorter names each node behind the one that it points to; the message goes from child to parent.
        cycle = [refs.get(uid, f"@{uid}") for uid in error.args[1]][::-1]
        raise checks.cycle(cycle[:-1][:_MOST_NAMED]) from None


def refuse_import(found: Sequence[tuple[ImportedModel, Standing]]) -> None:
    """Refuse an import of models that cannot be what they say here.

    Raises:
        CorruptError: MODEL_DIFFERS.
        AlreadyExistsError: NAME_TAKEN.
        UnavailableError: TRANSACTION_CONFLICT, for a model without a manifest that was here a moment ago.
    """
    check_standings((imported.model, standing) for imported, standing in found)
    for imported, standing in found:
        parameters = imported.model.parameters
        if standing is Standing.ABSENT and parameters is not None and not parameters.manifest_key:
            raise UnavailableError(
                ErrorReason.TRANSACTION_CONFLICT,
                f"Model {imported.model.ref} was removed while it was imported again; import it once more.",
                uid=imported.model.uid,
            )


def tags_moved(moved: Mapping[tuple[str, str], str]) -> MGitError:
    """The error for tags that point elsewhere here.

    Args:
        moved: What each tag points to here, by model name and tag.
    """
    found = [f"{name}:{tag} (here {ref})" for (name, tag), ref in sorted(moved.items())]
    return ConflictError(
        ErrorReason.TAG_MOVED,
        f"These tags point to other models here; they are moved only when forced: {', '.join(found)}.",
        tags=",".join(f"{name}:{tag}" for name, tag in sorted(moved)),
    )


def test_names(test: ModelTest, remote: str) -> tuple[str, str, str]:
    """What an imported test may be called, in the order in which the names are tried."""
    return test.name, f"{remote}/{test.name}", f"{remote}/{test.name}-{test.uid[-12:]}"


def later_test(known: ModelTest, other: ModelTest) -> ModelTest:
    """What a test is after its definition of another store came: the later change wins.

    Its name stays, and one that was removed here stays so.
    """
    if known.is_removed or other.updated_at <= known.updated_at:
        return known
    return replace(other, name=known.name, created_at=known.created_at, is_removed=False)


def later_bug(known: Bug, other: Bug) -> Bug:
    """What a bug is after its copy of another store came: the later change wins, subjects and fixes are united."""
    later = other if other.updated_at > known.updated_at else known
    fixed = {model.uid: model for model in (*other.fixed_in, *known.fixed_in)}
    affects = {
        (type(each), each.uid if isinstance(each, ModelSubject) else each): each
        for each in (*other.affects, *known.affects)
    }
    return replace(
        later,
        affects=order_subjects(affects.values()),
        created_at=known.created_at,
        fixed_in=tuple(fixed[uid] for uid in sorted(fixed)),
    )


def is_other_bug(known: Bug, later: Bug) -> bool:
    """Whether anything of a bug changed, what its models are called and which state they are in left aside."""
    return _bare(known) != _bare(later)


def _bare(bug: Bug) -> tuple[Bug, list[BugSubject], list[str]]:
    affects = [ModelSubject(each.uid) if isinstance(each, ModelSubject) else each for each in bug.affects]
    return replace(bug, affects=(), fixed_in=()), affects, [model.uid for model in bug.fixed_in]


def placed(edge: ProvenanceEdge, taken: Collection[int]) -> ProvenanceEdge:
    """The edge at its own position among the parents of its child, or behind all of them if that is taken."""
    return replace(edge, position=max(taken) + 1) if edge.position in taken else edge
