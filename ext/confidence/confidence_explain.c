/*
** confidence_explain: why a pattern's confidence is what it is.  And the
** registration of the area.
*/
#include "confidence/confidence.h"

/* Members of the object, each a query of the views of sql/confidence.sql.  They
** are run as statements of their own, in which SQLite's JSON functions may be
** used whatever trusted_schema says. */
#define EXPLAIN_BASE "json_object('alpha', b.alpha, 'beta', b.beta)"
#define EXPLAIN_FACTORS \
  "(SELECT json_object('score', s.score, 'pseudo_counts', s.pseudo_counts," \
  "   'files', s.files, 'missing', s.missing, 'fade', s.fade, 'factors'," \
  "   (SELECT json_group_array(json_object('factor', f.factor," \
  "      'weight', f.weight, 'value', f.value," \
  "      'contribution', f.weight * f.value))" \
  "      FROM main.confidence_factor_value AS f" \
  "     WHERE f.pattern_id = b.pattern_id))" \
  "  FROM main.confidence_score AS s WHERE s.pattern_id = b.pattern_id)"
#define EXPLAIN_VOTES \
  "(SELECT json_group_array(json_object('id', v.id," \
  "   'violation', v.violation_id, 'action', v.action, 'reason', v.reason," \
  "   'author', v.author, 'at', v.at, 'weight', v.weight," \
  "   'alpha', v.alpha * v.weight, 'beta', v.beta * v.weight))" \
  "  FROM (SELECT *, confidence_weight(age_ms, (SELECT half_life_ms FROM" \
  "          main.confidence_setting)) AS weight" \
  "          FROM main.confidence_vote WHERE pattern_id = b.pattern_id" \
  "         ORDER BY at, id) AS v)"
#define EXPLAIN_CARRY \
  "(SELECT json_group_array(json_object('detector', c.detector_id," \
  "   'feedback', c.feedback, 'at', c.at, 'weight', c.weight," \
  "   'alpha', c.alpha * c.weight, 'beta', c.beta * c.weight))" \
  "  FROM (SELECT k.*, confidence_weight(n.now - k.at, (SELECT half_life_ms" \
  "          FROM main.confidence_setting)) AS weight" \
  "          FROM main.confidence_carry AS k, main.confidence_now AS n" \
  "         WHERE k.pattern_id = b.pattern_id AND k.expires_at > n.now) AS c)"
#define EXPLAIN_NOT_COUNTED \
  "(SELECT json_group_array(json_object('id', f.id, 'action', f.action," \
  "   'author', f.author, 'why', CASE WHEN f.action = 'undo' THEN 'an undo'" \
  "     WHEN f.standing < 0 THEN 'undone'" \
  "     WHEN f.standing = 0 AND s.one_vote THEN 'replaced'" \
  "     WHEN f.expires_at <= n.now THEN 'expired' ELSE 'no rule' END))" \
  "  FROM main.confidence_feedback AS f, main.confidence_now AS n," \
  "       main.confidence_setting AS s" \
  " WHERE f.pattern_id = b.pattern_id AND f.id NOT IN" \
  "       (SELECT id FROM main.confidence_vote" \
  "         WHERE pattern_id = b.pattern_id))"

/*
** confidence_explain(pattern_id)
**
** TEXT.  Returns JSON, TEXT: pattern, profile, half_life_ms; base (alpha and
** beta before feedback), observation (NULL when there is none: the score, its
** factors with weight, value and contribution, files, fade); votes, each with
** its weight and what it adds; carry, what deleted votes had added;
** not_counted, with the reason; and the result.  base, votes and carry sum up
** to the result.  NULL for a pattern that is not there.  Reads main.
*/
static void explain_function(sqlite3_context *context, int argc,
                             sqlite3_value **argv) {
  HfConn *conn = sqlite3_user_data(context);
  HfError err = {SQLITE_OK, NULL};
  const char *pattern;
  char *json = NULL;
  (void)argc;
  if (hf_any_null(1, argv)) return;
  pattern = hf_argument_text(argv[0],
                             "confidence_explain: the pattern is a TEXT", &err);
  if (pattern != NULL) {
    hf_query_text(
        conn->db, &err, &json,
        "SELECT json_object('pattern', b.pattern_id, 'profile', s.profile,"
        " 'half_life_ms', s.half_life_ms, 'base', " EXPLAIN_BASE
        ", 'observation', json(" EXPLAIN_FACTORS "), 'votes', " EXPLAIN_VOTES
        ", 'carry', " EXPLAIN_CARRY ", 'not_counted', " EXPLAIN_NOT_COUNTED
        ", 'result', json_object('alpha', c.alpha, 'beta', c.beta,"
        " 'mean', c.mean, 'low', c.low, 'high', c.high, 'tier', c.tier,"
        " 'feedback', c.feedback))"
        " FROM main.confidence_base AS b, main.confidence_setting AS s,"
        " main.confidence AS c"
        " WHERE b.pattern_id = %Q AND c.pattern_id = %Q",
        pattern, pattern);
  }
  hf_result_text(context, json, &err);
}

int confidence_explain_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"confidence_explain", 1, HF_READS, explain_function},
  };
  return hf_register_functions(conn, functions,
                               sizeof(functions) / sizeof(*functions));
}

int hf_confidence_register(HfConn *conn) {
  int rc = confidence_beta_register(conn);
  if (rc == SQLITE_OK) rc = confidence_aggregate_register(conn);
  if (rc == SQLITE_OK) rc = confidence_explain_register(conn);
  return rc;
}
