"""The chain of the regression example: the fault is made by training, and is inherited."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from examples.regression.accuracy import THRESHOLD, accuracy, write_pictures
from examples.regression.chain import FIRST_BAD, VERSIONS, derive_models, make_versions
from examples.regression.network import Arrays, draw_pictures, make_network, train


@pytest.fixture(scope="module")
def versions() -> list[Arrays]:
    return make_versions()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures") / "pictures.npz")


def test_accuracy_falls_with_the_version_that_was_trained_wrongly(
    versions: list[Arrays], pictures: Path
) -> None:
    passes = [accuracy(weights, pictures) >= THRESHOLD for weights in versions]

    assert passes == [version < FIRST_BAD for version in range(1, VERSIONS + 1)]


def test_models_made_from_bad_versions_are_bad(versions: list[Arrays], pictures: Path) -> None:
    for derived in derive_models(versions):
        is_good = accuracy(derived.weights, pictures) >= THRESHOLD
        assert is_good == (derived.version < FIRST_BAD), derived.name


def test_training_lowers_the_loss_on_what_it_reads() -> None:
    read, labels = draw_pictures(5, 200)
    before = make_network(1)
    after = train(before, read, labels, 40)
    shares = [_share_right(weights, read, labels) for weights in (before, after)]

    assert shares[1] > max(shares[0], 0.8)
    assert all(np.array_equal(after[name], train(before, read, labels, 40)[name]) for name in after)


def _share_right(weights: Arrays, read: np.ndarray, labels: np.ndarray) -> float:
    hidden = np.tanh(read @ weights["hidden.weight"] + weights["hidden.bias"])
    return float(((hidden @ weights["head.weight"]).argmax(axis=1) == labels).mean())
