/*
 * What email-oauth2-proxy keeps for an account, when it was told to keep that in a file of its own
 * (--cache-store): a file of the same grammar with sections of accounts alone.
 */
#ifndef ECLUSE_CONF_EMAILPROXY_CACHE_H
#define ECLUSE_CONF_EMAILPROXY_CACHE_H

#include "conf/emailproxy_reader.h"

/* One of the seven keys that the program itself writes: tokens and what belongs to them. */
bool emailproxy_is_cached(const char *key);

/* Moves those keys of `cache` into the sections of the same names, in the place of what they have.
 * With catch-all accounts a section comes along that `file` lacks, on the line of the one that it
 * inherits from; otherwise it is passed over, as it is there. How many sections got something. */
size_t emailproxy_take_cache(struct emailproxy_file *file, struct emailproxy_file *cache);

#endif
