/*
** The quantile of the beta distribution.
**
** Sought is the logit z = log(x/(1-x)), since an absolute error of it is the
** relative one of x and of 1-x.  In z the density is log-concave, hence so are
** both tails: Newton's method for log P(z) = log p converges from anywhere,
** after its first step from the left.  The steps here are Halley's where they
** are small: A. S. Householder, "The numerical treatment of a single nonlinear
** equation", 1970, section 4.4.
*/
#include <math.h>

#include "core/beta.h"

/* The deviate of the normal distribution above which p lies, p up to a half:
** M. Abramowitz, I. A. Stegun, "Handbook of mathematical functions", 26.2.23,
** good to 4.5e-4. */
static double quantile_deviate(double p) {
  double t = sqrt(-2 * log(p));
  return t - (2.515517 + t * (0.802853 + t * 0.010328)) /
                 (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
}

/* A first z for a and b from 1 on, p below a half: ibidem, 26.5.22. */
static double quantile_guess(const HfBeta *beta, double p) {
  double u = 1 / (2 * beta->a - 1), v = 1 / (2 * beta->b - 1);
  double deviate = quantile_deviate(p);
  double h = 2 / (u + v), l = (deviate * deviate - 3) / 6;
  double w = deviate * sqrt(h + l) / h - (v - u) * (l + 5.0 / 6 - 2 / (3 * h));
  return log(beta->a / beta->b) - 2 * w;
}

/* The z for which the first term of the series in x is p, and in *exact
** whether no other term counts.  a log x = log(p a B(a,b)), DLMF 8.17.8. */
static double quantile_leading(double a, double b, double log_beta,
                               double log_p, int *exact) {
  double z = (log_p + log(a) + log_beta) / a;
  *exact = z < -40 && z + log1p(b) < -40;
  return z;
}

/* Where to begin when a or b is less than 1.  With a above 1 and b below, n y
** is distributed nearly as gamma with the parameter b, whose upper tail at t is
** about b exp(-t)/t. */
static double quantile_begin(const HfBeta *beta, double p, double lower,
                             double upper) {
  if (beta->a <= 1) return lower < 0 ? lower : -upper;
  if (beta->b >= 1) return lower;
  double t = log(beta->b) - log(p);
  if (t < 2) return -upper;
  return log(beta->n / (t - log(t)));
}

/* The next z, by how far log P is from log p there. */
static double quantile_step(const HfBeta *beta, double z, double log_p,
                            double *bound) {
  double small = 1 / (1 + exp(fabs(z)));
  double x = z < 0 ? small : 1 - small, y = z < 0 ? 1 - small : small;
  HfBetaAt at = hf_beta_at(beta, x, y);
  double tail = fmin(exp(at.density) * at.ratio, 1 - 1e-16);
  double log_tail = at.upper ? log1p(-tail) : at.density + log(at.ratio);
  double rate = at.upper ? exp(at.density) / (1 - tail) : 1 / at.ratio;
  double slope = beta->a * y - beta->b * x;
  double off = log_tail - log_p;
  double bend = 1 - off * (slope - rate) / (2 * rate);
  double step = -off / rate;
  double most = rate > fabs(slope) ? rate : fabs(slope);
  if (bend > 0.5 && bend < 2) step /= bend;
  *bound = fabs(step) * (step * most) * (step * most);
  return step;
}

/* z for p up to a half.  What lies beyond 700 has been told by the leading
** terms. */
static double quantile_solve(const HfBeta *beta, double p) {
  double log_p = log(p), log_beta = hf_beta_log_of(beta), bound, z, upper;
  int exact, i;
  z = quantile_leading(beta->a, beta->b, log_beta, log_p, &exact);
  if (exact) return z;
  upper = quantile_leading(beta->b, beta->a, log_beta, log1p(-p), &exact);
  if (exact) return -upper;
  if (beta->a >= 1 && beta->b >= 1) {
    double guess = quantile_guess(beta, p);
    if (!(z > guess)) z = guess;
  } else {
    z = quantile_begin(beta, p, z, upper);
  }
  for (i = 0; i < 100; i++) {
    if (z > 700) z = 700;
    if (z < -700) z = -700;
    z += quantile_step(beta, z, log_p, &bound);
    if (!(bound > 1e-14)) break;
  }
  return z;
}

double hf_beta_quantile(double p, double a, double b) {
  HfBeta beta;
  double z;
  if (!hf_within(p, 0, 1) || !hf_beta_make(a, b, &beta)) return NAN;
  if (p == 0 || p == 1) return p;
  if (p <= 0.5) {
    z = quantile_solve(&beta, p);
  } else {
    beta.a = b;
    beta.b = a;
    z = -quantile_solve(&beta, 1 - p);
  }
  return z < 0 ? exp(z) / (1 + exp(z)) : 1 / (1 + exp(-z));
}
