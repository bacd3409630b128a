/*
 * The second place that the journal's checkpoints go to, out of reach of whoever can write to the
 * state folder: the system's log (a datagram to its socket), or a file.
 *
 * One owner at a time, in any thread. A socket never blocks; a file does.
 */
#ifndef ECLUSE_KEEPER_JOURNAL_ANCHOR_H
#define ECLUSE_KEEPER_JOURNAL_ANCHOR_H

#include "base/err.h"
#include "base/slice.h"

#define JOURNAL_ANCHOR_SOCKET "/dev/log"

struct journal_anchor;

/* `where` as audit_anchor has it, `socket` of the system's log. Opens nothing yet. */
struct journal_anchor *journal_anchor_new(const char *where, const char *socket);
/* NULL is fine. */
void journal_anchor_free(struct journal_anchor *anchor);

/* A line with its LF. 0 also for "none", and for "auto" where there is no system's log. */
MUST_CHECK int journal_anchor_write(struct journal_anchor *anchor, struct slice line,
                                    struct err *err);

#endif
