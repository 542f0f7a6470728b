"""Digests name content by two algorithms, whatever buffer it lies in."""

from __future__ import annotations

import numpy as np
import pytest

from mgit_core.digest import DigestAlgorithm, digest_from_hex, digest_of, digest_of_parts
from mgit_core.errors import ErrorReason, InvalidArgumentError

KNOWN = {  # The published digests of nothing and of "abc".
    (DigestAlgorithm.BLAKE3, b""): "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
    (DigestAlgorithm.BLAKE3, b"abc"): "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
    (DigestAlgorithm.SHA256, b""): "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    (DigestAlgorithm.SHA256, b"abc"): "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
}


@pytest.mark.parametrize(("algorithm", "content"), KNOWN)
def test_the_digests_are_the_published_ones(algorithm: DigestAlgorithm, content: bytes) -> None:
    assert digest_of(algorithm, content).hex() == KNOWN[algorithm, content]


@pytest.mark.parametrize("algorithm", DigestAlgorithm)
def test_parts_and_buffers_of_any_kind_have_the_digest_of_their_bytes(algorithm: DigestAlgorithm) -> None:
    content = np.random.default_rng(1).bytes(3_000_000)
    wanted = digest_of(algorithm, content)
    assert digest_of(algorithm, memoryview(content)) == wanted
    assert digest_of(algorithm, bytearray(content)) == wanted
    assert digest_of(algorithm, np.frombuffer(content, "<f8").data) == wanted
    assert digest_of_parts(algorithm, [content[:7], memoryview(content)[7:9], b"", content[9:]]) == wanted


def test_hexadecimal_text_reads_back() -> None:
    digest = digest_of(DigestAlgorithm.BLAKE3, b"abc")
    assert digest_from_hex(digest.hex()) == digest


@pytest.mark.parametrize(
    "text", ["", "ab", "g" * 64, "a" * 63, "a" * 66, " " + "a" * 63, "é" * 64, "a" * 100_000]
)
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        digest_from_hex(text)
    assert caught.value.reason is ErrorReason.INVALID_ARGUMENT
    assert len(caught.value.message) < 200
