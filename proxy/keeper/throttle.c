#include "keeper/throttle.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>

#define SETS 128
#define WAYS 8

struct entry {
    uint64_t key;
    int64_t ends; /* of the minute; 0: free */
    unsigned failures;
};

struct throttle {
    uint8_t secret[16]; /* so that nobody can choose names that fall into one set */
    struct entry entries[SETS][WAYS];
};

struct throttle *throttle_new(void)
{
    struct throttle *throttle = mem_new(sizeof(*throttle));
    ENSURE(RAND_bytes(throttle->secret, sizeof(throttle->secret)) == 1);
    return throttle;
}

void throttle_free(struct throttle *throttle)
{
    if (throttle == NULL)
        return;
    mem_wipe(throttle, sizeof(*throttle));
    mem_free(throttle);
}

uint64_t throttle_key(const struct throttle *throttle, struct slice name)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    uint64_t key;
    ENSURE(HMAC(EVP_sha256(), throttle->secret, sizeof(throttle->secret), name.data, name.size,
                hash, &size) != NULL &&
           size >= sizeof(key));
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
