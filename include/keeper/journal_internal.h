/*
 * What the files of the journal share. Private to proxy/keeper/journal{,_work,_log}.c.
 *
 * Records are counted as they come: `accepted` is the last one, `durable` the last that is on disk
 * or given up, `urgent` the last that answers wait for.
 */
#ifndef ECLUSE_KEEPER_JOURNAL_INTERNAL_H
#define ECLUSE_KEEPER_JOURNAL_INTERNAL_H

#include "base/buf.h"
#include "keeper/journal.h"

struct journal_ticket {
    struct list node;
    uint64_t record; /* it waits for */
    void (*on_durable)(void *owner, int status);
    void *owner;
};

struct journal_receipt {
    struct list node;
    uint64_t record;
    unsigned gate;
    uint64_t receipt;
};

struct journal {
    struct journal_parts parts;
    struct journal_ops ops; /* all set */
    /* of the configuration */
    enum audit_level level;
    enum audit_failure failure;
    enum audit_sync sync;
    uint64_t segment_max;
    int64_t keep;
    char *anchor;
    char *next_anchor; /* NULL, or what the writer is to be told next */

    struct secret token_key;
    struct journal_subject *subjects;
    struct journal_writer *writer; /* NULL: audit is off, and always was */
    struct buf queue;              /* a RECORDS message */
    uint64_t queued;               /* records in it */
    uint64_t accepted, durable, urgent;
    int64_t oldest; /* steady milliseconds: when the first of the queue came */
    struct list tickets, receipts;
    struct deferral turn; /* something is to be done at once */
    uv_timer_t timer;     /* later */

    /* the work in hand; frozen while the thread has it */
    uv_work_t request;
    bool is_working;
    struct buf taken;  /* a RECORDS message */
    struct slice rest; /* of it */
    uint64_t taken_count;
    char *taken_anchor;
    struct journal_work work;
    struct journal_result result;
    struct err error;
    int status;

    bool is_congested;
    bool is_failing;
    bool has_told;  /* the owner, that nobody may log in */
    unsigned pause; /* milliseconds until the next try */
    int64_t retry_at;
    uint64_t sequence, failures, lost, lost_untold;

    struct secret seed;
    void (*on_sealed)(void *owner, int status, uint64_t first);
    void *seed_owner;

    bool is_closing;
    bool is_ending; /* the last work was begun: a checkpoint ends it */
};

/* ---- journal_work.c ---- */

/* Sees that what is to be done next will be. */
void journal_schedule(struct journal *journal);
void journal_on_turn(struct deferral *deferral);
/* Both tell the owner when that has changed; the second does what audit_failure says. */
void journal_check_congestion(struct journal *journal);
void journal_policy(struct journal *journal);
/* Closing: one more try when there is something to write, then it is over. */
void journal_finish(struct journal *journal);
/* Of an account that was erased: the keys before the newest. Only while no work is in hand. */
void journal_drop_old_subjects(struct journal *journal);

/* ---- journal_log.c ---- */

/* The line for people, for those events that have one. */
void journal_log(const struct log *log, const struct journal_place *place,
                 const struct record *record);

#endif
