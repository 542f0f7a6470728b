"""What ``--output json`` says of a model's statistics."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mgit.cli.documents import document_of_model_statistics
from mgit.values import ModelState, ModelStatistics, ModelSummary, TensorStatistics


def statistics(tensor: TensorStatistics) -> ModelStatistics:
    return ModelStatistics(
        model=ModelSummary(
            uid="0" * 32,
            name="sst2",
            version=1,
            state=ModelState.PRESENT,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        ),
        logical_bytes=100,
        unique_bytes=10,
        shared_bytes=20,
        stored_bytes=30,
        delta_bytes=10,
        tensors=(tensor,),
    )


@pytest.mark.parametrize(
    ("forms", "main"),
    [
        ({"base": 3, "none": 1}, "base"),
        ({"mask": 2, "base": 2}, "base"),
        ({}, ""),
    ],
)
def test_the_main_predictor_is_what_most_chunks_have(forms: dict[str, int], main: str) -> None:
    tensor = TensorStatistics(
        name="x",
        digest="00" * 32,
        logical_bytes=100,
        stored_bytes=10,
        encodings={"exact": 4},
        predictors=forms,
    )
    [found] = document_of_model_statistics(statistics(tensor))["tensors"]
    assert (found["predictor"], found["predictors"]) == (main, forms)
    assert (found["encoding"], found["encodings"]) == ("exact", {"exact": 4})
