"""Pools of really trained small models whose lineage is known, to score how well it is found from weights."""
