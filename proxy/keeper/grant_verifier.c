/*
 * Failures: the library has no memory for scrypt (ERR_CRYPTO); a password above the maximum, which
 * is refused before anything is computed over it.
 */
#include "keeper/grant_verifier.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#define SCRYPT_N          (UINT64_C(1) << 15)
#define SCRYPT_R          8
#define SCRYPT_P          1
#define SCRYPT_MEMORY_MAX (UINT64_C(64) * 1024 * 1024)

static bool is_acceptable(struct slice password)
{
    return password.size > 0 && password.size <= GRANT_PASSWORD_MAX;
}

int grant_hash(struct keyed_hash *key, const char *account, struct slice password,
               uint8_t hash_out[GRANT_HASH_SIZE])
{
    if (!is_acceptable(password))
        return ERR_SYNTAX;
    const struct slice parts[] = {slice_of(account, strlen(account) + 1), password};
    keyed_hash_of(key, parts, LENGTH_OF(parts), hash_out);
    return 0;
}

int grant_derive(const uint8_t salt[GRANT_SALT_SIZE], struct slice password,
                 uint8_t hash_out[GRANT_HASH_SIZE])
{
    if (!is_acceptable(password))
        return ERR_SYNTAX;
    int done =
        EVP_PBE_scrypt((const char *)password.data, password.size, salt, GRANT_SALT_SIZE, SCRYPT_N,
                       SCRYPT_R, SCRYPT_P, SCRYPT_MEMORY_MAX, hash_out, GRANT_HASH_SIZE);
    return done == 1 ? 0 : ERR_CRYPTO;
}

int grant_verifier_of_generated(const struct secret *key, const char *account,
                                struct slice password, struct secret *verifier_out)
{
    uint8_t hash[GRANT_HASH_SIZE];
    struct keyed_hash *keyed = keyed_hash_new(secret_bytes(key));
    int status = grant_hash(keyed, account, password, hash);
    keyed_hash_free(keyed);
    if (status == 0)
        secret_set(verifier_out, slice_of(hash, sizeof(hash)));
    mem_wipe(hash, sizeof(hash));
    return status;
}

int grant_verifier_of_chosen(struct slice password, struct secret *verifier_out)
{
    uint8_t verifier[GRANT_CHOSEN_SIZE];
    if (RAND_bytes(verifier, GRANT_SALT_SIZE) != 1)
        return ERR_CRYPTO;
    int status = grant_derive(verifier, password, verifier + GRANT_SALT_SIZE);
    if (status == 0)
        secret_set(verifier_out, slice_of(verifier, sizeof(verifier)));
    mem_wipe(verifier, sizeof(verifier));
    return status;
}
