"""Calls of creation functions in real processes: what they give, and everything that goes wrong with them.

Over a service that has no models: these functions make models from nothing.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from tests.running_service import wait_until

from mgit.creating.calls import ALONE, CreationCall, Produced
from mgit.creating.functions import CreationSaid, record_creation
from mgit.creating.runner import CreationRunner
from mgit.endpoint import Endpoint
from mgit.frameworks.source import Source
from mgit_core.chunking import chunk_ranges
from mgit_core.creation import CreationRecord
from mgit_core.digest import DigestAlgorithm
from mgit_core.errors import ErrorReason, FailedPreconditionError, InvalidArgumentError, MGitError
from mgit_core.lineage import ParentLink
from mgit_core.tensor import AnyArray, dtype_named

pytestmark = pytest.mark.slow

MODULE = """
import ctypes, os, random, signal, subprocess, sys, time
import numpy as np

def makes(parents, *, seed=None, scale=1.0):
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    return {"turned": rows.T * np.float32(scale), "big-endian": rows.astype(">f8"), "one": np.int64(7),
        "empty": np.zeros((0, 3), np.float16), "seed": np.array([-1 if seed is None else seed])}

def draws(parents, *, seed):
    return {"w": np.array([random.random(), np.random.rand(), hash("word") % 1000])}

def ties(parents):
    rows = np.ones((2, 3), np.float32)
    return {"in": rows, "out": rows, "across": rows.T}

def several(members, *, seed):
    shared = np.full(300_000, seed, np.float32)
    return {name: {"encoder": shared, "head": np.full(2, len(name), np.float32)} for name in members}

def in_order(members):
    return {name: {"place": np.array([place])} for place, name in enumerate(members)}

def forgets(members):
    return {"a": {"w": np.zeros(1)}}

def raises(parents):
    print("on the way")
    raise ValueError("out of luck")

def exits(parents):
    sys.exit(3)

def exits_hard(parents):
    print("last words", flush=True)
    os._exit(4)

def dies(parents):
    os.kill(os.getpid(), signal.SIGKILL)

def crashes(parents):
    ctypes.string_at(0)

def nothing(parents):
    pass

def nan(parents):
    return {"w": np.array([np.nan, np.inf, -0.0], np.float32)}

def hangs(parents):
    print("about to hang", flush=True)
    time.sleep(1000)

def prints_gigabytes(parents):
    line = b"x" * 65535 + b"\\\\n"
    for _ in range(1 << 14):
        os.write(1, line)
    print("the end", flush=True)
    return {"w": np.zeros(1)}

def leaves_a_child(parents):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    print("child", child.pid, flush=True)
    return {"w": np.zeros(1)}

def forks_and_exits(parents):
    pid = os.fork()
    if pid == 0:
        time.sleep(1000)
    print("child", pid, flush=True)
    os._exit(5)

def writes_the_answer(parents):
    os.write(int(sys.argv[1]), b"no answer\\\\n")
    return {"w": np.zeros(1)}

def reads_keyboard(parents):
    return {"w": np.array([len(sys.stdin.read())])}
