#include "audit/epoch_keys.h"

#include "base/err.h"

int epoch_keys_add(struct epoch_keys *keys, const struct secret *seed)
{
    if (keys->seed_count == EPOCH_KEYS_SEEDS_MAX)
        return ERR_FULL;
    int status = seed_fingerprint(seed, keys->seeds[keys->seed_count].name);
    if (status == 0)
        secret_copy(&keys->seeds[keys->seed_count++].seed, seed);
    return status;
}

void epoch_keys_clear(struct epoch_keys *keys)
{
    for (size_t i = 0; i < keys->seed_count; i++)
        secret_wipe(&keys->seeds[i].seed);
    secret_wipe(&keys->key);
    *keys = (struct epoch_keys){0};
}

int epoch_keys_advance(struct epoch_keys *keys, uint64_t epoch)
{
    int status = 0;
    ENSURE(epoch >= keys->epoch);
    if (epoch - keys->epoch > EPOCH_KEYS_STEPS_MAX)
        keys->is_known = false;
    for (; keys->is_known && status == 0 && keys->epoch < epoch; keys->epoch++)
        status = seed_next_key(&keys->key);
    keys->epoch = epoch;
    return status;
}

int epoch_keys_begin(struct epoch_keys *keys, struct slice seed_name, uint64_t seed_epoch,
                     uint64_t epoch)
{
    size_t i = 0;
    while (i < keys->seed_count && !slice_is(seed_name, keys->seeds[i].name))
        i++;
    keys->is_known = i < keys->seed_count && seed_epoch <= epoch;
    keys->epoch = epoch;
    if (!keys->is_known)
        return 0;
    keys->seeds[i].is_used = true;
    secret_copy(&keys->key, &keys->seeds[i].seed);
    keys->epoch = seed_epoch;
    return epoch_keys_advance(keys, epoch);
}
