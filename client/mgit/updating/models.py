"""What a creation function made becomes a model: checked against the one that it replaces, sent, and staged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mgit.connection import Connection
from mgit.cutting import cut_source
from mgit.forms import FormRequest, get_listing, take_form, without_tied_copies
from mgit.frameworks.source import Source
from mgit.manifests import Listing
from mgit.progress import ProgressCounter
from mgit.updating.leases import outlast
from mgit.upload import Upload, upload
from mgit_core.cascade.outlines import outline_of, tell_difference
from mgit_core.cascade.values import StepLease
from mgit_core.errors import ErrorReason, FailedPreconditionError
from mgit_proto.v1 import cascade_pb2, lineage_pb2, parameters_pb2, types_pb2

__all__ = ["NewTarget", "stage_target"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTarget:
    """A target of a step, made.

    Attributes:
        target: What was to be made.
        source: What was made.
        environment: What it was made with.
    """

    target: cascade_pb2.StepTarget
    source: Source
    environment: Mapping[str, str]


def stage_target(connection: Connection, lease: StepLease, new: NewTarget) -> types_pb2.Model:
    """Send a target and have it staged; gives the staged model.

    It gets type, metadata and data sets of the model that it replaces, and is written back in the form in which that
    one was added. It has that one's parameters, by name, type and shape; others only if those of a parent changed too.

    Raises:
        FailedPreconditionError: CREATION_FAILED, for other parameters.
        ConflictError: STEP_LEASE_LOST.
        MGitError: As the service answers.
    """
    target = new.target
    old = _get_model(connection, target.old.uid)
    listing = _get_listing(connection, target.old.uid)
    cut = cut_source(new.source, connection.capabilities.algorithm)
    made = without_tied_copies(cut, listing)
    difference = tell_difference(outline_of(listing.manifest), outline_of(made.manifest))
    if difference and not _parents_changed_shape(connection, old, target):
        raise FailedPreconditionError(
            ErrorReason.CREATION_FAILED,
            f"Creation function {target.creation.entry_point} made other parameters than {_ref(target.old)} has, though "
            f"those of its parents are the same: {difference}.",
        )
    header = _header(old, new, lease)
    parents = [_get_model(connection, edge.parent_uid) for edge in target.parents] if difference else []
    request = FormRequest(origins=(old, *parents))
    cut, _ = outlast(connection, lambda: take_form(connection, header, cut, request))
    job = Upload(header=header, cut=cut, request_id=_request_id(header.step))
    return outlast(connection, lambda: upload(connection, job, ProgressCounter(None))).model


def _request_id(lease: parameters_pb2.StepLease) -> str:
    """One for each attempt: another run of the function may have made other bytes, which is no repeat."""
    return f"{lease.cascade_id}.{lease.step}.{lease.attempt}.{lease.target_uid}"


def _header(old: types_pb2.Model, new: NewTarget, lease: StepLease) -> parameters_pb2.ModelHeader:
    header = parameters_pb2.ModelHeader(
        name=new.target.old.name,
        type=old.type,
        metadata=old.metadata,
        datasets=old.datasets,
        source_format=new.source.source_format,
        ties=[types_pb2.Tie(names=tie) for tie in new.source.ties],
        layer_graph=new.source.layer_graph,
        creation=new.target.creation,
        step=parameters_pb2.StepLease(
            cascade_id=lease.cascade_id,
            step=lease.step,
            attempt=lease.attempt,
            target_uid=new.target.uid,
        ),
    )
    # A step says neither: the source is that of the old model's record, whose function it is.
    header.creation.source = old.creation.source
    header.creation.environment.update(new.environment)
    return header


def _parents_changed_shape(
    connection: Connection, old: types_pb2.Model, target: cascade_pb2.StepTarget
) -> bool:
    """Whether a parent has other parameters, values aside, than the one that it replaces."""
    before = {edge.position: edge.parent_uid for edge in old.parents}
    return any(
        tell_difference(
            outline_of(_get_listing(connection, before[edge.position]).manifest),
            outline_of(_get_listing(connection, edge.parent_uid).manifest),
        )
        for edge in target.parents
        if before.get(edge.position, edge.parent_uid) != edge.parent_uid
    )


def _get_model(connection: Connection, uid: str) -> types_pb2.Model:
    request = lineage_pb2.GetModelRequest(model=f"@{uid}")
    return outlast(connection, lambda: connection.call(connection.lineage.GetModel, request).model)


def _get_listing(connection: Connection, uid: str) -> Listing:
    return outlast(connection, lambda: get_listing(connection, uid))


def _ref(model: types_pb2.ModelSummary) -> str:
    return f"{model.name}@{model.version}"