""".replace("\\\\n", "\\n")


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The module ``made_here`` in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    path = tmp_path / "made_here.py"
    path.write_text(MODULE)
    yield path
    sys.modules.pop("made_here", None)


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary folders are made; nothing may be left there."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def runner(faulty_address: str) -> CreationRunner:
    return CreationRunner(Endpoint(address=faulty_address, timeout_s=20))


def record_of(function: str, seed: int | None = None, **arguments: object) -> CreationRecord:
    said = CreationSaid(function=f"made_here:{function}", arguments=arguments, seed=seed)
    return record_creation(said, DigestAlgorithm.BLAKE3)


def call_of(function: str, seed: int | None = None, **arguments: object) -> CreationCall:
    return CreationCall(record=record_of(function, seed, **arguments), members={ALONE: ()})


def arrays_of(source: Source) -> dict[str, AnyArray]:
    found = {}
    for parameter in source.parameters:
        content = b"".join(
            bytes(parameter.content.read(start, stop)) for start, stop in chunk_ranges(parameter.spec)
        )
        dtype = dtype_named(parameter.spec.dtype)
        found[parameter.name] = np.frombuffer(content, dtype).reshape(parameter.spec.shape)
    return found


def fail(runner: CreationRunner, call: CreationCall, timeout_s: float = 60.0) -> FailedPreconditionError:
    with pytest.raises(FailedPreconditionError) as caught:
        runner.run(call, timeout_s=timeout_s)
    return caught.value


def test_arrays_of_any_strides_and_byte_order_come_back_bit_for_bit(runner: CreationRunner) -> None:
    with runner.run(call_of("makes", seed=2**62, scale=2.0)) as produced:
        source = produced.sources[ALONE]
        found = arrays_of(source)
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert source.source_format == "numpy"
    assert list(found) == ["turned", "big-endian", "one", "empty", "seed"]
    np.testing.assert_array_equal(found["turned"], rows.T * 2)
    np.testing.assert_array_equal(found["big-endian"], rows.astype(np.float64))
    assert found["one"] == 7
    assert (found["empty"].shape, found["empty"].dtype) == ((0, 3), np.float16)
    assert found["seed"].tolist() == [2**62]


def test_a_call_tells_what_it_ran_with(runner: CreationRunner) -> None:
    with runner.run(call_of("makes")) as produced:
        told = produced.environment
    assert told["numpy"] == np.__version__
    assert told["python"].startswith("3.")
    assert {"machine", "system", "mgit"} <= set(told)
    assert "torch" not in told


def test_generators_and_sets_begin_alike_in_every_process(runner: CreationRunner) -> None:
    drawn = []
    for seed in (5, 5, 6):
        with runner.run(call_of("draws", seed=seed)) as produced:
            drawn.append(arrays_of(produced.sources[ALONE])["w"].tolist())
    assert drawn[0] == drawn[1]
    assert drawn[0][:2] != drawn[2][:2]


def test_one_memory_is_written_once_and_stays_a_tie(runner: CreationRunner) -> None:
    with runner.run(call_of("ties")) as produced:
        source = produced.sources[ALONE]
        assert source.ties == (("in", "out"),)
        assert arrays_of(source)["across"].shape == (3, 2)


def test_members_of_one_call_share_the_bytes_that_they_shared_there(
    runner: CreationRunner, scratch: Path
) -> None:
    call = CreationCall(record=record_of("several", seed=3), members={"sst": (), "mnli": ()})
    with runner.run(call) as produced:
        found = {member: arrays_of(source) for member, source in produced.sources.items()}
        [file] = scratch.rglob("parameters.bin")
        assert file.stat().st_size == 300_000 * 4 + 2 * 2 * 4
    assert found["sst"]["encoder"].tobytes() == found["mnli"]["encoder"].tobytes()
    assert found["sst"]["head"].tolist() == [3, 3]
    assert found["mnli"]["head"].tolist() == [4, 4]


def test_members_come_in_the_order_of_their_names(runner: CreationRunner) -> None:
    """Records keep no other, and what is trained in turns depends on it."""
    call = CreationCall(record=record_of("in_order"), members={"b": (), "a": (), "c": ()})
    with runner.run(call) as produced:
        found = {member: arrays_of(source)["place"].item() for member, source in produced.sources.items()}
    assert found == {"a": 0, "b": 1, "c": 2}


def test_a_call_for_several_models_gives_each_of_them(runner: CreationRunner) -> None:
    call = CreationCall(record=record_of("forgets"), members={"a": (), "b": ()})
    error = fail(runner, call)
    assert "gives parameters for each of a, b; it gave 'a'" in error.message


def test_nan_and_infinities_are_parameters(runner: CreationRunner) -> None:
    with runner.run(call_of("nan")) as produced:
        found = arrays_of(produced.sources[ALONE])["w"]
    assert found.tobytes() == np.array([np.nan, np.inf, -0.0], np.float32).tobytes()


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("raises", "It raised ValueError: out of luck (in raises, made_here.py, line"),
        ("exits", "It asked for the end of the process: exit code 3."),
        (
            "exits_hard",
            "Its process ended before it had a model, with exit code 4. Its last words: last words",
        ),
        ("dies", "Its process ended before it had a model, with signal SIGKILL."),
        ("crashes", "Its process ended before it had a model, with signal SIGSEGV."),
        ("nothing", "A creation function gives arrays or tensors by name, or a module; it gave None"),
        ("writes_the_answer", "the answer was lost"),
    ],
)
def test_what_goes_wrong_is_told(runner: CreationRunner, function: str, told: str) -> None:
    error = fail(runner, call_of(function))
    assert error.reason is ErrorReason.CREATION_FAILED
    assert error.message.startswith(f"Creation function made_here:{function} made no model. ")
    assert told in error.message


def test_what_was_printed_and_the_traceback_are_kept(runner: CreationRunner) -> None:
    output = fail(runner, call_of("raises")).details["output"]
    assert output.startswith("on the way\nTraceback")
    assert output.endswith("ValueError: out of luck\n")


def test_a_call_that_does_not_end_is_killed_when_its_time_is_up(runner: CreationRunner) -> None:
    error = fail(runner, call_of("hangs"), timeout_s=1.0)
    assert "It did not end within 1 s and was killed. Its last words: about to hang" in error.message


def test_a_call_is_cancelled_from_another_thread(runner: CreationRunner, faulty_address: str) -> None:
    hearing = CreationRunner(
        Endpoint(address=faulty_address), hear=lambda part: hearing.cancel() if b"hang" in part else None
    )
    canceller = threading.Thread(target=runner.cancel)
    canceller.start()
    canceller.join()
    assert "It was cancelled." in fail(hearing, call_of("hangs")).message
    assert "It was cancelled." in fail(runner, call_of("makes")).message


def test_an_interrupt_ends_the_call(faulty_address: str) -> None:
    def interrupt(part: bytes) -> None:
        raise KeyboardInterrupt(part)

    before = {child.pid for child in psutil.Process().children()}
    runner = CreationRunner(Endpoint(address=faulty_address), hear=interrupt)
    with pytest.raises(KeyboardInterrupt):
        runner.run(call_of("hangs"))
    assert {child.pid for child in psutil.Process().children()} <= before


def test_a_gigabyte_of_output_is_read_and_forgotten(runner: CreationRunner) -> None:
    before = psutil.Process().memory_info().rss
    with runner.run(call_of("prints_gigabytes")) as produced:
        assert produced.output_bytes > 1 << 30
        assert len(produced.output) <= 4096
        assert produced.output.endswith("the end\n")
    assert psutil.Process().memory_info().rss - before < 64 << 20


def test_what_a_call_started_ends_with_it(runner: CreationRunner) -> None:
    with runner.run(call_of("leaves_a_child")) as produced:
        child = int(produced.output.split()[1])
    wait_until(lambda: is_gone(child), "the program is gone")


def test_a_child_that_holds_the_pipes_open_does_not_hold_up_the_call(runner: CreationRunner) -> None:
    error = fail(runner, call_of("forks_and_exits"))
    assert "ended before it had a model, with exit code 5" in error.message
    child = int(error.details["output"].split()[1])
    wait_until(lambda: is_gone(child), "the child is gone")


def is_gone(pid: int) -> bool:
    """Whether it ended, though perhaps nobody reaped it yet."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_function_has_no_keyboard(runner: CreationRunner) -> None:
    with runner.run(call_of("reads_keyboard")) as produced:
        assert arrays_of(produced.sources[ALONE])["w"].tolist() == [0]


