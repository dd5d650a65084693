/*
** Aggregates, which are window functions with any frame, too: rows can be taken
** out again.
*/
#include <math.h>
#include <string.h>

#include "confidence/confidence.h"
#include "core/beta.h"
#include "core/jcs.h"

/* ---- confidence_posterior ------------------------------------------------ */

/* A sum and what its rounding lost, so that rows which leave a window leave
** nothing behind: D. E. Knuth, TAOCP 2, section 4.2.2, theorem B. */
typedef struct PosteriorSum {
  double high;
  double low;
} PosteriorSum;

typedef struct Posterior {
  PosteriorSum alpha;
  PosteriorSum beta;
  sqlite3_int64 rows;
} Posterior;

static void posterior_add(PosteriorSum *sum, double value) {
  double high = sum->high + value;
  double part = high - sum->high;
  sum->low += (sum->high - (high - part)) + (value - part);
  sum->high = high;
}

/* A delta: NULL is none, and what is beyond the range of a beta distribution
** counts as its end, so that no sum is infinite. */
static int posterior_delta(sqlite3_value *value, double *out, HfError *err) {
  switch (sqlite3_value_type(value)) {
    case SQLITE_NULL:
      *out = 0;
      return SQLITE_OK;
    case SQLITE_INTEGER:
    case SQLITE_FLOAT:
      *out = sqlite3_value_double(value);
      if (*out > HF_BETA_MOST) *out = HF_BETA_MOST;
      if (*out < -HF_BETA_MOST) *out = -HF_BETA_MOST;
      return SQLITE_OK;
    default:
      return hf_fail(err, SQLITE_ERROR,
                     "confidence_posterior: alpha_delta and beta_delta are "
                     "numbers, or NULL");
  }
}

static int posterior_weight(sqlite3_value **argv, double *weight,
                            HfError *err) {
  int age = sqlite3_value_type(argv[2]), half = sqlite3_value_type(argv[3]);
  if (half == SQLITE_NULL || age == SQLITE_NULL) return SQLITE_OK;
  if ((age != SQLITE_INTEGER && age != SQLITE_FLOAT) ||
      (half != SQLITE_INTEGER && half != SQLITE_FLOAT) ||
      !(sqlite3_value_double(argv[3]) > 0)) {
    return hf_fail(err, SQLITE_ERROR,
                   "confidence_posterior: age_ms is a number, and "
                   "half_life_ms one above 0, or NULL: nothing fades");
  }
  *weight = confidence_weight_of(sqlite3_value_double(argv[2]),
                                 sqlite3_value_double(argv[3]));
  if (isnan(*weight)) *weight = 1; /* an infinite age of an infinite life */
  return SQLITE_OK;
}

/* Add a row, or with the sign -1 take it out. */
static void posterior_row(sqlite3_context *context, int argc,
                          sqlite3_value **argv, int sign) {
  Posterior *state = sqlite3_aggregate_context(context, sizeof(*state));
  HfError err = {SQLITE_OK, NULL};
  double alpha = 0, beta = 0, weight = 1;
  if (state == NULL) {
    sqlite3_result_error_nomem(context);
    return;
  }
  if (sqlite3_value_type(argv[0]) == SQLITE_NULL &&
      sqlite3_value_type(argv[1]) == SQLITE_NULL) {
    return;
  }
  if (posterior_delta(argv[0], &alpha, &err) != SQLITE_OK ||
      posterior_delta(argv[1], &beta, &err) != SQLITE_OK ||
      (argc > 2 && posterior_weight(argv, &weight, &err) != SQLITE_OK)) {
    hf_error_to_result(&err, context);
    return;
  }
  posterior_add(&state->alpha, sign * weight * alpha);
  posterior_add(&state->beta, sign * weight * beta);
  state->rows += sign;
}

static void posterior_step(sqlite3_context *context, int argc,
                           sqlite3_value **argv) {
  posterior_row(context, argc, argv, 1);
}

static void posterior_inverse(sqlite3_context *context, int argc,
                              sqlite3_value **argv) {
  posterior_row(context, argc, argv, -1);
}

/* A parameter of the posterior, from the sum of deltas: 1 is the uniform
** prior, and 0.01 the least, as in the analyser that this stems from. */
static double posterior_parameter(const PosteriorSum *sum) {
  double value = 1 + (sum->high + sum->low);
  if (value < 0.01) return 0.01;
  return value > HF_BETA_MOST ? HF_BETA_MOST : value;
}

static void posterior_member(sqlite3_str *json, const char *name,
                             double value) {
  char text[32];
  hf_jcs_number(value, text);
  sqlite3_str_appendf(json, "\"%s\":%s,", name, text);
}

