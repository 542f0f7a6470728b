"""``repo.update`` and ``repo.updates``: what was made from a model is made anew from what follows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mgit.connection import Connection
from mgit.graph import list_pages, new_request_id
from mgit.progress import Progress
from mgit.updating.messages import read_cascade, read_plan, write_options, write_publish
from mgit.updating.values import PublishMode, Update, UpdateListener, UpdateReference
from mgit.values import ModelReference
from mgit_core.model_tests import ModelTestResult
from mgit_proto.v1 import cascade_pb2 as pb
from mgit_proto.v1 import model_tests_pb2

__all__ = ["UpdateCalls", "Updates"]

_PAGE_SIZE = 100
_USUAL_LEASE_S = 60.0
_DONE = frozenset({pb.STEP_STATE_STAGED, pb.STEP_STATE_DONE, pb.STEP_STATE_FAILED})


class UpdateCalls:
    """The part of a repository that updates."""

    _connection: Connection

    @property
    def updates(self) -> Updates:
        """The updates that the service keeps: how far they are, resuming and cancelling them."""
        return Updates(self._connection)

    def update(  # noqa: PLR0913 - one call says all of an update; all but two by keyword
        self,
        old: ModelReference,
        new: ModelReference,
        *,
        plan: bool = False,
        skip: Iterable[ModelReference] = (),
        stop_at: Iterable[ModelReference] = (),
        refresh_parents: bool = False,
        publish: PublishMode | str = PublishMode.TOGETHER,
        stop_at_failed_tests: bool = False,
        max_attempts: int = 3,
        executor: str = "local",
        workers: int | None = None,
        timeout_s: float | None = None,
        lease_s: float = _USUAL_LEASE_S,
        request_id: str | None = None,
        progress: Progress = True,
        on_start: Callable[[Update], None] | None = None,
        on_step: UpdateListener | None = None,
    ) -> Update:
        """Make anew what was made from ``old``, from ``new`` and from what is made anew, parents first, each once.

        A new model gets the name of the one that it replaces and a version edge to it, its relations, type, metadata and
        data sets; its creation function is called with the recorded arguments and seed. Then the tests of its type, of
        all models, and of the model that it replaces run on it. Until it is published nobody sees it.

        What fails blocks what needs it, and nothing else. An update is kept at the service: after an interrupt, or an
        error that was mended, ``repo.updates.resume`` goes on, and makes no model twice. Others may help with
        ``mgit worker``.

        Args:
            old: The model that was updated.
            new: What follows it by version edges.
            plan: Only tell what would be done.
            skip: Models that are not made anew; what was made from them is, if it has another parent that is.
            stop_at: Models that are not made anew, nor what lies behind them only.
            refresh_parents: Whether parents that the update does not make are replaced by the latest versions of their
                names; else they stay as they were.
            publish: ``together`` numbers all new models in one transaction at the end; ``each`` those of a step when it
                is done.
            stop_at_failed_tests: Whether a model that fails a test counts as failed, so that what needs it is not made.
            max_attempts: How often a step is tried.
            executor: ``local``: workers in this process, functions in processes of their own. ``ray``: tasks of Ray.
            workers: How many steps are worked at at a time; None means one for each core, four at most; with Ray one for
                each of its cores.
            timeout_s: After which time a run of a creation function is given up; None means never.
            lease_s: How long a step stays with a worker that fell silent, from 1 to 3,600 s.
            request_id: The same id with the same arguments finds the same update again; None means a new one.
            progress: ``progress(done, total)``, in steps; True for a bar on a terminal; None for none.
            on_start: Told of the update when the service keeps it, before any step.
            on_step: Told whenever a worker of this call has left a step.

        Returns:
            The update as it is now: PUBLISHED; FAILED, if steps were given up; BLOCKED, if a model that would be replaced
            got another newer version meanwhile, and nothing was published.

        Raises:
            NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
            FailedPreconditionError: MODEL_REMOVED; NOT_A_REVISION, with the command that links the two;
                FRAMEWORK_MISSING, for Ray where it is not installed.
            ConflictError: CASCADE_OVERLAP, if another update replaces one of the models; REQUEST_ID_REUSED.
            InvalidArgumentError: INVALID_CASCADE.
        """
        options = write_options(old, new, skip=skip, stop_at=stop_at, refresh_parents=refresh_parents)
        cascades = self._connection.cascades
        if plan:
            return read_plan(
                self._connection.call(cascades.PlanCascade, pb.PlanCascadeRequest(options=options)).plan
            )
        # Workers bring numpy, which the catalog does without.
        from mgit.updating.driving import Driving, drive  # noqa: PLC0415
        from mgit.updating.leases import outlast  # noqa: PLC0415
        from mgit.updating.steps import WorkOptions  # noqa: PLC0415

        driving = Driving(
            executor=executor,
            workers=workers,
            work=WorkOptions(lease_s=lease_s, timeout_s=timeout_s),
            progress=progress,
            on_step=on_step,
        )
        request = pb.StartCascadeRequest(
            options=options,
            publish=write_publish(publish),
            stop_at_failed_tests=stop_at_failed_tests,
            max_attempts=max_attempts,
            request_id=request_id or new_request_id(),
        )
        cascade = outlast(
            self._connection, lambda: self._connection.call(cascades.StartCascade, request)
        ).cascade
        if on_start is not None:
            on_start(read_cascade(cascade))
        drive(self._connection, cascade, driving)
        return self.updates.get(cascade.id)


class Updates:
    """The updates of a repository.

    Every method raises besides its own errors: UnavailableError, UnauthenticatedError, DeadlineExceededError. One that
    takes an update raises NotFoundError CASCADE_NOT_FOUND.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self) -> Iterator[Update]:
        """All updates, newest first, without their steps, as pages arrive."""

        def ask(token: str) -> tuple[Iterable[Update], str]:
            request = pb.ListCascadesRequest(page_size=_PAGE_SIZE, page_token=token)
            answer = self._connection.call(self._connection.cascades.ListCascades, request)
            return map(read_cascade, answer.cascades), answer.next_page_token

        return list_pages(ask)

    def get(self, update: UpdateReference) -> Update:
        """An update as it is now, with the results of tests on its new models."""
        cascade = self._get(_id_of(update))
        made = [
            target.uid
            for step in cascade.plan.steps
            if step.state in _DONE
            for target in step.targets
            if target.HasField("made")
        ]
        return read_cascade(cascade, {uid: self._results(uid) for uid in made})

    def resume(  # noqa: PLR0913 - as update
        self,
        update: UpdateReference,
        *,
        anyway: bool = False,
        publish: PublishMode | str | None = None,
        executor: str = "local",
        workers: int | None = None,
        timeout_s: float | None = None,
        lease_s: float = _USUAL_LEASE_S,
        progress: Progress = True,
        on_start: Callable[[Update], None] | None = None,
        on_step: UpdateListener | None = None,
    ) -> Update:
        """Go on with an update: steps that failed are tried anew, those that are done are not; then it is published.

        Args:
            update: The update.
            anyway: Publish a blocked update although models that it replaces got other newer versions.
            publish: Another way to publish; ``each`` numbers at once the models of all steps that are done.
            executor: As in ``repo.update``, and so are the others.
            workers: See there.
            timeout_s: See there.
            lease_s: See there.
            progress: See there.
            on_start: Told of the update as it is before any step; steps that another worker holds are taken when its lease
                has ended.
            on_step: See there.

        Raises:
            ConflictError: CASCADE_ENDED, for one that is over.
            InvalidArgumentError: INVALID_CASCADE.
        """
        from mgit.updating.driving import Driving, drive  # noqa: PLC0415 - as in update
        from mgit.updating.driving import publish as publish_all  # noqa: PLC0415
        from mgit.updating.steps import WorkOptions  # noqa: PLC0415

        driving = Driving(
            executor=executor,
            workers=workers,
            work=WorkOptions(lease_s=lease_s, timeout_s=timeout_s),
            progress=progress,
            on_step=on_step,
        )
        cascade_id = _id_of(update)
        request = pb.ResumeCascadeRequest(
            id=cascade_id, publish=write_publish(publish), request_id=new_request_id()
        )
        cascade = self._connection.call(self._connection.cascades.ResumeCascade, request).cascade
        if anyway and cascade.state == pb.CASCADE_STATE_BLOCKED:
            cascade = publish_all(self._connection, cascade_id, anyway=True)
        if on_start is not None:
            on_start(read_cascade(cascade))
        drive(self._connection, cascade, driving)
        return self.get(cascade_id)

    def cancel(self, update: UpdateReference) -> Update:
        """End an update: its unpublished models go, and what it overlaps is free. What was published stays.

        Raises:
            ConflictError: CASCADE_ENDED, for one that is published.
        """
        request = pb.CancelCascadeRequest(id=_id_of(update), request_id=new_request_id())
        return read_cascade(self._connection.call(self._connection.cascades.CancelCascade, request).cascade)

    def work(  # noqa: PLR0913 - as update
        self,
        updates: Iterable[UpdateReference] | None = None,
        *,
        once: bool = False,
        workers: int = 1,
        timeout_s: float | None = None,
        lease_s: float = _USUAL_LEASE_S,
        on_step: UpdateListener | None = None,
    ) -> int:
        """Help with updates that run; gives how many steps were left. Publishes nothing that waits for all the others.

        Args:
            updates: Which; None means all, also those that are started later.
            once: End when there is no step that could be worked at now; else when the named updates are over or wait for
                a person, and never without names.
            workers: How many steps are worked at at a time.
            timeout_s: As in ``repo.update``.
            lease_s: As in ``repo.update``.
            on_step: As in ``repo.update``.

        Raises:
            InvalidArgumentError: INVALID_CASCADE.
        """
        from mgit.updating.helping import Help, help_with  # noqa: PLC0415 - as in update
        from mgit.updating.steps import WorkOptions  # noqa: PLC0415

        wanted = None if updates is None else [_id_of(each) for each in updates]
        work = WorkOptions(lease_s=lease_s, timeout_s=timeout_s)
        return help_with(
            self._connection,
            Help(cascade_ids=wanted, once=once, workers=workers, work=work, on_step=on_step),
        )

    def _get(self, cascade_id: str) -> pb.Cascade:
        """The whole cascade; one that does not fit a message comes in parts."""
        method = self._connection.cascades.GetCascade
        cascade = self._connection.call(method, pb.GetCascadeRequest(id=cascade_id)).cascade
        while len(cascade.plan.steps) < cascade.plan.step_count:
            request = pb.GetCascadeRequest(id=cascade_id, after_steps=len(cascade.plan.steps))
            part = self._connection.call(method, request).cascade.plan.steps
            if not part:
                break
            cascade.plan.steps.extend(part)
        return cascade

    def _results(self, uid: str) -> tuple[ModelTestResult, ...]:
        from mgit.running.messages import read_result  # noqa: PLC0415 - the catalog does without

        def ask(token: str) -> tuple[Iterable[ModelTestResult], str]:
            request = model_tests_pb2.ListResultsRequest(
                model=f"@{uid}", page_size=_PAGE_SIZE, page_token=token
            )
            answer = self._connection.call(self._connection.model_tests.ListResults, request)
            return map(read_result, answer.results), answer.next_page_token

        return tuple(list_pages(ask))


def _id_of(update: UpdateReference) -> str:
    return update.id if isinstance(update, Update) else update
