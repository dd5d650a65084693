/*
** The beta distribution against values known exactly or to many digits, its
** symmetry, the quantile as the inverse of the cdf, and what is refused.
** tests/confidence/test_beta.py compares it with mpmath.
*/
#include "core/beta.h"

#include <math.h>

#include "check.h"

static int near(double actual, double expected, double error) {
  int ok = fabs(actual - expected) <= error * fabs(expected);
  if (!ok) printf("    expected %.17g\n    actual   %.17g\n", expected, actual);
  return ok;
}

/* A generator of its own, so that each run sees the same numbers. */
static double uniform(void) {
  static unsigned long long state = 42;
  state = state * 6364136223846793005U + 1442695040888963407U;
  return (double)((state >> 11) + 1) / 9007199254740994.0;
}

static void check_cdf(void) {
  static const double golden[][4] = {{0.25, 2, 3, 0.26171875},
                                     {0.9, 3, 1, 0.729},
                                     {0.01, 0.5, 2, 0.1495},
                                     {0.1, 0.5, 0.5, 0.204832764699133},
                                     {0.5, 50, 50, 0.5},
                                     {0.95, 200, 5, 0.02312447395747457},
                                     {0.3, 1, 1, 0.3},
                                     {1e-200, 1, 1, 1e-200},
                                     {0.1, 300, 1, 1e-300},
                                     {1e-100, 2, 1, 1e-200},
                                     {1e-30, 0.5, 0.5, 6.366197723675814e-16},
                                     {0.999999, 1e6, 1, 0.36787925722106647}};
  size_t i;
  for (i = 0; i < sizeof(golden) / sizeof(*golden); i++) {
    const double *g = golden[i];
    CHECK(near(hf_beta_cdf(g[0], g[1], g[2]), g[3], 1e-12));
  }
  CHECK(near(hf_beta_cdf(0.52, 1000, 1000), 0.963220516721, 1e-12));
  CHECK(near(hf_beta_cdf(0.502, 1e5, 1e5), 0.963181261172, 1e-12));
  CHECK(hf_beta_cdf(0, 2, 3) == 0 && hf_beta_cdf(1, 2, 3) == 1);
  CHECK(hf_beta_cdf(0.2, 1e6, 1e6) == 0 && hf_beta_cdf(0.8, 1e6, 1e6) == 1);
}

static void check_quantile(void) {
  static const double golden[][4] = {{0.25, 2, 3, 0.243022083756076},
                                     {0.1, 0.5, 0.5, 0.0244717418524232},
                                     {0.025, 1, 1, 0.025},
                                     {0.975, 1, 1, 0.975},
                                     {0.5, 7, 7, 0.5},
                                     {0.25, 1, 2, 0.1339745962155614},
                                     {1e-300, 1, 1, 1e-300},
                                     {1e-300, 3, 1, 1e-100},
                                     {4.9406564584124654e-324, 1, 1, 0},
                                     {1e-3, 1e-3, 1, 0}};
  size_t i;
  for (i = 0; i < sizeof(golden) / sizeof(*golden); i++) {
    const double *g = golden[i];
    double x = hf_beta_quantile(g[0], g[1], g[2]);
    CHECK(g[3] > 0 ? near(x, g[3], 1e-12) : x <= 1e-300);
  }
  CHECK(hf_beta_quantile(0, 2, 3) == 0 && hf_beta_quantile(1, 2, 3) == 1);
}

/* Where x is not so near 1 that it says little of its distance. */
static void check_random(void) {
  int i, wrong = 0;
  for (i = 0; i < 20000; i++) {
    double a = pow(10, 9 * uniform() - 3), b = pow(10, 9 * uniform() - 3);
    double p = i % 2 ? uniform() : pow(10, -290 * uniform());
    double x = hf_beta_quantile(p, a, b);
    if (!hf_within(x, 0, 1)) wrong++;
    if (x < 1e-290 || x > 0.9) continue;
    HfBeta beta;
    CHECK(hf_beta_make(a, b, &beta));
    HfBetaAt at = hf_beta_at(&beta, x, 1 - x);
    double slope = exp(at.density); /* of p by the logit of x */
    double found = hf_beta_cdf(x, a, b);
    double other = hf_beta_cdf(1 - x, b, a);
    if (fabs(found - p) > 1e-10 * slope + 1e-14 * p + 1e-300) wrong++;
    if (x > 1e-3 && fabs(found + other - 1) > 1e-12 + 1e-10 * slope) wrong++;
  }
  CHECK_EQ_INT(wrong, 0);
}

