/*
 * The door that everything passes which the audit journal is to hold. What stands behind it at
 * present is the log: one line per event, not chained, not sealed, and gone when the log is gone.
 * The chained journal goes behind the same door, and no caller will notice.
 */
#ifndef ECLUSE_KEEPER_JOURNAL_H
#define ECLUSE_KEEPER_JOURNAL_H

#include "base/log.h"
#include "base/record.h"

struct journal;

/* The log is borrowed. */
struct journal *journal_open(const struct log *log);
void journal_close(struct journal *journal);

/* Which session of which gate it happened in, on which listener ("" and NULL when the gate named
 * one that is not there), and of which account (NULL before the login). */
struct journal_place {
    unsigned gate;
    uint64_t session;
    const char *listener;
    const char *protocol;
    const char *account;
};

void journal_write(struct journal *journal, const struct journal_place *place,
                   const struct record *record);

#endif
