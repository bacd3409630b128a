#include "audit/seed.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#include "base/derive.h"
#include "base/err.h"
#include "base/hex.h"

int seed_make(struct secret *seed_out)
{
    uint8_t seed[SEED_SIZE];
    if (RAND_priv_bytes(seed, sizeof(seed)) != 1)
        return ERR_CRYPTO;
    secret_set(seed_out, slice_of(seed, sizeof(seed)));
    mem_wipe(seed, sizeof(seed));
    return 0;
}

void seed_format(const struct secret *seed, struct secret *text_out)
{
    char text[SEED_TEXT_SIZE];
    ENSURE(seed->size == SEED_SIZE);
    hex_write(secret_bytes(seed), text);
    secret_set(text_out, slice_of(text, sizeof(text)));
    mem_wipe(text, sizeof(text));
}

int seed_parse(struct slice text, struct secret *seed_out)
{
    uint8_t seed[SEED_SIZE];
    if (text.size != SEED_TEXT_SIZE)
        return ERR_SYNTAX;
    bool is_seed = hex_read(text, seed);
    if (is_seed)
        secret_set(seed_out, slice_of(seed, sizeof(seed)));
    mem_wipe(seed, sizeof(seed));
    return is_seed ? 0 : ERR_SYNTAX;
}

int seed_fingerprint(const struct secret *seed, char fingerprint_out[SEED_FINGERPRINT_SIZE + 1])
{
    uint8_t fingerprint[SEED_FINGERPRINT_SIZE / 2];
    int status = derive_key(seed, "ecluse audit fingerprint", fingerprint, sizeof(fingerprint));
    if (status == 0)
        hex_write(slice_of(fingerprint, sizeof(fingerprint)), fingerprint_out);
    fingerprint_out[status == 0 ? SEED_FINGERPRINT_SIZE : 0] = '\0';
    return status;
}

int seed_next_key(struct secret *key)
{
    uint8_t next[SEED_SIZE];
    int status = derive_key(key, "ecluse audit next", next, sizeof(next));
    if (status == 0)
        secret_set(key, slice_of(next, sizeof(next)));
    mem_wipe(next, sizeof(next));
    return status;
}
