#include "keeper/throttle.h"

#include <openssl/rand.h>
#include <string.h>

#include "keeper/keyed_hash.h"

#define SETS 128
#define WAYS 8

struct entry {
    uint64_t key;
    int64_t ends; /* of the minute; 0: free */
    unsigned failures;
};

struct throttle {
    struct keyed_hash *secret; /* so that nobody can choose names that fall into one set */
    struct entry entries[SETS][WAYS];
};

struct throttle *throttle_new(void)
{
    struct throttle *throttle = mem_new(sizeof(*throttle));
    uint8_t secret[16];
    ENSURE(RAND_bytes(secret, sizeof(secret)) == 1);
    throttle->secret = keyed_hash_new(slice_of(secret, sizeof(secret)));
    mem_wipe(secret, sizeof(secret));
    return throttle;
}

void throttle_free(struct throttle *throttle)
{
    if (throttle == NULL)
        return;
    keyed_hash_free(throttle->secret);
    mem_wipe(throttle, sizeof(*throttle));
    mem_free(throttle);
}

uint64_t throttle_key(const struct throttle *throttle, struct slice name)
{
    uint8_t hash[KEYED_HASH_SIZE];
    uint64_t key;
    keyed_hash_of(throttle->secret, &name, 1, hash);
    memcpy(&key, hash, sizeof(key));
    return key;
}

static bool entry_is_live(const struct entry *entry, int64_t now)
{
    return now < entry->ends;
}

static bool entry_is_shut(const struct entry *entry, int64_t now)
{
    return entry_is_live(entry, now) && entry->failures >= THROTTLE_FAILURES;
}

bool throttle_is_shut(const struct throttle *throttle, uint64_t key, int64_t now)
{
    const struct entry *set = throttle->entries[key % SETS];
    bool has_room = false;
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].key == key && entry_is_live(&set[i], now))
            return entry_is_shut(&set[i], now);
        has_room = has_room || !entry_is_shut(&set[i], now);
    }
    return !has_room;
}

/* The name's own entry, else the one that is lost most lightly: a dead one, then the one with the
 * fewest failures. NULL when all are shut. */
static struct entry *choose(struct entry *set, uint64_t key, int64_t now)
{
    struct entry *best = NULL;
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].key == key && entry_is_live(&set[i], now))
            return &set[i];
        if (!entry_is_live(&set[i], now))
            set[i].failures = 0;
        if (entry_is_shut(&set[i], now))
            continue;
        if (best == NULL || set[i].failures < best->failures)
            best = &set[i];
    }
    return best;
}

void throttle_count_failure(struct throttle *throttle, uint64_t key, int64_t now)
{
    struct entry *entry = choose(throttle->entries[key % SETS], key, now);
    if (entry == NULL)
        return;
    if (entry->key != key || !entry_is_live(entry, now))
        *entry = (struct entry){.key = key, .ends = now + THROTTLE_MILLISECONDS};
    entry->failures++;
}
