"""What ``--output json`` says of a model's statistics, and of a lineage with facts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.unit.client.pictures.lineages import BUG, FAMILY, KNOWN

from mgit.cli.documents import document_of_lineage, document_of_model_statistics
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


def test_a_model_of_a_lineage_holds_its_facts() -> None:
    models = document_of_lineage(KNOWN)["models"]
    assert isinstance(models, list)
    told = {"ref": "left@1", "type": "encoder", "size_bytes": 1000, "tags": ["best", "prod"], "bugs": [BUG]}
    assert told.items() <= models[1].items()
    assert models[1]["metadata"] == {"license": "mit", "note": "a\n  long story"}
    assert models[1]["datasets"] == [{"name": "glue", "version": "2"}, {"name": "docs", "version": ""}]
    assert models[1]["failed_tests"] == ["accuracy", "finite", "speed"]
    assert models[1]["passed_tests"] == ["size"]


def test_a_lineage_without_facts_tells_none() -> None:
    models = document_of_lineage(FAMILY)["models"]
    assert isinstance(models, list)
    assert models[1].keys() == {"ref", "uid", "name", "version", "state", "created_at"}
