// Ancestry: What was this model made from, and how far away is it?
MATCH (m:Model {name: 'topic-soup', version: 1})
MATCH p = (m)-[:FINETUNED_FROM|ADAPTED_FROM|PRUNED_FROM|QUANTIZED_FROM|DISTILLED_FROM|MERGED_FROM|AGGREGATED_FROM|CAST_FROM|DERIVED_FROM*1..]->(a:Model)
WITH a, min(length(p)) AS hops
RETURN a.name + '@' + toString(a.version) AS model, hops
ORDER BY hops, model

// Ancestry: Which models descend from a base that must not be used any more?
MATCH (base:Model {name: 'minilm', version: 1})
MATCH (base)<-[:FINETUNED_FROM|ADAPTED_FROM|PRUNED_FROM|QUANTIZED_FROM|DISTILLED_FROM|MERGED_FROM|AGGREGATED_FROM|CAST_FROM|DERIVED_FROM*1..]-(d:Model)
WHERE d.state = 'present'
RETURN DISTINCT d.name + '@' + toString(d.version) AS model
ORDER BY model

// Ancestry: Which models have no known origin, and how many were made from each?
MATCH (m:Model {state: 'present'})
WHERE NOT (m)-[:FINETUNED_FROM|ADAPTED_FROM|PRUNED_FROM|QUANTIZED_FROM|DISTILLED_FROM|MERGED_FROM|AGGREGATED_FROM|CAST_FROM|DERIVED_FROM]->()
CALL (m) {
  MATCH (m)<-[:FINETUNED_FROM|ADAPTED_FROM|PRUNED_FROM|QUANTIZED_FROM|DISTILLED_FROM|MERGED_FROM|AGGREGATED_FROM|CAST_FROM|DERIVED_FROM*1..]-(d:Model)
  RETURN count(DISTINCT d) AS descendants
}
RETURN m.name + '@' + toString(m.version) AS model, descendants
ORDER BY descendants DESC, model

// Ancestry: How were models made, and how often in each way?
MATCH (:Model)-[e:FINETUNED_FROM|ADAPTED_FROM|PRUNED_FROM|QUANTIZED_FROM|DISTILLED_FROM|MERGED_FROM|AGGREGATED_FROM|CAST_FROM|DERIVED_FROM]->(:Model)
RETURN type(e) AS how, count(e) AS edges
ORDER BY edges DESC, how

// Ancestry: What was merged or averaged, with which weights?
MATCH (m:Model)-[e:MERGED_FROM|AGGREGATED_FROM]->(p:Model)
RETURN m.name + '@' + toString(m.version) AS model, type(e) AS how,
  p.name + '@' + toString(p.version) AS parent, e.weight AS weight
ORDER BY model, e.position

// Ancestry: Which adapters have lost their base?
MATCH (m:Model {state: 'present'})-[:OF_TYPE]->(:ModelType {name: 'adapter'})
WHERE NOT EXISTS { (m)-[:ADAPTED_FROM]->(:Model {state: 'present'}) }
OPTIONAL MATCH (m)-[:ADAPTED_FROM]->(gone:Model)
RETURN m.name + '@' + toString(m.version) AS adapter, gone.name + '@' + toString(gone.version) AS removed_base
ORDER BY adapter

// Ancestry: Which adapters were trained on another revision of their base?
MATCH (m:Model)-[:ADAPTED_FROM]->(base:Model)
WHERE m.meta_base_revision <> base.meta_revision
RETURN m.name + '@' + toString(m.version) AS adapter, m.meta_base_revision AS trained_on,
  base.name + '@' + toString(base.version) AS base, base.meta_revision AS found
ORDER BY adapter

// Tests: Which deployed models were never tested?
MATCH (g:Tag {name: 'prod'})-[:POINTS_TO]->(m:Model)
WHERE NOT EXISTS { (m)<-[:ON]-(:TestResult) }
RETURN m.name + '@' + toString(m.version) AS model
ORDER BY model

