"""Where models go at the destination, asked over a real port of a service that knows what it is told."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import grpc
import pytest

import mgit.remotes.placing
from mgit.connection import Connection
from mgit.endpoint import Endpoint
from mgit.remotes.placing import Naming, Placement, check_tags, place_models
from mgit.remotes.selecting import Candidate
from mgit.remotes.sides import Side
from mgit_core.errors import (
    AlreadyExistsError,
    ConflictError,
    CorruptError,
    ErrorReason,
    FailedPreconditionError,
    InvalidArgumentError,
)
from mgit_proto.v1 import exchange_pb2 as pb
from mgit_proto.v1 import exchange_pb2_grpc, lineage_pb2, lineage_pb2_grpc, types_pb2

PUSH = Naming(prefix=None, is_push=True, remote="hub")
RENAMING = Naming(prefix="ann", is_push=True, remote="hub")
PULL = Naming(prefix=None, is_push=False, remote="hub")


@dataclass
class Destination(exchange_pb2_grpc.ExchangeServiceServicer, lineage_pb2_grpc.LineageServiceServicer):
    """Knows uids with how they stand, the names and numbers of others, and tags.

    Attributes:
        standings: How a uid stands.
        names: Name of a uid that is there.
        taken: References that belong to other models.
        tags: UID to which a tag of a name points.
        sizes: Number of models of each question.
    """

    standings: dict[str, int] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    tags: dict[tuple[str, str], str] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)

    def CompareModels(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        self.sizes.append(len(request.models))
        return pb.CompareModelsResponse(standings=map(self._standing, request.models))

    def _standing(self, model: pb.ModelIdentity) -> pb.ModelStanding:
        standing: Any = self.standings.get(model.uid, pb.STANDING_ABSENT)
        if standing == pb.STANDING_ABSENT and f"{model.name}@{model.version}" in self.taken:
            holder = types_pb2.ModelSummary(uid="another", name=model.name, version=model.version)
            return pb.ModelStanding(standing=pb.STANDING_NAME_TAKEN, model=holder)
        if standing == pb.STANDING_ABSENT:
            return pb.ModelStanding(standing=standing)
        name = self.names.get(model.uid, model.name)
        return pb.ModelStanding(
            standing=standing, model=types_pb2.ModelSummary(uid=model.uid, name=name, version=7)
        )

    def ListTags(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return lineage_pb2.ListTagsResponse(
            tags=[
                lineage_pb2.Tag(model_name=name, tag=tag, model=types_pb2.ModelSummary(uid=uid))
                for (name, tag), uid in sorted(self.tags.items())
                if name == request.name
            ]
        )


@pytest.fixture
def destination() -> Destination:
    return Destination()


@pytest.fixture
def side(destination: Destination) -> Iterator[Side]:
    server = grpc.server(ThreadPoolExecutor(2))
    exchange_pb2_grpc.add_ExchangeServiceServicer_to_server(destination, server)
    lineage_pb2_grpc.add_LineageServiceServicer_to_server(destination, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    connection = Connection(Endpoint(address=f"127.0.0.1:{port}", timeout_s=20))
    yield Side(connection)
    connection.close()
    server.stop(None).wait()


def candidate(
    name: str, version: int = 1, *, tags: tuple[str, ...] = (), is_removed: bool = False
) -> Candidate:
    return Candidate(
        uid=f"uid of {name}@{version}",
        name=name,
        version=version,
        is_removed=is_removed,
        parameters_digest=b"" if is_removed else bytes(32),
        files_digest=b"",
        size_bytes=1,
        tensor_count=1,
        tags=tags,
        older=(),
        is_promised=False,
    )


def placed(placements: list[Placement]) -> list[str]:
    return [each.ref for each in placements]


def test_new_models_keep_name_and_number_in_order(side: Side) -> None:
    found = place_models(side, [candidate("b", 3), candidate("a")], PUSH)
    assert placed(found) == ["b@3", "a@1"]
    assert all(each.is_new for each in found)


def test_nothing_is_placed_without_a_question(side: Side, destination: Destination) -> None:
    assert place_models(side, [], PUSH) == []
    assert destination.sizes == []


def test_what_is_there_has_the_name_that_it_has_there(side: Side, destination: Destination) -> None:
    destination.standings["uid of m@1"] = pb.STANDING_PRESENT
    destination.names["uid of m@1"] = "hub/m"
    [found] = place_models(side, [candidate("m")], PUSH)
    assert (found.ref, found.is_new) == ("hub/m@7", False)


@pytest.mark.parametrize(
    ("standing", "said"),
    [
        (pb.STANDING_PROMISED, (False, True, False)),
        (pb.STANDING_REMOVED, (False, False, True)),
        (pb.STANDING_PRESENT, (False, False, False)),
    ],
)
def test_how_a_model_stands_is_told(
    side: Side, destination: Destination, standing: int, said: tuple[bool, bool, bool]
) -> None:
    destination.standings["uid of m@1"] = standing
    [found] = place_models(side, [candidate("m")], PUSH)
    assert (found.is_new, found.is_promised, found.is_removed) == said


@pytest.mark.parametrize("naming", [PUSH, RENAMING, PULL])
def test_one_uid_with_two_contents_is_damage_whatever_becomes_of_names(
    side: Side, destination: Destination, naming: Naming
) -> None:
    destination.standings["uid of m@1"] = pb.STANDING_DIFFERENT
    with pytest.raises(CorruptError, match="mgit fsck") as caught:
        place_models(side, [candidate("m"), candidate("n")], naming)
    assert caught.value.reason is ErrorReason.MODEL_DIFFERS
    assert caught.value.details["models"] == "m@7"


def test_a_tombstone_has_no_content_to_differ(side: Side, destination: Destination) -> None:
    destination.standings["uid of m@1"] = pb.STANDING_DIFFERENT
    [found] = place_models(side, [candidate("m", is_removed=True)], PUSH)
    assert not found.is_new


@pytest.mark.parametrize(
    ("naming", "reason", "said"),
    [
        (PUSH, ErrorReason.PUSH_REFUSED, "nothing was sent"),
        (PULL, ErrorReason.NAME_TAKEN, "nothing was fetched"),
        (replace(PUSH, is_begun=True), ErrorReason.PUSH_REFUSED, "what came before stays there"),
    ],
)
def test_taken_names_are_refused_with_the_whole_list(
    side: Side, destination: Destination, naming: Naming, reason: ErrorReason, said: str
) -> None:
    destination.taken = {f"m{number}@1" for number in range(30)}
    with pytest.raises((ConflictError, AlreadyExistsError), match=said) as caught:
        place_models(side, [candidate(f"m{number}") for number in range(30)], naming)
    assert caught.value.reason is reason
    assert "m19@1 and 10 more" in caught.value.message
    assert len(caught.value.details["models"].split(", ")) == 30


def test_only_what_is_taken_goes_behind_the_prefix(side: Side, destination: Destination) -> None:
    destination.taken = {"b@1"}
    found = place_models(side, [candidate("a"), candidate("b"), candidate("c")], RENAMING)
    assert placed(found) == ["a@1", "ann/b@1", "c@1"]
    assert destination.sizes == [3, 1]


def test_a_name_behind_the_prefix_that_is_taken_too_is_refused(side: Side, destination: Destination) -> None:
    destination.taken = {"a@1", "b@1", "ann/b@1"}
    with pytest.raises(ConflictError) as caught:
        place_models(side, [candidate("a"), candidate("b")], RENAMING)
    assert caught.value.details["models"] == "ann/b@1"


def test_a_name_that_is_too_long_behind_the_prefix_is_refused(side: Side, destination: Destination) -> None:
    name = "/".join(["n" * 100] * 2)
    destination.taken = {f"{name}@1"}
    with pytest.raises(InvalidArgumentError) as caught:
        place_models(side, [candidate(name)], Naming(prefix="p" * 100, is_push=True, remote="hub"))
    assert caught.value.reason is ErrorReason.INVALID_NAME


@pytest.mark.parametrize("other", ["ann/m", "ANN/m"])
def test_two_new_models_do_not_meet_behind_the_prefix(
    side: Side, destination: Destination, other: str
) -> None:
    """The second is refused whether it would have the same name and number or the name in another case."""
    destination.taken = {"m@1"}
    with pytest.raises(ConflictError) as caught:
        place_models(side, [candidate(other), candidate("m")], RENAMING)
    assert caught.value.details["models"] == "ann/m@1"


def test_versions_of_one_name_do_not_collide(side: Side) -> None:
    assert placed(place_models(side, [candidate("m", 1), candidate("m", 2)], PUSH)) == ["m@1", "m@2"]


def test_a_standing_that_nobody_knows_is_another_version(side: Side, destination: Destination) -> None:
    destination.standings["uid of m@1"] = 99
    with pytest.raises(FailedPreconditionError, match="Update the older") as caught:
        place_models(side, [candidate("m")], PUSH)
    assert caught.value.reason is ErrorReason.REMOTE_VERSION_UNKNOWN


def test_many_models_are_asked_about_in_parts(
    side: Side, destination: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mgit.remotes.placing, "_MOST_MODELS", 4)
    found = place_models(side, [candidate("m", version) for version in range(1, 11)], PUSH)
    assert placed(found) == [f"m@{version}" for version in range(1, 11)]
    assert destination.sizes == [4, 4, 2]


def test_tags_that_point_to_the_same_model_or_are_new_are_no_hindrance(
    side: Side, destination: Destination
) -> None:
    destination.tags = {("m", "best"): "uid of m@1", ("m", "theirs"): "another", ("n", "new"): "another"}
    check_tags(side, place_models(side, [candidate("m", tags=("best", "new"))], PUSH))


def test_tags_that_point_elsewhere_are_all_named(side: Side, destination: Destination) -> None:
    destination.tags = {("m", "best"): "another", ("n", "first"): "another"}
    placements = place_models(side, [candidate("m", tags=("best",)), candidate("n", tags=("first",))], PUSH)
    with pytest.raises(ConflictError, match="--force moves them") as caught:
        check_tags(side, placements)
    assert caught.value.reason is ErrorReason.TAG_MOVED
    assert caught.value.details["tags"] == "m@best, n@first"


def test_a_tag_belongs_to_the_name_behind_the_prefix(side: Side, destination: Destination) -> None:
    destination.taken = {"m@1"}
    destination.tags = {("m", "best"): "another"}
    check_tags(side, place_models(side, [candidate("m", tags=("best",))], RENAMING))


def test_tags_of_a_model_that_was_removed_there_are_not_asked_for(
    side: Side, destination: Destination
) -> None:
    destination.standings["uid of m@1"] = pb.STANDING_REMOVED
    destination.tags = {("m", "best"): "another"}
    check_tags(side, place_models(side, [candidate("m", tags=("best",))], PUSH))
