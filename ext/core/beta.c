/*
** The beta distribution: density and tails; Wilson's interval.  The quantile is
** in beta_quantile.c.
**
** Everything goes back to D(x) = x^a y^b / B(a,b), with y = 1 - x, and to the
** ratio of a tail to D.  Both are computed without the difference of large
** numbers, so that a tail of 1e-300 is as exact as one of a half.
*/
#include "core/beta.h"

#include <math.h>
#include <stddef.h>

#define BETA_LOG_2PI 1.8378770664093454836

int hf_within(double value, double least, double most) {
  return value >= least && value <= most;
}

/* ---- the scale ----------------------------------------------------------- */

/* What Stirling's formula leaves: log Gamma(z) is (z - 1/2) log z - z
** + log(2 pi)/2 plus this.  DLMF 5.11.1 from 10 on; below, by the recurrence
** Gamma(z + k) = z (z+1) ... (z+k-1) Gamma(z). */
static double beta_stirling(double z) {
  static const double term[] = {1.0 / 12,    -1.0 / 360, 1.0 / 1260,
                                -1.0 / 1680, 1.0 / 1188, -691.0 / 360360,
                                1.0 / 156};
  double shifted = z, product = 1, w, rest = 0;
  int i, k = 0;
  while (shifted < 10) {
    product *= shifted;
    shifted += 1;
    k++;
  }
  w = 1 / (shifted * shifted);
  for (i = 6; i >= 0; i--) rest = rest * w + term[i];
  rest /= shifted;
  if (k > 0) {
    rest +=
        (shifted - 0.5) * log(shifted) - (z - 0.5) * log(z) - k - log(product);
  }
  return rest;
}

int hf_beta_make(double a, double b, HfBeta *beta) {
  if (!hf_within(a, HF_BETA_LEAST, HF_BETA_MOST) ||
      !hf_within(b, HF_BETA_LEAST, HF_BETA_MOST)) {
    return 0;
  }
  beta->a = a;
  beta->b = b;
  beta->n = a + b;
  beta->scale = 0.5 * (log(a / beta->n * b) - BETA_LOG_2PI) +
                beta_stirling(beta->n) - beta_stirling(a) - beta_stirling(b);
  return 1;
}

double hf_beta_log_of(const HfBeta *beta) {
  double least = beta->a < beta->b ? beta->a : beta->b;
  double most = beta->a < beta->b ? beta->b : beta->a;
  return least * log(least / beta->n) - most * log1p(least / most) -
         beta->scale;
}

double hf_beta_log(double a, double b) {
  HfBeta beta;
  return hf_beta_make(a, b, &beta) ? hf_beta_log_of(&beta) : (double)NAN;
}

/* ---- D ------------------------------------------------------------------- */

/* log(1 + u) - u.  With s = u/(2 + u), log(1 + u) = 2 atanh s, DLMF 4.37.24,
** and its first term is u - s u.  `plus` is 1 + u. */
static double beta_log1p_less(double u, double plus) {
  if (fabs(u) > 0.3) return (u < -0.5 ? log(plus) : log1p(u)) - u;
  double s = u / (2 + u), w = s * s, sum = 0;
  int k;
  for (k = 23; k >= 3; k -= 2) sum = (sum + 1.0 / k) * w;
  return s * (2 * sum - u);
}

/* b x - a y: how far x is from the mean, exactly although it nearly cancels.
** The larger of x and y was rounded; what it lost is in `lost`. */
static double beta_offset(const HfBeta *beta, double x, double y) {
  double ay = beta->a * y;
  double error = fma(beta->a, y, -ay);
  double lost = x < y ? (1 - y) - x : (1 - x) - y;
  double offset = fma(beta->b, x, -ay) - error;
  return offset + (x < y ? -beta->a : beta->b) * lost;
}

