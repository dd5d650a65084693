/*
** Confidence: how sure a finding is, given what people did with those before.
**
**   confidence_beta.c       the beta distribution and Wilson's interval in SQL
**   confidence_aggregate.c  confidence_posterior, momentum
**   confidence_explain.c    confidence_explain
**
** The tables, their walls and the views are in sql/confidence.sql.
*/
#ifndef HF_CONFIDENCE_CONFIDENCE_H
#define HF_CONFIDENCE_CONFIDENCE_H

#include "sqlite/hf.h"

/* The word for a mean from 0 to 1; NULL for what is none. */
const char *confidence_tier_of(double mean);

/* alpha/(alpha + beta) within [0, 1]; 1/2 when their sum is not above 0. */
double confidence_mean_of(double alpha, double beta);

/* 2^(-age/half_life); 1 for an age below 0. */
double confidence_weight_of(double age, double half_life);

int confidence_beta_register(HfConn *conn);
int confidence_aggregate_register(HfConn *conn);
int confidence_explain_register(HfConn *conn);

#endif
