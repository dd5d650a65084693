-- How long the analyser's tables are kept, by the tiers of its plan: short is
-- 30 days, medium 90, long 365.  Needs schema.sql, sql/retention.sql and
-- sql/confidence.sql.
--
-- The plan lists neither data_access nor pattern_status, and has test_coverage
-- in a tier with a length, although it has no time: the first and the last go
-- with their functions, and what somebody approved stays.


-- Current: what still has its file, or its function.  Rows without a parent are
-- written over by each scan, or deleted by it.
INSERT INTO retention_policy(table_name, tier, parent_table, parent_key,
                             child_key)
VALUES
  ('file_metadata',      'current', NULL,            NULL,             NULL),
  ('pattern_confidence', 'current', NULL,            NULL,             NULL),
  ('coupling_metrics',   'current', NULL,            NULL,             NULL),
  ('constraints',        'current', NULL,            NULL,             NULL),
  ('dna_genes',          'current', NULL,            NULL,             NULL),
  ('functions',          'current', 'file_metadata', 'path',           'file'),
  ('constants',          'current', 'file_metadata', 'path',           'file'),
  ('env_variables',      'current', 'file_metadata', 'path',           'file'),
  ('wrappers',           'current', 'file_metadata', 'path',           'file'),
  ('contracts',          'current', 'file_metadata', 'path',
   'source_file'),
  ('call_edges',         'current', 'functions',     'id',
   'caller_id'),
  ('data_access',        'current', 'functions',     'id',
   'function_id'),
  ('impact_scores',      'current', 'functions',     'qualified_name',
   'function_id'),
  ('reachability_cache', 'current', 'functions',     'qualified_name',
   'source_node'),
  ('test_coverage',      'current', 'functions',     'qualified_name',
   'source_function_id');

-- With a length, and a file without which a finding means nothing.
INSERT INTO retention_policy(table_name, tier, time_column, time_unit,
                             parent_table, parent_key, child_key)
VALUES
  ('detections',      'short',  'created_at', 's', 'file_metadata', 'path',
   'file'),
  ('outliers',        'short',  'created_at', 's', 'file_metadata', 'path',
   'file'),
  ('error_gaps',      'short',  'created_at', 's', 'file_metadata', 'path',
   'file'),
  ('secrets',         'short',  'created_at', 's', 'file_metadata', 'path',
   'file'),
  ('crypto_findings', 'short',  'created_at', 's', 'file_metadata', 'path',
   'file'),
  ('owasp_findings',  'short',  'created_at', 's', 'file_metadata', 'path',
   'file'),
  ('test_quality',    'medium', 'updated_at', 's', 'functions',
   'qualified_name', 'function_id');

-- With a length.
INSERT INTO retention_policy(table_name, tier, time_column, time_unit)
VALUES
  ('taint_flows',              'short',  'created_at',  's'),
  ('violations',               'short',  'created_at',  's'),
  ('gate_results',             'short',  'run_at',      's'),
  ('policy_results',           'short',  'run_at',      's'),
  ('degradation_alerts',       'short',  'created_at',  's'),
  ('scan_history',             'medium', 'started_at',  's'),
  ('coupling_cycles',          'medium', 'created_at',  's'),
  ('constraint_verifications', 'medium', 'verified_at', 's'),
  ('contract_mismatches',      'medium', 'created_at',  's'),
  ('dna_mutations',            'medium', 'detected_at', 's'),
  ('decomposition_decisions',  'medium', 'created_at',  's'),
  ('audit_snapshots',          'medium', 'created_at',  's'),
  ('health_trends',            'medium', 'recorded_at', 's'),
  ('feedback',                 'medium', 'created_at',  's'),
  ('parse_cache',              'long',   'created_at',  's'),
  ('simulations',              'long',   'created_at',  's'),
  ('decisions',                'long',   'created_at',  's'),
  ('context_cache',            'long',   'created_at',  's');

INSERT INTO retention_policy(table_name, tier)
VALUES
  ('boundaries',            'permanent'),
  ('conventions',           'permanent'),
  ('pattern_status',        'permanent'),
  ('migration_projects',    'permanent'),
  ('migration_modules',     'permanent'),
  ('migration_corrections', 'permanent');

-- What confidence is made of: feedback outlives the findings, and what it
-- counted for outlives the feedback.
INSERT INTO retention_policy(table_name, tier, time_column)
VALUES
  ('confidence_violation', 'short',  'created_at'),
  ('confidence_feedback',  'medium', 'at');