static void check_density(void) {
  CHECK(near(hf_beta_pdf(0.3, 2, 3), 1.764, 1e-13));
  CHECK(near(hf_beta_pdf(0.5, 1e6, 1e6), 1128.3790260481255, 1e-12));
  CHECK(near(hf_beta_pdf(1e-100, 3, 1), 3e-200, 1e-12));
  CHECK(hf_beta_pdf(0, 2, 3) == 0 && hf_beta_pdf(1, 2, 3) == 0);
  CHECK(hf_beta_pdf(0, 1, 3) == 3 && hf_beta_pdf(1, 3, 1) == 3);
  CHECK(isinf(hf_beta_pdf(0, 0.5, 3)) && isinf(hf_beta_pdf(1, 3, 0.5)));
  CHECK(near(hf_beta_log(2, 3), log(1.0 / 12), 1e-14));
  CHECK(near(hf_beta_log(0.5, 0.5), log(acos(-1)), 1e-14));
  CHECK(near(hf_beta_log(1e6, 1e6), -1386300.003362921, 1e-15));
  CHECK(near(hf_beta_log(1e-3, 1e6), 6.893363375325389, 1e-13));
  CHECK(fabs(hf_beta_log(1, 1)) < 1e-13);
}

static void check_wilson(void) {
  static const double golden[][4] = {{0, 10, 0, 0.277532800},
                                     {2, 10, 0.056682151, 0.509837528},
                                     {4, 12, 0.138120091, 0.609377911},
                                     {5, 50, 0.043475765, 0.213602314},
                                     {200, 1000, 0.176377090, 0.225918965},
                                     {10, 10, 0.722467200, 1}};
  size_t i;
  for (i = 0; i < sizeof(golden) / sizeof(*golden); i++) {
    const double *g = golden[i];
    double low = hf_wilson_lower(g[0], g[1], HF_WILSON_Z);
    double high = hf_wilson_upper(g[0], g[1], HF_WILSON_Z);
    CHECK(g[2] > 0 ? near(low, g[2], 1e-8) : low == 0);
    CHECK(g[3] < 1 ? near(high, g[3], 1e-8) : high == 1);
    CHECK(
        near(low + hf_wilson_upper(g[1] - g[0], g[1], HF_WILSON_Z), 1, 1e-14));
  }
  CHECK(near(hf_wilson_lower(1, 4, 0), 0.25, 1e-15));
  CHECK(near(hf_wilson_upper(1, 4, 0), 0.25, 1e-15));
  CHECK(near(hf_wilson_lower(1, 1e12, HF_WILSON_Z), 1.765247e-13, 1e-5));
  CHECK(isnan(hf_wilson_lower(-1, 4, 1)) && isnan(hf_wilson_lower(5, 4, 1)));
  CHECK(isnan(hf_wilson_upper(0, 0, 1)) && isnan(hf_wilson_upper(1, 4, -1)));
  CHECK(isnan(hf_wilson_upper(NAN, 4, 1)) && isnan(hf_wilson_lower(1, 4, NAN)));
}

static void check_refused(void) {
  static const double bad[] = {
      0, -1, NAN, INFINITY, -INFINITY, 0.5 * HF_BETA_LEAST, 2 * HF_BETA_MOST};
  static const double outside[] = {-1e-9, 1.0000001, NAN, INFINITY};
  size_t i;
  for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
    CHECK(isnan(hf_beta_cdf(0.5, bad[i], 1)));
    CHECK(isnan(hf_beta_cdf(0.5, 1, bad[i])));
    CHECK(isnan(hf_beta_quantile(0.5, bad[i], 1)));
    CHECK(isnan(hf_beta_quantile(0.5, 1, bad[i])));
    CHECK(isnan(hf_beta_pdf(0.5, bad[i], 1)));
    CHECK(isnan(hf_beta_log(1, bad[i])));
  }
  for (i = 0; i < sizeof(outside) / sizeof(*outside); i++) {
    CHECK(isnan(hf_beta_cdf(outside[i], 2, 3)));
    CHECK(isnan(hf_beta_pdf(outside[i], 2, 3)));
    CHECK(isnan(hf_beta_quantile(outside[i], 2, 3)));
  }
}

/* Parameters far beyond those of which the accuracy is promised. */
static void check_finite(void) {
  static const double at[] = {1e-12, 1e-9, 1e-3, 1, 1e3, 1e9, 1e12};
  static const double p[] = {
      4.9406564584124654e-324, 1e-300, 1e-16, 0.1, 0.5, 0.9,
      0.99999999999999989};
  int i, j, k;
  for (i = 0; i < 7; i++) {
    for (j = 0; j < 7; j++) {
      CHECK(isfinite(hf_beta_log(at[i], at[j])));
      for (k = 0; k < 7; k++) {
        CHECK(hf_within(hf_beta_quantile(p[k], at[i], at[j]), 0, 1));
        CHECK(hf_within(hf_beta_cdf(p[k], at[i], at[j]), 0, 1));
      }
    }
  }
}

int main(void) {
  check_cdf();
  check_quantile();
  check_random();
  check_density();
  check_wilson();
  check_refused();
  check_finite();
  return check_summary("beta");
}
