"""A remote that lies, goes away or is killed: clear errors, nothing half-done, and the next try goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.integration.collaborate.conftest import Pair, Tensors, changed, equal
from tests.second_stack import EXCHANGE, PARAMETERS, Mortal, Proxy

import mgit
import mgit.connection
from mgit.errors import CorruptError, ErrorReason, FailedPreconditionError, NotFoundError, UnavailableError
from mgit_proto.v1 import exchange_pb2, parameters_pb2

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]

_READ = EXCHANGE + "ReadEncodedChunks"
_WRITE = EXCHANGE + "WriteEncodedChunks"
_COUNT = 8
_TIMEOUT_S = 120


def add(pair: Pair, repo: mgit.Repository) -> Tensors:
    """A model of some chunks."""
    content = pair.tensors(0, count=_COUNT, rows=256)
    repo.add(pair.called("m"), content, progress=None)
    return content


def is_invisible(repo: mgit.Repository, name: str) -> bool:
    try:
        repo.get(name)
    except NotFoundError:
        return True
    return False


def flip(answer: exchange_pb2.ReadEncodedChunksResponse) -> None:
    if len(answer.data) > 100:
        answer.data = answer.data[:-20] + bytes([answer.data[-20] ^ 0x10]) + answer.data[-19:]


def test_a_remote_that_lies_about_digests_is_refused_and_nothing_is_visible(pair: Pair, proxy: Proxy) -> None:
    add(pair, pair.there)
    proxy.tamper(_READ, exchange_pb2.ReadEncodedChunksResponse, flip)
    with pytest.raises(CorruptError) as caught:
        pair.here.pull(pair.called("m"), remote="proxy", progress=None)
    assert caught.value.reason is ErrorReason.CHUNK_CORRUPT
    assert is_invisible(pair.here, pair.called("m"))
    assert pair.here.fsck(progress=None).ok


def test_bytes_that_change_on_the_way_to_a_remote_are_refused_there(pair: Pair, proxy: Proxy) -> None:
    add(pair, pair.here)

    def lie(content: bytes) -> bytes:
        message = exchange_pb2.WriteEncodedChunksRequest.FromString(content)
        message.data = bytes(len(message.data) - 1) + b"x"
        return message.SerializeToString()

    proxy.on_request[_WRITE] = lie
    with pytest.raises(CorruptError):
        pair.here.push(pair.called("m"), remote="proxy", progress=None)
    assert is_invisible(pair.there, pair.called("m"))
    assert pair.there.fsck(progress=None).ok


def test_a_manifest_that_its_digest_does_not_fit_is_refused(pair: Pair, proxy: Proxy) -> None:
    add(pair, pair.there)

    def lie(answer: parameters_pb2.GetManifestResponse) -> None:
        for parameter in answer.parameters:
            parameter.chunk_digests[0] = bytes(32)
            parameter.ClearField("digest")

    proxy.tamper(PARAMETERS + "GetManifest", parameters_pb2.GetManifestResponse, lie)
    with pytest.raises(CorruptError) as caught:
        pair.here.pull(pair.called("m"), remote="proxy", progress=None)
    assert caught.value.reason is ErrorReason.MANIFEST_CORRUPT
    assert is_invisible(pair.here, pair.called("m"))


def test_a_service_with_another_digest_algorithm_is_refused(pair: Pair, proxy: Proxy) -> None:
    def lie(answer: parameters_pb2.GetCapabilitiesResponse) -> None:
        answer.digest_algorithm = "sha256"

    proxy.tamper(PARAMETERS + "GetCapabilities", parameters_pb2.GetCapabilitiesResponse, lie)
    with pytest.raises(FailedPreconditionError) as caught:
        pair.here.pull(remote="proxy", progress=None)
    assert caught.value.reason is ErrorReason.STORES_UNLIKE


def test_a_standing_that_is_not_known_tells_of_another_version(pair: Pair, proxy: Proxy) -> None:
    add(pair, pair.here)

    def lie(answer: exchange_pb2.CompareModelsResponse) -> None:
        for each in answer.standings:
            each.standing = 99  # type: ignore[assignment]

    proxy.tamper(EXCHANGE + "CompareModels", exchange_pb2.CompareModelsResponse, lie)
    with pytest.raises(FailedPreconditionError) as caught:
        pair.here.push(pair.called("m"), remote="proxy", progress=None)
    assert caught.value.reason is ErrorReason.REMOTE_VERSION_UNKNOWN
    assert is_invisible(pair.there, pair.called("m"))


def test_a_remote_that_is_killed_in_the_middle_of_a_pull_is_waited_for(
    pair: Pair, proxy: Proxy, mortal: Mortal
) -> None:
    content = add(pair, pair.there)
    killed = proxy.after(_READ, _COUNT // 2, mortal.restart, cuts=True)
    done = pair.here.pull(pair.called("m"), remote="proxy", progress=None)
    assert killed.is_set()
    assert equal(pair.here.get(pair.called("m")), content)
    assert len(done.models) == 1


def test_a_remote_that_is_killed_in_the_middle_of_a_push_is_waited_for(
    pair: Pair, proxy: Proxy, mortal: Mortal
) -> None:
    content = add(pair, pair.here)
    killed = proxy.after(_WRITE, _COUNT // 2, mortal.restart, is_request=True)
    pair.here.push(pair.called("m"), remote="proxy", progress=None)
    assert killed.is_set()
    assert equal(pair.there.get(pair.called("m")), content)
    assert pair.there.fsck(progress=None).ok


def test_a_remote_that_stays_away_is_told_and_the_next_pull_brings_only_the_rest(
    pair: Pair, proxy: Proxy, mortal: Mortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = add(pair, pair.there)
    killed = proxy.after(_READ, _COUNT // 2, mortal.kill, cuts=True)
    with monkeypatch.context() as patch:
        patch.setattr(mgit.connection, "_PATIENCE_S", 0.2)
        patch.setattr(mgit.connection, "_FIRST_PATIENCE_S", 0.2)
        with pytest.raises(UnavailableError):
            pair.here.pull(pair.called("m"), remote="proxy", progress=None)
    assert killed.is_set()
    assert is_invisible(pair.here, pair.called("m"))
    mortal.start()
    done = pair.here.pull(pair.called("m"), remote="proxy", progress=None)
    assert 0 < done.chunks_as_stored < _COUNT
    assert equal(pair.here.get(pair.called("m")), content)


def test_a_client_that_is_killed_in_the_middle_leaves_nothing_half_done(
    pair: Pair, proxy: Proxy, home: Path
) -> None:
    content = add(pair, pair.there)
    may_kill, running = threading.Event(), list[subprocess.Popen[bytes]]()

    def kill() -> None:
        assert may_kill.wait(_TIMEOUT_S)
        running[0].kill()

    proxy.after(_READ, _COUNT // 2, kill)
    environment = {**os.environ, "MGIT_HOME": str(home)}
    code = "import sys; from mgit.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, "--address", pair.here.address, "pull", "proxy", pair.called("m")]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as client:
        running.append(client)
        may_kill.set()
        _, told = client.communicate()
    assert client.returncode == -signal.SIGKILL, told
    assert is_invisible(pair.here, pair.called("m"))
    done = pair.here.pull(pair.called("m"), remote="proxy", progress=None)
    assert 0 < done.chunks_as_stored <= _COUNT
    assert equal(pair.here.get(pair.called("m")), content)
    assert pair.here.fsck(progress=None).ok


def test_a_collection_in_the_middle_of_a_push_is_outlasted(pair: Pair, proxy: Proxy) -> None:
    """It raises the epoch that the import names; what is missing is asked again."""
    base = add(pair, pair.here)
    tuned = changed(base, 1)
    pair.here.add(pair.called("m"), tuned, progress=None)
    collected = proxy.after(EXCHANGE + "ImportModels", 0, pair.there.gc, is_request=True)
    pair.here.push(pair.called("m"), remote="proxy", progress=None)
    assert collected.is_set()
    assert equal(pair.there.get(pair.called("m")), tuned)


def test_a_repack_of_the_source_in_the_middle_is_outlasted(pair: Pair, proxy: Proxy) -> None:
    base = add(pair, pair.there)
    tuned = changed(base, 1)
    pair.there.add(pair.called("m"), tuned, progress=None)

    def repack() -> None:
        pair.there.repack(progress=None)

    repacked = proxy.after(EXCHANGE + "DescribeChunks", 0, repack)
    pair.here.pull(pair.called("m"), remote="proxy", progress=None)
    assert repacked.is_set()
    assert equal(pair.here.get(pair.called("m")), tuned)
