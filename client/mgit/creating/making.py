"""Makes models with creation functions, and makes them again."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from mgit.adding import NewModel, add_model, write_previous
from mgit.chunks import WireChunkReader
from mgit.connection import Connection
from mgit.content import ModelContent
from mgit.creating.calls import ALONE, CreationCall
from mgit.creating.comparing import compare_source
from mgit.creating.functions import CreationSaid, check_source, record_creation
from mgit.creating.merges import rebuild_merge
from mgit.creating.rebuilds import Rebuild
from mgit.creating.runner import CreationRunner
from mgit.creation_records import write_creation
from mgit.forms import FormRequest
from mgit.frameworks.source import Source
from mgit.graph import as_parent, list_pages, new_request_id
from mgit.model import Model, read_model
from mgit.progress import Progress, open_progress
from mgit.running.given import read_given
from mgit.values import Dataset, ModelReference, Parent, reference_of
from mgit.wire import write_dataset, write_metadata, write_parent
from mgit_core.creation import CreationRecord, is_merge
from mgit_core.errors import ErrorReason, FailedPreconditionError, InvalidArgumentError, NotFoundError
from mgit_core.lineage import ModelState, ParentLink
from mgit_core.names import check_model_name
from mgit_proto.v1 import lineage_pb2, parameters_pb2, types_pb2

__all__ = ["CreatedModel", "Creator", "Rebuilding", "RunOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedModel:
    """What is said of a model that is to be created.

    Attributes:
        name: Model name.
        parents: What it is made from, in order.
        previous: The older version; None means the latest of the name.
        no_previous: No version edge at all.
        metadata: Keys and values of the author's.
        type: A label that groups models.
        datasets: What it is trained on.
        takes_files: Whether it takes over the files of a model that has the same parameters.
    """

    name: str
    parents: tuple[Parent | ModelReference, ...]
    previous: ModelReference | None = None
    no_previous: bool = False
    metadata: Mapping[str, object] | None = None
    type: str | None = None
    datasets: tuple[Dataset | str, ...] = ()
    takes_files: bool = True

    def header(self, links: Iterable[Parent]) -> parameters_pb2.ModelHeader:
        """What a draft says of it.

        Raises:
            InvalidArgumentError: INVALID_NAME, INVALID_METADATA or INVALID_ARGUMENT.
        """
        return parameters_pb2.ModelHeader(
            name=check_model_name(self.name),
            parents=map(write_parent, links),
            previous=write_previous(self.previous, no_previous=self.no_previous),
            type=self.type or "",
            metadata=write_metadata(self.metadata or {}),
            datasets=map(write_dataset, self.datasets),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a creation function is run.

    Attributes:
        timeout_s: When it is given up; None means never.
        hear: Told what it prints, as it comes.
        progress: As in ``mgit.Repository.add``.
    """

    timeout_s: float | None = None
    hear: Callable[[bytes], None] | None = None
    progress: Progress = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _PlannedModel:
    """A model that is about to be made."""

    parents: tuple[Parent, ...]
    header: parameters_pb2.ModelHeader
    form: FormRequest


