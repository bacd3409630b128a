/*
 * The keys of a journal's epochs, as far as the seeds that somebody has give them.
 */
#ifndef ECLUSE_AUDIT_EPOCH_KEYS_H
#define ECLUSE_AUDIT_EPOCH_KEYS_H

#include <stdbool.h>

#include "audit/seed.h"

#define EPOCH_KEYS_SEEDS_MAX 8u
/* Steps that are taken at once: a hundred years of quarters of an hour. */
#define EPOCH_KEYS_STEPS_MAX (UINT64_C(1) << 22)

/* All zero: no seeds. */
struct epoch_keys {
    size_t seed_count;
    struct {
        struct secret seed;
        char name[SEED_FINGERPRINT_SIZE + 1];
        bool is_used; /* a key was derived from it */
    } seeds[EPOCH_KEYS_SEEDS_MAX];
    bool is_known; /* `key` is that of `epoch` */
    struct secret key;
    uint64_t epoch;
};

/* Copied. ERR_FULL, ERR_CRYPTO. */
MUST_CHECK int epoch_keys_add(struct epoch_keys *keys, const struct secret *seed);
void epoch_keys_clear(struct epoch_keys *keys);

/* To an epoch that lies `epoch - seed_epoch` steps behind the seed of that name. The key is not
 * known then when the seed is not. ERR_CRYPTO. */
MUST_CHECK int epoch_keys_begin(struct epoch_keys *keys, struct slice seed_name,
                                uint64_t seed_epoch, uint64_t epoch);
/* To a later epoch by the key that is there. ERR_CRYPTO. */
MUST_CHECK int epoch_keys_advance(struct epoch_keys *keys, uint64_t epoch);

#endif
