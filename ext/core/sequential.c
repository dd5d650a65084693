#include "core/sequential.h"

#include <math.h>

/* Imagined failures and successes of each arm before the first: of the plug-in
** rules tried by Turner et al., the one with the least regret. */
#define SEQUENTIAL_PRIOR 0.18

static double sequential_rate(const HfArm *seen) {
  return ((double)seen->bad + SEQUENTIAL_PRIOR) /
         ((double)seen->total + 2 * SEQUENTIAL_PRIOR);
}

/* The log likelihood of an arm under `rate` over that under `mean`. */
static double sequential_ratio(const HfArm *arm, double rate, double mean) {
  return (double)arm->bad * log1p((rate - mean) / mean) +
         (double)(arm->total - arm->bad) * log1p((mean - rate) / (1 - mean));
}

double hf_sequential_factor(const HfArm *baseline_before,
                            const HfArm *canary_before, const HfArm *baseline,
                            const HfArm *canary) {
  double a = sequential_rate(baseline_before);
  double b = sequential_rate(canary_before);
  double share =
      (double)canary->total / ((double)baseline->total + (double)canary->total);
  double mean = a + share * (b - a);
  if (b <= a) return 0; /* nothing to bet on */
  return sequential_ratio(baseline, a, mean) +
         sequential_ratio(canary, b, mean);
}
