/*
** The sequential test of ext/core/sequential.c: values, and simulated rollouts
** next to a z-test that is peeked at and the rule of fixed thresholds.
*/
#include "core/sequential.h"

#include <math.h>
#include <stdint.h>

#include "check.h"

#define ALPHA 0.05

/* ---- values -------------------------------------------------------------- */

static void test_values(void) {
  HfArm none = {0, 0}, one = {0, 1}, bad = {1, 1}, ten = {1, 10}, six = {6, 10};
  double factor;
  /* Equal rates, and a canary that looks better: no bet. */
  CHECK(hf_sequential_factor(&none, &none, &one, &bad) == 0);
  CHECK(hf_sequential_factor(&six, &ten, &one, &bad) == 0);
  /* 1.18/10.36 and 6.18/10.36, mean 3.68/10.36: by hand. */
  factor = hf_sequential_factor(&ten, &six, &one, &bad);
  CHECK(fabs(factor - (log(9.18 / 6.68) + log(6.18 / 3.68))) < 1e-14);
  factor = hf_sequential_factor(&ten, &six, &bad, &one);
  CHECK(fabs(factor - (log(1.18 / 3.68) + log(4.18 / 6.68))) < 1e-14);
  /* Sizes that differ weigh the mean. */
  factor = hf_sequential_factor(&ten, &six, &six, &bad);
  CHECK(fabs(factor -
             (6 * log(1.18 / (17.98 / 11)) + 4 * log(9.18 / (95.98 / 11)) +
              log(6.18 / (17.98 / 11)))) < 1e-13);
}

/* A trillion requests leave it finite. */
static void test_large(void) {
  int64_t n = HF_ARM_MAX;
  HfArm low = {0, n}, high = {n, n};
  CHECK(isfinite(hf_sequential_factor(&low, &high, &low, &high)));
  CHECK(hf_sequential_factor(&low, &high, &low, &high) > 0);
  CHECK(isfinite(hf_sequential_factor(&low, &high, &high, &low)));
  CHECK(hf_sequential_factor(&low, &high, &high, &low) < 0);
}

/* ---- simulation ---------------------------------------------------------- */

static uint64_t state = 1;

static double uniform(void) {
  uint64_t z = state += 0x9e3779b97f4a7c15; /* SplitMix64 */
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static int64_t failures(int64_t n, double rate) {
  int64_t bad = 0;
  while (n-- > 0) bad += uniform() < rate;
  return bad;
}

/* One rollout: which rules ever called for a rollback? */
typedef struct Rules {
  int sequential;
  int peeked; /* z-test at 5 %, one-sided, looked at every 20 pairs */
  int fixed;  /* mean of 5 checks of 100 requests > 20 %, 3 of them above */
} Rules;

/* At most `pairs` requests of each arm, in blocks of this size. */
static Rules rollout(double base, double canary, int pairs, int block) {
  HfArm seen[2] = {{0, 0}, {0, 0}};
  int64_t check[5] = {0}, in_check = 0;
  double wealth = 0;
  Rules rules = {0, 0, 0};
  int n, checks = 0;
  for (n = 0; n < pairs; n += block) {
    HfArm now[2] = {{failures(block, base), block},
                    {failures(block, canary), block}};
    wealth += hf_sequential_factor(&seen[0], &seen[1], &now[0], &now[1]);
    seen[0].bad += now[0].bad;
    seen[0].total += block;
    seen[1].bad += now[1].bad;
    seen[1].total += block;
    if (wealth >= log(1 / ALPHA)) rules.sequential = 1;
    if (seen[1].total % 20 == 0) {
      double t = (double)seen[1].total;
      double p = (double)(seen[0].bad + seen[1].bad) / (2 * t);
      double z =
          (double)(seen[1].bad - seen[0].bad) / sqrt(2 * t * p * (1 - p));
      if (z > 1.6449) rules.peeked = 1;
    }
    in_check += now[1].bad;
    if (seen[1].total % 100 == 0) {
      int64_t sum = 0;
      int i, above = 0, full = checks < 4 ? checks + 1 : 5;
      check[checks++ % 5] = in_check;
      in_check = 0;
      for (i = 0; i < full; i++) {
        sum += check[i];
        above += check[i] > 20;
      }
      if (sum > (int64_t)20 * full && above >= 3) rules.fixed = 1;
    }
  }
  return rules;
}

/* Which part of many rollouts each rule stopped. */
static void simulate(double base, double canary, int block, double *sequential,
                     double *peeked, double *fixed) {
  enum { RUNS = 2000, PAIRS = 2000 };
  int i, count[3] = {0, 0, 0};
  for (i = 0; i < RUNS; i++) {
    Rules rules = rollout(base, canary, PAIRS, block);
    count[0] += rules.sequential;
    count[1] += rules.peeked;
    count[2] += rules.fixed;
  }
  *sequential = (double)count[0] / RUNS;
  *peeked = (double)count[1] / RUNS;
  *fixed = (double)count[2] / RUNS;
  printf("%5.1f %% -> %5.1f %%, blocks of %3d: sequential %5.1f %%, "
         "peeked z-test %5.1f %%, fixed threshold %5.1f %%\n",
         100 * base, 100 * canary, block, 100 * *sequential, 100 * *peeked,
         100 * *fixed);
}

static void test_false_rollbacks(void) {
  static const double rate[] = {0.01, 0.05, 0.2, 0.5};
  double sequential, peeked, fixed;
  size_t i;
  for (i = 0; i < sizeof(rate) / sizeof(*rate); i++) {
    simulate(rate[i], rate[i], 1, &sequential, &peeked, &fixed);
    CHECK(sequential <= ALPHA);
    CHECK(peeked > 2 * ALPHA);
    simulate(rate[i], rate[i], 50, &sequential, &peeked, &fixed);
    CHECK(sequential <= ALPHA);
    /* A canary that is better. */
    simulate(rate[i], rate[i] / 2, 1, &sequential, &peeked, &fixed);
    CHECK(sequential <= ALPHA / 2);
  }
  simulate(0.2, 0.2, 100, &sequential, &peeked, &fixed);
  CHECK(fixed > 0.5); /* that is its threshold */
}

static void test_rollbacks(void) {
  double sequential, peeked, fixed;
  simulate(0.05, 0.1, 1, &sequential, &peeked, &fixed);
  CHECK(sequential > 0.95);
  CHECK(fixed == 0); /* never sees it */
  simulate(0.05, 0.1, 50, &sequential, &peeked, &fixed);
  CHECK(sequential > 0.95);
  simulate(0.01, 0.05, 1, &sequential, &peeked, &fixed);
  CHECK(sequential > 0.95);
  simulate(0.2, 0.4, 20, &sequential, &peeked, &fixed);
  CHECK(sequential > 0.99);
}

int main(void) {
  test_values();
  test_large();
  test_false_rollbacks();
  test_rollbacks();
  return check_summary("sequential");
}