class Creator:
    """Runs creation functions and adds what they make."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._reader = WireChunkReader(connection)

    def create(self, said: CreationSaid, wanted: CreatedModel, options: RunOptions) -> Model:
        """Make a model and add it.

        Raises:
            MGitError: As ``mgit.Repository.create``.
        """
        [model] = self._create(said, {ALONE: wanted}, options)
        return model

    def create_together(
        self, said: CreationSaid, wanted: Mapping[str, CreatedModel], options: RunOptions
    ) -> dict[str, Model]:
        """Make several models by one call and add them, each under a group of its own.

        Raises:
            MGitError: As ``mgit.Repository.create_together``.
        """
        return dict(zip(wanted, self._create(said, wanted, options), strict=True))

    def _create(
        self, said: CreationSaid, wanted: Mapping[str, CreatedModel], options: RunOptions
    ) -> Iterator[Model]:
        record = record_creation(said, self._connection.capabilities.algorithm)
        # What could not be added is refused before anything runs for it.
        planned = {member: self._plan(model) for member, model in wanted.items()}
        call = CreationCall(
            record=record,
            members={member: tuple(map(_link, plan.parents)) for member, plan in planned.items()},
            traces_layers=True,
        )
        runner = CreationRunner(self._connection.endpoint, hear=options.hear)
        with runner.run(call, timeout_s=options.timeout_s) as produced:
            group = str(uuid.uuid4()) if call.is_group else ""
            made = replace(record, environment=produced.environment, group=group)
            # In the order of the call, each durable before the next begins.
            for member, plan in planned.items():
                plan.header.creation.CopyFrom(write_creation(replace(made, member=member)))
                yield self._add(plan, produced.sources[member], options.progress)

    def _plan(self, wanted: CreatedModel) -> _PlannedModel:
        """What is known of a model before it is made, its parents by uid: no later version takes their place meanwhile."""
        parents = [as_parent(each) for each in wanted.parents]
        found = [self._get_model(parent.parent) for parent in parents]
        pinned = tuple(
            replace(parent, parent=f"@{model.summary.uid}")
            for parent, model in zip(parents, found, strict=True)
        )
        before = self._previous(wanted)
        origins = (*found,) if before is None else (before, *found)
        form = FormRequest(origins=origins, takes_files=wanted.takes_files)
        return _PlannedModel(parents=pinned, header=wanted.header(pinned), form=form)

    def _previous(self, wanted: CreatedModel) -> types_pb2.Model | None:
        """The version before a new model; None if it is the first of its name, or shall have none."""
        if wanted.no_previous:
            return None
        if wanted.previous is not None:
            return self._get_model(wanted.previous)
        try:
            return self._get_model(check_model_name(wanted.name))
        except NotFoundError:
            return None

    def _get_model(self, reference: ModelReference) -> types_pb2.Model:
        request = lineage_pb2.GetModelRequest(model=reference_of(reference))
        return self._connection.call(self._connection.lineage.GetModel, request).model

    def _add(self, plan: _PlannedModel, source: Source, progress: Progress) -> Model:
        new = NewModel(header=plan.header, source=source, request_id=new_request_id(), form=plan.form)
        with open_progress(progress, f"add {plan.header.name}") as counter:
            added, addition = add_model(self._connection, new, counter)
        content = ModelContent(self._connection, self._reader, added.summary.uid)
        return read_model(added, content, addition)


class Rebuilding:
    """Runs recorded creation functions again and compares."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._reader = WireChunkReader(connection)

    def rebuild(
        self, reference: str, options: RunOptions, *, tolerance: float, takes_any_source: bool
    ) -> Rebuild:
        """Make a model again from its pinned parents; nothing is stored.

        Raises:
            MGitError: As ``mgit.Repository.rebuild``.
        """
        if not tolerance >= 0:
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT, f"A tolerance is a number of at least 0; found {tolerance!r}."
            )
        model = read_given(self._connection, self._reader, reference)
        record = model.creation
        if record is None:
            raise FailedPreconditionError(
                ErrorReason.NO_CREATION_FUNCTION,
                f"How {model.ref} was created was not recorded. Add it with created_by (--created-by), or make it "
                "with repo.create (mgit create).",
            )
        if is_merge(record):
            return rebuild_merge(self._connection, model.uid)
        if not takes_any_source:
            check_source(record.entry_point, record.code_digest, self._connection.capabilities.algorithm)
        members = self._members(model, record)
        call = CreationCall(
            record=record,
            members={member: _links_of(each) for member, each in members.items()},
            takes_any_source=takes_any_source,
        )
        runner = CreationRunner(self._connection.endpoint, hear=options.hear)
        with runner.run(call, timeout_s=options.timeout_s) as produced:
            found = {
                member: replace(
                    compare_source(each, produced.sources[member], tolerance),
                    seconds=produced.seconds,
                    environment=_changes(each.creation, produced.environment),
                )
                for member, each in members.items()
                if each.state is not ModelState.REMOVED  # There is nothing left of it to compare with.
            }
        others = tuple(each for member, each in found.items() if member != record.member)
        return replace(found[record.member], others=others)

    def _members(self, model: Model, record: CreationRecord) -> dict[str, Model]:
        """The models that the call made, by member."""
        if not record.group:
            return {ALONE: model}

        def ask(token: str) -> tuple[Iterable[types_pb2.Model], str]:
            request = lineage_pb2.ListCreationGroupRequest(group=record.group, page_token=token)
            answer = self._connection.call(self._connection.lineage.ListCreationGroup, request)
            return answer.models, answer.next_page_token

        found = {record.member: model}
        for each in list_pages(ask):
            content = ModelContent(self._connection, self._reader, each.summary.uid)
            found.setdefault(each.creation.member, read_model(each, content))
        return dict(sorted(found.items()))


def _link(parent: Parent) -> ParentLink:
    assert isinstance(parent.parent, str)  # noqa: S101 - it was pinned
    return ParentLink(
        parent_uid=parent.parent.removeprefix("@"), relation=parent.relation, weight=parent.weight
    )


def _links_of(model: Model) -> tuple[ParentLink, ...]:
    return tuple(
        ParentLink(parent_uid=edge.parent_uid, relation=edge.relation, weight=edge.weight)
        for edge in sorted(model.parents, key=lambda edge: edge.position)
    )


def _changes(record: CreationRecord | None, now: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """What of the environment is another; empty if it was not recorded, since then nothing is known."""
    then = {} if record is None else record.environment
    if not then:
        return {}
    names = sorted({*then, *now})
    return {
        name: (then.get(name, ""), now.get(name, "")) for name in names if then.get(name) != now.get(name)
    }
