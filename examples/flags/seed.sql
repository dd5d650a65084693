-- The 29 flags of the original phase-enforcement system, its defaults, and what
-- is read while the kill switch is on.  Any sqlite3 shell, no extension; again,
-- it changes nothing.  DISABLE_NEW, the 29th, comes with the area.
--
-- The original showed every default while its switch was on, which turned
-- features on that the operator had turned off.  Here a safe value starts
-- nothing new; what checks the work stays on.
INSERT INTO flag(name, kind, default_value, safe_value, allowed)
SELECT * FROM (VALUES
  ('PROMPT_MODE',    'enumeration', 'compact', 'compact',
   '["compact","verbose"]'),
  ('SANDBOX_MODE',   'enumeration', 'none',    'none',   '["none","pool"]'),
  ('SCHEDULER_MODE', 'enumeration', 'legacy',  'legacy', '["legacy","wsjf"]'),

  ('OTEL_ENABLED',             'boolean', '0', '0', NULL),
  ('SELECTIVE_TESTS',          'boolean', '0', '0', NULL),
  ('DANGER_GATES',             'boolean', '0', '1', NULL),
  ('UI_ENABLED',               'boolean', '0', '0', NULL),
  ('MO_ENGINE',                'boolean', '0', '0', NULL),
  ('CRITIC_REPUTATION',        'boolean', '0', '0', NULL),
  ('EVIDENCE_LINKING',         'boolean', '0', '0', NULL),
  ('VELOCITY_TRACKING',        'boolean', '0', '0', NULL),
  ('ADMIN_TOOLS',              'boolean', '0', '0', NULL),
  ('UPGRADE_TOOLS',            'boolean', '0', '0', NULL),
  ('ROUTING_TOOLS',            'boolean', '0', '0', NULL),
  ('ENABLE_OUTCOME_LOGGING',   'boolean', '1', '1', NULL),
  ('RESEARCH_LAYER',           'boolean', '1', '0', NULL),
  ('INTELLIGENT_CRITICS',      'boolean', '1', '0', NULL),
  ('EFFICIENT_OPERATIONS',     'boolean', '1', '0', NULL),
  ('CONSENSUS_ENGINE',         'boolean', '1', '0', NULL),
  ('HOLISTIC_REVIEW_ENABLED',  'boolean', '1', '1', NULL),
  ('WORK_PROCESS_ENFORCEMENT', 'boolean', '1', '1', NULL),

  ('RESEARCH_TRIGGER_SENSITIVITY', 'real',    '0.5', '0', '[0, 1]'),
  ('CRITIC_INTELLIGENCE_LEVEL',    'integer', '2',   '1', '[1, 3]'),

  ('HOLISTIC_REVIEW_MIN_TASKS',               'integer', '3', '3', '[1, 50]'),
  ('HOLISTIC_REVIEW_MAX_TASKS_TRACKED',       'integer', '6', '6', '[1, 50]'),
  ('HOLISTIC_REVIEW_GLOBAL_MIN_TASKS',        'integer', '6', '6', '[1, 50]'),
  ('HOLISTIC_REVIEW_GROUP_INTERVAL_MINUTES',  'integer', '45', '45',
   '[1, 1440]'),
  ('HOLISTIC_REVIEW_GLOBAL_INTERVAL_MINUTES', 'integer', '90', '90',
   '[1, 1440]'))
 WHERE NOT EXISTS (SELECT 1 FROM flag WHERE name = column1);