def test_a_module_that_was_edited_does_not_run_unless_any_source_will_do(
    runner: CreationRunner, module: Path
) -> None:
    call = call_of("makes")
    module.write_text(MODULE.replace("np.int64(7)", "np.int64(8)"))
    assert fail(runner, call).reason is ErrorReason.CREATION_CODE_CHANGED
    anything = CreationCall(record=call.record, members=call.members, takes_any_source=True)
    with runner.run(anything) as produced:
        assert arrays_of(produced.sources[ALONE])["one"] == 8


def test_a_module_that_is_not_there_is_told(runner: CreationRunner, module: Path) -> None:
    call = call_of("makes")
    module.unlink()
    sys.modules.pop("made_here", None)
    error = fail(runner, call)
    assert error.reason is ErrorReason.CREATION_CODE_CHANGED
    assert "'made_here' of creation function made_here:makes is found neither" in error.message
    anything = CreationCall(record=call.record, members=call.members, takes_any_source=True)
    error = fail(runner, anything)
    assert error.reason is ErrorReason.CREATION_FAILED
    assert "cannot be imported" in error.message


def test_a_module_whose_imports_are_not_here_is_told(runner: CreationRunner, module: Path) -> None:
    call = call_of("makes")
    module.write_text("import no_such_package\n" + MODULE)
    anything = CreationCall(record=call.record, members=call.members, takes_any_source=True)
    error = fail(runner, anything)
    assert "No module named 'no_such_package'" in error.message


def test_a_parent_that_is_not_there_is_told_as_the_service_tells_it(runner: CreationRunner) -> None:
    call = CreationCall(record=record_of("makes"), members={ALONE: (ParentLink(parent_uid="u"),)})
    with pytest.raises(MGitError) as caught:
        runner.run(call)
    assert caught.value.reason is ErrorReason.INTERNAL
    assert "UNIMPLEMENTED" in caught.value.message


def test_a_call_makes_one_model_or_several_with_names() -> None:
    record = record_of("makes")
    for members in ({}, {ALONE: (), "a": ()}):
        with pytest.raises(InvalidArgumentError) as caught:
            CreationCall(record=record, members=members)
        assert caught.value.reason is ErrorReason.INVALID_CREATION


def test_no_process_is_left_behind(runner: CreationRunner) -> None:
    before = {child.pid for child in psutil.Process().children()}
    produced: Produced = runner.run(call_of("makes"))
    assert {child.pid for child in psutil.Process().children()} <= before
    produced.close()
    produced.close()
