/*
** Confidence: the posterior of many votes against plain sums, and the quantile.
** BENCH_VOTES (1000000) scales it.
*/
#include <stdio.h>

#include "bench.h"

#define VOTES \
  "CREATE TABLE vote(x REAL, y REAL); WITH RECURSIVE c(i) AS (SELECT 1 UNION " \
  "ALL SELECT i + 1 FROM c WHERE i < %ld) INSERT INTO vote SELECT i %% 2, " \
  "0.5 * (i %% 3) FROM c"

static double seconds(sqlite3 *db, const char *sql) {
  double start = now();
  run(db, sql);
  return now() - start;
}

static void measure_posterior(long n) {
  sqlite3 *db = open_file("c.db", 1);
  double ratio[100];
  char *sql = sqlite3_mprintf(VOTES, n);
  int i;
  run(db, sql);
  sqlite3_free(sql);
  for (i = 0; i < pairs; i++) {
    double sums = seconds(db, "SELECT sum(x), sum(y) FROM vote");
    ratio[i] =
        seconds(db, "SELECT confidence_posterior(x, y) FROM vote") / sums;
  }
  report("confidence_posterior", "confidence_posterior / sum(x), sum(y)",
         median(ratio, pairs), 2.0, "x");
  sqlite3_close(db);
}

/* Microseconds a call, less what an empty loop of as many takes. */
static double quantile(sqlite3 *db, const char *call) {
  char *with = sqlite3_mprintf(
      "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i "
      "< 20000) SELECT max(%s) FROM c",
      call);
  double value[100];
  int i;
  for (i = 0; i < pairs; i++) {
    double empty = seconds(
        db,
        "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE "
        "i < 20000) SELECT max(i * 1e-5) FROM c");
    value[i] = (seconds(db, with) - empty) / 20000 * 1e6;
  }
  sqlite3_free(with);
  return median(value, pairs);
}

static void measure_quantile(void) {
  static const char *const hard[] = {
      "beta_quantile(i * 5e-5, 1e6, 1e6 + i)",
      "beta_quantile(i * 5e-5, 1e-3, 1e6 + i)",
      "beta_quantile(i * 5e-5, 1e6 + i, 1e-3)",
      "beta_quantile(1e-280 * i, 11, 1e5 + i)",
      "beta_quantile(1e-280 * i, 1e5 + i, 9)",
      "beta_quantile(i * 5e-5, 9.9, 1e6 + i)",
      "beta_quantile(i * 5e-5, 0.9 + i * 1e-9, 0.9)"};
  sqlite3 *db = open_file("c.db", 1);
  double worst = 0;
  size_t i;
  report("beta_quantile", "beta_quantile(p, a, b), typical",
         quantile(db, "beta_quantile(i * 5e-5, 1 + i % 40, 1 + i % 30)"), 5,
         "us");
  for (i = 0; i < sizeof(hard) / sizeof(*hard); i++) {
    double value = quantile(db, hard[i]);
    if (value > worst) worst = value;
  }
  report("beta_quantile_worst", "beta_quantile(p, a, b), hard parameters",
         worst, 50, "us");
  sqlite3_close(db);
}

void measure_confidence(void) {
  measure_posterior(setting("BENCH_VOTES", 1000000));
  measure_quantile();
}
