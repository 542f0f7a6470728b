from __future__ import annotations

import numpy as np
from tests.unit.core.inference.blocks import body, manifest_of

from mgit_core.inference.factors import factors_of


def adapter(rank: int = 3, width: int = 48, prefix: str = "base_model.model.") -> dict[str, np.ndarray]:
    halves = {"A": (rank, width), "B": (width, rank)}
    return {
        f"{prefix}layer.{at}.lora_{side}.weight": np.zeros(shape, np.float32)
        for at in range(5)
        for side, shape in halves.items()
    }


def test_factors_are_found_with_their_rank_and_fit_their_base() -> None:
    factors = factors_of(manifest_of(adapter()))
    assert factors is not None
    assert factors.rank == 3
    assert factors.fit(manifest_of(body(1)))


def test_a_base_of_another_width_or_other_names_does_not_fit() -> None:
    factors = factors_of(manifest_of(adapter()))
    assert factors is not None
    assert not factors.fit(manifest_of(body(1, width=64)))
    assert not factors.fit(
        manifest_of({f"other.{at}.bias": array for at, array in enumerate(body(1).values())})
    )


def test_a_whole_model_is_no_adapter_even_with_one_in_it() -> None:
    assert factors_of(manifest_of(body(1))) is None
    assert factors_of(manifest_of(body(1, layers=30) | adapter())) is None


def test_halves_without_the_other_half_are_no_adapter() -> None:
    lone = {name: array for name, array in adapter().items() if "lora_A" in name}
    assert factors_of(manifest_of(lone)) is None
