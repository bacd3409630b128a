/*
 * What the files of the journal's writer share. Private to proxy/keeper/journal_writer*.c.
 *
 * Lines are sealed into `lines`, written into the segment that is open, and synced. What is synced
 * counts; whatever was sealed since belongs to a gap when anything fails.
 */
#ifndef ECLUSE_KEEPER_JOURNAL_WRITER_PARTS_H
#define ECLUSE_KEEPER_JOURNAL_WRITER_PARTS_H

#include "audit/chain.h"
#include "keeper/journal_anchor.h"
#include "keeper/journal_files.h"
#include "keeper/journal_state.h"
#include "keeper/journal_writer.h"

#define JOURNAL_LINES_MAX  (16 * LINE_CAPACITY)
#define JOURNAL_REASON_MAX 200

/* How the next segment begins. */
struct journal_opening {
    enum record_action action; /* ACTION_AUDIT_OPEN, _GAP or _RECOVERED */
    uint64_t first, last;      /* numbers that it tells of; last < first: none */
    char file[JOURNAL_ASIDE_NAME];
    char reason[JOURNAL_REASON_MAX];
};

struct journal_writer {
    struct journal_files *files;
    struct journal_state *state;
    struct journal_anchor *anchor;
    struct journal_disk disk;
    struct secret signing_key;
    char service_id[17];

    struct chain *chain;        /* NULL: it must be found out first where it stands */
    bool is_new;                /* it has no state on disk */
    uint64_t synced;            /* number of the last line on disk */
    uint64_t synced_offset;     /* its end in the segment that is open */
    int descriptor;             /* of the segment that is open, or -1 */
    struct journal_position at; /* its end, without what is in `lines` */
    struct journal_opening opening;
    struct buf lines;
    struct buf checkpoints; /* those of them that are not on disk yet, for the anchor */
    unsigned epochs;        /* that have ended since the last sync */
    size_t consumed, count; /* of the work's records: what is sealed */

    struct secret saved; /* the chain after the last checkpoint, not stored yet; unset: stored */
    struct journal_position saved_at;

    int64_t looked_for_old; /* wall seconds */
};

/* ---- journal_writer.c ---- */

/* As the chain's functions; begins a segment when none is open. */
MUST_CHECK int journal_writer_add(struct journal_writer *writer, const struct journal_work *work,
                                  const struct record *record, struct err *err);
/* A checkpoint, so that no line is without a signature behind it. */
MUST_CHECK int journal_writer_end_epoch(struct journal_writer *writer,
                                        const struct journal_work *work, struct err *err);
/* What was added is on disk, then its state and its checkpoints are where they belong. */
MUST_CHECK int journal_writer_sync(struct journal_writer *writer, struct journal_result *result,
                                   struct err *err);
void journal_writer_warn(struct journal_result *result, const struct err *err);

/* ---- journal_writer_start.c ---- */

/* Where the chain stands, from its state and the lines behind it. What does not fit is put aside or
 * left where it is, and `opening` will tell. */
MUST_CHECK int journal_writer_start(struct journal_writer *writer, const struct journal_work *work,
                                    struct err *err);

/* ---- journal_writer_expire.c ---- */

/* Segments that are older than `keep` go, and a record says so first. */
MUST_CHECK int journal_writer_expire(struct journal_writer *writer, const struct journal_work *work,
                                     struct journal_result *result, struct err *err);

#endif