/* log D(x).  It is the scale less a deviance of two terms, neither of which is
** negative: C. Loader, "Fast and accurate computation of binomial
** probabilities", 2000. */
static double beta_density(const HfBeta *beta, double x, double y) {
  double offset = beta_offset(beta, x, y);
  return beta->scale +
         beta->a * beta_log1p_less(offset / beta->a, beta->n * x / beta->a) +
         beta->b * beta_log1p_less(-offset / beta->b, beta->n * y / beta->b);
}

/* ---- the lower tail over D, for x up to about the mean ------------------- */

/* I_x(a,b) = D/a F(a+b, 1; a+1; x), DLMF 8.17.8: no term is negative. */
static double beta_series(const HfBeta *beta, double x) {
  double sum = 1, term = 1, top = beta->n, bottom = beta->a + 1;
  int k;
  for (k = 0; k < 100000; k++) {
    double by = top * x / bottom;
    term *= by;
    sum += term;
    if (by < 0.99 && term < sum * 1e-17 * (1 - by)) break;
    top += 1;
    bottom += 1;
  }
  return sum / beta->a;
}

/* The even part (DLMF 1.12(iv)) of the continued fraction DLMF 8.17.22, so
** arranged that a - n x, which may nearly vanish, enters as it is.  Evaluated
** by the method of W. J. Lentz, Applied Optics 15, 1976, as I. J. Thompson and
** A. R. Barnett put it, J. Comput. Phys. 64, 1986. */
static double beta_fraction(const HfBeta *beta, double x, double y) {
  double a = beta->a, away = 1 - beta_offset(beta, x, y);
  double value = a * away / (a + 1), c = value, d = 0;
  int m;
  for (m = 1; m < 100000; m++) {
    double odd = a + 2.0 * m - 1;
    double top = (a + m - 1) / odd * ((beta->n + m - 1) / odd) * x * x * m *
                 (beta->b - m);
    double bottom = m + m * (beta->b - m) * x / odd +
                    (a + m) / (odd + 2) * (away + m * (1 + y));
    d = 1 / (bottom + top * d);
    c = bottom + top / c;
    value *= c * d;
    if (fabs(c * d - 1) < 2e-16) break;
  }
  return 1 / value;
}

/* log D(x) - log D at v below the logit of x, D being a function of the logit.
** The smaller of x and y keeps the terms small. */
static double beta_fall(const HfBeta *beta, double x, double y, double v) {
  if (x < y) return -beta->a * v - beta->n * log1p(x * expm1(-v));
  return beta->b * v - beta->n * log1p(y * expm1(v));
}

/* Nodes and weights of Gauss and Legendre on [-1, 1] for 32 points, those of
** the right half, DLMF 3.5(v): roots of P_32, computed to 40 digits. */
static const double beta_gauss[16][2] = {
    {0.04830766568773831623, 0.09654008851472780057},
    {0.1444719615827964935, 0.09563872007927485942},
    {0.2392873622521370745, 0.09384439908080456564},
    {0.3318686022821276498, 0.09117387869576388471},
    {0.4213512761306353454, 0.08765209300440381114},
    {0.50689990893222939, 0.08331192422694675522},
    {0.587715757240762329, 0.07819389578707030647},
    {0.663044266930215201, 0.07234579410884850623},
    {0.7321821187402896804, 0.06582222277636184684},
    {0.794483795967942407, 0.05868409347853554715},
    {0.8493676137325699701, 0.0509980592623761762},
    {0.896321155766052124, 0.04283589802222668066},
    {0.9349060759377396892, 0.0342738629130214331},
    {0.9647622555875064308, 0.02539206530926205946},
    {0.9856115115452683354, 0.01627439473090567061},
    {0.9972638618494815635, 0.0070186100094700966}};

