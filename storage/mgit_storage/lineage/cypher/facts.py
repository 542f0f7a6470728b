"""What is known of many models besides their edges: one look-up of each kind for a slice of uids.

Each answers with one list, which costs a fraction of as many rows.
"""

from __future__ import annotations

from typing import LiteralString

__all__ = ["DATASETS_OF", "NEWEST_RESULTS_OF", "PROPERTIES_OF", "TAGS_OF"]

# Properties, type and size of some models, without the records of loss, which no picture shows. Index: model_uid.
PROPERTIES_OF: LiteralString = """
UNWIND $uids AS uid
MATCH (m:Model {uid: uid})
OPTIONAL MATCH (m)-[:OF_TYPE]->(t:ModelType)
OPTIONAL MATCH (m)-[:HAS_PARAMETERS]->(p:ParameterSet)
RETURN collect([m {.*, loss: null, created_at: null}, t.name, p.size_bytes]) AS found
"""

# Tags of some models; those without one are left out. Index: model_uid.
TAGS_OF: LiteralString = """
UNWIND $uids AS uid
MATCH (m:Model {uid: uid})
MATCH (g:Tag)-[:POINTS_TO]->(m)
WITH m.uid AS uid, collect(g.name) AS tags
RETURN collect([uid, tags]) AS found
"""

# Data sets of some models; those without one are left out. Index: model_uid.
DATASETS_OF: LiteralString = """
UNWIND $uids AS uid
MATCH (m:Model {uid: uid})
MATCH (m)-[:TRAINED_ON]->(d:Dataset)
WITH m.uid AS uid, collect([d.name, d.version]) AS datasets
RETURN collect([uid, datasets]) AS found
"""

# The newest result of each registered test on some models: the greatest uid, since uids sort by the end of the run.
# A list is compared entry by entry, so that its first entry decides. Index: model_uid.
NEWEST_RESULTS_OF: LiteralString = """
UNWIND $uids AS uid
MATCH (m:Model {uid: uid})
MATCH (m)<-[:ON]-(r:TestResult)-[:OF]->(t:Test)
WHERE t.name_lower IS NOT NULL
WITH m, t, max([r.uid, r.value, r.is_truth]) AS newest
WITH m.uid AS uid, collect([t.name, t.threshold, t.direction, newest[1], newest[2]]) AS results
RETURN collect([uid, results]) AS found
"""
