"""Creation functions: what one may be, how it is named, and the record of what it was called with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from mgit.creating.environment import describe_environment
from mgit.entry_points import entry_point_of, find_function, module_source, user_modules
from mgit.running.digests import framed
from mgit_core.creation import MAX_SOURCE_BYTES, CreationRecord, check_creation
from mgit_core.digest import Digest, DigestAlgorithm, digest_of_parts
from mgit_core.errors import ErrorReason, FailedPreconditionError, InvalidArgumentError
from mgit_core.metadata import MetadataValue, check_metadata

__all__ = [
    "ROLE",
    "CreationFunction",
    "CreationSaid",
    "check_source",
    "creation_digest",
    "creation_function",
    "record_creation",
]

ROLE = "creation function"
_INVALID = ErrorReason.INVALID_CREATION

Creating = TypeVar("Creating", bound=Callable[..., Any])
CreationFunction: TypeAlias = Callable[..., Any] | str
"""A function of a module, or ``MODULE:FUNCTION``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreationSaid:
    """What a user says of how a model is or was created.

    Attributes:
        function: The creation function.
        arguments: Handed to it by name.
        seed: Handed to it as ``seed``; None means 0 if it takes one.
    """

    function: CreationFunction
    arguments: Mapping[str, object] = field(default_factory=dict)
    seed: int | None = None


def creation_function(function: Creating) -> Creating:
    """Says that a function makes a model from its parents, and checks that it can be run elsewhere. Gives it back.

    It is called with the parents in their order, then by keyword with ``seed`` and its arguments, and gives arrays or
    tensors by name, or a module::

        @mgit.creation_function
        def halve(parents, *, seed: int, factor: float = 0.5):
            return {name: array * factor for name, array in parents[0].load().items()}

    Raises:
        InvalidArgumentError: INVALID_CREATION, for anything but a function at the top level of a module.
    """
    if not inspect.isfunction(inspect.unwrap(function)):
        raise _invalid(
            f"A creation function is written with def; found one of type {type(function).__name__}."
        )
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise _invalid(f"Creation function {function.__qualname__} returns its model; it is async or yields.")
    _check_place(function)
    return function


def record_creation(said: CreationSaid, algorithm: DigestAlgorithm) -> CreationRecord:
    """The record of a call, its module imported and its source read.

    The environment is that of this process if the function itself was given, since then it was imported here; of a
    name nothing is known.

    Raises:
        InvalidArgumentError: INVALID_CREATION, or INVALID_METADATA for arguments that are no plain values.
    """
    if isinstance(said.function, str):
        entry_point = said.function
    else:
        entry_point = entry_point_of(said.function, ROLE, _INVALID)
        _check_place(said.function)
    with user_modules():
        function = find_function(entry_point, ROLE, _INVALID)
    _check_home(function, entry_point)
    arguments = check_metadata(said.arguments)
    seed = _seed(function, said.seed)
    _check_signature(function, entry_point, arguments, seed)
    source = module_source(entry_point, ROLE, _INVALID)
    return check_creation(
        CreationRecord(
            entry_point=entry_point,
            code_digest=creation_digest(entry_point, source, algorithm),
            source=_text(source),
            arguments=arguments,
            seed=seed,
            environment={} if isinstance(said.function, str) else describe_environment(),
        )
    )


def creation_digest(entry_point: str, source: bytes, algorithm: DigestAlgorithm) -> Digest:
    """Digest of a creation function: the whole file of its module, since any function there may help it, and its name."""
    return digest_of_parts(algorithm, framed(b"creation", entry_point.encode(), source))


def check_source(entry_point: str, wanted: Digest, algorithm: DigestAlgorithm) -> None:
    """Refuse a function whose module is not here as it was recorded. Nothing is run for it.

    Args:
        entry_point: The function.
        wanted: What the digest has to be.
        algorithm: Of the digest.

    Raises:
        FailedPreconditionError: CREATION_CODE_CHANGED.
    """
    advice = "Bring it back; 'mgit rebuild' takes whatever is here with --any-source"
    try:
        source = module_source(entry_point, ROLE, _INVALID)
    except InvalidArgumentError as error:
        raise _changed(
            f"The source of {ROLE} {entry_point} is not here. {error.message} {advice}."
        ) from error
    if creation_digest(entry_point, source, algorithm) != wanted:
        raise _changed(f"The module of {ROLE} {entry_point} is another one here than was recorded. {advice}.")


def _check_place(function: Callable[..., Any]) -> None:
    """Refuse what another process could not import by its name."""
    name = getattr(function, "__qualname__", type(function).__name__)
    if name.endswith("<lambda>"):
        raise _invalid("A creation function has a name; found a lambda. Write it with def, in a module.")
    if "<locals>" in name:
        raise _invalid(
            f"Creation function {name} stands inside another function, and what it takes from there would be lost: put "
            "it at the top level of a module, and give it what it needs as arguments."
        )
    if "." in name:
        raise _invalid(f"A creation function stands at the top level of a module; {name} stands in a class.")


def _check_home(function: object, entry_point: str) -> None:
    """Refuse what another module defines: the recorded source would be of the wrong file."""
    if not callable(function) or inspect.isclass(function):
        raise _invalid(
            f"A creation function is a function; {entry_point} is of type {type(function).__name__}."
        )
    original: Any = inspect.unwrap(function)
    home = getattr(original, "__module__", None) or getattr(type(original), "__module__", None)
    if home != entry_point.partition(":")[0]:
        raise _invalid(
            f"Function {entry_point} stands in module {home!r}: name it there, so that a change of it is noticed."
        )


def _seed(function: Any, seed: int | None) -> int | None:
    if seed is not None:
        return seed
    try:
        return 0 if "seed" in inspect.signature(function).parameters else None
    except (TypeError, ValueError):  # Functions of extension modules may have no signature.
        return None


def _check_signature(
    function: Any, entry_point: str, arguments: Mapping[str, MetadataValue], seed: int | None
) -> None:
    if "seed" in arguments:
        raise _invalid("The seed is no argument among others: give it as the seed.")
    seeds = {} if seed is None else {"seed": seed}
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # As above.
        return
    try:
        signature.bind((), **seeds, **arguments)
    except TypeError as error:
        raise _invalid(
            f"Creation function {entry_point} is called with its parents, and by name with "
            f"{', '.join([*seeds, *arguments]) or 'nothing'}, which its signature {signature} does not take: {error}."
        ) from error


def _text(source: bytes) -> str:
    """The source for people to read; empty if it is no text, or too long to keep."""
    try:
        return source.decode() if len(source) <= MAX_SOURCE_BYTES else ""
    except UnicodeDecodeError:
        return ""


def _changed(message: str) -> FailedPreconditionError:
    return FailedPreconditionError(ErrorReason.CREATION_CODE_CHANGED, message)


def _invalid(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(_INVALID, message)
