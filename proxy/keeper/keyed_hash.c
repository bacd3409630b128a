/*
 * Failures: none but an OpenSSL without SHA-256 or memory.
 */
#include "keeper/keyed_hash.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>

struct keyed_hash {
    EVP_MAC_CTX *context;
};

struct keyed_hash *keyed_hash_new(struct slice key)
{
    static char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    struct keyed_hash *hash = mem_new(sizeof(*hash));
    EVP_MAC *algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
    ENSURE(algorithm != NULL);
    hash->context = EVP_MAC_CTX_new(algorithm);
    EVP_MAC_free(algorithm);
    ENSURE(hash->context != NULL);
    ENSURE(EVP_MAC_init(hash->context, key.data, key.size, parameters) == 1);
    return hash;
}

void keyed_hash_free(struct keyed_hash *hash)
{
    if (hash == NULL)
        return;
    EVP_MAC_CTX_free(hash->context);
    mem_free(hash);
}

void keyed_hash_of(struct keyed_hash *hash, const struct slice *parts, size_t count,
                   uint8_t out[KEYED_HASH_SIZE])
{
    size_t size = 0;
    /* Without a key: begin anew with the one that there is. */
    ENSURE(EVP_MAC_init(hash->context, NULL, 0, NULL) == 1);
    for (size_t i = 0; i < count; i++)
        ENSURE(EVP_MAC_update(hash->context, parts[i].data, parts[i].size) == 1);
    ENSURE(EVP_MAC_final(hash->context, out, &size, KEYED_HASH_SIZE) == 1 &&
           size == KEYED_HASH_SIZE);
}
