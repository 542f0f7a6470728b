from __future__ import annotations

import numpy as np
import pytest
from bench.compression import report
from bench.compression.paper import Outcome
from bench.compression.plain import EachFile
from bench.compression.schemes import Scheme, SchemeMissingError
from bench.compression.subjects import Subject
from tests.unit.bench.conftest import MakeSubject


def missing() -> Scheme:
    raise SchemeMissingError("not installed: no such thing")


@pytest.fixture
def subjects(make_subject: MakeSubject) -> list[Subject]:
    wide = make_subject("ft0", {"weight": np.zeros(5000, np.float32)})
    narrow = make_subject("ft0-bf16", {"weight": np.zeros(5000, np.float16)}, dtype="bfloat16")
    return [wide, narrow]


def test_what_is_not_installed_is_a_row_with_the_reason(subjects: list[Subject]) -> None:
    published: report.Ratios = {}

    rows = report.baseline_rows("it", report.Baseline(missing, is_published=True), subjects, published)

    assert [(row.name, row.unit, row.note) for row in rows] == [
        ("it", "(not run)", "not installed: no such thing")
    ]
    assert published == {}


def test_a_baseline_has_a_ratio_for_each_family_and_says_its_speeds_once(subjects: list[Subject]) -> None:
    rows = report.baseline_rows("it", report.Baseline(EachFile), subjects, {})

    assert [row.name for row in rows] == ["it: 14 float32", "it: 5 bfloat16", "it: all 21"]
    assert [bool(row.note) for row in rows] == [True, False, False]
    assert all(row.value > 10 for row in rows)


def test_a_published_baseline_is_remembered_and_tells_single_members(subjects: list[Subject]) -> None:
    published: report.Ratios = {}

    rows = report.baseline_rows("it", report.Baseline(EachFile, is_published=True), subjects, published)

    assert {"14 float32", "5 bfloat16", "all 21"} == published.keys()
    assert [row.name for row in rows[3:]] == ["it: ft0@1 alone", "it: ft0-bf16@1 alone"]


def test_a_baseline_without_16_bit_types_has_the_float32_family_only(subjects: list[Subject]) -> None:
    rows = report.baseline_rows("it", report.Baseline(EachFile, takes_16_bits=False), subjects, {})

    assert [row.name for row in rows] == ["it: 14 float32"]


def test_the_papers_pipeline_is_shown_with_what_it_loses() -> None:
    outcome = Outcome(
        sizes={"minilm@1": 100, "ft0@1": 100, "pruned0@1": 100},
        coded_bytes=200,
        grown={"LZMA": {"minilm@1": 100, "ft0@1": 10, "pruned0@1": 40}},
        encode_s={"LZMA": 1.0},
        decode_s={"LZMA": 1.0},
        largest_error=1e-4,
        scores={"ft0@1": (0.8, 0.81), "pruned0@1": (0.8, 0.795)},
        zeros={"pruned0@1": (5000, 3)},
    )

    rows = {row.name.partition("0.0001")[2]: row.value for row in report.paper_rows(outcome)}

    assert rows == pytest.approx(
        {
            ", LZMA: 14 float32": 2.0,
            ", LZMA: ft0@1 alone": 10.0,
            ": largest absolute error": 1e-4,
            ": most accuracy lost": 0.5,
            ": exact zeros left of pruned0@1's 5,000": 3,
        }
    )
