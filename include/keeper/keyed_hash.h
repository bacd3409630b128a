/*
 * HMAC-SHA256 under one key that is used often: OpenSSL looks its algorithms up once, and not for
 * each hash, which costs several times as much as the hash. One thread at a time.
 */
#ifndef ECLUSE_KEEPER_KEYED_HASH_H
#define ECLUSE_KEEPER_KEYED_HASH_H

#include "base/slice.h"

#define KEYED_HASH_SIZE 32

struct keyed_hash;

/* Never NULL. The key is copied; freeing wipes it. */
struct keyed_hash *keyed_hash_new(struct slice key);
void keyed_hash_free(struct keyed_hash *hash);

/* Of the parts one behind the other. */
void keyed_hash_of(struct keyed_hash *hash, const struct slice *parts, size_t count,
                   uint8_t out[KEYED_HASH_SIZE]);

#endif
