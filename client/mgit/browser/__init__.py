"""What the Neo4j Browser gets from here: a style, saved queries, and links that open it with a question."""

from __future__ import annotations

from mgit.browser.links import lineage_query, link_with_query
from mgit.browser.pack import SavedQuery, StylePack, saved_queries, style_sheet, write_pack

__all__ = [
    "SavedQuery",
    "StylePack",
    "lineage_query",
    "link_with_query",
    "saved_queries",
    "style_sheet",
    "write_pack",
]
