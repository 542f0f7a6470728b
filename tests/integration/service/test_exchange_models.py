"""Models from one service to another, with their own uids, names, numbers and edges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
import pytest
from tests.exchange_calls import (
    Luggage,
    chunks_of,
    export_models,
    find_missing,
    import_messages,
    import_models,
    manifest,
    pack,
    read_encoded,
    transfer,
    write_encoded,
)
from tests.parameter_calls import (
    ALGORITHM,
    LocalModel,
    Refusal,
    Service,
    add,
    local_model,
    random_array,
    read_chunks,
    refusal,
    serving_here,
)
from tests.uploads import link

from mgit_proto.v1 import exchange_pb2 as pb
from mgit_proto.v1 import lineage_pb2, parameters_pb2, types_pb2
from mgit_storage.store import memory_store

ELSEWHERE = types_pb2.Promise(store_id="00000000-0000-4000-8000-00000000000e", remote="hub")


def _model(name: str, seed: int, *parents: types_pb2.ParentLink, **header: Any) -> LocalModel:
    model = local_model(name, {"x": random_array((64, 8), seed)}, parents=parents, **header)
    model.add_file("config.json", f'{{"seed": {seed}}}'.encode())
    return model


@pytest.fixture(scope="module")
def source() -> Iterator[Service]:
    """base@1, base@2 with a record, and a child of the first."""
    with serving_here(memory_store(ALGORITHM)) as running:
        add(running, _model("base", 1))
        metadata = {"license": types_pb2.MetadataValue(text="mit")}
        datasets = [types_pb2.Dataset(name="glue", version="2")]
        add(running, _model("base", 2, type="bert", metadata=metadata, datasets=datasets))
        creation = types_pb2.CreationRecord(
            entry_point="team.make:tune", code_digest=b"c" * 32, source="def tune(): ...", seed=3
        )
        add(running, _model("team/child", 3, link("base@1"), creation=creation))
        yield running


@pytest.fixture
def destination() -> Iterator[Service]:
    with serving_here(memory_store(ALGORITHM)) as running:
        yield running


def _uid(service: Service, reference: str) -> str:
    return _get(service, reference).summary.uid


def _get(service: Service, reference: str) -> types_pb2.Model:
    return service.lineage.GetModel(lineage_pb2.GetModelRequest(model=reference)).model


def _uids(service: Service) -> list[str]:
    return [_uid(service, each) for each in ("base@1", "base@2", "team/child@1")]


def _bring_chunks(source: Service, destination: Service, *luggage: Luggage) -> int:
    wanted = [chunk for each in luggage for chunk in chunks_of(each.parts)]
    missing, epoch = find_missing(destination, wanted)
    if missing:
        write_encoded(destination, read_encoded(source, alone=missing))
    return epoch


def _refused(destination: Service, messages: Iterator[pb.ImportModelsRequest]) -> Refusal:
    with pytest.raises(grpc.RpcError) as error:
        destination.exchange.ImportModels(messages)
    return refusal(error.value)


def _standing(service: Service, model: types_pb2.Model) -> pb.ModelStanding:
    identity = pb.ModelIdentity(
        uid=model.summary.uid,
        name=model.summary.name,
        version=model.summary.version,
        parameters_digest=model.parameters_digest,
        files_digest=model.files_digest,
    )
    return service.exchange.CompareModels(pb.CompareModelsRequest(models=[identity])).standings[0]


def test_models_are_the_same_on_both_sides(source: Service, destination: Service) -> None:
    uids = _uids(source)
    transfer(source, destination, *uids)
    assert export_models(destination, *uids) == export_models(source, *uids)
    for uid in uids:
        assert manifest(destination, uid) == manifest(source, uid)
        chunks = chunks_of(manifest(source, uid))
        assert read_chunks(destination, chunks) == read_chunks(source, chunks)
    assert add(destination, _model("base", 9)).model.summary.version == 3
    transfer(source, destination, *uids)
    assert export_models(destination, *uids) == export_models(source, *uids), "twice is once"


def test_standings_are_told(source: Service, destination: Service) -> None:
    [model] = export_models(source, _uid(source, "base@2"))
    assert _standing(destination, model) == pb.ModelStanding(standing=pb.STANDING_ABSENT)
    mine = add(destination, _model("base", 5)).model
    assert _standing(destination, mine).standing == pb.STANDING_PRESENT
    add(destination, _model("base", 6))
    taken = _standing(destination, model)
    assert (taken.standing, taken.model.version) == (pb.STANDING_NAME_TAKEN, 2)
    other = types_pb2.Model()
    other.CopyFrom(mine)
    other.parameters_digest = b"o" * 32
    assert _standing(destination, other).standing == pb.STANDING_DIFFERENT


def test_a_model_may_get_another_name(source: Service, destination: Service) -> None:
    add(destination, _model("base", 5))
    [luggage] = pack(source, _uid(source, "base@1"))
    epoch = _bring_chunks(source, destination, luggage)
    found = _refused(destination, import_messages([luggage], epoch))
    assert (found.code, found.reason, found.details["models"]) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "NAME_TAKEN",
        "base@1",
    )
    luggage.model.summary.name = "hub/base"
    [imported] = import_models(destination, [luggage], epoch)
    assert (imported.name, imported.version, imported.uid) == ("hub/base", 1, luggage.model.summary.uid)


def test_chunks_that_are_missing_refuse_all(source: Service, destination: Service) -> None:
    luggage = pack(source, *_uids(source))
    epoch = _bring_chunks(source, destination, luggage[0])
    found = _refused(destination, import_messages(luggage, epoch))
    assert (found.code, found.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CHUNKS_MISSING")
    assert _standing(destination, luggage[0].model).standing == pb.STANDING_ABSENT


def test_parts_that_are_not_what_is_said_are_corrupt(source: Service, destination: Service) -> None:
    one, two = pack(source, *_uids(source)[:2])
    epoch = _bring_chunks(source, destination, one, two)
    swapped = Luggage(one.model, two.parts)
    found = _refused(destination, import_messages([swapped], epoch))
    assert (found.code, found.reason) == (grpc.StatusCode.DATA_LOSS, "MANIFEST_CORRUPT")
    without_files = parameters_pb2.GetManifestResponse(parameters=one.parts[0].parameters)
    found = _refused(destination, import_messages([Luggage(one.model, (without_files,))], epoch))
    assert found.reason == "MANIFEST_CORRUPT"


def test_another_content_under_one_uid_is_told(source: Service, destination: Service) -> None:
    one, two = pack(source, *_uids(source)[:2])
    transfer(source, destination, one.model.summary.uid)
    epoch = _bring_chunks(source, destination, two)
    two.model.summary.uid = one.model.summary.uid
    found = _refused(destination, import_messages([two], epoch))
    assert (found.code, found.reason) == (grpc.StatusCode.DATA_LOSS, "MODEL_DIFFERS")


def test_a_stale_epoch_and_a_reused_request_are_refused(source: Service, destination: Service) -> None:
    one, two = pack(source, *_uids(source)[:2])
    epoch = _bring_chunks(source, destination, one, two)
    assert _refused(destination, import_messages([one], epoch + 1)).reason == "UPLOAD_STALE"
    first = import_models(destination, [one], epoch, "r")
    assert import_models(destination, [one], epoch, "r") == first
    assert _refused(destination, import_messages([two], epoch, "r")).reason == "REQUEST_ID_REUSED"


def test_tombstones_keep_the_lineage_whole(destination: Service) -> None:
    with serving_here(memory_store(ALGORITHM)) as source:
        for name, seed, parents in (("a", 1, ()), ("b", 2, ("a",)), ("c", 3, ("b",))):
            add(source, _model(name, seed, *map(link, parents)))
        uids = [_uid(source, name) for name in "abc"]
        source.lineage.RemoveModel(lineage_pb2.RemoveModelRequest(model="b"))
        transfer(source, destination, *uids)
        assert export_models(destination, *uids) == export_models(source, *uids)
        assert _get(destination, f"@{uids[1]}").summary.state == types_pb2.MODEL_STATE_REMOVED


def _changed(luggage: Luggage, **changed: Any) -> Luggage:
    model = types_pb2.Model()
    model.CopyFrom(luggage.model)
    for path, value in changed.items():
        target, _, field = path.rpartition("__")
        owner = getattr(model, target) if target else model
        if hasattr(value, "CopyFrom"):
            getattr(owner, field).CopyFrom(value)
        else:
            setattr(owner, field, value)
    return replace(luggage, model=model)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"summary__uid": "no uid"}, "INVALID_REFERENCE"),
        ({"summary__name": "a//b"}, "INVALID_NAME"),
        ({"summary__version": 0}, "INVALID_ARGUMENT"),
        ({"summary__state": types_pb2.MODEL_STATE_STAGED}, "INVALID_ARGUMENT"),
        ({"summary__state": types_pb2.MODEL_STATE_REMOVED}, "INVALID_ARGUMENT"),
        ({"parameters_digest": b""}, "INVALID_ARGUMENT"),
        ({"parameters_digest": b"short"}, "INVALID_ARGUMENT"),
        ({"type": "a/b"}, "INVALID_NAME"),
        ({"promised_by": types_pb2.Promise(store_id="who", remote="hub")}, "INVALID_REFERENCE"),
        (
            {"promised_by": types_pb2.Promise(store_id=ELSEWHERE.store_id, remote="x" * 201)},
            "INVALID_ARGUMENT",
        ),
        ({"previous": types_pb2.ModelSummary(uid="?")}, "INVALID_ARGUMENT"),
    ],
)
def test_models_that_cannot_be_are_refused(
    source: Service, destination: Service, changed: dict[str, Any], reason: str
) -> None:
    [luggage] = pack(source, _uid(source, "base@1"))
    epoch = _bring_chunks(source, destination, luggage)
    assert _refused(destination, import_messages([_changed(luggage, **changed)], epoch)).reason == reason


def _edge(luggage: Luggage, **changed: Any) -> types_pb2.ProvenanceEdge:
    edge = types_pb2.ProvenanceEdge()
    edge.CopyFrom(luggage.model.parents[0])
    for field, value in changed.items():
        setattr(edge, field, value)
    return edge


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"child_uid": "00000000-0000-4000-8000-00000000000e"}, "INVALID_RELATION"),
        ({"parent_uid": "?"}, "INVALID_REFERENCE"),
        ({"position": -1}, "INVALID_ARGUMENT"),
        ({"weight": float("nan")}, "INVALID_RELATION"),
        ({"confidence": 0.5}, "INVALID_RELATION"),
        ({"relation": 99}, "INVALID_RELATION"),
    ],
)
def test_edges_that_cannot_be_are_refused(
    source: Service, destination: Service, changed: dict[str, Any], reason: str
) -> None:
    [luggage] = pack(source, _uid(source, "team/child"))
    epoch = _bring_chunks(source, destination, luggage)
    edge = _edge(luggage, **changed)
    del luggage.model.parents[:]
    luggage.model.parents.append(edge)
    assert _refused(destination, import_messages([luggage], epoch)).reason == reason
    del luggage.model.parents[:]
    luggage.model.parents.extend([_edge(pack(source, _uid(source, "team/child"))[0])] * 2)
    assert _refused(destination, import_messages([luggage], epoch)).reason == "INVALID_RELATION"


def test_messages_out_of_order_and_too_many_are_refused(source: Service, destination: Service) -> None:
    [luggage] = pack(source, _uid(source, "base@1"))
    start, part = luggage.messages()
    end = pb.ImportModelsRequest(end=pb.ImportEnd(epoch=1))
    for messages in (
        [part, end],
        [start, part],
        [start, part, end, end],
        [end, start],
        [pb.ImportModelsRequest()],
    ):
        assert _refused(destination, iter(messages)).reason == "MESSAGE_OUT_OF_ORDER"
    tombstone = _changed(luggage, summary__state=types_pb2.MODEL_STATE_REMOVED, parameters_digest=b"")
    assert _refused(destination, import_messages([tombstone], 1)).reason == "MESSAGE_OUT_OF_ORDER"
    bare = replace(tombstone, parts=())
    assert _refused(destination, import_messages([bare] * 1_001, 1)).reason == "LIMIT_EXCEEDED"
    import_models(destination, [], 1)


def _promised(luggage: Luggage) -> Luggage:
    return _changed(luggage, promised_by=ELSEWHERE)


def _files_only(source: Service, destination: Service, luggage: Luggage) -> int:
    """Bring the chunks of files only."""
    chunks = [chunk for part in luggage.parts for file in part.files for chunk in file.chunk_digests]
    write_encoded(destination, read_encoded(source, chunks))
    return find_missing(destination, chunks)[1]


def test_what_is_promised_may_lack_except_for_files(source: Service, destination: Service) -> None:
    [luggage] = pack(source, _uid(source, "base@1"))
    assert _refused(destination, import_messages([_promised(luggage)], 1)).reason == "CHUNKS_MISSING"
    epoch = _files_only(source, destination, luggage)
    import_models(destination, [_promised(luggage)], epoch)
    assert _get(destination, "base@1").promised_by == ELSEWHERE
    assert _standing(destination, luggage.model).standing == pb.STANDING_PROMISED
    assert manifest(destination, luggage.model.summary.uid)[0].model.promised_by == ELSEWHERE


def test_a_promise_is_kept_by_an_import_or_by_an_upload(source: Service, destination: Service) -> None:
    for reference, seed in (("base@1", 1), ("base@2", 2)):
        [luggage] = pack(source, _uid(source, reference))
        import_models(destination, [_promised(luggage)], _files_only(source, destination, luggage))
        assert _standing(destination, luggage.model).standing == pb.STANDING_PROMISED
        assert _refused(destination, import_messages([luggage], 1)).reason == "CHUNKS_MISSING"
        if seed == 1:
            transfer(source, destination, luggage.model.summary.uid)
        else:
            add(destination, _model("mine", seed))
        assert _standing(destination, luggage.model).standing == pb.STANDING_PRESENT
        chunks = chunks_of(luggage.parts)
        assert read_chunks(destination, chunks) == read_chunks(source, chunks)


def test_what_is_all_here_is_whole_whatever_is_promised(source: Service, destination: Service) -> None:
    [luggage] = pack(source, _uid(source, "base@1"))
    epoch = _bring_chunks(source, destination, luggage)
    import_models(destination, [_promised(luggage)], epoch)
    assert not _get(destination, "base@1").HasField("promised_by")


def test_promised_parameters_are_not_read_and_say_where_they_are(
    source: Service, destination: Service
) -> None:
    model = _model("partial", 7)
    model.add_array("y", random_array((8,), 8))
    add(source, model)
    [luggage] = pack(source, _uid(source, "partial"))
    epoch = _files_only(source, destination, luggage)
    [here] = [each for each in luggage.parts[0].parameters if each.name == "y"]
    write_encoded(destination, read_encoded(source, here.chunk_digests))
    import_models(destination, [_promised(luggage)], epoch)

    def read(name: str) -> bytes:
        request = parameters_pb2.ReadTensorRequest(model="partial", parameter=name)
        return b"".join(answer.data for answer in destination.parameters.ReadTensor(request))

    assert np.frombuffer(read("y"), np.float32).tolist() == random_array((8,), 8).tolist()
    whole = parameters_pb2.DownloadModelRequest(model="partial", parameters=True)
    some = parameters_pb2.DownloadModelRequest(model="partial", tensors=["x"])
    for ask in (
        lambda: read("x"),
        lambda: list(destination.parameters.DownloadModel(whole)),
        lambda: list(destination.parameters.DownloadModel(some)),
    ):
        with pytest.raises(grpc.RpcError, match="mgit pull") as error:
            ask()
        found = refusal(error.value)
        assert (found.code, found.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PARAMETERS_PROMISED")
        assert found.details == {"model": "partial@1", "remote": "hub", "store_id": ELSEWHERE.store_id}
    files = parameters_pb2.DownloadModelRequest(model="partial", files=True)
    assert b"".join(answer.data for answer in destination.parameters.DownloadModel(files)) == b'{"seed": 7}'
    with pytest.raises(grpc.RpcError) as error:
        read_chunks(destination, [luggage.parts[0].parameters[0].chunk_digests[0]])
    assert refusal(error.value).reason == "CHUNK_NOT_FOUND"


def test_a_long_layer_graph_and_ties_come_along(source: Service, destination: Service) -> None:
    tied = local_model(
        "tied",
        {"x": random_array((4,), 9), "y": random_array((4,), 9)},
        ties=[types_pb2.Tie(names=["x", "y"])],
    )
    add(source, tied)
    transfer(source, destination, _uid(source, "tied"))
    [first, *_] = manifest(destination, _uid(source, "tied"))
    assert [list(tie.names) for tie in first.ties] == [["x", "y"]]
