"""The catalog: models, versions and tags, and the way from content to models."""

from __future__ import annotations

from mgit_core.digest import DIGEST_SIZE, Digest
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import Model, RequestKey, Tag
from mgit_core.names import MAX_NAME_LENGTH, check_model_name, check_tag
from mgit_core.ports.graph import Lineage, Page, TensorUse
from mgit_service.use_cases.references import NO_UID, change_resolved, resolve_uid

__all__ = [
    "delete_tag",
    "list_created_together",
    "list_models",
    "list_tags",
    "list_versions",
    "put_tag",
    "remove_model",
    "tensor_uses",
]


async def list_models(lineage: Lineage, page: Page, *, prefix: str, type_name: str) -> list[Model]:
    """The latest present version of each name, by name.

    Args:
        lineage: The graph.
        page: Which part.
        prefix: Only names that begin so, case ignored; empty means all.
        type_name: Only models of this type; empty means all.
    """
    if len(prefix) > MAX_NAME_LENGTH:
        return []
    return await lineage.models.list_latest(page, prefix=prefix, type_name=type_name or None)


async def list_versions(lineage: Lineage, name: str, page: Page) -> list[Model]:
    """All versions of a name, newest first, removed ones too.

    Raises:
        NotFoundError: MODEL_NOT_FOUND, if the name was never used.
        InvalidArgumentError: INVALID_NAME.
    """
    return await lineage.models.list_versions(check_model_name(name), page)


async def list_created_together(lineage: Lineage, group: str, page: Page) -> list[Model]:
    """The models that one call of a creation function made, by member, removed ones too.

    Raises:
        InvalidArgumentError: INVALID_CREATION, for an empty group: models that were made alone have none in common.
    """
    if not group:
        raise InvalidArgumentError(
            ErrorReason.INVALID_CREATION, "Models that were made together have a group; found an empty one."
        )
    return await lineage.models.list_created_together(group, page)


async def remove_model(lineage: Lineage, reference: str, request: RequestKey | None) -> Model:
    """Remove the model that ``reference`` names; returns it as it was before.

    Raises:
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
        InvalidArgumentError: INVALID_REFERENCE or INVALID_NAME.
        ConflictError: REQUEST_ID_REUSED.
    """
    return await change_resolved(
        resolve_uid(lineage, reference),
        lambda uid: lineage.models.remove(uid, request),
        nothing=NO_UID,
        request=request,
    )


async def put_tag(
    lineage: Lineage, reference: str, tag: str, *, force: bool, request: RequestKey | None
) -> Tag:
    """Point ``tag`` of the model's name to the model.

    Raises:
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
        InvalidArgumentError: INVALID_NAME or INVALID_REFERENCE.
        FailedPreconditionError: MODEL_REMOVED.
        ConflictError: TAG_MOVED, if it points elsewhere and ``force`` is false; REQUEST_ID_REUSED.
    """
    check_tag(tag)
    return await change_resolved(
        resolve_uid(lineage, reference),
        lambda uid: lineage.tags.put(uid, tag, force=force, request=request),
        nothing=NO_UID,
        request=request,
    )


async def delete_tag(lineage: Lineage, name: str, tag: str, request: RequestKey | None) -> Tag:
    """Delete a tag; returns what it was.

    Raises:
        NotFoundError: TAG_NOT_FOUND.
        InvalidArgumentError: INVALID_NAME.
        ConflictError: REQUEST_ID_REUSED.
    """
    return await lineage.tags.delete(check_model_name(name), check_tag(tag), request)


async def list_tags(lineage: Lineage, name: str) -> list[Tag]:
    """Tags of a name, sorted.

    Raises:
        InvalidArgumentError: INVALID_NAME.
    """
    return await lineage.tags.list(check_model_name(name))


async def tensor_uses(lineage: Lineage, digest: Digest, page: Page) -> list[TensorUse]:
    """Present models that hold the tensor, by uid and parameter.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT for what is no digest.
    """
    if len(digest) != DIGEST_SIZE:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"A digest has {DIGEST_SIZE} bytes; found {len(digest)}.",
            field="digest",
        )
    return await lineage.content.models_with_tensor(digest, page)
