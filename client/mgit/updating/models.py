"""What a creation function made becomes a model: checked against the one that it replaces, sent, and staged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mgit.connection import Connection
from mgit.cutting import CutSource, cut_source
from mgit.frameworks.source import Source
from mgit.manifests import Listing, read_listing
from mgit.progress import ProgressCounter
from mgit.updating.leases import outlast
from mgit.upload import Upload, upload
from mgit_core.cascade.values import StepLease
from mgit_core.errors import ErrorReason, FailedPreconditionError, NotFoundError
from mgit_core.files import FileList
from mgit_core.manifest import Manifest
from mgit_core.tensor import TensorSpec
from mgit_proto.v1 import cascade_pb2, lineage_pb2, parameters_pb2, types_pb2

__all__ = ["NewTarget", "stage_target"]

_MOST_NAMED = 5


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
    difference = _difference(listing.manifest, cut.manifest)
    if difference and not _parents_changed_shape(connection, old, target):
        raise FailedPreconditionError(
            ErrorReason.CREATION_FAILED,
            f"Creation function {target.creation.entry_point} made other parameters than {_ref(target.old)} has, though "
            f"those of its parents are the same: {difference}.",
        )
    header = _header(old, new, lease)
    if not difference:
        cut = _in_form_of(listing, cut)
        header.source_format = listing.files.source_format
        header.layer_graph = _get_layer_graph(connection, target.old.uid)
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


def _in_form_of(listing: Listing, cut: CutSource) -> CutSource:
    """``cut`` in the order and with the files of the old model: a file of tensors keeps its header, which fits both."""
    made = {parameter.name: parameter for parameter in cut.manifest.parameters}
    ordered = tuple(made[parameter.name] for parameter in listing.manifest.parameters)
    algorithm = cut.manifest.algorithm
    files = FileList(
        algorithm=algorithm,
        source_format=listing.files.source_format,
        files=listing.files.files,
        ties=cut.files.ties,
    )
    return replace(cut, manifest=Manifest(algorithm, ordered), files=files)


def _difference(old: Manifest, new: Manifest) -> str:
    """In which parameters two models differ, values aside; empty if in none."""
    wanted, found = _outline(old), _outline(new)
    parts = [
        _named("lacks", wanted.keys() - found.keys()),
        _named("adds", found.keys() - wanted.keys()),
        _named(
            "has in another type or shape",
            {
                f"{name} ({_spec(wanted[name])} became {_spec(found[name])})"
                for name in wanted.keys() & found.keys()
                if wanted[name] != found[name]
            },
        ),
    ]
    return "; ".join(part for part in parts if part)


def _named(verb: str, names: set[str]) -> str:
    if not names:
        return ""
    shown = ", ".join(sorted(names)[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    return f"it {verb} {shown}{f' and {more} more' if more > 0 else ''}"


def _outline(manifest: Manifest) -> dict[str, TensorSpec]:
    return {parameter.name: parameter.spec for parameter in manifest.parameters}


def _spec(spec: TensorSpec) -> str:
    return f"{spec.dtype} {list(spec.shape)}"


def _parents_changed_shape(
    connection: Connection, old: types_pb2.Model, target: cascade_pb2.StepTarget
) -> bool:
    """Whether a parent has other parameters, values aside, than the one that it replaces."""
    before = {edge.position: edge.parent_uid for edge in old.parents}
    return any(
        _difference(
            _get_listing(connection, before[edge.position]).manifest,
            _get_listing(connection, edge.parent_uid).manifest,
        )
        for edge in target.parents
        if before.get(edge.position, edge.parent_uid) != edge.parent_uid
    )


def _get_model(connection: Connection, uid: str) -> types_pb2.Model:
    request = lineage_pb2.GetModelRequest(model=f"@{uid}")
    return outlast(connection, lambda: connection.call(connection.lineage.GetModel, request).model)


def _get_listing(connection: Connection, uid: str) -> Listing:
    request = parameters_pb2.GetManifestRequest(model=f"@{uid}")
    answers = connection.collect(connection.parameters.GetManifest, request)
    return read_listing(connection.capabilities.algorithm, answers)


def _get_layer_graph(connection: Connection, uid: str) -> bytes:
    """The layer graph of the old model, which is that of the new one, too; empty if it has none."""
    request = parameters_pb2.GetLayerGraphRequest(model=f"@{uid}")
    try:
        answer = outlast(connection, lambda: connection.call(connection.parameters.GetLayerGraph, request))
    except NotFoundError:
        return b""
    return answer.document


def _ref(model: types_pb2.ModelSummary) -> str:
    return f"{model.name}@{model.version}"
