"""Pictures of a lineage: pure functions from the value to text.

All of them show the same thing in the same colors: older models come first, and an arrow points from a model
to what it was made from, as in the graph.
"""

from __future__ import annotations

from mgit.pictures.dot import draw_dot
from mgit.pictures.html import draw_html
from mgit.pictures.mermaid import draw_mermaid
from mgit.pictures.tree import draw_tree

__all__ = ["draw_dot", "draw_html", "draw_mermaid", "draw_tree"]
