"""How models of another store stand to this one, and which of them cannot come in."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence

from mgit_core.errors import AlreadyExistsError, CorruptError, ErrorReason, MGitError
from mgit_core.lineage import ModelSummary

__all__ = ["Standing", "check_standings", "name_taken"]

_MOST_NAMED = 20


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


def check_standings(found: Iterable[tuple[ModelSummary, Standing]]) -> None:
    """Refuse models that cannot be what they say here.

    Raises:
        CorruptError: MODEL_DIFFERS.
        AlreadyExistsError: NAME_TAKEN, naming the models.
    """
    taken: list[str] = []
    for model, standing in found:
        if standing is Standing.DIFFERENT:
            raise CorruptError(
                ErrorReason.MODEL_DIFFERS,
                f"Model @{model.uid} is here with other parameters or files than the {model.ref} that was sent: one of "
                "the two stores is corrupt. 'mgit fsck' on both tells more.",
                uid=model.uid,
            )
        if standing is Standing.NAME_TAKEN:
            taken.append(model.ref)
    if taken:
        raise name_taken(taken)


def name_taken(refs: Sequence[str]) -> MGitError:
    """The error for names and numbers that belong to other models."""
    named = ", ".join(refs[:_MOST_NAMED])
    more = f" and {len(refs) - _MOST_NAMED} more" if len(refs) > _MOST_NAMED else ""
    return AlreadyExistsError(
        ErrorReason.NAME_TAKEN,
        f"Other models have these names and numbers, or write these names in another case: {named}{more}. Import them "
        "under other names.",
        models=",".join(refs[:_MOST_NAMED]),
        count=len(refs),
    )