// Tests: Which deployed models fail a test?
MATCH (g:Tag {name: 'prod'})-[:POINTS_TO]->(m:Model)
MATCH (m)<-[:ON]-(r:TestResult)-[:OF]->(t:Test)
WHERE t.name_lower IS NOT NULL
WITH m, t, r
ORDER BY r.uid DESC
WITH m, t, collect(r)[0] AS newest
WITH m, t, newest, coalesce(t.threshold, CASE WHEN newest.is_truth THEN 1.0 END) AS wanted
WHERE newest.value IS NULL
  OR (t.direction = 'higher' AND newest.value < wanted)
  OR (t.direction = 'lower' AND newest.value > wanted)
RETURN m.name + '@' + toString(m.version) AS model, t.name AS test, newest.value AS value, wanted, newest.error AS error
ORDER BY model, test

// Tests: Which results are out of date?
MATCH (t:Test)<-[:OF]-(r:TestResult)-[:ON]->(m:Model)
WHERE t.name_lower IS NOT NULL
WITH m, t, r
ORDER BY r.uid DESC
WITH m, t, collect(r)[0] AS newest
WHERE newest.code_digest <> t.code_digest OR newest.inputs_digest <> t.inputs_digest
RETURN m.name + '@' + toString(m.version) AS model, t.name AS test, newest.run_at AS run_at
ORDER BY model, test

// Tests: Which descendants of a model did nobody test?
MATCH (m:Model {name: 'topic-network', version: 2})
CALL (m) {
  MATCH (m)<-[:FINETUNED_FROM|ADAPTED_FROM|PRUNED_FROM|QUANTIZED_FROM|DISTILLED_FROM|MERGED_FROM|AGGREGATED_FROM|CAST_FROM|DERIVED_FROM*1..]-(d:Model)
  RETURN DISTINCT d
}
WITH d
WHERE d.state = 'present' AND NOT EXISTS { (d)<-[:ON]-(:TestResult) }
RETURN d.name + '@' + toString(d.version) AS model
ORDER BY model

// Tests: How did the values of a test go along the versions of a name?
MATCH (m:Model {name: 'topic-network'})<-[:ON]-(r:TestResult)-[:OF]->(:Test {name_lower: 'accuracy'})
WITH m, r
ORDER BY r.uid DESC
WITH m, collect(r.value)[0] AS value
RETURN m.version AS version, value
ORDER BY version

// Bugs: Which models have a bug, inherited or not?
MATCH (b:Bug {title: 'labels 3 and 4 are swapped'})-[:AFFECTS]->(source:Model)
CALL (b, source) {
  MATCH p = (source)<-[:FINETUNED_FROM|ADAPTED_FROM|PRUNED_FROM|QUANTIZED_FROM|DISTILLED_FROM|MERGED_FROM|AGGREGATED_FROM|CAST_FROM|DERIVED_FROM*0..]-(d:Model)
  WHERE all(n IN nodes(p) WHERE NOT (b)-[:FIXED_IN]->(n)) AND all(r IN relationships(p) WHERE type(r) IN b.carried_by)
  WITH d, min(length(p)) AS hops
  RETURN d, hops
}
RETURN d.name + '@' + toString(d.version) AS model, min(hops) AS hops
ORDER BY hops, model

// Bugs: Which open bugs reach what is deployed?
MATCH (b:Bug {state: 'open'})-[:AFFECTS]->(source)
CALL (b, source) {
  MATCH p = (source)<-[:HAS_TENSOR|HAS_PARAMETERS|TRAINED_ON|FINETUNED_FROM|ADAPTED_FROM|PRUNED_FROM|QUANTIZED_FROM|DISTILLED_FROM|MERGED_FROM|AGGREGATED_FROM|CAST_FROM|DERIVED_FROM*0..]-(d:Model)
  WHERE all(n IN nodes(p) WHERE NOT (b)-[:FIXED_IN]->(n))
    AND all(r IN relationships(p) WHERE type(r) IN b.carried_by + ['HAS_TENSOR', 'HAS_PARAMETERS', 'TRAINED_ON'])
  RETURN DISTINCT d
}
MATCH (g:Tag {name: 'prod'})-[:POINTS_TO]->(d)
RETURN DISTINCT b.title AS bug, b.severity AS severity, d.name + '@' + toString(d.version) AS model
ORDER BY bug, model

