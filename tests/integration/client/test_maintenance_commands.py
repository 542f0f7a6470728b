"""``mgit gc repack fsck`` against a real service."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.integration.local.command_line import CommandLine, end_of
from tests.running_service import RunningService

import mgit

pytestmark = [pytest.mark.neo4j, pytest.mark.slow]


@pytest.fixture
def mgit_command(service: RunningService, tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "home", {"MGIT_ADDRESS": service.address})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    written = tmp_path / "model.safetensors"
    random = np.random.default_rng(5)
    save_file({"layer": random.standard_normal((400, 300)).astype(np.float32)}, written)
    return written


def damage_packs(store: Path) -> None:
    for pack in (store / "packs").rglob("*.pack"):
        content = bytearray(pack.read_bytes())
        content[len(content) // 2] ^= 0xFF
        pack.write_bytes(content)


def test_gc_says_what_it_freed(mgit_command: CommandLine, repo: mgit.Repository, path: Path) -> None:
    repo.add("kept", {"x": np.arange(9, dtype=np.float32)})
    repo.add("gone", path)
    repo.remove("gone")
    told = mgit_command.json("gc", "--dry-run", "--grace", "0")
    assert (told["dry_run"], told["chunks"] > 0, told["bytes_freed"] > 0) == (True, True, True)
    young = mgit_command.run("gc", "--grace", "1h")
    assert (young.code, "younger than the grace period" in young.out) == (0, True)
    done = mgit_command.json("gc", "--grace", "0s")
    assert done.keys() == {
        *("chunks", "documents", "bytes_freed", "spared_chunks", "finished_earlier", "dry_run"),
    }
    assert (done["chunks"], done["documents"]) == (told["chunks"], told["documents"])
    assert mgit_command.quiet("gc", "--grace", "0") == ["0"]


def test_gc_of_a_graph_without_models_wants_the_word(
    mgit_command: CommandLine, repo: mgit.Repository, path: Path
) -> None:
    for model in repo.lineage().models:
        repo.remove(model)
    repo.remove(repo.add("only", path))
    refused = mgit_command.run("gc", "--grace", "0", "--output", "json")
    assert (refused.code, refused.error["reason"]) == (4, "GRAPH_WITHOUT_MODELS")
    assert mgit_command.json("gc", "--grace", "0", "--delete-everything", "--yes")["chunks"] > 0


@pytest.mark.parametrize(
    "arguments", [("gc", "--grace", "soon"), ("repack", "--for", "1.5h"), ("repack", "--cores", "0")]
)
def test_wrong_values_are_wrong_usage(mgit_command: CommandLine, arguments: tuple[str, ...]) -> None:
    assert mgit_command.run(*arguments).code == 2


def test_repack_says_what_it_did(mgit_command: CommandLine, repo: mgit.Repository, path: Path) -> None:
    repo.add("packed", path)
    done = mgit_command.json("repack", "--for", "10m", "--cores", "1")
    assert done.keys() == {"chunks", "bytes_before", "bytes_after", "is_complete", "damaged_chunks"}
    assert done["is_complete"]
    again = mgit_command.run("repack")
    assert (again.code, "Encoded 0 chunks again" in again.out) == (0, True)


def test_fsck_of_a_whole_store_is_ok(mgit_command: CommandLine, repo: mgit.Repository, path: Path) -> None:
    repo.add("whole", path)
    found = mgit_command.json("fsck")
    assert (found["ok"], found["problems"], found["missing"]) == (True, [], [])
    assert mgit_command.run("fsck").out.startswith("All is right: read ")
    assert mgit_command.quiet("fsck") == []


def test_fsck_finds_damage_and_mends_it_from_a_file(
    mgit_command: CommandLine, repo: mgit.Repository, service: RunningService, path: Path
) -> None:
    for model in repo.lineage().models:
        repo.remove(model)
    repo.gc(grace=0, delete_everything=True)
    model = repo.add("torn", path)
    damage_packs(service.store)
    ended = mgit_command.run("fsck", "--output", "json")
    assert (ended.code, ended.document["ok"]) == (1, False)
    [problem, *_] = ended.document["problems"]
    assert problem.keys() == {"reason", "message", "subject", "models", "repaired"}
    assert (problem["reason"], problem["models"]) == ("CHUNK_CORRUPT", [model.ref])
    human = mgit_command.run("fsck", "--repair")
    assert (human.code, f"models: {model.ref}" in human.out, "--from PATH" in human.out) == (1, True, True)
    mended = mgit_command.run("fsck", "--from", str(path))
    assert (mended.code, "All is right again" in mended.out) == (0, True)
    assert mgit_command.json("fsck")["ok"]


def test_fsck_from_a_path_that_is_not_there_is_not_found(mgit_command: CommandLine, tmp_path: Path) -> None:
    assert mgit_command.run("fsck", "--from", str(tmp_path / "none.safetensors")).code == 3


def test_an_interrupt_ends_a_command_cleanly(mgit_command: CommandLine) -> None:
    process = mgit_command.start("fsck", "--output", "json")
    process.send_signal(signal.SIGINT)
    ended = end_of(process)
    assert ended.code in {130, -signal.SIGINT, 0}
    assert "Traceback" not in ended.err or ended.code == -signal.SIGINT
    assert mgit_command.json("fsck", "--repair")["ok"]
