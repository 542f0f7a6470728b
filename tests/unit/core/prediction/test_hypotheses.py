"""A hypothesis about a tensor, cut to the tensor's chunks."""

from __future__ import annotations

from tests.unit.core.prediction.shelf import Shelf, normal, spec_of

from mgit_core.chunking import chunk_ranges
from mgit_core.coding.encoded import Predictor
from mgit_core.prediction.hypotheses import Hypothesis, Part, Reach


def test_a_narrow_chunk_spans_several_of_a_wide_tensor() -> None:
    shelf, wide = Shelf(), normal((3000, 400), 1)
    narrow = spec_of(wide.astype("float16"))
    cast = Hypothesis(predictor=Predictor.CAST, parts=(Part(shelf.source(wide)),))
    for start, stop in chunk_ranges(narrow):
        prediction = cast.prediction(narrow, start, stop)
        assert prediction is not None
        content = b"".join(shelf.chunks[base.digest][base.start : base.stop] for base in prediction.bases)
        assert content == wide.tobytes()[2 * start : 2 * stop]


def test_a_base_that_ends_before_the_chunk_begins_is_none() -> None:
    shelf, target = Shelf(), spec_of(normal((2000, 300), 1))
    base = Hypothesis(predictor=Predictor.BASE, parts=(Part(shelf.source(normal((100, 300), 2))),))
    found = [base.prediction(target, *each) is not None for each in chunk_ranges(target)]
    assert found == [True, False, False]


def test_a_mask_needs_a_whole_base() -> None:
    shelf, target = Shelf(), spec_of(normal((200, 300), 1))
    source = shelf.source(normal((100, 300), 2))
    masked = Hypothesis(predictor=Predictor.MASK, parts=(Part(source),))
    assert masked.prediction(target, 0, target.size_bytes) is None


def test_more_bases_than_a_frame_can_name_are_none() -> None:
    shelf, target = Shelf(), spec_of(normal((65, 10), 1))
    part = Part(shelf.source(normal((65, 20), 2)), Reach.HEADS)
    heads = Hypothesis(predictor=Predictor.BASE, parts=(part,))
    assert heads.prediction(target, 0, target.size_bytes) is None
    assert heads.prediction(target, 0, 64 * 40) is not None


def test_rows_of_a_factor_follow_the_rows_of_the_chunk() -> None:
    shelf, target = Shelf(), spec_of(normal((100, 50), 1))
    base, left, right = (shelf.source(normal(shape, 2)) for shape in ((100, 50), (90, 4), (4, 50)))
    parts = (Part(base), Part(left, Reach.ROWS, 10), Part(right, Reach.WHOLE))
    hypothesis = Hypothesis(predictor=Predictor.LOW_RANK, parts=parts)
    prediction = hypothesis.prediction(target, 20 * 200, 30 * 200)
    assert prediction is not None
    assert [(each.start, each.stop) for each in prediction.bases] == [(4000, 6000), (160, 320), (0, 800)]