/* The integral of D over the logit, which is log-concave and smooth, from where
** it has fallen by exp(-38).  A Newton step from either side ends beyond that
** point, since the logarithm is concave. */
static double beta_integral(const HfBeta *beta, double x, double y) {
  double slope = -beta_offset(beta, x, y), curve = beta->n * x * y;
  double width, sum = 0;
  int i;
  if (slope < 0) slope = 0;
  width = 76 / (slope + sqrt(slope * slope + 76 * curve));
  for (i = 0; i < 3; i++) {
    double odds = x / y * exp(-width);
    double falls = beta->a - beta->n * (odds / (1 + odds));
    width += (beta_fall(beta, x, y, width) + 38) / falls;
  }
  for (i = 0; i < 16; i++) {
    double near = 0.5 * width * (1 - beta_gauss[i][0]);
    sum += beta_gauss[i][1] * (exp(beta_fall(beta, x, y, near)) +
                               exp(beta_fall(beta, x, y, width - near)));
  }
  return 0.5 * width * sum;
}

/* ---- which --------------------------------------------------------------- */

static HfBeta beta_mirror(const HfBeta *beta) {
  HfBeta other = *beta;
  other.a = beta->b;
  other.b = beta->a;
  return other;
}

/* At x up to the mean: the lower tail, or the upper one where that is easier
** and the lower one is not so small that 1 minus it would lose digits. */
static HfBetaAt beta_below(const HfBeta *beta, double x, double y) {
  HfBetaAt at = {beta_density(beta, x, y), 0, 0};
  if (beta->a >= 10 && beta->b >= 10) {
    at.ratio = beta_integral(beta, x, y);
  } else if (x <= 0.7) {
    at.ratio = beta_series(beta, x);
  } else if (beta->n * y <= 0.5) {
    HfBeta other = beta_mirror(beta);
    at.ratio = beta_series(&other, y);
    at.upper = 1;
  } else {
    at.ratio = beta_fraction(beta, x, y);
  }
  return at;
}

HfBetaAt hf_beta_at(const HfBeta *beta, double x, double y) {
  if (beta->b * x <= beta->a * y) return beta_below(beta, x, y);
  HfBeta other = beta_mirror(beta);
  HfBetaAt at = beta_below(&other, y, x);
  at.upper = !at.upper;
  return at;
}

double hf_beta_cdf(double x, double a, double b) {
  HfBeta beta;
  HfBetaAt at;
  double tail;
  if (!hf_beta_make(a, b, &beta) || !hf_within(x, 0, 1)) return NAN;
  if (x == 0 || x == 1) return x;
  at = hf_beta_at(&beta, x, 1 - x);
  tail = exp(at.density) * at.ratio;
  if (tail > 1) tail = 1;
  return at.upper ? 1 - tail : tail;
}

/* The density at an end: 0, a pole, or between the two. */
static double beta_pdf_end(double a, double b) {
  if (a == 1) return b;
  return a > 1 ? 0 : (double)INFINITY;
}

double hf_beta_pdf(double x, double a, double b) {
  HfBeta beta;
  double y = 1 - x;
  if (!hf_beta_make(a, b, &beta) || !hf_within(x, 0, 1)) return NAN;
  if (x == 0) return beta_pdf_end(a, b);
  if (x == 1) return beta_pdf_end(b, a);
  return exp(beta_density(&beta, x, y) - log(x)) / y;
}

/* ---- Wilson -------------------------------------------------------------- */

static int beta_wilson_valid(double k, double n, double z) {
  return hf_within(n, HF_BETA_LEAST, HF_BETA_MOST) && hf_within(k, 0, n) &&
         hf_within(z, 0, 1e6);
}

/* The bounds are the roots of (n + z^2) w^2 - (2k + z^2) w + k^2/n: the larger
** one has no cancellation, and the smaller one is had from their product. */
static double beta_wilson(double k, double n, double z) {
  return k + 0.5 * z * z + z * sqrt(k * ((n - k) / n) + 0.25 * z * z);
}

double hf_wilson_lower(double k, double n, double z) {
  if (!beta_wilson_valid(k, n, z)) return NAN;
  return k == 0 ? 0 : k * (k / n) / beta_wilson(k, n, z);
}

double hf_wilson_upper(double k, double n, double z) {
  if (!beta_wilson_valid(k, n, z)) return NAN;
  return k == n ? 1 : beta_wilson(k, n, z) / (n + z * z);
}
