-- The database of the original analyser, drift: 46 tables, as of its migration
-- 9.  Times are seconds since 1970.
--
-- Unlike there, all of it is one transaction, every time by which rows go has
-- an index, and so have the columns by which orphans find their functions.

BEGIN;


-- ---- the scan ---------------------------------------------------------------

CREATE TABLE file_metadata(
  path             TEXT PRIMARY KEY NOT NULL,
  language         TEXT,
  file_size        INTEGER NOT NULL,
  content_hash     BLOB NOT NULL,
  mtime_secs       INTEGER NOT NULL,
  mtime_nanos      INTEGER NOT NULL,
  last_scanned_at  INTEGER NOT NULL,
  scan_duration_us INTEGER,
  pattern_count    INTEGER DEFAULT 0,
  function_count   INTEGER DEFAULT 0,
  error_count      INTEGER DEFAULT 0,
  error            TEXT
) STRICT;

CREATE TABLE scan_history(
  id              INTEGER PRIMARY KEY,
  started_at      INTEGER NOT NULL,
  completed_at    INTEGER,
  root_path       TEXT NOT NULL,
  total_files     INTEGER,
  added_files     INTEGER,
  modified_files  INTEGER,
  removed_files   INTEGER,
  unchanged_files INTEGER,
  duration_ms     INTEGER,
  status          TEXT NOT NULL DEFAULT 'running',
  error           TEXT
) STRICT;

CREATE TABLE parse_cache(
  content_hash      BLOB PRIMARY KEY NOT NULL,
  language          TEXT NOT NULL,
  parse_result_json TEXT NOT NULL,
  created_at        INTEGER NOT NULL
) STRICT;


-- ---- phase 1: parsing and detectors -----------------------------------------

CREATE TABLE functions(
  id              INTEGER PRIMARY KEY,
  file            TEXT NOT NULL,
  name            TEXT NOT NULL,
  qualified_name  TEXT,
  language        TEXT NOT NULL,
  line            INTEGER NOT NULL,
  end_line        INTEGER NOT NULL,
  parameter_count INTEGER NOT NULL DEFAULT 0,
  return_type     TEXT,
  is_exported     INTEGER NOT NULL DEFAULT 0,
  is_async        INTEGER NOT NULL DEFAULT 0,
  body_hash       BLOB,
  signature_hash  BLOB
) STRICT;

