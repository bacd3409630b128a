/*
 * Where the chain of the journal stands, kept from one start to the next: `state` of the audit
 * folder, sealed. It has two slots that are written in turn; as soon as one is on disk the other is
 * overwritten, so that of the keys of older epochs nothing is left there.
 *
 * Blocks until the disk has it. One owner at a time, in any thread.
 */
#ifndef ECLUSE_KEEPER_JOURNAL_STATE_H
#define ECLUSE_KEEPER_JOURNAL_STATE_H

#include "base/secret.h"
#include "keeper/journal_files.h"

struct journal_state;

struct journal_position {
    uint64_t segment; /* its first number */
    uint64_t offset;  /* in it, behind the line after which the chain was saved */
    int64_t opened;   /* when the segment was, wall seconds */
};

/* The file is made when it is missing. The key is copied. */
MUST_CHECK int journal_state_open(const struct journal_files *files, const struct secret *key,
                                  struct journal_state **state_out, struct err *err);
/* NULL is fine. */
void journal_state_close(struct journal_state *state);

/* ERR_NOT_FOUND: nothing was ever stored, or nothing of it can be opened. */
MUST_CHECK int journal_state_load(struct journal_state *state,
                                  struct journal_position *position_out, struct secret *chain_out,
                                  struct err *err);
/* On an error the state before is still there. */
MUST_CHECK int journal_state_store(struct journal_state *state,
                                   const struct journal_position *position,
                                   const struct secret *chain, struct err *err);

#endif
