from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from bench.compression.subjects import Subject, Weights
from examples.minilm.family import Built
from examples.minilm.recipe import Base, Member
from safetensors.numpy import save_file

MakeSubject = Callable[..., Subject]


@pytest.fixture
def make_subject(tmp_path: Path) -> MakeSubject:
    """Writes tensors to a file and makes a subject of it."""

    def make(
        name: str,
        tensors: Mapping[str, npt.NDArray[np.generic]],
        base: Subject | None = None,
        dtype: str = "float32",
    ) -> Subject:
        path = tmp_path / f"{name}.safetensors"
        save_file(dict(tensors), path)
        member = Member(name=name, recipe=Base())
        built = Built(member=member, key=name, path=tmp_path, metadata={})
        return Subject(ref=member.ref, dtype=dtype, weights=Weights(path), base=base, built=built)

    return make
