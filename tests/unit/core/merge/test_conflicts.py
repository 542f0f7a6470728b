"""What may be chosen for a conflict, and what is said where a choice cannot be used."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.core.merge.models import BASE, planned, sides

from mgit_core.errors import ErrorReason, FailedPreconditionError, InvalidArgumentError
from mgit_core.merge.planning import plan_merge
from mgit_core.merge.values import ConflictChoice, MergeClass, MergeOptions, SideChange
from mgit_core.tensor import AnyArray

ALL = tuple(ConflictChoice)
EITHER = (ConflictChoice.OURS, ConflictChoice.THEIRS)
HALF, SINGLE, WHOLE = np.float16, np.float32, np.int64


def array(kind: type, *shape: int, value: int = 0) -> AnyArray:
    return np.full(shape, value, kind)


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "choices", "changes"),
    [
        (0, 1, 2, ALL, (SideChange.CHANGED, SideChange.CHANGED)),
        (None, 1, 2, (*EITHER, ConflictChoice.AVERAGE), (SideChange.ADDED, SideChange.ADDED)),
        (0, 1, None, EITHER, (SideChange.CHANGED, SideChange.DELETED)),
        (0, None, 1, EITHER, (SideChange.DELETED, SideChange.CHANGED)),
        (0, array(HALF, 4), 1, EITHER, (SideChange.CAST, SideChange.CHANGED)),
        (0, array(SINGLE, 5), 1, EITHER, (SideChange.RESHAPED, SideChange.CHANGED)),
        (
            0,
            array(HALF, 4, value=1),
            array(HALF, 4, value=2),
            (*EITHER, ConflictChoice.AVERAGE),
            (SideChange.CAST, SideChange.CAST),
        ),
        (
            array(WHOLE, 3),
            array(WHOLE, 3, value=1),
            array(WHOLE, 3, value=2),
            EITHER,
            (SideChange.CHANGED, SideChange.CHANGED),
        ),
    ],
)
def test_what_may_be_chosen_follows_from_types_and_shapes(
    base: object, ours: object, theirs: object, choices: object, changes: object
) -> None:
    def model(content: object) -> dict[str, object]:
        return dict(BASE) if content is None else {**BASE, "more.weight": content}

    [found] = planned(model(ours), model(theirs), model(base)).conflicts
    assert (choices, changes) == (found.choices, (found.ours, found.theirs))
    assert found.choice is None


def test_a_choice_that_cannot_be_used_leaves_the_conflict_and_says_why() -> None:
    """A counter of batches is no number to take the mean of."""
    models = [
        {**BASE, "tower.count": array(WHOLE, 1, value=value), "left.weight": value} for value in range(3)
    ]
    plan = planned(models[1], models[2], models[0], ConflictChoice.AVERAGE)
    [left] = [each for each in plan.conflicts if each.choice is None]
    assert plan.kind is MergeClass.CONFLICT
    assert plan.parameters == ()
    assert left.why == "both changed its values; average takes floats of one type and shape, found int64 (1,)"


def test_the_first_pattern_that_fits_counts_before_the_default() -> None:
    options = MergeOptions(
        on_conflict=ConflictChoice.AVERAGE,
        choices=(("left.w*", ConflictChoice.OURS), ("left.*", ConflictChoice.THEIRS)),
    )
    names = ("left.weight", "left.bias", "top.weight")
    plan = plan_merge(
        sides({**BASE, **dict.fromkeys(names, 1)}, {**BASE, **dict.fromkeys(names, 2)}), options
    )
    assert dict(
        zip(names, (ConflictChoice.OURS, ConflictChoice.THEIRS, ConflictChoice.AVERAGE), strict=True)
    ) == {conflict.names[0]: conflict.choice for conflict in plan.conflicts}


def test_a_deletion_may_be_chosen() -> None:
    ours = {name: content for name, content in BASE.items() if name != "tower.weight"}
    plan = planned(ours, {**BASE, "tower.weight": 1}, choice=ConflictChoice.OURS)
    assert "tower.weight" not in {each.name for each in plan.parameters}
    assert plan.kind is MergeClass.NO_CONFLICT


def test_models_without_a_name_in_common_are_refused() -> None:
    with pytest.raises(FailedPreconditionError, match=r"ours: adapter\.lora_A") as caught:
        planned({"adapter.lora_A": 1}, BASE)
    assert caught.value.reason is ErrorReason.MODELS_UNLIKE


@pytest.mark.parametrize(
    "numbers",
    [{"scale": 0.0}, {"scale": float("nan")}, {"density": 0.0}, {"density": 1.5}, {"density": float("nan")}],
)
def test_numbers_that_cannot_be_are_refused(numbers: dict[str, float]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        MergeOptions(**numbers)
    assert caught.value.reason is ErrorReason.INVALID_ARGUMENT
