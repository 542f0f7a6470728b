"""Functions that a user names as ``MODULE:FUNCTION``: found, called, and told apart by their source."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.machinery
import inspect
import os
import sys
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

from mgit_core.errors import ErrorReason, InvalidArgumentError

__all__ = [
    "call_by_signature",
    "entry_point_of",
    "find_function",
    "module_source",
    "read_module",
    "split_entry_point",
    "user_modules",
]


@contextlib.contextmanager
def user_modules() -> Generator[None]:
    """Lets modules of the current folder be imported meanwhile, as ``python -m`` does."""
    folder = os.getcwd()  # noqa: PTH109 - a text is what the search path holds
    is_there = folder in sys.path or "" in sys.path
    if not is_there:
        sys.path.insert(0, folder)
    try:
        yield
    finally:
        if not is_there:
            with contextlib.suppress(ValueError):  # The user's own code may have removed it.
                sys.path.remove(folder)


def split_entry_point(entry_point: str, role: str, reason: ErrorReason) -> tuple[str, str]:
    """Module and function of ``MODULE:FUNCTION``.

    Args:
        entry_point: The text.
        role: What the function is to be, for messages: ``guard``, ``test``.
        reason: What an error says.

    Raises:
        InvalidArgumentError: ``reason``.
    """
    module_name, colon, path = entry_point.partition(":")
    if not (module_name and colon and path):
        raise InvalidArgumentError(
            reason, f"A {role} is written MODULE:FUNCTION; found {entry_point[:80]!r}."
        )
    return module_name, path


def find_function(entry_point: str, role: str, reason: ErrorReason) -> object:
    """What ``entry_point`` names; its module is imported. Arguments as for ``split_entry_point``.

    Raises:
        InvalidArgumentError: ``reason``.
    """
    module_name, path = split_entry_point(entry_point, role, reason)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise InvalidArgumentError(
            reason,
            f"{role.capitalize()} {entry_point} is a function of module {module_name!r}, which cannot be imported "
            f"from the current folder or the search path of Python: {type(error).__name__}: {error}.",
        ) from error
    try:
        return functools.reduce(getattr, path.split("."), module)
    except AttributeError as error:
        raise InvalidArgumentError(
            reason, f"Module {module_name!r} has no function {path!r}, which was to be the {role}."
        ) from error


def entry_point_of(function: Callable[..., Any], role: str, reason: ErrorReason) -> str:
    """``MODULE:FUNCTION`` of a function that another process can import.

    Raises:
        InvalidArgumentError: ``reason``, for a function that was typed at a prompt or made inside another one.
    """
    module = getattr(function, "__module__", None)
    name = getattr(function, "__qualname__", None)
    if not (isinstance(module, str) and isinstance(name, str)):
        raise InvalidArgumentError(
            reason, f"A {role} is a function of a module; found one of type {type(function).__name__}."
        )
    if module == "__main__" or "<" in name:
        raise InvalidArgumentError(
            reason,
            f"A {role} is imported in a process of its own, which cannot reach {name!r} of {module!r}: put it "
            "into a module, at the top level.",
        )
    return f"{module}:{name}"


def read_module(module_name: str) -> bytes | None:
    """The bytes of a module's file, found without running anything; None if there is none.

    Raises:
        OSError: If the file cannot be read.
    """
    spec: importlib.machinery.ModuleSpec | None = None
    parts = module_name.split(".")
    for depth in range(1, len(parts) + 1):
        if depth > 1 and (spec is None or spec.submodule_search_locations is None):
            return None
        spec = _find_spec(".".join(parts[:depth]), None if spec is None else spec.submodule_search_locations)
    if spec is None or not spec.has_location or spec.origin is None:
        return None
    return Path(spec.origin).read_bytes()


def module_source(entry_point: str, role: str, reason: ErrorReason) -> bytes:
    """The file of the module of ``entry_point``. Nothing is run for it. Arguments as for ``split_entry_point``.

    Raises:
        InvalidArgumentError: ``reason``, if there is no such module here.
    """
    module_name, _ = split_entry_point(entry_point, role, reason)
    importlib.invalidate_caches()  # A module that was just written is found, too.
    try:
        with user_modules():
            source = read_module(module_name)
    except OSError as error:
        raise InvalidArgumentError(
            reason, f"Module {module_name!r} cannot be read: {error.strerror}."
        ) from error
    if source is None:
        raise InvalidArgumentError(
            reason,
            f"Module {module_name!r} of {role} {entry_point} is found neither in the current folder nor on the "
            "search path of Python.",
        )
    return source


def _find_spec(name: str, locations: Any) -> importlib.machinery.ModuleSpec | None:
    for finder in sys.meta_path:
        spec = finder.find_spec(name, locations) if hasattr(finder, "find_spec") else None
        if spec is not None:
            return spec
    return None


def call_by_signature(
    function: Callable[..., Any],
    model: object,
    arguments: Mapping[str, object],
    optional: Mapping[str, object],
) -> Any:
    """What ``function`` gives for ``model`` and ``arguments``; of ``optional`` it gets what it has a name for.

    Raises:
        Exception: Whatever the function raises; TypeError if its signature has no such arguments.
    """
    try:
        names = inspect.signature(function).parameters
    except (TypeError, ValueError):  # Functions of extension modules may have no signature.
        return function(model, **arguments)
    takes_any = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in names.values())
    wanted = {name: value for name, value in optional.items() if takes_any or name in names}
    return function(model, **{**wanted, **arguments})
