/*
** A sequential test of two error rates that may be looked at after every
** measurement: is the canary worse than the baseline?
**
** It is a test by betting.  Wealth starts at 1; before each block of requests a
** bet is placed on the rates seen so far, and the block multiplies the wealth,
** the e-value, by the likelihood of its outcome under these two rates over that
** under one common rate.  If the canary is no worse, the wealth does not grow
** in expectation whatever the bets, so the chance that it ever reaches 1/alpha
** is at most alpha (Ville's inequality), however often one looks.
**
** Why a block is fair: let a and b be the two rates bet on, a < b, and m their
** mean weighted by the sizes of the block.  One request of the baseline, whose
** true rate is t, multiplies by A(t) = t a/m + (1-t)(1-a)/(1-m) in expectation,
** one of the canary by B(t), alike.  The weighted mean of A(t) and B(t) is 1,
** so their weighted geometric mean is at most 1; and A falls with t while B
** rises, so a baseline worse than the canary makes it less still.
**
** Sources: R. Turner, A. Ly, P. Grünwald, "Generic E-variables for exact
** sequential k-sample tests that allow for optional stopping", 2024; J. Ville,
** "Étude critique de la notion de collectif", 1939.
*/
#ifndef HF_CORE_SEQUENTIAL_H
#define HF_CORE_SEQUENTIAL_H

#include <stdint.h>

/* So many requests of an arm at most, lest a rate round to 1. */
#define HF_ARM_MAX (INT64_C(1) << 40)

/* What was seen of one arm. */
typedef struct HfArm {
  int64_t bad;
  int64_t total;
} HfArm;

/* The natural logarithm of the factor by which a block multiplies the e-value.
** before: what was seen before it, from which the bet is made; block: both
** sizes at least 1, fixed without a look at the outcome. */
double hf_sequential_factor(const HfArm *baseline_before,
                            const HfArm *canary_before, const HfArm *baseline,
                            const HfArm *canary);

#endif
