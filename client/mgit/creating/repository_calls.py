"""The part of a repository that creates models and makes them again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from mgit.connection import Connection
from mgit.progress import Progress
from mgit.values import Dataset, ModelReference, Parent, reference_of

if TYPE_CHECKING:
    from mgit.creating.functions import CreationFunction
    from mgit.creating.rebuilds import Rebuild
    from mgit.model import Model

__all__ = ["CreationCalls"]


class CreationCalls:
    """The part of a repository that creates models and makes them again. Functions run here, never in the service."""

    _connection: Connection

    def create(  # noqa: PLR0913 - one call says all of a new model; all but the function by keyword
        self,
        function: CreationFunction,
        *,
        name: str,
        parents: Iterable[Parent | ModelReference] = (),
        seed: int | None = None,
        arguments: Mapping[str, object] | None = None,
        previous: ModelReference | None = None,
        no_previous: bool = False,
        metadata: Mapping[str, object] | None = None,
        type: str | None = None,  # noqa: A002 - as in add
        datasets: Iterable[Dataset | str] = (),
        no_files: bool = False,
        timeout_s: float | None = None,
        hear: Callable[[bytes], None] | None = None,
        progress: Progress = True,
    ) -> Model:
        """Make a model with a creation function, in a fresh process of its own, and add it with the record of the call.

        If it has the same parameters, values aside, as the version before it or as a parent, it takes over files and layer
        graph of the first such model, and comes back in that one's form. ``addition.notes`` say so.

        Args:
            function: A function of a module, or ``MODULE:FUNCTION``; ``mgit.creation_function`` tells what it gets and
                gives.
            name: Model name.
            parents: What it is made from, in order; they are pinned before the function runs.
            seed: Handed to the function as ``seed``; None means 0 if it takes one.
            arguments: Handed to it by name: text, numbers and truth values.
            previous: As in ``add``.
            no_previous: As in ``add``.
            metadata: As in ``add``.
            type: As in ``add``.
            datasets: As in ``add``.
            no_files: Take over no files: it is parameters alone.
            timeout_s: When it is given up and killed; None means never.
            hear: Told what the function prints, as it comes.
            progress: As in ``add``; of what it made on its way to the service.

        Raises:
            InvalidArgumentError: INVALID_CREATION, INVALID_NAME or INVALID_METADATA.
            NotFoundError: MODEL_NOT_FOUND, TAG_NOT_FOUND or PARENT_NOT_FOUND.
            FailedPreconditionError: CREATION_FAILED, with the end of what was printed among the details; MODEL_REMOVED,
                for a parent.
        """
        from mgit.creating.functions import CreationSaid  # noqa: PLC0415 - for functions only
        from mgit.creating.making import CreatedModel, Creator, RunOptions  # noqa: PLC0415 - as above

        said = CreationSaid(function=function, arguments=arguments or {}, seed=seed)
        wanted = CreatedModel(
            name=name,
            parents=tuple(parents),
            previous=previous,
            no_previous=no_previous,
            metadata=metadata,
            type=type,
            datasets=tuple(datasets),
            takes_files=not no_files,
        )
        options = RunOptions(timeout_s=timeout_s, hear=hear, progress=progress)
        return Creator(self._connection).create(said, wanted, options)

    def create_together(  # noqa: PLR0913 - as create
        self,
        function: CreationFunction,
        members: Mapping[str, Iterable[Parent | ModelReference]],
        *,
        seed: int | None = None,
        arguments: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
        type: str | None = None,  # noqa: A002 - as in add
        datasets: Iterable[Dataset | str] = (),
        no_files: bool = False,
        timeout_s: float | None = None,
        hear: Callable[[bytes], None] | None = None,
        progress: Progress = True,
    ) -> dict[str, Model]:
        """Make several models by one call, such as those that share tied parameters, and add them in their order.

        The function gets the parents of each by its name, in the order of the names, and gives the parameters of each by
        its name. An update makes
        all of them again when a parent of one of them changed. Each is durable before the next is added: who is
        interrupted between two has the first ones.

        Args:
            function: As in ``create``.
            members: Parents of each model, by its name.
            seed: As in ``create``.
            arguments: As in ``create``.
            metadata: Of each of them.
            type: Of each of them.
            datasets: Of each of them.
            no_files: As in ``create``, for each of them.
            timeout_s: As in ``create``.
            hear: As in ``create``.
            progress: As in ``create``.

        Raises:
            MGitError: As ``create``.
        """
        from mgit.creating.functions import CreationSaid  # noqa: PLC0415 - for functions only
        from mgit.creating.making import CreatedModel, Creator, RunOptions  # noqa: PLC0415 - as above

        said = CreationSaid(function=function, arguments=arguments or {}, seed=seed)
        shared = tuple(datasets)
        wanted = {
            name: CreatedModel(
                name=name,
                parents=tuple(parents),
                metadata=metadata,
                type=type,
                datasets=shared,
                takes_files=not no_files,
            )
            for name, parents in members.items()
        }
        options = RunOptions(timeout_s=timeout_s, hear=hear, progress=progress)
        return Creator(self._connection).create_together(said, wanted, options)

    def rebuild(
        self,
        model: ModelReference,
        *,
        tolerance: float = 0.0,
        any_source: bool = False,
        timeout_s: float | None = None,
        hear: Callable[[bytes], None] | None = None,
    ) -> Rebuild:
        """Run the creation function of a model again on the same parents, and compare. Nothing is stored.

        Of models that one call made together all are made again and compared. A merge is made again by the service, and
        compared by digest: tolerance, source and time limit do not count then.

        Args:
            model: The model.
            tolerance: Largest difference that is still the same, in units of the largest item of its tensor; 0 means
                bit for bit.
            any_source: Whether the function may be another than was recorded.
            timeout_s: As in ``create``.
            hear: As in ``create``.

        Raises:
            FailedPreconditionError: NO_CREATION_FUNCTION; CREATION_CODE_CHANGED; CREATION_FAILED; MODEL_REMOVED, for it
                or a parent.
            NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
            InvalidArgumentError: INVALID_ARGUMENT, for a tolerance below 0.
        """
        from mgit.creating.making import Rebuilding, RunOptions  # noqa: PLC0415 - for functions only

        options = RunOptions(timeout_s=timeout_s, hear=hear)
        return Rebuilding(self._connection).rebuild(
            reference_of(model), options, tolerance=tolerance, takes_any_source=any_source
        )
