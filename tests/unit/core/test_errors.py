"""Every reason has one class, and an error comes back from its reason."""

from __future__ import annotations

import pytest

from mgit_core import errors
from mgit_core.errors import ErrorReason, MGitError, UnavailableError, error_for_reason


@pytest.mark.parametrize("reason", ErrorReason)
def test_an_error_comes_back_from_its_reason(reason: ErrorReason) -> None:
    error = error_for_reason(reason, "what was wanted, what was found", name="a", number=3)
    assert (error.reason, error.message, str(error)) == (
        reason,
        "what was wanted, what was found",
        error.message,
    )
    assert error.details == {"name": "a", "number": "3"}
    assert type(error) is not MGitError


def test_only_what_is_unavailable_may_be_sent_again() -> None:
    classes = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]
    assert [one for one in classes if one.is_retryable] == [UnavailableError]


@pytest.mark.parametrize("reason", ErrorReason)
def test_a_reason_is_its_own_name_on_the_wire(reason: ErrorReason) -> None:
    assert reason.value == reason.name
