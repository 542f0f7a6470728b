"""``repo.diff``: what differs between two models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mgit.connection import Connection
from mgit.progress import Progress, open_progress
from mgit.values import ModelReference, reference_of
from mgit_proto.v1 import diff_pb2

if TYPE_CHECKING:
    from mgit.diffing.values import ModelDiff

__all__ = ["DiffCalls"]


class DiffCalls:
    """The part of a repository that compares models."""

    _connection: Connection

    def diff(
        self,
        before: ModelReference,
        after: ModelReference,
        *,
        with_values: bool = True,
        with_equal: bool = False,
        progress: Progress = True,
    ) -> ModelDiff:
        """What differs between two models, layer by layer and parameter by parameter; falsy if nothing does.

        The diff from ``after`` to ``before`` is its mirror. The service compares; nothing of the models is sent here.

        Args:
            before: The model that is compared from.
            after: The model that is compared to.
            with_values: Whether parameters that differ are read, to tell by how much. Without, digests alone answer,
                and it takes well under a second whatever the size of the models.
            with_equal: Whether equal layers, data flow and parameters are listed too.
            progress: ``progress(done_bytes, total_bytes)``; True for a bar on a terminal; None for none.

        Raises:
            NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
            FailedPreconditionError: MODEL_REMOVED; PARAMETERS_PROMISED for values that another store has.
            CorruptError: CHUNK_CORRUPT or MANIFEST_CORRUPT.
        """
        # Values of tensors bring numpy, which the catalog does without.
        from mgit.diffing.reading import read_diff  # noqa: PLC0415

        refs = reference_of(before), reference_of(after)
        request = diff_pb2.DiffModelsRequest(
            before=refs[0], after=refs[1], with_values=with_values, with_equal=with_equal
        )
        with (
            open_progress(progress, f"diff {refs[0]} {refs[1]}") as counter,
            self._connection.stream(self._connection.compare.DiffModels, request) as answers,
        ):
            done = 0

            def tell(done_bytes: int, total_bytes: int) -> None:
                nonlocal done
                if not done and not done_bytes:
                    counter.begin(total_bytes)
                counter.add(done_bytes - done)
                done = done_bytes

            return read_diff(answers, tell)
