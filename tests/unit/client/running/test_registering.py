"""Tests are put together from what a user says and from what the code says of itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mgit.running.registering import Registration, build_test
from mgit_core.digest import DigestAlgorithm
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.metric import MetricDirection
from mgit_core.model_tests import ModelTestKind, ModelTestScope

BLAKE3 = DigestAlgorithm.BLAKE3
MODULE = """
import functools
import mgit
from os.path import join

@mgit.guard(metric="loss", direction="lower", tolerance=0.25)
def marked(model):
    return 1.0

def plain(model, scale=1.0, *, inputs=None):
    return scale

def doubled(function):
    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        return 2 * function(*args, **kwargs)
    return wrapped

@doubled
def decorated(model):
    return 1.0

class Score:
    def __call__(self, model):
        return 1.0

score = Score()

@mgit.guard(direction="up")
def lost(model):
    return 1.0
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "said_here.py").write_text(MODULE)
    yield tmp_path
    sys.modules.pop("said_here", None)


def test_what_a_function_says_of_itself_holds() -> None:
    test = build_test(Registration(name="t", entry_point="said_here:marked"), BLAKE3)
    assert (test.kind, test.scope, test.metric) == (ModelTestKind.ENTRY_POINT, ModelTestScope.ALL, "loss")
    assert (test.direction, test.tolerance, test.threshold) == (MetricDirection.LOWER, 0.25, None)
    assert len(test.code_digest) == 32


def test_what_the_user_says_holds_before_that() -> None:
    said = Registration(
        name="t",
        entry_point="said_here:marked",
        type="encoder",
        metric="accuracy",
        direction="higher",
        tolerance=0.0,
        threshold=0.0,
        timeout_s=5.0,
    )
    test = build_test(said, BLAKE3)
    assert (test.scope, test.type, test.metric) == (ModelTestScope.TYPE, "encoder", "accuracy")
    assert (test.direction, test.tolerance, test.threshold) == (MetricDirection.HIGHER, 0.0, 0.0)
    assert test.timeout_s == 5.0


def test_a_function_itself_is_an_entry_point(folder: Path) -> None:
    sys.path.insert(0, str(folder))
    try:
        import said_here  # type: ignore[import-not-found] # noqa: PLC0415 - it is made by this test

        test = build_test(Registration(name="t", entry_point=said_here.plain), BLAKE3)
    finally:
        sys.path.remove(str(folder))
    assert (test.code, test.metric) == ("said_here:plain", "plain")


@pytest.mark.parametrize("code", ["said_here:decorated", "said_here:score", "said_here:Score.__call__"])
def test_whatever_can_be_called_in_a_module_is_a_function(code: str) -> None:
    if code.endswith("__call__"):
        with pytest.raises(InvalidArgumentError, match="does not take"):
            build_test(Registration(name="t", entry_point=code), BLAKE3)
    else:
        assert build_test(Registration(name="t", entry_point=code), BLAKE3).code == code


def test_inputs_are_kept_as_a_whole_path_with_their_digest(folder: Path) -> None:
    (folder / "inputs.txt").write_text("1")
    test = build_test(
        Registration(name="t", entry_point="said_here:plain", inputs="inputs.txt", arguments={"scale": 2}),
        BLAKE3,
    )
    assert (test.inputs_uri, len(test.inputs_digest)) == (str(folder / "inputs.txt"), 32)
    assert test.arguments == {"scale": 2}


def test_a_built_in_test_knows_its_metric_and_threshold() -> None:
    finite = build_test(Registration(name="t", built_in="finite"), BLAKE3)
    assert (finite.kind, finite.direction, finite.threshold) == (
        ModelTestKind.BUILTIN,
        MetricDirection.LOWER,
        0.0,
    )
    share = build_test(Registration(name="t", built_in="sparsity"), BLAKE3)
    claim = build_test(Registration(name="t", built_in="sparsity", arguments={"claim": "k"}), BLAKE3)
    assert (share.threshold, claim.threshold) == (None, -0.005)
    assert build_test(Registration(name="t", built_in="sparsity", threshold=0.5), BLAKE3).threshold == 0.5


def test_a_command_is_measured_by_the_name_of_its_test() -> None:
    test = build_test(Registration(name="perplexity", command="measure --fast", direction="lower"), BLAKE3)
    assert (test.kind, test.code, test.metric) == (ModelTestKind.COMMAND, "measure --fast", "perplexity")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (Registration(name="t", entry_point="said_here:join"), "stands in module 'posixpath'"),
        (Registration(name="t", entry_point="said_here:lost"), "higher or lower; found 'up'"),
        (
            Registration(name="t", built_in="finite", tolerance=True),
            "finite number of at least 0; found True",
        ),
        (Registration(name="t", built_in="finite", model="m", type="t"), "found two of them"),
        (Registration(name="t", built_in="finite", arguments={"tensors": 3}), "is a text; found 3"),
        (
            Registration(name="t", built_in="finite-in-half", arguments={"dtype": "int8"}),
            "float16 or bfloat16",
        ),
        (Registration(name="t", built_in="drift", arguments={"reference": ""}), "needs argument reference"),
    ],
)
def test_what_cannot_be_run_is_refused(said: Registration, told: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        build_test(said, BLAKE3)
    assert told in caught.value.message
    assert caught.value.reason is ErrorReason.INVALID_TEST
