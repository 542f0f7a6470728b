from __future__ import annotations

import numpy as np
import pytest

from mgit.cutting import cut_source
from mgit.frameworks.arrays import read_arrays
from mgit.frameworks.source import BufferContent, Source, SourceFile, SourceParameter
from mgit_core.digest import DigestAlgorithm, digest_of
from mgit_core.errors import ErrorReason, InvalidArgumentError, MGitError
from mgit_core.files import FileKind
from mgit_core.tensor import TensorSpec

BLAKE3 = DigestAlgorithm.BLAKE3


def opaque(path: str, content: bytes) -> SourceFile:
    return SourceFile(
        path=path,
        kind=FileKind.OPAQUE,
        size_bytes=len(content),
        stored_bytes=len(content),
        content=BufferContent(memoryview(content)),
    )


def byte_parameter(name: str, content: bytes = b"x") -> SourceParameter:
    return SourceParameter(
        name=name, spec=TensorSpec("uint8", (len(content),)), content=BufferContent(memoryview(content))
    )


@pytest.mark.parametrize("algorithm", list(DigestAlgorithm))
def test_every_chunk_is_found_at_its_place(algorithm: DigestAlgorithm) -> None:
    array = np.random.default_rng(0).integers(0, 256, (5, 600_000), np.uint8)
    cut = cut_source(read_arrays({"w": array}), algorithm)
    chunks = cut.manifest.parameters[0].chunks
    contents = [
        bytes(cut.locations[chunk].content.read(cut.locations[chunk].start, cut.locations[chunk].stop))
        for chunk in chunks
    ]
    assert b"".join(contents) == array.tobytes()
    assert [digest_of(algorithm, content) for content in contents] == list(chunks)


def test_equal_chunks_have_one_place() -> None:
    cut = cut_source(
        read_arrays({"a": np.zeros(3 << 20, np.uint8), "b": np.zeros(1 << 20, np.uint8)}), BLAKE3
    )
    assert len(cut.manifest.parameters[0].chunks) == 3
    assert len(cut.locations) == 1


def test_digests_do_not_depend_on_strides_and_byte_order() -> None:
    array = np.arange(700 * 800, dtype=np.float32).reshape(700, 800)
    others = [np.asfortranarray(array), array.astype(">f4"), np.repeat(array, 2, axis=1)[:, ::2]]
    wanted = cut_source(read_arrays({"w": array}), BLAKE3).manifest.digest
    assert {cut_source(read_arrays({"w": other}), BLAKE3).manifest.digest for other in others} == {wanted}


def test_tied_names_are_read_once_and_have_the_same_chunks() -> None:
    class Once:
        reads = 0

        def read(self, start: int, stop: int) -> bytes:
            self.reads += 1
            return b"x" * (stop - start)

    content = Once()
    spec = TensorSpec("uint8", (10,))
    parameters = tuple(SourceParameter(name=name, spec=spec, content=content) for name in "ab")
    cut = cut_source(Source(source_format="torch", parameters=parameters, ties=(("a", "b"),)), BLAKE3)
    assert content.reads == 1
    assert cut.manifest.parameters[0].digest == cut.manifest.parameters[1].digest
    assert cut.files.ties == (("a", "b"),)


def test_files_are_cut_and_listed_by_path() -> None:
    big = bytes(range(256)) * 5000
    source = Source(
        source_format="folder",
        parameters=(byte_parameter("w"),),
        files=(opaque("z/config.json", b"{}"), opaque("a.bin", big), opaque("empty", b"")),
    )
    files = cut_source(source, BLAKE3).files.files
    assert [(file.path, len(file.chunks)) for file in files] == [
        ("a.bin", 2),
        ("empty", 0),
        ("z/config.json", 1),
    ]


def test_the_size_counts_tensors_and_files() -> None:
    source = Source(
        source_format="folder", parameters=(byte_parameter("w", b"abc"),), files=(opaque("f", b"de"),)
    )
    assert cut_source(source, BLAKE3).size_bytes == 5


def test_a_model_without_parameters_is_refused() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        cut_source(Source(source_format="numpy", parameters=()), BLAKE3)
    assert caught.value.reason is ErrorReason.UNREADABLE_INPUT


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("a", "a"), ErrorReason.DUPLICATE_PARAMETER),
        (("",), ErrorReason.INVALID_NAME),
        (("a\x00b",), ErrorReason.INVALID_NAME),
        (("n" * 10_000,), ErrorReason.INVALID_NAME),
    ],
)
def test_names_that_cannot_be_are_refused(names: tuple[str, ...], reason: ErrorReason) -> None:
    with pytest.raises(MGitError) as caught:
        cut_source(Source(source_format="numpy", parameters=tuple(map(byte_parameter, names))), BLAKE3)
    assert caught.value.reason is reason


def test_names_with_dots_are_only_names() -> None:
    """A parameter is no path: ``..`` in its name means nothing."""
    cut = cut_source(Source(source_format="numpy", parameters=(byte_parameter("../../etc"),)), BLAKE3)
    assert cut.manifest.parameters[0].name == "../../etc"


def test_an_error_of_a_reader_comes_out_as_it_is() -> None:
    class Broken:
        def read(self, start: int, stop: int) -> bytes:  # noqa: ARG002 - a Content
            raise InvalidArgumentError(ErrorReason.UNREADABLE_INPUT, "cannot be read")

    parameter = SourceParameter(name="w", spec=TensorSpec("uint8", (1 << 24,)), content=Broken())
    with pytest.raises(InvalidArgumentError, match="cannot be read"):
        cut_source(Source(source_format="numpy", parameters=(parameter,)), BLAKE3)