static void posterior_value(sqlite3_context *context) {
  Posterior *state = sqlite3_aggregate_context(context, 0);
  static const Posterior none;
  const Posterior *of = state != NULL ? state : &none;
  double alpha = posterior_parameter(&of->alpha);
  double beta = posterior_parameter(&of->beta);
  double mean = confidence_mean_of(alpha, beta);
  sqlite3_str *json = sqlite3_str_new(NULL);
  HfError err = {SQLITE_OK, NULL};
  sqlite3_str_appendchar(json, 1, '{');
  posterior_member(json, "alpha", alpha);
  posterior_member(json, "beta", beta);
  posterior_member(json, "mean", mean);
  posterior_member(json, "low", hf_beta_quantile(0.025, alpha, beta));
  posterior_member(json, "high", hf_beta_quantile(0.975, alpha, beta));
  sqlite3_str_appendf(json, "\"tier\":\"%s\",\"feedback\":%lld}",
                      confidence_tier_of(mean), of->rows);
  hf_result_text(context, hf_str_finish(json, &err), &err);
}

/* ---- momentum ------------------------------------------------------------ */

enum { MOMENTUM_ROWS = 10 };

/* The last counts of the frame, the oldest first. */
typedef struct Momentum {
  sqlite3_int64 rows; /* of the frame that hold a count */
  int kept;
  double count[MOMENTUM_ROWS];
} Momentum;

/* Is it a count?  NULL is none; TEXT and BLOB are errors. */
static int momentum_count(sqlite3_context *context, sqlite3_value *value) {
  int type = sqlite3_value_type(value);
  if (type == SQLITE_INTEGER || type == SQLITE_FLOAT) return 1;
  if (type != SQLITE_NULL) {
    sqlite3_result_error(context, "momentum: a count is a number, or NULL", -1);
  }
  return 0;
}

static void momentum_drop(Momentum *state) {
  state->kept--;
  memmove(state->count, state->count + 1,
          (size_t)state->kept * sizeof(*state->count));
}

static void momentum_step(sqlite3_context *context, int argc,
                          sqlite3_value **argv) {
  Momentum *state = sqlite3_aggregate_context(context, sizeof(*state));
  (void)argc;
  if (state == NULL) {
    sqlite3_result_error_nomem(context);
    return;
  }
  if (!momentum_count(context, argv[0])) return;
  if (state->kept == MOMENTUM_ROWS) momentum_drop(state);
  state->count[state->kept++] =
      fmax(-1e300, fmin(1e300, sqlite3_value_double(argv[0])));
  state->rows++;
}

/* The oldest row leaves the frame: one that is kept only if all are. */
static void momentum_inverse(sqlite3_context *context, int argc,
                             sqlite3_value **argv) {
  Momentum *state = sqlite3_aggregate_context(context, sizeof(*state));
  (void)argc;
  if (state == NULL || !momentum_count(context, argv[0])) return;
  state->rows--;
  if (state->rows < state->kept) momentum_drop(state);
}

/*
** momentum(count)
**
** Aggregate over counts in the order the rows come, of which the last 10
** matter; NULLs are left out.  TEXT: rising or falling when the least-squares
** slope a row is more than a tenth of the mean, else stable; also for fewer
** than two counts, and a mean that is not above 0.
*/
static void momentum_value(sqlite3_context *context) {
  Momentum *state = sqlite3_aggregate_context(context, 0);
  double sum = 0, moment = 0, square = 0, relative = 0;
  int i, n = state != NULL ? state->kept : 0;
  for (i = 0; i < n; i++) {
    double at = i - 0.5 * (n - 1);
    sum += state->count[i];
    moment += at * state->count[i];
    square += at * at;
  }
  if (n >= 2 && sum > 0) relative = moment / square / (sum / n);
  sqlite3_result_text(context,
                      relative > 0.10    ? "rising"
                      : relative < -0.10 ? "falling"
                                         : "stable",
                      -1, SQLITE_STATIC);
}

/*
** confidence_posterior(alpha_delta, beta_delta [, age_ms, half_life_ms])
**
** Aggregate over changes of a uniform prior: numbers, NULL is none, and a row
** of two NULLs is no feedback; a delta of given age fades by half each
** half-life, unless that is NULL.  Returns JSON, TEXT: alpha, beta (at least
** 0.01), mean, low, high (the 2.5 % and 97.5 % quantiles), tier, feedback (the
** number of rows).  Errors: a delta or an age that is no number, a half-life
** that is not above 0.
*/
int confidence_aggregate_register(HfConn *conn) {
  int rc =
      hf_register_window(conn, "confidence_posterior", 2, posterior_step,
                         posterior_inverse, posterior_value, posterior_value);
  if (rc == SQLITE_OK) {
    rc =
        hf_register_window(conn, "confidence_posterior", 4, posterior_step,
                           posterior_inverse, posterior_value, posterior_value);
  }
  if (rc == SQLITE_OK) {
    rc = hf_register_window(conn, "momentum", 1, momentum_step,
                            momentum_inverse, momentum_value, momentum_value);
  }
  return rc;
}
