/*
** The beta distribution and Wilson's interval in SQL.  All are pure.
**
** One rule for all of them: an argument that is NULL, no number (TEXT, BLOB,
** NaN) or outside of its range has the result NULL.  Results are finite.
*/
#include <math.h>
#include <string.h>

#include "confidence/confidence.h"
#include "core/beta.h"

/* The REAL or INTEGER of an argument, else NaN. */
static double confidence_number(sqlite3_value *value) {
  int type = sqlite3_value_type(value);
  if (type != SQLITE_INTEGER && type != SQLITE_FLOAT) return NAN;
  return sqlite3_value_double(value);
}

static void confidence_result(sqlite3_context *context, double value) {
  if (isfinite(value)) sqlite3_result_double(context, value);
}

/*
** beta_cdf(x, a, b)
**
** x from 0 to 1; a and b from 1e-12 to 1e12.  P(X <= x), REAL: the regularised
** incomplete beta function.  For a small upper tail ask beta_cdf(1 - x, b, a).
*/
static void confidence_cdf(sqlite3_context *context, int argc,
                           sqlite3_value **argv) {
  (void)argc;
  confidence_result(context, hf_beta_cdf(confidence_number(argv[0]),
                                         confidence_number(argv[1]),
                                         confidence_number(argv[2])));
}

/*
** beta_quantile(p, a, b)
**
** p from 0 to 1.  The x with P(X <= x) = p, REAL.
*/
static void confidence_quantile(sqlite3_context *context, int argc,
                                sqlite3_value **argv) {
  (void)argc;
  confidence_result(context, hf_beta_quantile(confidence_number(argv[0]),
                                              confidence_number(argv[1]),
                                              confidence_number(argv[2])));
}

/*
** beta_pdf(x, a, b)
**
** The density at x, REAL; NULL where it is infinite.
*/
static void confidence_pdf(sqlite3_context *context, int argc,
                           sqlite3_value **argv) {
  (void)argc;
  confidence_result(context, hf_beta_pdf(confidence_number(argv[0]),
                                         confidence_number(argv[1]),
                                         confidence_number(argv[2])));
}

/*
** beta_log(a, b)
**
** The logarithm of the beta function, REAL.
*/
static void confidence_log(sqlite3_context *context, int argc,
                           sqlite3_value **argv) {
  (void)argc;
  confidence_result(context, hf_beta_log(confidence_number(argv[0]),
                                         confidence_number(argv[1])));
}

double confidence_mean_of(double alpha, double beta) {
  double sum = alpha + beta, mean;
  if (!isfinite(sum) || !(sum > 0)) return 0.5;
  mean = alpha / sum;
  if (mean < 0) return 0;
  return mean > 1 ? 1 : mean;
}

/*
** beta_mean(a, b)
**
** a/(a + b), held within [0, 1], REAL; 0.5, that is nothing known, when a + b
** is not above 0 or not finite.
*/
static void confidence_mean(sqlite3_context *context, int argc,
                            sqlite3_value **argv) {
  double a = confidence_number(argv[0]), b = confidence_number(argv[1]);
  (void)argc;
  if (isnan(a) || isnan(b)) return;
  sqlite3_result_double(context, confidence_mean_of(a, b));
}

const char *confidence_tier_of(double mean) {
  if (!hf_within(mean, 0, 1)) return NULL;
  if (mean >= 0.85) return "established";
  if (mean >= 0.70) return "emerging";
  return mean >= 0.50 ? "tentative" : "uncertain";
}

/*
** confidence_tier(mean)
**
** mean from 0 to 1.  TEXT: established from 0.85 on, emerging from 0.70,
** tentative from 0.50, else uncertain.
*/
static void confidence_tier(sqlite3_context *context, int argc,
                            sqlite3_value **argv) {
  const char *tier = confidence_tier_of(confidence_number(argv[0]));
  (void)argc;
  if (tier != NULL) sqlite3_result_text(context, tier, -1, SQLITE_STATIC);
}

static double confidence_z(int argc, sqlite3_value **argv) {
  return argc > 2 ? confidence_number(argv[2]) : HF_WILSON_Z;
}

/*
** wilson_lower(k, n [, z]), wilson_upper(k, n [, z])
**
** k of n trials, 0 <= k <= n, n > 0; z standard deviations, 0 to 1e6, left out
** 1.96: 95 %.  The bounds of Wilson's interval for the rate, REAL; exactly 0
** for k = 0, and 1 for k = n.
*/
static void confidence_wilson_lower(sqlite3_context *context, int argc,
                                    sqlite3_value **argv) {
  confidence_result(context, hf_wilson_lower(confidence_number(argv[0]),
                                             confidence_number(argv[1]),
                                             confidence_z(argc, argv)));
}

static void confidence_wilson_upper(sqlite3_context *context, int argc,
                                    sqlite3_value **argv) {
  confidence_result(context, hf_wilson_upper(confidence_number(argv[0]),
                                             confidence_number(argv[1]),
                                             confidence_z(argc, argv)));
}

double confidence_weight_of(double age, double half_life) {
  return age > 0 ? exp2(-age / half_life) : 1;
}

/*
** confidence_weight(age_ms, half_life_ms)
**
** What a vote of that age still weighs, REAL: 2^(-age/half_life), 1 for an age
** below 0, and for a half-life that is NULL, for then nothing fades.  NULL for
** a half-life that is not above 0.
*/
static void confidence_weight(sqlite3_context *context, int argc,
                              sqlite3_value **argv) {
  double age = confidence_number(argv[0]), half = confidence_number(argv[1]);
  (void)argc;
  if (sqlite3_value_type(argv[1]) == SQLITE_NULL) {
    sqlite3_result_double(context, 1);
  } else if (!isnan(age) && half > 0) {
    confidence_result(context, confidence_weight_of(age, half));
  }
}

int confidence_beta_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"beta_cdf", 3, HF_PURE, confidence_cdf},
      {"beta_log", 2, HF_PURE, confidence_log},
      {"beta_mean", 2, HF_PURE, confidence_mean},
      {"beta_pdf", 3, HF_PURE, confidence_pdf},
      {"beta_quantile", 3, HF_PURE, confidence_quantile},
      {"confidence_tier", 1, HF_PURE, confidence_tier},
      {"confidence_weight", 2, HF_PURE, confidence_weight},
      {"wilson_lower", 2, HF_PURE, confidence_wilson_lower},
      {"wilson_lower", 3, HF_PURE, confidence_wilson_lower},
      {"wilson_upper", 2, HF_PURE, confidence_wilson_upper},
      {"wilson_upper", 3, HF_PURE, confidence_wilson_upper},
  };
  return hf_register_functions(conn, functions,
                               sizeof(functions) / sizeof(*functions));
}
