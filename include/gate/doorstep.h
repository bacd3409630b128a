/*
 * Where peers stand that were turned away, until that is on disk: then their connections are
 * closed, without a word.
 *
 * There is room for DOORSTEP_MAX. For one more the first of them is closed at once: strangers are
 * not to take the descriptors, or the time, of those who are welcome, however slow the disk is.
 */
#ifndef ECLUSE_GATE_DOORSTEP_H
#define ECLUSE_GATE_DOORSTEP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define DOORSTEP_MAX 64

struct doorstep;

struct doorstep *doorstep_new(void);
/* Closes all. NULL is fine. */
void doorstep_free(struct doorstep *doorstep);
void doorstep_clear(struct doorstep *doorstep);

/* Takes over the descriptor. Returns the receipt for the record, which is no session's number. */
MUST_CHECK uint64_t doorstep_put(struct doorstep *doorstep, int descriptor);
bool doorstep_is_receipt(uint64_t receipt);
/* That record is on disk, and so are those before it. */
void doorstep_release(struct doorstep *doorstep, uint64_t receipt);
bool doorstep_is_empty(const struct doorstep *doorstep);

#endif
