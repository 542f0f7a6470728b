"""What every object store must do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mgit_core.errors import AlreadyExistsError, ErrorReason, InvalidArgumentError, NotFoundError
from mgit_storage.objects import ObjectStore
from mgit_storage.testing.raw import RawObjects

__all__ = ["ObjectStoreConformance"]

_BAD_KEYS = ("", "/a", "a/", "a//b", "../a", "a/../b", "a..b", ".a", "A", "a b", "a\n", "ä", "a" * 201)


def _put_reason(store: ObjectStore, key: str, content: bytes) -> ErrorReason | None:
    try:
        store.put(key, content)
    except AlreadyExistsError as error:
        return error.reason
    return None


class ObjectStoreConformance:
    """The laws of object stores.

    A subclass supplies the fixture ``store``, empty, and the fixture ``raw``, a way around it.
    """

    def test_what_is_put_reads_back_and_is_really_there(self, store: ObjectStore, raw: RawObjects) -> None:
        store.put("a/b.pack", b"content")
        assert store.get("a/b.pack") == b"content"
        assert raw.read("a/b.pack") == b"content"

    def test_what_others_wrote_is_read(self, store: ObjectStore, raw: RawObjects) -> None:
        raw.write("a/b", b"content")
        assert (store.get("a/b"), store.list("a")) == (b"content", ["a/b"])

    @pytest.mark.parametrize("size", [0, 1, 3 << 20])
    def test_a_view_is_the_whole_object(self, store: ObjectStore, size: int) -> None:
        store.put("a", bytes(size))
        view = store.view("a")
        assert (view.readonly, view == bytes(size)) == (True, True)

    @pytest.mark.parametrize(
        ("start", "size", "expected"),
        [(0, 10, b"0123456789"), (2, 3, b"234"), (8, 5, b"89"), (10, 1, b""), (99, 1, b""), (4, 0, b"")],
    )
    def test_a_range_ends_with_the_object(
        self, store: ObjectStore, start: int, size: int, expected: bytes
    ) -> None:
        store.put("a", b"0123456789")
        assert store.get_range("a", start, size) == expected

    def test_every_kind_of_buffer_is_taken(self, store: ObjectStore) -> None:
        store.put("a", bytearray(b"12345678"))
        store.put("b", memoryview(b"12345678"))
        with store.stage() as staged:
            staged.write(np.frombuffer(b"12345678", "<u4").data)
            staged.commit("c")
        assert [store.get(key) for key in "abc"] == [b"12345678"] * 3

    def test_a_taken_key_is_refused_and_keeps_its_object(self, store: ObjectStore) -> None:
        store.put("a", b"first")
        with pytest.raises(AlreadyExistsError) as caught:
            store.put("a", b"second")
        assert caught.value.reason is ErrorReason.OBJECT_EXISTS
        with store.stage() as staged, pytest.raises(AlreadyExistsError):
            staged.commit("a")
        assert store.get("a") == b"first"

    def test_of_many_writers_of_one_key_one_wins(self, store: ObjectStore) -> None:
        with ThreadPoolExecutor(8) as pool:
            reasons = list(pool.map(lambda at: _put_reason(store, "a/b", bytes([at])), range(24)))
        assert sorted(map(str, reasons)) == ["None"] + ["OBJECT_EXISTS"] * 23
        assert store.get("a/b") == bytes([reasons.index(None)])

    def test_a_staged_object_is_not_there_before_its_commit(
        self, store: ObjectStore, raw: RawObjects
    ) -> None:
        with store.stage() as staged:
            staged.write(b"one ")
            staged.write(b"two")
            assert (store.list("a"), raw.list()) == ([], [])
            staged.commit("a/b")
            assert store.get("a/b") == b"one two"
        assert store.get("a/b") == b"one two"

    def test_a_discarded_object_leaves_nothing(self, store: ObjectStore, raw: RawObjects) -> None:
        before = store.usage()
        staged = store.stage()
        staged.write(bytes(100_000))
        staged.discard()
        staged.discard()
        assert (raw.list(), store.usage()) == ([], before)

    @pytest.mark.parametrize("method", ["get", "view", "get_range"])
    def test_a_missing_object_is_named(self, store: ObjectStore, method: str) -> None:
        with pytest.raises(NotFoundError, match="a/b") as caught:
            store.get_range("a/b", 0, 1) if method == "get_range" else getattr(store, method)("a/b")
        assert (caught.value.reason, caught.value.details["key"]) == (ErrorReason.OBJECT_NOT_FOUND, "a/b")

    def test_a_listing_is_sorted_and_ends_at_its_folder(self, store: ObjectStore) -> None:
        for key in ("a/c", "ab", "a/b/d", "b/a", "a/b-c"):
            store.put(key, b"")
        assert store.list("a") == ["a/b-c", "a/b/d", "a/c"]
        assert (store.list("a/b"), store.list("zz")) == (["a/b/d"], [])

    def test_a_deleted_object_is_gone_also_after_it_was_read(self, store: ObjectStore) -> None:
        store.put("a", b"content")
        assert store.get_range("a", 0, 7) == b"content"
        store.delete("a")
        store.delete("a")
        with pytest.raises(NotFoundError):
            store.get("a")
        with pytest.raises(NotFoundError):
            store.get_range("a", 0, 7)

    def test_a_deleted_key_may_be_used_again(self, store: ObjectStore) -> None:
        store.put("a", b"first")
        assert store.get_range("a", 0, 5) == b"first"
        store.delete("a")
        store.put("a", b"other")
        assert store.get_range("a", 0, 5) == b"other"

    def test_a_view_outlives_its_object(self, store: ObjectStore) -> None:
        content = bytes(range(256)) * 8192
        store.put("a", content)
        view = store.view("a")
        store.delete("a")
        assert view == content

    def test_many_threads_read_one_object(self, store: ObjectStore) -> None:
        keys = [f"a/{at}" for at in range(12)]
        for key in keys:
            store.put(key, key.encode())
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda key: store.get_range(key, 0, 99), keys * 20))
        assert found == [key.encode() for key in keys * 20]

    def test_usage_counts_bytes_below_each_folder(self, store: ObjectStore) -> None:
        before = store.usage()
        store.put("root.json", bytes(10))
        store.put("a/b/c", bytes(20))
        store.put("a/d", bytes(30))
        assert (before.by_folder, store.usage().by_folder) == ({}, {"": 10, "a": 50})

    def test_a_survey_tells_size_and_age_of_what_a_listing_gives(
        self, store: ObjectStore, raw: RawObjects
    ) -> None:
        for key, size in (("a/c", 3), ("a/b/d", 5), ("b", 7), ("a/e", 9)):
            store.put(key, bytes(size))
        store.delete("a/e")
        found = store.survey("a")
        assert list(found) == store.list("a")
        assert [state.size_bytes for state in found.values()] == [5, 3]
        assert all(0 <= state.age_s < 600 for state in found.values())
        assert store.survey("zz") == {}
        raw.remove("a/c")
        assert list(store.survey("a")) == ["a/b/d"]

    def test_what_is_in_work_is_not_stale(self, store: ObjectStore) -> None:
        with store.stage() as staged:
            staged.write(b"content")
            assert store.discard_stale(0) == 0
            staged.commit("a")
        assert (store.discard_stale(0), store.get("a")) == (0, b"content")

    @pytest.mark.parametrize("key", _BAD_KEYS)
    def test_what_is_no_key_is_refused(self, store: ObjectStore, raw: RawObjects, key: str) -> None:
        with pytest.raises(InvalidArgumentError):
            store.put(key, b"")
        with store.stage() as staged, pytest.raises(InvalidArgumentError):
            staged.commit(key)
        for method in (store.get, store.view, store.delete, store.list, store.survey):
            with pytest.raises(InvalidArgumentError):
                method(key)
        with pytest.raises(InvalidArgumentError):
            store.get_range(key, 0, 1)
        assert raw.list() == []
