"""The tests of a new model: those of its type, those of all models, and those of the model that it replaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mgit.connection import Connection
from mgit.running import ModelTestPair, plan_tests
from mgit.updating.leases import outlast
from mgit.wire import read_summary
from mgit_core.model_tests import ModelTestScope
from mgit_proto.v1 import cascade_pb2, lineage_pb2

__all__ = ["plan_target_tests"]


def plan_target_tests(
    connection: Connection, targets: Sequence[cascade_pb2.StepTarget]
) -> list[ModelTestPair]:
    """What is to be run on the staged targets of a step.

    Raises:
        NotFoundError: MODEL_NOT_FOUND.
    """
    pairs = plan_tests(connection, [f"@{target.uid}" for target in targets])
    for target in targets:
        inherited = [
            pair
            for pair in plan_tests(connection, [f"@{target.old.uid}"])
            if pair.test.scope is ModelTestScope.MODEL
        ]
        if inherited:
            pairs += _moved(connection, target.uid, inherited)
    return pairs


def _moved(connection: Connection, uid: str, pairs: Sequence[ModelTestPair]) -> list[ModelTestPair]:
    """Tests of one model, as tests of another."""
    request = lineage_pb2.GetModelRequest(model=f"@{uid}")
    model = outlast(connection, lambda: connection.call(connection.lineage.GetModel, request)).model
    return [
        replace(pair, model=read_summary(model.summary), parameters_digest=model.parameters_digest)
        for pair in pairs
    ]
