/*
 * How often a wrong password was given for each name: after THROTTLE_FAILURES within a minute of
 * the first, the name is shut for the rest of that minute. Names are kept as keyed hashes in a
 * table of fixed size, so that no stream of made-up names grows it. One that is shut is never
 * pushed out; when there is no room for a new name, it counts as shut.
 *
 * Pure: the time is passed in, steady milliseconds.
 */
#ifndef ECLUSE_KEEPER_THROTTLE_H
#define ECLUSE_KEEPER_THROTTLE_H

#include "base/slice.h"

#define THROTTLE_FAILURES     5
#define THROTTLE_MILLISECONDS (60 * 1000)

struct throttle;

struct throttle *throttle_new(void);
void throttle_free(struct throttle *throttle);

/* The number of a name, for the two below; of this throttle alone. */
uint64_t throttle_key(const struct throttle *throttle, struct slice name);
bool throttle_is_shut(const struct throttle *throttle, uint64_t key, int64_t now);
void throttle_count_failure(struct throttle *throttle, uint64_t key, int64_t now);

#endif
