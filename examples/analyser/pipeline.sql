-- Which tables of the pipeline received nothing in the last run?  Many of the
-- original's were empty for years, and nobody saw it.  Needs schema.sql only.
--
-- evidence.sql makes it a requirement: a run counts when no table is named.

CREATE VIEW pipeline_silent AS
WITH last(at) AS (SELECT max(started_at) FROM scan_history),
     fresh(file) AS (
       SELECT path FROM file_metadata, last WHERE last_scanned_at >= at),
     received(phase, table_name, something) AS (
       SELECT 'scan', 'file_metadata', EXISTS (
         SELECT 1 FROM file_metadata, last WHERE last_scanned_at >= at)
       UNION ALL
       SELECT 'scan', 'parse_cache', EXISTS (
         SELECT 1 FROM parse_cache, last WHERE created_at >= at)
       UNION ALL
       SELECT '1', 'detections', EXISTS (
         SELECT 1 FROM detections, last WHERE created_at >= at)
       UNION ALL
       SELECT '1', 'functions', EXISTS (
         SELECT 1 FROM fresh JOIN functions USING (file))
       UNION ALL
       SELECT '2', 'boundaries', EXISTS (
         SELECT 1 FROM boundaries, last WHERE created_at >= at)
       UNION ALL
       SELECT '2', 'call_edges', EXISTS (
         SELECT 1 FROM fresh JOIN functions AS f USING (file)
           JOIN call_edges ON caller_id = f.id)
       UNION ALL
       SELECT '2', 'data_access', EXISTS (
         SELECT 1 FROM fresh JOIN functions AS f USING (file)
           JOIN data_access ON function_id = f.id)
       UNION ALL
       SELECT '3', 'pattern_confidence', EXISTS (
         SELECT 1 FROM pattern_confidence, last WHERE last_updated >= at)
       UNION ALL
       SELECT '3', 'outliers', EXISTS (
         SELECT 1 FROM outliers, last WHERE created_at >= at)
       UNION ALL
       SELECT '3', 'conventions', EXISTS (
         SELECT 1 FROM conventions, last WHERE last_seen >= at)
       UNION ALL
       SELECT 'structure', 'coupling_metrics', EXISTS (
         SELECT 1 FROM coupling_metrics, last WHERE updated_at >= at)
       UNION ALL
       SELECT 'structure', 'coupling_cycles', EXISTS (
         SELECT 1 FROM coupling_cycles, last WHERE created_at >= at)
       UNION ALL
       SELECT 'structure', 'constraints', EXISTS (
         SELECT 1 FROM constraints, last WHERE updated_at >= at)
       UNION ALL
       SELECT 'structure', 'constraint_verifications', EXISTS (
         SELECT 1 FROM constraint_verifications, last WHERE verified_at >= at)
       UNION ALL
       SELECT 'structure', 'contracts', EXISTS (
         SELECT 1 FROM contracts, last WHERE updated_at >= at)
       UNION ALL
       SELECT 'structure', 'contract_mismatches', EXISTS (
         SELECT 1 FROM contract_mismatches, last WHERE created_at >= at)
       UNION ALL
       SELECT 'structure', 'constants', EXISTS (
         SELECT 1 FROM constants, last WHERE created_at >= at)
       UNION ALL
       SELECT 'structure', 'secrets', EXISTS (
         SELECT 1 FROM secrets, last WHERE created_at >= at)
       UNION ALL
       SELECT 'structure', 'env_variables', EXISTS (
         SELECT 1 FROM env_variables, last WHERE created_at >= at)
       UNION ALL
       SELECT 'structure', 'wrappers', EXISTS (
         SELECT 1 FROM wrappers, last WHERE created_at >= at)
       UNION ALL
       SELECT 'structure', 'dna_genes', EXISTS (
         SELECT 1 FROM dna_genes, last WHERE updated_at >= at)
       UNION ALL
       SELECT 'structure', 'dna_mutations', EXISTS (
         SELECT 1 FROM dna_mutations, last WHERE detected_at >= at)
       UNION ALL
       SELECT 'structure', 'crypto_findings', EXISTS (
         SELECT 1 FROM crypto_findings, last WHERE created_at >= at)
       UNION ALL
       SELECT 'structure', 'owasp_findings', EXISTS (
         SELECT 1 FROM owasp_findings, last WHERE created_at >= at)
       UNION ALL
       SELECT 'structure', 'decomposition_decisions', EXISTS (
         SELECT 1 FROM decomposition_decisions, last WHERE created_at >= at)
       UNION ALL
       SELECT '4', 'taint_flows', EXISTS (
         SELECT 1 FROM taint_flows, last WHERE created_at >= at)
       UNION ALL
       SELECT '4', 'error_gaps', EXISTS (
         SELECT 1 FROM error_gaps, last WHERE created_at >= at)
       UNION ALL
       SELECT '4', 'impact_scores', EXISTS (
         SELECT 1 FROM impact_scores, last WHERE updated_at >= at)
       UNION ALL
       SELECT '4', 'test_coverage', EXISTS (
         SELECT 1 FROM fresh JOIN functions AS f USING (file)
           JOIN test_coverage ON source_function_id = f.qualified_name)
       UNION ALL
       SELECT '4', 'test_quality', EXISTS (
         SELECT 1 FROM test_quality, last WHERE updated_at >= at)
       UNION ALL
       SELECT '4', 'reachability_cache', EXISTS (
         SELECT 1 FROM reachability_cache, last WHERE computed_at >= at)
       UNION ALL
       SELECT '5', 'violations', EXISTS (
         SELECT 1 FROM violations, last WHERE created_at >= at)
       UNION ALL
       SELECT '5', 'gate_results', EXISTS (
         SELECT 1 FROM gate_results, last WHERE run_at >= at)
       UNION ALL
       SELECT '5', 'policy_results', EXISTS (
         SELECT 1 FROM policy_results, last WHERE run_at >= at)
       UNION ALL
       SELECT '5', 'audit_snapshots', EXISTS (
         SELECT 1 FROM audit_snapshots, last WHERE created_at >= at)
       UNION ALL
       SELECT '5', 'health_trends', EXISTS (
         SELECT 1 FROM health_trends, last WHERE recorded_at >= at)
       UNION ALL
       SELECT '5', 'degradation_alerts', EXISTS (
         SELECT 1 FROM degradation_alerts, last WHERE created_at >= at))
SELECT phase, table_name
  FROM received
 WHERE NOT something;
