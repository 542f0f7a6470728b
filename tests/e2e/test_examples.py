"""The examples as a user runs them: on a service that is there, and on a stack of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from examples.federated import story as federated
from examples.half_precision import story as half_precision
from examples.merging import story as merging
from examples.regression import story as regression
from examples.regression.chain import FIRST_BAD
from examples.robustness import story as robustness
from tests.running_service import RunningService

import mgit
from mgit.bisecting import BisectOutcome
from mgit.merging import MergeOutcome
from mgit.updating import CascadeState

pytestmark = [pytest.mark.slow, pytest.mark.neo4j, pytest.mark.timeout(900)]

_ROOT = Path(__file__).parents[2]
_TIMEOUT_S = 800


@pytest.fixture(scope="module")
def repository(service: RunningService) -> Iterator[mgit.Repository]:
    with mgit.connect(service.address) as opened:
        yield opened


def run_example(name: str, **settings: str) -> str:
    """What an example prints; it has to end well."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("MGIT_", "NEO4J_"))}
    with subprocess.Popen(
        [sys.executable, "-m", f"examples.{name}"],
        cwd=_ROOT,
        env={**inherited, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)  # So that it stops its stack.
            raise
    assert process.returncode == 0, errors
    return output


def test_eight_models_that_fail_in_half_precision_are_found(repository: mgit.Repository) -> None:
    said: list[str] = []
    found = half_precision.tell_story(repository, said.append)

    assert len(found.walked) == len(set(found.walked)) == len(half_precision.POOL)
    assert len(found.failing) == 8
    assert found.failing == found.numberless
    assert (found.origin.tests_run, found.origin.first_bad and found.origin.first_bad.name) == (
        0,
        "half-precision/t5",
    )
    assert any(line.endswith("carried by finetuned, pruned, merged: 8 models have it.") for line in said)
    [heirs] = [line for line in said if "stops where the test passes" in line]
    assert set(re.findall(r"t5[\w-]*", heirs)) == set(found.failing)


def test_regression_is_found_in_four_tests_and_its_heirs_are_told(repository: mgit.Repository) -> None:
    found = regression.tell_story(repository, print)

    assert found.bisection.outcome is BisectOutcome.FOUND
    assert found.bisection.first_bad is not None
    assert found.bisection.first_bad.version == FIRST_BAD
    assert found.bisection.tests_run <= found.bound == 4 < found.linear == 5
    assert found.affected == (
        *("chain@10", "chain@7", "chain@8", "chain@9"),
        *("kiosk@1", "tablet@1", "watch@1"),
    )


def test_examples_run_again_on_a_used_service_under_another_prefix(
    repository: mgit.Repository, service: RunningService
) -> None:
    before = {model.ref for model in repository.models()}
    output = run_example("regression", MGIT_ADDRESS=service.address)
    new = {model.ref for model in repository.models()} - before

    assert "is bad, and its parent" in output
    assert "most, wherever it is; a walk back from the newest: 5." in output
    assert len({ref.split("/")[0] for ref in new}) == 1
    assert all(ref.startswith("regression") for ref in new)


def test_example_without_a_service_starts_one_and_stops_it(tmp_path: Path) -> None:
    output = run_example("regression", TMPDIR=str(tmp_path))

    assert "is bad, and its parent" in output
    assert list(tmp_path.glob("mgit-example-*")) == []


def test_two_people_who_edit_one_base_are_merged_or_told(repository: mgit.Repository) -> None:
    found = merging.tell_story(repository, print)

    assert found.apart.outcome is MergeOutcome.MERGED
    assert found.dependent.outcome is MergeOutcome.ACCEPTED
    assert found.harmful.outcome is MergeOutcome.REJECTED
    assert found.conflict.outcome is MergeOutcome.CONFLICTED
    assert {name for conflict in found.conflict.conflicts for name in conflict.names} == {
        "mail.weight",
        "mail.bias",
    }
    assert found.averaged.is_made


def test_everything_made_from_an_encoder_follows_its_update(repository: mgit.Repository) -> None:
    size = robustness.Size(tasks=(0, 1), versions=1, robust_steps=1, task_steps=2, seed=1)
    found = robustness.tell_story(repository, print, size)

    assert found.update.state is CascadeState.PUBLISHED
    assert [step.old.name.rpartition("/")[2] for step in found.update.steps] == [
        *("task0", "task1", "shared0", "shared1")
    ]
    assert all(step.new is not None and step.new.version == 2 for step in found.update.steps)
    assert found.by_hand == 20
    assert len(found.versions) == len(found.together) == 2
    assert found.shared_tensors > 100, "the models that were trained in turn have one encoder still"


def test_a_federated_round_is_run_again_workers_first(repository: mgit.Repository) -> None:
    size = federated.Size(workers=2, rounds=1, steps=1)
    found = federated.tell_story(repository, print, size)

    assert [step.old.name.rpartition("/")[2] for step in found.update.steps] == [
        *("worker0", "worker1", "global")
    ]
    mean = found.update.steps[-1]
    assert [parent.step for parent in mean.parents] == [0, 1]
    assert found.mean_bytes < found.globals_[0].size_bytes / 100, "it is predicted from its parents"
