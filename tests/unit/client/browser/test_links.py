"""Links that open the Browser with a question, read as the Browser reads them."""

from __future__ import annotations

import re
import urllib.parse

import pytest

from mgit.browser import lineage_query, link_with_query

PAGE = "http://127.0.0.1:7474/browser/?dbms=bolt://neo4j@127.0.0.1:7687&db=neo4j"


def read_argument(name: str, url: str) -> str:
    """An argument as the Browser finds it: plus signs are blanks, all is decoded, then the end is looked for."""
    decoded = urllib.parse.unquote(url.replace("+", " "))
    found = re.search(rf"[?&]{name}=([^&#]*)", decoded)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    "query",
    [
        "MATCH (m) RETURN m",
        "// a + b\nMATCH (m {name: 'x?y=z'})-[:A|B*1..]->(n)\nRETURN m, n // 100%",
        lineage_query("01890000-0000-7000-8000-000000000001", "team/model.v2@12"),
    ],
)
def test_a_query_arrives_as_it_was(query: str) -> None:
    url = link_with_query(PAGE, query)

    assert url.startswith(f"{PAGE}&cmd=edit&arg=")
    assert read_argument("cmd", url) == "edit"
    assert read_argument("arg", url) == query
    assert read_argument("db", url) == "neo4j"


def test_a_page_without_arguments_gets_the_first_one() -> None:
    assert link_with_query("http://h/browser/", "x") == "http://h/browser/?cmd=edit&arg=x"


@pytest.mark.parametrize("query", ["RETURN 1 & 2", "RETURN '#'"])
def test_a_query_that_would_arrive_cut_is_refused(query: str) -> None:
    with pytest.raises(ValueError, match="neither & nor #"):
        link_with_query(PAGE, query)


def test_the_question_names_the_model_and_walks_both_ways() -> None:
    query = lineage_query("01890000-0000-7000-8000-000000000001", "sst2@1")

    assert query.startswith("// The lineage of sst2@1\nMATCH (m:Model {uid: '01890000-")
    assert "*0..]->(a:Model)" in query
    assert "*1..]-(d:Model)" in query
