"""How tests are run."""

from __future__ import annotations

import pytest

from mgit.running import RunOptions
from mgit_core.errors import ErrorReason, InvalidArgumentError


def test_a_few_run_at_a_time() -> None:
    assert 1 <= RunOptions().job_count <= 4
    assert RunOptions(jobs=9).job_count == 9


@pytest.mark.parametrize("jobs", [0, -1, 65])
def test_a_number_of_jobs_that_no_machine_has_is_refused(jobs: int) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        RunOptions(jobs=jobs)
    assert caught.value.reason is ErrorReason.INVALID_ARGUMENT
