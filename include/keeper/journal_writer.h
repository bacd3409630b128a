/*
 * Writes the audit journal: records become lines of the chain, lines go into segments, and when
 * journal_writer_write returns they are on disk. It knows no loop: keeper/journal has it work in a
 * thread, and touches it meanwhile no more than it touches what it lent for the work.
 *
 * What could not be written is never counted as written, and not tried again in the same place: a
 * failed segment is over. The next try begins a new one by an audit-gap record, which says which
 * numbers are missing, and the records that were in hand are given to it once more.
 */
#ifndef ECLUSE_KEEPER_JOURNAL_WRITER_H
#define ECLUSE_KEEPER_JOURNAL_WRITER_H

#include <sys/types.h>

#include "base/secret.h"
#include "base/terms.h"
#include "keeper/state_folder.h"

struct journal_writer;

/* How the disk is reached: a test puts its faults here. */
struct journal_disk {
    ssize_t (*write)(int descriptor, const void *bytes, size_t size);
    int (*sync)(int descriptor);
};

struct journal_writer_parts {
    const struct state_folder *state; /* borrowed */
    const struct secret *state_key;   /* copied, like all below */
    const struct secret *signing_key;
    const char *anchor;              /* as audit_anchor has it */
    const struct journal_disk *disk; /* NULL: the system's */
};

/* The pseudonym key of an account. A list that only ever grows at its head. */
struct journal_subject {
    const struct journal_subject *next;
    char *account;
    struct secret key;
};

/* What one call works with; all borrowed. */
struct journal_work {
    enum audit_level level; /* ENSUREd: not off */
    uint64_t segment_max;   /* octets */
    int64_t keep;           /* seconds that a segment stays */
    uint64_t now;           /* wall clock, microseconds */
    const struct journal_subject *subjects;
    struct slice records;      /* as auth/message encodes them, without the message's head */
    uint64_t lost;             /* records that were given up since the last success */
    bool is_last;              /* a checkpoint ends it, so that nothing is without signature */
    const struct secret *seed; /* NULL, or the one that seals from now on */
    const char *anchor; /* NULL, or where checkpoints go from now on, as audit_anchor has it */
};

struct journal_result {
    size_t consumed;     /* octets of `records` that are on disk now, also after an error */
    size_t count;        /* records in them */
    uint64_t lost_told;  /* of `lost`: it is on disk that they are */
    uint64_t sequence;   /* number of the last line on disk; 0: none yet */
    uint64_t seed_first; /* number of the first line that the new seed seals */
    char warning[200];   /* what has failed and is no reason to stop: the anchor, an old segment */
};

/* Opens the folder and makes it when it is missing; reads and writes nothing else yet. ERR_DENIED,
 * ERR_SYSTEM. */
MUST_CHECK int journal_writer_open(const struct journal_writer_parts *parts,
                                   struct journal_writer **writer_out, struct err *err);
/* NULL is fine. */
void journal_writer_close(struct journal_writer *writer);

/* Also without records: the epoch ends when it is time, old segments go. At the first call the
 * chain goes on from where it stood. Takes as many records as go to disk in one go; who has more
 * calls again. On an error nothing but `consumed` was done, as far as anybody may count on. */
MUST_CHECK int journal_writer_write(struct journal_writer *writer, const struct journal_work *work,
                                    struct journal_result *result_out, struct err *err);

#endif
