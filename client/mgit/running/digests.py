"""Digests of what runs and of what it is given: by them a known result is found, and a change noticed."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mgit.entry_points import module_source
from mgit.running.built_ins import built_in_named
from mgit_core.digest import Digest, DigestAlgorithm, digest_of_parts
from mgit_core.errors import ErrorReason, FailedPreconditionError, InvalidArgumentError
from mgit_core.lineage import MetadataValue
from mgit_core.model_tests import ModelTest, ModelTestKind

__all__ = ["RunnableCode", "check_code", "check_inputs", "code_digest", "framed", "inputs_digest"]

_INVALID = ErrorReason.INVALID_TEST
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnableCode:
    """What runs.

    Attributes:
        kind: How ``code`` is read.
        code: ``MODULE:FUNCTION``, a command line, or the name of a built-in test.
        arguments: Handed to it by name. They are no source; of what a test measures they are a part of their own.
    """

    kind: ModelTestKind
    code: str
    arguments: Mapping[str, MetadataValue]


def code_digest(runnable: RunnableCode, algorithm: DigestAlgorithm) -> Digest:
    """Digest of what runs: the code, and the source behind it. Nothing is run for it.

    Of an entry point the whole file of its module counts, since any function there may help it; what that
    imports does not. Of a command every word that is a relative path of a file counts with the file's content.
    Of a built-in test its revision counts, and the module of a ``forward``.

    Raises:
        InvalidArgumentError: INVALID_TEST, if there is no such code here.
    """
    if runnable.kind is ModelTestKind.ENTRY_POINT:
        sources = [module_source(runnable.code, "test", _INVALID)]
    elif runnable.kind is ModelTestKind.COMMAND:
        sources = list(_command_sources(runnable.code))
    else:
        sources = list(_built_in_sources(runnable))
    return digest_of_parts(algorithm, framed(runnable.kind.encode(), runnable.code.encode(), *sources))


def inputs_digest(uri: str, algorithm: DigestAlgorithm) -> Digest:
    """Digest of a file's bytes, or of a folder's files with their paths in it; empty without inputs.

    Raises:
        InvalidArgumentError: INVALID_TEST, if nothing can be read there.
    """
    if not uri:
        return b""
    path = Path(uri)
    try:
        if path.is_dir():
            return digest_of_parts(algorithm, framed(*_folder_parts(path, algorithm)))
        return digest_of_parts(algorithm, _blocks(path))
    except OSError as error:
        raise _invalid(
            f"The inputs of a test are a file or folder that can be read here; {uri[:200]}: {error.strerror}."
        ) from error


def check_code(test: ModelTest, algorithm: DigestAlgorithm) -> Digest:
    """The digest of the test's code as it is here now.

    Raises:
        FailedPreconditionError: TEST_CODE_CHANGED.
    """
    advice = f"Put it back, or register it again with --replace: mgit test register {test.name} --replace"
    try:
        runnable = RunnableCode(kind=test.kind, code=test.code, arguments=test.arguments)
        digest = code_digest(runnable, algorithm)
    except InvalidArgumentError as error:
        raise FailedPreconditionError(
            ErrorReason.TEST_CODE_CHANGED,
            f"The code of test {test.name} is not here as it was registered. {error.message} {advice}.",
        ) from error
    if test.code_digest and digest != test.code_digest:
        raise FailedPreconditionError(
            ErrorReason.TEST_CODE_CHANGED,
            f"The code of test {test.name}, {test.code}, is another one than when it was registered. {advice}.",
        )
    return digest


def check_inputs(test: ModelTest, algorithm: DigestAlgorithm) -> Digest:
    """The digest of the test's inputs as they are here now.

    Raises:
        FailedPreconditionError: TEST_INPUTS_CHANGED.
    """
    advice = "Put them back, or register the test again with --replace and --inputs"
    try:
        digest = inputs_digest(test.inputs_uri, algorithm)
    except InvalidArgumentError as error:
        raise FailedPreconditionError(
            ErrorReason.TEST_INPUTS_CHANGED,
            f"The inputs of test {test.name} are not here. {error.message} {advice}.",
        ) from error
    if digest != test.inputs_digest:
        raise FailedPreconditionError(
            ErrorReason.TEST_INPUTS_CHANGED,
            f"The inputs of test {test.name}, {test.inputs_uri}, are others than when it was registered. "
            f"{advice}.",
        )
    return digest


def _command_sources(command: str) -> Iterator[bytes]:
    for word in _words(command):
        path = Path(word)
        # What lies at an absolute path belongs to the machine, as does a program on the search path.
        if path.is_absolute() or not path.is_file():
            continue
        try:
            yield path.read_bytes()
        except OSError as error:
            raise _invalid(f"File {word!r} of a test's command cannot be read: {error.strerror}.") from error


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise _invalid(
            f"The command of a test is split into words as a shell does it; {command[:80]!r} is not: {error}."
        ) from error
    if not words:
        raise _invalid("The command of a test has at least one word; found none.")
    return words


def _built_in_sources(runnable: RunnableCode) -> Iterator[bytes]:
    yield str(built_in_named(runnable.code).revision).encode()
    forward = runnable.arguments.get("forward")
    if isinstance(forward, str):
        yield module_source(forward, "test", _INVALID)


def _folder_parts(folder: Path, algorithm: DigestAlgorithm) -> Iterator[bytes]:
    found = sorted(
        (path.relative_to(folder).as_posix(), path)
        for root, _, names in os.walk(folder)
        for path in (Path(root) / name for name in names)
    )
    for name, path in found:
        yield name.encode(errors="surrogateescape")
        yield digest_of_parts(algorithm, _blocks(path))


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block


def framed(*parts: bytes) -> Iterator[bytes]:
    """Each part behind its length, so that no two lists of parts give the same bytes."""
    for part in parts:
        yield len(part).to_bytes(8, "little")
        yield part


def _invalid(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(_INVALID, message)
