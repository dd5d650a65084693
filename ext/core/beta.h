/*
** The beta distribution, and Wilson's interval for a proportion.
**
** Parameters a and b are from HF_BETA_LEAST to HF_BETA_MOST, arguments from 0
** to 1.  Whatever lies outside, or is no number, has the result NaN; all other
** results are finite, but for the density where it has a pole.  The relative
** error is below 1e-10 for a and b from 1e-3 to 1e6, also far out in the tails;
** a result below the least double is 0.
**
** A small upper tail is beta_cdf(1 - x; b, a): as 1 minus the lower one it
** would be lost.
**
** Sources are given at each method: DLMF is the NIST Digital Library of
** Mathematical Functions, https://dlmf.nist.gov.
*/
#ifndef HF_CORE_BETA_H
#define HF_CORE_BETA_H

#define HF_BETA_LEAST 1e-12
#define HF_BETA_MOST 1e12
#define HF_WILSON_Z 1.959963984540054 /* 95 %, two-sided */

/* Is it a number within these bounds?  NaN is not. */
int hf_within(double value, double least, double most);

/* What depends on a and b alone, and is used at every x. */
typedef struct HfBeta {
  double a;
  double b;
  double n;     /* a + b */
  double scale; /* log of x^a (1-x)^b / B(a,b) at x = a/n */
} HfBeta;

/* Prepare for a and b; 0 when they are out of range. */
int hf_beta_make(double a, double b, HfBeta *beta);

/* log B(a,b), DLMF 5.12.1; near its zeros the error is 1e-13 absolute. */
double hf_beta_log(double a, double b);
double hf_beta_log_of(const HfBeta *beta);

/* The density at x: INFINITY at a pole, and where it exceeds a double. */
double hf_beta_pdf(double x, double a, double b);

/* P(X <= x), the regularised incomplete beta function I_x(a,b), DLMF 8.17.2. */
double hf_beta_cdf(double x, double a, double b);

/* The x with P(X <= x) = p. */
double hf_beta_quantile(double p, double a, double b);

/* One side of the distribution at a point. */
typedef struct HfBetaAt {
  double density; /* log of x^a y^b / B(a,b), which is the density of the logit
                  ** of X */
  double ratio;   /* of the tail to that */
  int upper;      /* the tail is P(X > x), else P(X <= x) */
} HfBetaAt;

/* Both x and y = 1 - x are given: the smaller of them is exact.  0 < x < 1. */
HfBetaAt hf_beta_at(const HfBeta *beta, double x, double y);

/* Wilson's bounds for k of n at z standard deviations: E. B. Wilson, "Probable
** inference, the law of succession, and statistical inference", JASA 22, 1927.
** 0 <= k <= n, n > 0, 0 <= z <= 1e6. */
double hf_wilson_lower(double k, double n, double z);
double hf_wilson_upper(double k, double n, double z);

#endif
