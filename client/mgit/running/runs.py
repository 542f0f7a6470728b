"""What is run, how, and what came out: values."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from mgit_core.digest import Digest
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import ModelSummary
from mgit_core.model_tests import ModelTest, ModelTestOutcome, ModelTestResult

__all__ = ["MAX_OUTPUT_BYTES", "ModelTestPair", "ModelTestRun", "RunOptions"]

MAX_OUTPUT_BYTES = 4096
"""How much of what a test prints is kept: the end of it."""
_MOST_JOBS = 64
# Each job holds a model or parts of one, so that more of them ask for more memory than most machines have.
_USUAL_JOBS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTestPair:
    """A test that is to be run on a model.

    Attributes:
        test: The test.
        model: The model.
        parameters_digest: Its parameter set.
    """

    test: ModelTest
    model: ModelSummary
    parameters_digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTestRun:
    """What came out for a pair.

    Attributes:
        test: The test.
        result: What came out; its ``model`` is set.
        is_reused: Whether it is known from before, and nothing ran.
        reason: Why the test could not be run at all, such as TEST_CODE_CHANGED; None if it ran or is reused.
            Such a result is not recorded.
        output: The end of what the test printed, at most 4 KiB; empty for a reused result.
        output_bytes: How much it printed altogether.
    """

    test: ModelTest
    result: ModelTestResult
    is_reused: bool = False
    reason: ErrorReason | None = None
    output: str = ""
    output_bytes: int = 0

    @property
    def model(self) -> ModelSummary:
        """The model that was tested."""
        model = self.result.model
        assert model is not None  # noqa: S101 - who makes a run says of which model
        return model

    @property
    def outcome(self) -> ModelTestOutcome:
        """The judgement."""
        return self.result.outcome

    @property
    def is_bad(self) -> bool:
        """Whether the test failed, or could not be run to its end."""
        return self.outcome in {ModelTestOutcome.FAILED, ModelTestOutcome.ERROR}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How tests are run.

    Attributes:
        jobs: How many at a time, each in a process of its own; None means one for each core, four at most.
        is_rerun: Whether tests with a known result run again.
        progress: Told ``(done, total)`` tests whenever one is done; None for nothing.
    """

    jobs: int | None = None
    is_rerun: bool = False
    progress: Callable[[int, int], None] | None = None

    def __post_init__(self) -> None:
        """Refuses a number of jobs that no machine has.

        Raises:
            InvalidArgumentError: INVALID_ARGUMENT.
        """
        if self.jobs is not None and not 1 <= self.jobs <= _MOST_JOBS:
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT,
                f"From 1 to {_MOST_JOBS} tests run at a time; found {self.jobs!r}.",
            )

    @property
    def job_count(self) -> int:
        """How many run at a time."""
        return self.jobs or min(os.cpu_count() or 1, _USUAL_JOBS)
