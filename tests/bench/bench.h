/*
** The benchmark: ratios against plain SQLite and the designs that are replaced,
** in one run.
**
**   common.c   what every part shares
**   bench.c    ledgers, and main
**   lease.c    leases
**   control.c  the kill switch, flags, the health monitor
**   confidence.c  the beta distribution and posteriors
**   process.c, process_steps.c, process_agents.c  phases
**   retention.c  deletion in batches
*/
#ifndef BENCH_H
#define BENCH_H

#include <sqlite3.h>
#include <stddef.h>

extern const char *library, *folder; /* the extension; where files go */
extern int pairs;                    /* of which a median is taken */

/* Processor time, and wall-clock time, in seconds. */
double now(void);
double wall(void);

/* A number from the environment, or what is usual. */
long setting(const char *name, long usual);

/* Is this part asked for?  BENCH_ONLY names one; without it, all are. */
int chosen(const char *part);

/* Exit with the connection's error unless rc is good; run some SQL; the first
** value of a query. */
void must(sqlite3 *db, int rc);
void run(sqlite3 *db, const char *sql);
sqlite3_int64 query(sqlite3 *db, const char *sql);

/* Open a file of the folder with the extension, WAL, synchronous NORMAL; a
** fresh one is made anew. */
sqlite3 *open_file(const char *name, int fresh);

sqlite3_stmt *prepare(sqlite3 *db, const char *sql);

/* Seconds of processor time for n runs of a statement in one transaction. */
double bulk(sqlite3 *db, const char *sql, long n);

/* Sorts them. */
double median(double *value, int n);

/* Processes that work beside each other: number 0 and so on, each a child that
** opens a connection of its own and puts at most `most` values into its array.
** *took: all their values, for the caller to free; returns how many.  Exits if
** one of them fails. */
size_t crowd(int processes,
             size_t (*work)(int number, const void *argument, double *took,
                            size_t most),
             const void *argument, size_t most, double **took);

/* One line of the table, and of JSON; a goal of 0 is none.  report: it is the
** most that the value may be; report_least: the least. */
void report(const char *key, const char *words, double value, double goal,
            const char *unit);
void report_least(const char *key, const char *words, double value, double goal,
                  const char *unit);

/* The parts in other files. */
void measure_leases(void);
void measure_control(void);
void measure_confidence(void);
void measure_process(void);
void measure_process_million(void);
void measure_retention(void);

#endif
