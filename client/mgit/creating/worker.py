"""The process that a creation function runs in: ``python -m mgit.creating.worker FD``, started by ``mgit.creating.runner``."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mgit.answers import is_away
from mgit.chunks import WireChunkReader
from mgit.connection import Connection
from mgit.creating.calls import ALONE, parent_link
from mgit.creating.environment import describe_environment
from mgit.creating.functions import ROLE, check_source
from mgit.creating.outputs import write_outputs
from mgit.creating.parents import CreationParent, open_parent
from mgit.creating.seeding import seed_generators
from mgit.entry_points import find_function
from mgit.running.answering import Desk
from mgit.running.telling import show_value, tell_raised
from mgit_core.errors import ErrorReason, InvalidArgumentError, MGitError, UnavailableError

__all__ = ["main"]

_INVALID = ErrorReason.INVALID_CREATION


def main(arguments: list[str]) -> None:
    """Answer until standard input ends."""
    desk = Desk(int(arguments[0]))
    connection = Connection(desk.endpoint)
    for document in desk.tasks():
        desk.answer(_attempt(document, connection, desk.scratch))


def _attempt(document: dict[str, Any], connection: Connection, scratch: Path) -> dict[str, Any]:
    """What came of a call; whatever it raises, an end of the process that it asks for too, becomes an error."""
    try:
        _check_code(document, connection)
        members = _open_parents(document["members"], connection)
    except MGitError as error:
        return {"error": error.message, "reason": error.reason.value}
    try:
        made = _call(document, members)
        folder = scratch / "made"
        folder.mkdir()
        write_outputs(made, folder, traces_layers=document["traces_layers"])
    except (InvalidArgumentError, UnavailableError) as error:
        reason = error.reason.value if is_away(error, connection.endpoint) else None
        return {"error": error.message, "reason": reason}
    except SystemExit as error:
        return {"error": f"It asked for the end of the process: exit code {error.code}.", "reason": None}
    except BaseException as error:  # noqa: BLE001 - a function may raise anything
        _print_traceback(error)
        return {"error": tell_raised(error), "reason": None}
    return {"folder": folder.name, "environment": describe_environment()}


def _print_traceback(error: BaseException) -> None:
    """Where it was raised, from the function on: what called it is nothing that its author can change."""
    place = error.__traceback__
    while place is not None and place.tb_frame.f_code.co_filename == __file__:
        place = place.tb_next
    traceback.print_exception(type(error), error, place)


def _check_code(document: Mapping[str, Any], connection: Connection) -> None:
    """A module that was edited since the call was planned must not make models for what it was."""
    wanted = document["code_digest"]
    if wanted is not None:
        check_source(document["entry_point"], bytes.fromhex(wanted), connection.capabilities.algorithm)


def _open_parents(
    members: Mapping[str, Any], connection: Connection
) -> dict[str, tuple[CreationParent, ...]]:
    reader = WireChunkReader(connection)
    return {
        member: tuple(open_parent(connection, reader, parent_link(each)) for each in parents)
        for member, parents in members.items()
    }


def _call(
    document: Mapping[str, Any], members: dict[str, tuple[CreationParent, ...]]
) -> Mapping[str, object]:
    """What the function gave, by member."""
    function: Any = find_function(document["entry_point"], ROLE, _INVALID)
    seed = document["seed"]
    seed_generators(seed or 0)
    said = dict(document["arguments"]) | ({} if seed is None else {"seed": seed})
    if ALONE in members:
        return {ALONE: function(members[ALONE], **said)}
    made = function(members, **said)
    if not isinstance(made, Mapping) or set(made) != set(members):
        found = ", ".join(map(show_value, made)) if isinstance(made, Mapping) else show_value(made)
        raise InvalidArgumentError(
            _INVALID,
            f"A call for several models gives parameters for each of {', '.join(members)}; it gave {found or 'none'}.",
        )
    return {member: made[member] for member in members}


if __name__ == "__main__":
    main(sys.argv[1:])