CREATE TABLE detections(
  id               INTEGER PRIMARY KEY,
  file             TEXT NOT NULL,
  line             INTEGER NOT NULL,
  column_num       INTEGER NOT NULL,
  pattern_id       TEXT NOT NULL,
  category         TEXT NOT NULL,
  confidence       REAL NOT NULL,
  detection_method TEXT NOT NULL,
  cwe_ids          TEXT,
  owasp            TEXT,
  matched_text     TEXT,
  created_at       INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;


-- ---- phase 2: boundaries, the call graph ------------------------------------

CREATE TABLE boundaries(
  id          INTEGER PRIMARY KEY,
  file        TEXT NOT NULL,
  framework   TEXT NOT NULL,
  model_name  TEXT NOT NULL,
  table_name  TEXT,
  field_name  TEXT,
  sensitivity TEXT,
  confidence  REAL NOT NULL,
  created_at  INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE call_edges(
  caller_id      INTEGER NOT NULL,
  callee_id      INTEGER NOT NULL,
  resolution     TEXT NOT NULL,
  confidence     REAL NOT NULL,
  call_site_line INTEGER NOT NULL,
  PRIMARY KEY (caller_id, callee_id, call_site_line)
) STRICT;

CREATE TABLE data_access(
  function_id INTEGER NOT NULL,
  table_name  TEXT NOT NULL,
  operation   TEXT NOT NULL,
  framework   TEXT,
  line        INTEGER NOT NULL,
  confidence  REAL NOT NULL DEFAULT 0.8,
  PRIMARY KEY (function_id, table_name, operation, line)
) STRICT;


-- ---- phase 3: patterns ------------------------------------------------------

CREATE TABLE pattern_confidence(
  pattern_id             TEXT PRIMARY KEY NOT NULL,
  alpha                  REAL NOT NULL,
  beta                   REAL NOT NULL,
  posterior_mean         REAL NOT NULL,
  credible_interval_low  REAL NOT NULL,
  credible_interval_high REAL NOT NULL,
  tier                   TEXT NOT NULL,
  momentum               TEXT NOT NULL DEFAULT 'Stable',
  last_updated           INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE pattern_status(
  pattern_id             TEXT PRIMARY KEY NOT NULL,
  status                 TEXT NOT NULL DEFAULT 'discovered',
  approved_by            TEXT,
  approved_at            INTEGER,
  confidence_at_approval REAL,
  reason                 TEXT,
  updated_at             INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE outliers(
  id              INTEGER PRIMARY KEY,
  pattern_id      TEXT NOT NULL,
  file            TEXT NOT NULL,
  line            INTEGER NOT NULL,
  deviation_score REAL NOT NULL,
  significance    TEXT NOT NULL,
  method          TEXT NOT NULL,
  created_at      INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE conventions(
  id               INTEGER PRIMARY KEY,
  pattern_id       TEXT NOT NULL,
  category         TEXT NOT NULL,
  scope            TEXT NOT NULL,
  dominance_ratio  REAL NOT NULL,
  promotion_status TEXT NOT NULL DEFAULT 'discovered',
  discovered_at    INTEGER NOT NULL DEFAULT (unixepoch()),
  last_seen        INTEGER NOT NULL DEFAULT (unixepoch()),
  expires_at       INTEGER
) STRICT;


-- ---- structure --------------------------------------------------------------

CREATE TABLE coupling_metrics(
  module       TEXT PRIMARY KEY NOT NULL,
  ce           INTEGER NOT NULL,
  ca           INTEGER NOT NULL,
  instability  REAL NOT NULL,
  abstractness REAL NOT NULL,
  distance     REAL NOT NULL,
  zone         TEXT NOT NULL,
  updated_at   INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE coupling_cycles(
  id                INTEGER PRIMARY KEY,
  members           TEXT NOT NULL,
  break_suggestions TEXT NOT NULL,
  created_at        INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE constraints(
  id             TEXT PRIMARY KEY NOT NULL,
  description    TEXT NOT NULL,
  invariant_type TEXT NOT NULL,
  target         TEXT NOT NULL,
  scope          TEXT,
  source         TEXT NOT NULL,
  enabled        INTEGER NOT NULL DEFAULT 1,
  created_at     INTEGER NOT NULL DEFAULT (unixepoch()),
  updated_at     INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE constraint_verifications(
  id            INTEGER PRIMARY KEY,
  constraint_id TEXT NOT NULL REFERENCES constraints(id),
  passed        INTEGER NOT NULL,
  violations    TEXT NOT NULL,
  verified_at   INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE contracts(
  id          TEXT PRIMARY KEY NOT NULL,
  paradigm    TEXT NOT NULL,
  source_file TEXT NOT NULL,
  framework   TEXT NOT NULL,
  confidence  REAL NOT NULL,
  endpoints   TEXT NOT NULL,
  created_at  INTEGER NOT NULL DEFAULT (unixepoch()),
  updated_at  INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE contract_mismatches(
  id               INTEGER PRIMARY KEY,
  backend_endpoint TEXT NOT NULL,
  frontend_call    TEXT NOT NULL,
  mismatch_type    TEXT NOT NULL,
  severity         TEXT NOT NULL,
  message          TEXT NOT NULL,
  created_at       INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE constants(
  id         INTEGER PRIMARY KEY,
  name       TEXT NOT NULL,
  value      TEXT NOT NULL,
  file       TEXT NOT NULL,
  line       INTEGER NOT NULL,
  is_used    INTEGER NOT NULL DEFAULT 1,
  language   TEXT NOT NULL,
  is_named   INTEGER NOT NULL DEFAULT 1,
  created_at INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE secrets(
  id             INTEGER PRIMARY KEY,
  pattern_name   TEXT NOT NULL,
  redacted_value TEXT NOT NULL,
  file           TEXT NOT NULL,
  line           INTEGER NOT NULL,
  severity       TEXT NOT NULL,
  entropy        REAL NOT NULL,
  confidence     REAL NOT NULL,
  cwe_ids        TEXT NOT NULL,
  created_at     INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE env_variables(
  id               INTEGER PRIMARY KEY,
  name             TEXT NOT NULL,
  file             TEXT NOT NULL,
  line             INTEGER NOT NULL,
  access_method    TEXT NOT NULL,
  has_default      INTEGER NOT NULL DEFAULT 0,
  defined_in_env   INTEGER NOT NULL DEFAULT 0,
  framework_prefix TEXT,
  created_at       INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE wrappers(
  id                 INTEGER PRIMARY KEY,
  name               TEXT NOT NULL,
  file               TEXT NOT NULL,
  line               INTEGER NOT NULL,
  category           TEXT NOT NULL,
  wrapped_primitives TEXT NOT NULL,
  framework          TEXT NOT NULL,
  confidence         REAL NOT NULL,
  is_multi_primitive INTEGER NOT NULL DEFAULT 0,
  is_exported        INTEGER NOT NULL DEFAULT 0,
  usage_count        INTEGER NOT NULL DEFAULT 0,
  created_at         INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE dna_genes(
  gene_id         TEXT PRIMARY KEY NOT NULL,
  name            TEXT NOT NULL,
  description     TEXT NOT NULL,
  dominant_allele TEXT,
  alleles         TEXT NOT NULL,
  confidence      REAL NOT NULL,
  consistency     REAL NOT NULL,
  exemplars       TEXT NOT NULL,
  updated_at      INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE dna_mutations(
  id          TEXT PRIMARY KEY NOT NULL,
  file        TEXT NOT NULL,
  line        INTEGER NOT NULL,
  gene_id     TEXT NOT NULL,
  expected    TEXT NOT NULL,
  actual      TEXT NOT NULL,
  impact      TEXT NOT NULL,
  code        TEXT NOT NULL,
  suggestion  TEXT NOT NULL,
  detected_at INTEGER NOT NULL,
  resolved    INTEGER NOT NULL DEFAULT 0,
  resolved_at INTEGER
) STRICT;

CREATE TABLE crypto_findings(
  id          INTEGER PRIMARY KEY,
  file        TEXT NOT NULL,
  line        INTEGER NOT NULL,
  category    TEXT NOT NULL,
  description TEXT NOT NULL,
  code        TEXT NOT NULL,
  confidence  REAL NOT NULL,
  cwe_id      INTEGER NOT NULL,
  owasp       TEXT NOT NULL,
  remediation TEXT NOT NULL,
  language    TEXT NOT NULL,
  created_at  INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE owasp_findings(
  id               TEXT PRIMARY KEY NOT NULL,
  detector         TEXT NOT NULL,
  file             TEXT NOT NULL,
  line             INTEGER NOT NULL,
  description      TEXT NOT NULL,
  severity         REAL NOT NULL,
  cwes             TEXT NOT NULL,
  owasp_categories TEXT NOT NULL,
  confidence       REAL NOT NULL,
  remediation      TEXT,
  created_at       INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE decomposition_decisions(
  id               INTEGER PRIMARY KEY,
  dna_profile_hash TEXT NOT NULL,
  adjustment       TEXT NOT NULL,
  confidence       REAL NOT NULL,
  dna_similarity   REAL NOT NULL,
  narrative        TEXT NOT NULL,
  source_dna_hash  TEXT NOT NULL,
  applied_weight   REAL NOT NULL,
  created_at       INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;


-- ---- phase 4: flows over the graph ------------------------------------------

CREATE TABLE taint_flows(
  id           INTEGER PRIMARY KEY,
  source_file  TEXT NOT NULL,
  source_line  INTEGER NOT NULL,
  source_type  TEXT NOT NULL,
  sink_file    TEXT NOT NULL,
  sink_line    INTEGER NOT NULL,
  sink_type    TEXT NOT NULL,
  cwe_id       INTEGER,
  is_sanitized INTEGER NOT NULL DEFAULT 0,
  path         TEXT NOT NULL,
  confidence   REAL NOT NULL,
  created_at   INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE error_gaps(
  id                INTEGER PRIMARY KEY,
  file              TEXT NOT NULL,
  function_id       TEXT NOT NULL,
  gap_type          TEXT NOT NULL,
  error_type        TEXT,
  propagation_chain TEXT,
  framework         TEXT,
  cwe_id            INTEGER,
  severity          TEXT NOT NULL,
  created_at        INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE impact_scores(
  function_id        TEXT PRIMARY KEY NOT NULL,
  blast_radius       INTEGER NOT NULL,
  risk_score         REAL NOT NULL,
  is_dead_code       INTEGER NOT NULL DEFAULT 0,
  dead_code_reason   TEXT,
  exclusion_category TEXT,
  updated_at         INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE test_coverage(
  test_function_id   TEXT NOT NULL,
  source_function_id TEXT NOT NULL,
  coverage_type      TEXT NOT NULL,
  PRIMARY KEY (test_function_id, source_function_id)
) STRICT;

CREATE TABLE test_quality(
  function_id       TEXT PRIMARY KEY NOT NULL,
  coverage_breadth  REAL,
  coverage_depth    REAL,
  assertion_density REAL,
  mock_ratio        REAL,
  isolation         REAL,
  freshness         REAL,
  stability         REAL,
  overall_score     REAL NOT NULL,
  smells            TEXT,
  updated_at        INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE reachability_cache(
  source_node   TEXT NOT NULL,
  direction     TEXT NOT NULL,
  reachable_set TEXT NOT NULL,
  sensitivity   TEXT NOT NULL,
  computed_at   INTEGER NOT NULL DEFAULT (unixepoch()),
  PRIMARY KEY (source_node, direction)
) STRICT;


-- ---- phase 5: gates ---------------------------------------------------------

CREATE TABLE violations(
  id                    TEXT PRIMARY KEY NOT NULL,
  file                  TEXT NOT NULL,
  line                  INTEGER NOT NULL,
  column_num            INTEGER,
  end_line              INTEGER,
  end_column            INTEGER,
  severity              TEXT NOT NULL,
  pattern_id            TEXT NOT NULL,
  rule_id               TEXT NOT NULL,
  message               TEXT NOT NULL,
  quick_fix_strategy    TEXT,
  quick_fix_description TEXT,
  cwe_id                INTEGER,
  owasp_category        TEXT,
  suppressed            INTEGER NOT NULL DEFAULT 0,
  is_new                INTEGER NOT NULL DEFAULT 0,
  created_at            INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE gate_results(
  id                INTEGER PRIMARY KEY,
  gate_id           TEXT NOT NULL,
  status            TEXT NOT NULL,
  passed            INTEGER NOT NULL,
  score             REAL NOT NULL,
  summary           TEXT NOT NULL,
  violation_count   INTEGER NOT NULL DEFAULT 0,
  warning_count     INTEGER NOT NULL DEFAULT 0,
  execution_time_ms INTEGER NOT NULL DEFAULT 0,
  details           TEXT,
  error             TEXT,
  run_at            INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE policy_results(
  id               INTEGER PRIMARY KEY,
  policy_name      TEXT NOT NULL,
  aggregation_mode TEXT NOT NULL,
  overall_passed   INTEGER NOT NULL,
  overall_score    REAL NOT NULL,
  gate_count       INTEGER NOT NULL,
  gates_passed     INTEGER NOT NULL,
  gates_failed     INTEGER NOT NULL,
  details          TEXT,
  run_at           INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE audit_snapshots(
  id                    INTEGER PRIMARY KEY,
  health_score          REAL NOT NULL,
  avg_confidence        REAL NOT NULL,
  approval_ratio        REAL NOT NULL,
  compliance_rate       REAL NOT NULL,
  cross_validation_rate REAL NOT NULL,
  duplicate_free_rate   REAL NOT NULL,
  pattern_count         INTEGER NOT NULL DEFAULT 0,
  category_scores       TEXT,
  created_at            INTEGER NOT NULL DEFAULT (unixepoch()),
  scan_root             TEXT DEFAULT ''
) STRICT;

CREATE TABLE health_trends(
  id           INTEGER PRIMARY KEY,
  metric_name  TEXT NOT NULL,
  metric_value REAL NOT NULL,
  recorded_at  INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE degradation_alerts(
  id             INTEGER PRIMARY KEY,
  alert_type     TEXT NOT NULL,
  severity       TEXT NOT NULL,
  message        TEXT NOT NULL,
  current_value  REAL NOT NULL,
  previous_value REAL NOT NULL,
  delta          REAL NOT NULL,
  created_at     INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;


-- ---- what people and assistants add -----------------------------------------

CREATE TABLE feedback(
  id               INTEGER PRIMARY KEY,
  violation_id     TEXT NOT NULL,
  pattern_id       TEXT NOT NULL,
  detector_id      TEXT NOT NULL,
  action           TEXT NOT NULL,
  dismissal_reason TEXT,
  reason           TEXT,
  author           TEXT,
  created_at       INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE simulations(
  id                   INTEGER PRIMARY KEY,
  task_category        TEXT NOT NULL,
  task_description     TEXT NOT NULL,
  approach_count       INTEGER NOT NULL,
  recommended_approach TEXT,
  p10_effort           REAL NOT NULL,
  p50_effort           REAL NOT NULL,
  p90_effort           REAL NOT NULL,
  created_at           INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE decisions(
  id               INTEGER PRIMARY KEY,
  category         TEXT NOT NULL,
  description      TEXT NOT NULL,
  commit_sha       TEXT,
  confidence       REAL NOT NULL,
  related_patterns TEXT,
  author           TEXT,
  files_changed    TEXT,
  created_at       INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE context_cache(
  id           INTEGER PRIMARY KEY,
  session_id   TEXT NOT NULL,
  intent       TEXT NOT NULL,
  depth        TEXT NOT NULL,
  token_count  INTEGER NOT NULL,
  content_hash TEXT NOT NULL,
  created_at   INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE migration_projects(
  id               INTEGER PRIMARY KEY,
  name             TEXT NOT NULL,
  source_language  TEXT NOT NULL,
  target_language  TEXT NOT NULL,
  source_framework TEXT,
  target_framework TEXT,
  status           TEXT NOT NULL DEFAULT 'active',
  created_at       INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE migration_modules(
  id           INTEGER PRIMARY KEY,
  project_id   INTEGER NOT NULL REFERENCES migration_projects(id),
  module_name  TEXT NOT NULL,
  status       TEXT NOT NULL DEFAULT 'pending',
  spec_content TEXT,
  created_at   INTEGER NOT NULL DEFAULT (unixepoch()),
  updated_at   INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE TABLE migration_corrections(
  id             INTEGER PRIMARY KEY,
  module_id      INTEGER NOT NULL REFERENCES migration_modules(id),
  section        TEXT NOT NULL,
  original_text  TEXT NOT NULL,
  corrected_text TEXT NOT NULL,
  reason         TEXT,
  created_at     INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;


-- ---- indexes ----------------------------------------------------------------

CREATE INDEX file_metadata_last_scanned_at ON file_metadata(last_scanned_at);
CREATE INDEX scan_history_started_at ON scan_history(started_at);
CREATE INDEX parse_cache_created_at ON parse_cache(created_at);
CREATE INDEX detections_created_at ON detections(created_at);
CREATE INDEX pattern_confidence_last_updated
    ON pattern_confidence(last_updated);
CREATE INDEX pattern_status_updated_at ON pattern_status(updated_at);
CREATE INDEX outliers_created_at ON outliers(created_at);
CREATE INDEX coupling_metrics_updated_at ON coupling_metrics(updated_at);
CREATE INDEX coupling_cycles_created_at ON coupling_cycles(created_at);
CREATE INDEX constraints_created_at ON constraints(created_at);
CREATE INDEX constraint_verifications_verified_at
    ON constraint_verifications(verified_at);
CREATE INDEX contracts_created_at ON contracts(created_at);
CREATE INDEX contract_mismatches_created_at ON contract_mismatches(created_at);
CREATE INDEX constants_created_at ON constants(created_at);
CREATE INDEX secrets_created_at ON secrets(created_at);
CREATE INDEX env_variables_created_at ON env_variables(created_at);
CREATE INDEX wrappers_created_at ON wrappers(created_at);
CREATE INDEX dna_genes_updated_at ON dna_genes(updated_at);
CREATE INDEX dna_mutations_detected_at ON dna_mutations(detected_at);
CREATE INDEX crypto_findings_created_at ON crypto_findings(created_at);
CREATE INDEX owasp_findings_created_at ON owasp_findings(created_at);
CREATE INDEX decomposition_decisions_created_at
    ON decomposition_decisions(created_at);
CREATE INDEX taint_flows_created_at ON taint_flows(created_at);
CREATE INDEX error_gaps_created_at ON error_gaps(created_at);
CREATE INDEX impact_scores_updated_at ON impact_scores(updated_at);
CREATE INDEX test_quality_updated_at ON test_quality(updated_at);
CREATE INDEX reachability_cache_computed_at ON reachability_cache(computed_at);
CREATE INDEX violations_created_at ON violations(created_at);
CREATE INDEX gate_results_run_at ON gate_results(run_at);
CREATE INDEX policy_results_run_at ON policy_results(run_at);
CREATE INDEX audit_snapshots_created_at ON audit_snapshots(created_at);
CREATE INDEX health_trends_recorded_at ON health_trends(recorded_at);
CREATE INDEX degradation_alerts_created_at ON degradation_alerts(created_at);
CREATE INDEX feedback_created_at ON feedback(created_at);
CREATE INDEX simulations_created_at ON simulations(created_at);
CREATE INDEX decisions_created_at ON decisions(created_at);
CREATE INDEX context_cache_created_at ON context_cache(created_at);
CREATE INDEX functions_file ON functions(file);
CREATE INDEX functions_qualified_name ON functions(qualified_name);
CREATE INDEX feedback_violation_id ON feedback(violation_id);
CREATE INDEX feedback_detector_id ON feedback(detector_id);
CREATE INDEX feedback_pattern_id ON feedback(pattern_id);
CREATE INDEX feedback_action ON feedback(action);
CREATE INDEX violations_file ON violations(file);
CREATE INDEX violations_severity ON violations(severity);
CREATE INDEX violations_pattern_id ON violations(pattern_id);
CREATE INDEX violations_rule_id ON violations(rule_id);
CREATE INDEX violations_cwe_id ON violations(cwe_id);
CREATE INDEX gate_results_gate_id ON gate_results(gate_id);
CREATE INDEX health_trends_metric_name ON health_trends(metric_name);
CREATE INDEX constraint_verifications_constraint_id
    ON constraint_verifications(constraint_id);
CREATE INDEX migration_modules_project_id ON migration_modules(project_id);
CREATE INDEX migration_corrections_module_id
    ON migration_corrections(module_id);

PRAGMA user_version = 9;
COMMIT;
