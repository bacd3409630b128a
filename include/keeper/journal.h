/*
 * The door that everything passes which the audit journal is to hold. A record is put into a queue
 * and written, with all others that have come meanwhile, by keeper/journal_writer in a thread: at
 * once when somebody waits for it, else within GROUP_MILLISECONDS or when there are GROUP_RECORDS.
 * Order is kept, and nothing is dropped: when the queue fills, its owner is told to let no more in.
 * Events that a person cares about become a line of the log, too.
 *
 * Some records are on disk before anybody hears of what they tell: denials, and what happens to
 * tokens and local passwords; with audit_sync = strict every login. Who answers a client or a
 * command waits by journal_when_durable.
 *
 * When the journal cannot be written it is tried again, with pauses, in a new segment:
 *   audit_failure = close   whoever waits is told ERR_UNAVAILABLE, and the owner that nobody may
 *                           log in; what has happened is kept until it can be written
 *   block                   whoever waits goes on waiting, and no more is let in
 *   warn                    nobody waits; how many records are missing is written down afterwards
 *
 * audit = off: nothing is queued, nobody waits, no folder is made; the log is as ever.
 */
#ifndef ECLUSE_KEEPER_JOURNAL_H
#define ECLUSE_KEEPER_JOURNAL_H

#include "base/record.h"
#include "conf/config.h"
#include "keeper/journal_writer.h"
#include "keeper/vault.h"
#include "net/loop.h"

#define JOURNAL_GROUP_MILLISECONDS 4 /* a gate gathers as long before: with the disk, some 10 */
#define JOURNAL_GROUP_RECORDS      256
#define JOURNAL_FINGERPRINT        17 /* 16 hexadecimal digits and a NUL */

struct journal;
struct journal_ticket;

/* None is called from within a function of the journal but on_congested. */
struct journal_ops {
    /* No more records are to come, or they may again. */
    void (*on_congested)(void *owner, bool is_congested);
    /* audit_failure = close: nobody may log in, and sessions end; or they may again. */
    void (*on_failing)(void *owner, bool is_failing);
    /* The record of that receipt is on disk, or given up. */
    void (*on_durable)(void *owner, unsigned gate, uint64_t receipt);
};

/* All borrowed; they outlive the journal. */
struct journal_parts {
    struct loop *loop;
    struct vault *vault;
    const struct state_folder *state;
    const struct log *log;
    const struct journal_disk *disk; /* NULL: the system's */
    const struct journal_ops *ops;   /* NULL: nobody listens */
    void *owner;
};

/* Makes the folder, unless audit is off. ERR_DENIED: somebody else can reach it. */
MUST_CHECK int journal_open(const struct journal_parts *parts, const struct config *config,
                            struct journal **journal_out, struct err *err);
/* The log alone, whatever a configuration says. */
struct journal *journal_open_off(struct loop *loop, const struct log *log);
/* For another configuration; on an error nothing changes that is in use. */
MUST_CHECK int journal_set_config(struct journal *journal, const struct config *config,
                                  struct err *err);
/* What is queued is written, if it can be; nobody is called any more. The memory goes when the loop
 * has closed its handles. NULL is fine. */
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

/* `place` NULL: in no session. */
void journal_write(struct journal *journal, const struct journal_place *place,
                   const struct record *record);
/* For what was written last: on_durable will come. */
void journal_want_receipt(struct journal *journal, unsigned gate, uint64_t receipt);
/* The gate is gone, and so is whoever waited there. */
void journal_forget_gate(struct journal *journal, unsigned gate);

/* What was written so far and must be on disk before an answer is. */
bool journal_is_durable(const struct journal *journal);
/* `on_durable` is called once, unless cancelled, and never from within: 0, or ERR_UNAVAILABLE. */
struct journal_ticket *journal_when_durable(struct journal *journal,
                                            void (*on_durable)(void *owner, int status),
                                            void *owner);
void journal_cancel(struct journal_ticket *ticket);

/* It cannot be written now, and nobody may do anything that is not. */
bool journal_refuses(const struct journal *journal);
#define JOURNAL_REFUSAL "the audit journal cannot be written"

/* Of a token: tells it from others, and nothing of it. "" when audit is off. */
void journal_fingerprint(const struct journal *journal, const struct secret *token,
                         char fingerprint_out[JOURNAL_FINGERPRINT]);

/* The seed (moved from) seals from the next line on that `on_sealed` names, in a segment of its
 * own; called once, never from within. ERR_BUSY: another one is on its way; ERR_UNAVAILABLE: audit
 * is off. */
MUST_CHECK int journal_seal_anew(struct journal *journal, struct secret *seed,
                                 void (*on_sealed)(void *owner, int status, uint64_t first),
                                 void *owner, struct err *err);
/* `owner` will not be called. */
void journal_seal_anew_cancel(struct journal *journal, const void *owner);
/* The account's pseudonyms are nobody's any more. ERR_NOT_FOUND: it has none. */
MUST_CHECK int journal_erase(struct journal *journal, const char *account, struct err *err);

struct journal_status {
    enum audit_level level;
    uint64_t sequence; /* number of the last line on disk; 0: none yet */
    uint64_t queued;   /* records that are not */
    uint64_t lost;     /* given up since the start */
    uint64_t failures; /* writes that failed since the start */
    bool is_failing;
    const char *error; /* the last one; borrowed */
};
struct journal_status journal_status(const struct journal *journal);

#endif