// Bugs: Which tags must move when a bug is fixed?
MATCH (b:Bug {title: 'labels 3 and 4 are swapped'})-[:AFFECTS]->(source:Model)
CALL (b, source) {
  MATCH p = (source)<-[:FINETUNED_FROM|ADAPTED_FROM|PRUNED_FROM|QUANTIZED_FROM|DISTILLED_FROM|MERGED_FROM|AGGREGATED_FROM|CAST_FROM|DERIVED_FROM*0..]-(d:Model)
  WHERE all(n IN nodes(p) WHERE NOT (b)-[:FIXED_IN]->(n)) AND all(r IN relationships(p) WHERE type(r) IN b.carried_by)
  RETURN DISTINCT d
}
MATCH (g:Tag)-[:POINTS_TO]->(d)
RETURN DISTINCT g.model_name AS name, g.name AS tag, d.version AS version
ORDER BY name, tag

// Bugs: Which models hold a tensor of a model that has a bug, without coming from it?
MATCH (m:Model {name: 'topic-runtime', version: 1})
CALL (m) {
  MATCH (m)<-[:FINETUNED_FROM|ADAPTED_FROM|PRUNED_FROM|QUANTIZED_FROM|DISTILLED_FROM|MERGED_FROM|AGGREGATED_FROM|CAST_FROM|DERIVED_FROM*0..]-(d:Model)
  RETURN collect(DISTINCT d) AS family
}
CALL (m) {
  MATCH (m)-[:FINETUNED_FROM|ADAPTED_FROM|PRUNED_FROM|QUANTIZED_FROM|DISTILLED_FROM|MERGED_FROM|AGGREGATED_FROM|CAST_FROM|DERIVED_FROM*1..]->(a:Model)
  MATCH (a)-[:HAS_PARAMETERS]->(:ParameterSet)-[:HAS_TENSOR]->(old:Tensor)
  RETURN collect(DISTINCT old) AS inherited
}
MATCH (m)-[:HAS_PARAMETERS]->(:ParameterSet)-[:HAS_TENSOR]->(t:Tensor)
WHERE NOT t IN inherited
MATCH (t)<-[:HAS_TENSOR]-(:ParameterSet)<-[:HAS_PARAMETERS]-(o:Model)
WHERE NOT o IN family
RETURN o.name + '@' + toString(o.version) AS model, count(DISTINCT t) AS tensors
ORDER BY tensors DESC, model

// Licences and data: Which models come from something that may not be sold?
MATCH (a:Model)
WHERE a.meta_license STARTS WITH 'cc-by-nc'
MATCH (a)<-[:FINETUNED_FROM|ADAPTED_FROM|PRUNED_FROM|QUANTIZED_FROM|DISTILLED_FROM|MERGED_FROM|AGGREGATED_FROM|CAST_FROM|DERIVED_FROM*0..]-(d:Model)
RETURN DISTINCT d.name + '@' + toString(d.version) AS model, d.meta_license AS says
ORDER BY model

// Licences and data: Which licences lie along the ancestry of a model?
MATCH (m:Model {name: 'topic-soup', version: 1})
MATCH (m)-[:FINETUNED_FROM|ADAPTED_FROM|PRUNED_FROM|QUANTIZED_FROM|DISTILLED_FROM|MERGED_FROM|AGGREGATED_FROM|CAST_FROM|DERIVED_FROM*0..]->(a:Model)
WITH DISTINCT a
ORDER BY a.name, a.version
RETURN coalesce(a.meta_license, 'not said') AS license, collect(a.name + '@' + toString(a.version)) AS models
ORDER BY license

// Licences and data: Which models were trained on a data set, or made from one that was?
MATCH (:Dataset {name: 'docstrings', version: '3.11'})<-[:TRAINED_ON]-(m:Model)
MATCH (m)<-[:FINETUNED_FROM|ADAPTED_FROM|PRUNED_FROM|QUANTIZED_FROM|DISTILLED_FROM|MERGED_FROM|AGGREGATED_FROM|CAST_FROM|DERIVED_FROM*0..]-(d:Model)
WITH DISTINCT d
RETURN d.name + '@' + toString(d.version) AS model,
  EXISTS { (d)-[:TRAINED_ON]->(:Dataset {name: 'docstrings', version: '3.11'}) } AS by_itself
ORDER BY model

