"""Links into the Neo4j Browser."""

from __future__ import annotations

import urllib.parse

from mgit_core.lineage import Relation

__all__ = ["lineage_query", "link_with_query"]

_TYPES = "|".join(f"{relation.name}_FROM" for relation in Relation)
# The Browser decodes the whole address before it looks for the end of an argument.
_ENDS = "&#"


def link_with_query(browser_url: str, query: str) -> str:
    """The Browser's address, such that ``query`` stands in its editor; the user starts it.

    Args:
        browser_url: The Browser, with the graph's address filled in.
        query: Cypher without ``&`` and ``#``, in which the Browser would see its end.

    Raises:
        ValueError: The query has one of them.
    """
    if any(sign in query for sign in _ENDS):
        message = f"A query in a link has neither & nor #: {query!r}"
        raise ValueError(message)
    joint = "&" if "?" in browser_url else "?"
    return f"{browser_url}{joint}cmd=edit&arg={urllib.parse.quote(query, safe='')}"


def lineage_query(uid: str, ref: str) -> str:
    """Cypher that draws a model with all that it was made from and all that was made from it.

    Args:
        uid: Of the model.
        ref: Its reference, ``NAME@VERSION``, which a comment tells the reader.
    """
    return f"""// The lineage of {ref}
MATCH (m:Model {{uid: '{uid}'}})
CALL (m) {{
  MATCH (m)-[:{_TYPES}*0..]->(a:Model)
  RETURN collect(DISTINCT a) AS older
}}
CALL (m) {{
  MATCH (m)<-[:{_TYPES}*1..]-(d:Model)
  RETURN collect(DISTINCT d) AS newer
}}
UNWIND older + newer AS model
OPTIONAL MATCH (model)-[e:{_TYPES}]->(parent:Model)
WHERE parent IN older + newer
RETURN model, e, parent"""
