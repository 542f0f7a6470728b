"""Which tests apply to which models."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import replace

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.model_tests import ApplicableTests
from mgit_core.ports.graph import Lineage
from mgit_service.use_cases.references import resolve_uids

__all__ = ["MAX_MODELS", "list_applicable"]

MAX_MODELS = 10_000
_MAX_PATTERN_LENGTH = 1_000


async def list_applicable(lineage: Lineage, references: Sequence[str], pattern: str) -> list[ApplicableTests]:
    """The tests of each of some models, each model once, in order; removed models are left out.

    A reference that is a uid costs no question; any other costs one.

    Args:
        lineage: The graph.
        references: Of the models.
        pattern: Shell pattern over names of tests, case ignored as in the names; empty means all.

    Raises:
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
        InvalidArgumentError: INVALID_ARGUMENT, INVALID_NAME or INVALID_REFERENCE.
    """
    if len(references) > MAX_MODELS:
        raise _invalid("models", f"Tests are looked up for at most {MAX_MODELS} models", len(references))
    if len(pattern) > _MAX_PATTERN_LENGTH:
        raise _invalid("pattern", f"A pattern has at most {_MAX_PATTERN_LENGTH} characters", len(pattern))
    found = await lineage.model_tests.applicable(await resolve_uids(lineage, references))
    if not pattern:
        return found
    matches = {
        test.uid: fnmatch.fnmatchcase(test.name.lower(), pattern.lower())
        for each in found
        for test in each.tests
    }
    return [replace(each, tests=tuple(test for test in each.tests if matches[test.uid])) for each in found]


def _invalid(field: str, wanted: str, found: int) -> InvalidArgumentError:
    return InvalidArgumentError(ErrorReason.INVALID_ARGUMENT, f"{wanted}; found {found}.", field=field)
