"""Diffs of tests, made by hand."""

from __future__ import annotations

from datetime import UTC, datetime

from mgit.diffing.values import (
    FlowDiff,
    LayerDiff,
    ModelDiff,
    ParameterChange,
    ParameterDiff,
    ParameterSide,
    Relationship,
    RelationshipKind,
    StructuralDiff,
)
from mgit.values import ModelState, ModelSummary
from mgit_core.layers.graph import Layer, LayerGraphSource
from mgit_core.tensor import TensorSpec


def model(name: str) -> ModelSummary:
    return ModelSummary(
        uid=f"uid-of-{name}",
        name=name,
        version=1,
        state=ModelState.PRESENT,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def layer(path: str, size: int = 4, kind: str = "Linear") -> Layer:
    return Layer(path=path, kind=kind, attributes={"out_features": size}, parameters=(f"{path}.weight",))


def in_both(at: int, before: Layer, after: Layer | None = None) -> LayerDiff:
    after = after or before
    return LayerDiff(
        before=before,
        after=after,
        is_alike=(before.kind, before.attributes) == (after.kind, after.attributes),
        before_at=at,
        after_at=at,
    )


def side(
    name: str, digest: bytes = b"1", dtype: str = "float32", shape: tuple[int, ...] = (4, 4)
) -> ParameterSide:
    return ParameterSide(name=name, spec=TensorSpec(dtype, shape), digest=digest * 32)


def changed(name: str, norm: float, **measures: object) -> ParameterDiff:
    """A parameter of length 1 whose difference has this length."""
    values = {"compared": 16, "differing": 16, "before_norm": 1.0, "after_norm": 1.0, "change_norm": norm}
    change = ParameterChange(**{**values, "largest": norm, **measures})  # type: ignore[arg-type]
    return ParameterDiff(before=side(name), after=side(name, b"2"), change=change)


def diff(
    *layers: LayerDiff,
    flow: tuple[FlowDiff, ...] = (),
    parameters: tuple[ParameterDiff, ...] = (),
    relationship: Relationship | None = None,
    items: int = 0,
    least_items: int | None = None,
) -> ModelDiff:
    return ModelDiff(
        before=model("base"),
        after=model("task"),
        relationship=relationship or Relationship(kind=RelationshipKind.UNRELATED),
        structural=StructuralDiff(
            layers=layers,
            flow=flow,
            equal_layers=7,
            items=items,
            least_items=items if least_items is None else least_items,
            source=LayerGraphSource.FX,
        ),
        contextual=parameters,
        equal_parameters=5,
    )