// Content: What changed between two versions, tensor by tensor?
MATCH (:Model {name: 'topic-network', version: 1})-[:HAS_PARAMETERS]->(:ParameterSet)-[old:HAS_TENSOR]->(before:Tensor)
MATCH (:Model {name: 'topic-network', version: 2})-[:HAS_PARAMETERS]->(now:ParameterSet)
OPTIONAL MATCH (now)-[new:HAS_TENSOR]->(after:Tensor)
WHERE new.name = old.name
WITH old, before, after
WHERE after IS NULL OR after <> before
RETURN old.name AS parameter, CASE WHEN after IS NULL THEN 'gone' ELSE 'changed' END AS what
ORDER BY old.position

// Content: Which tensors do two models share?
MATCH (:Model {name: 'topic-network', version: 1})-[:HAS_PARAMETERS]->(:ParameterSet)-[ours:HAS_TENSOR]->(t:Tensor)
MATCH (t)<-[theirs:HAS_TENSOR]-(:ParameterSet)<-[:HAS_PARAMETERS]-(:Model {name: 'minilm', version: 1})
RETURN ours.name AS parameter, theirs.name AS there, t.size_bytes AS size_bytes
ORDER BY size_bytes DESC, parameter

// Content: Which models have exactly equal parameters?
MATCH (p:ParameterSet)
WHERE COUNT { (p)<-[:HAS_PARAMETERS]-() } > 1
MATCH (p)<-[:HAS_PARAMETERS]-(m:Model)
WITH p, m
ORDER BY m.created_at, m.uid
WITH p, collect(m.name + '@' + toString(m.version)) AS models
RETURN models
ORDER BY models

// Content: Which models lost something when they were added?
MATCH (m:Model)
WHERE m.loss IS NOT NULL
RETURN m.name + '@' + toString(m.version) AS model
ORDER BY model

// Versions and tags: Where did a recorded number fall from one version to the next?
MATCH (new:Model)-[:REVISION_OF]->(old:Model)
WHERE new.meta_accuracy < old.meta_accuracy
RETURN new.name AS name, old.version AS from_version, new.version AS to_version,
  old.meta_accuracy AS before, new.meta_accuracy AS after
ORDER BY name, to_version

// Versions and tags: Which tags point to a version that is not the latest?
MATCH (g:Tag)-[:POINTS_TO]->(m:Model)-[:OF_NAME]->(n:ModelName)
WHERE m.version < n.last_version
RETURN n.name AS name, g.name AS tag, m.version AS version, n.last_version AS last_version
ORDER BY name, tag

// To look at: A family: everything that was made from a model
MATCH (m:Model {name: 'topic-network', version: 2})
CALL (m) {
  MATCH (m)<-[:FINETUNED_FROM|ADAPTED_FROM|PRUNED_FROM|QUANTIZED_FROM|DISTILLED_FROM|MERGED_FROM|AGGREGATED_FROM|CAST_FROM|DERIVED_FROM*0..]-(d:Model)
  RETURN collect(DISTINCT d) AS family
}
UNWIND family AS d
OPTIONAL MATCH (d)-[e:FINETUNED_FROM|ADAPTED_FROM|PRUNED_FROM|QUANTIZED_FROM|DISTILLED_FROM|MERGED_FROM|AGGREGATED_FROM|CAST_FROM|DERIVED_FROM]->(parent:Model)
WHERE parent IN family
RETURN d, e, parent
ORDER BY d.name, d.version, parent.name

// To look at: A bug with what it affects, where it is fixed, and what was made from there
MATCH (b:Bug {title: 'labels 3 and 4 are swapped'})-[a:AFFECTS|FIXED_IN]->(m:Model)
OPTIONAL MATCH (m)<-[e:FINETUNED_FROM|ADAPTED_FROM|PRUNED_FROM|QUANTIZED_FROM|DISTILLED_FROM|MERGED_FROM|AGGREGATED_FROM|CAST_FROM|DERIVED_FROM]-(child:Model)
RETURN b, a, m, e, child
ORDER BY m.name, m.version, child.name

// To look at: A model with its tags, data sets and results
MATCH (m:Model {name: 'topic-network', version: 1})
OPTIONAL MATCH (m)<-[t:POINTS_TO]-(tag:Tag)
OPTIONAL MATCH (m)-[d:TRAINED_ON]->(dataset:Dataset)
OPTIONAL MATCH (m)<-[o:ON]-(result:TestResult)-[f:OF]->(test:Test)
RETURN m, t, tag, d, dataset, o, result, f, test
