/*
 * Happy path: libcrypto starts up, and each algorithm that its own provider has is asked for, and
 * the names that certificates use.
 *
 * Failures: out of memory ends the process. Later it would not: libcrypto 3.0 makes all algorithms
 * of an operation once, when the first of them is asked for, and is for the rest of its life
 * without those for which it had no memory then: a server's key that cannot be read, say, or a
 * kind of key exchange that is not offered.
 */
#include <openssl/core_dispatch.h>
#include <openssl/crypto.h>
#include <openssl/decoder.h>
#include <openssl/encoder.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/provider.h>
#include <string.h>

#include "base/mem.h"
#include "base/slice.h"
#include "cli/process.h"

#define NAME_MAX_SIZE 64

/* clang-format off */
#define CAN_FETCH(kind)                                                                            \
    static bool can_fetch_##kind(const char *name, const char *properties)                        \
    {                                                                                              \
        kind *algorithm = kind##_fetch(NULL, name, properties);                                    \
        kind##_free(algorithm);                                                                    \
        return algorithm != NULL;                                                                  \
    }
/* clang-format on */

CAN_FETCH(EVP_MD)
CAN_FETCH(EVP_CIPHER)
CAN_FETCH(EVP_MAC)
CAN_FETCH(EVP_KDF)
CAN_FETCH(EVP_RAND)
CAN_FETCH(EVP_KEYMGMT)
CAN_FETCH(EVP_KEYEXCH)
CAN_FETCH(EVP_SIGNATURE)
CAN_FETCH(EVP_ASYM_CIPHER)
CAN_FETCH(OSSL_DECODER)
CAN_FETCH(OSSL_ENCODER)

static const struct operation {
    int number;
    bool (*can_fetch)(const char *name, const char *properties);
} OPERATIONS[] = {
    {OSSL_OP_DIGEST, can_fetch_EVP_MD},
    {OSSL_OP_CIPHER, can_fetch_EVP_CIPHER},
    {OSSL_OP_MAC, can_fetch_EVP_MAC},
    {OSSL_OP_KDF, can_fetch_EVP_KDF},
    {OSSL_OP_RAND, can_fetch_EVP_RAND},
    {OSSL_OP_KEYMGMT, can_fetch_EVP_KEYMGMT},
    {OSSL_OP_KEYEXCH, can_fetch_EVP_KEYEXCH},
    {OSSL_OP_SIGNATURE, can_fetch_EVP_SIGNATURE},
    {OSSL_OP_ASYM_CIPHER, can_fetch_EVP_ASYM_CIPHER},
    {OSSL_OP_DECODER, can_fetch_OSSL_DECODER},
    {OSSL_OP_ENCODER, can_fetch_OSSL_ENCODER},
};

/* Of names that are separated by colons. */
static void copy_first_name(const char *names, char name_out[NAME_MAX_SIZE])
{
    size_t size = strcspn(names, ":");
    ENSURE(size < NAME_MAX_SIZE);
    memcpy(name_out, names, size);
    name_out[size] = '\0';
}

static void check_operation(const OSSL_PROVIDER *provider, const struct operation *operation)
{
    char name[NAME_MAX_SIZE];
    int is_not_kept;
    const OSSL_ALGORITHM *all =
        OSSL_PROVIDER_query_operation(provider, operation->number, &is_not_kept);
    ENSURE(all != NULL);
    for (const OSSL_ALGORITHM *algorithm = all; algorithm->algorithm_names != NULL; algorithm++) {
        copy_first_name(algorithm->algorithm_names, name);
        ENSURE(operation->can_fetch(name, algorithm->property_definition));
    }
    OSSL_PROVIDER_unquery_operation(provider, operation->number, all);
}

/* What somebody else's provider has is not ours to judge. */
static int check_provider(OSSL_PROVIDER *provider, void *owner)
{
    (void)owner;
    if (strcmp(OSSL_PROVIDER_get0_name(provider), "default") == 0)
        for (size_t i = 0; i < LENGTH_OF(OPERATIONS); i++)
            check_operation(provider, &OPERATIONS[i]);
    return 1;
}

/* By these the digests of certificates' signatures are looked up, in a table of its own. */
static void check_names(void)
{
    static const char *const names[] = {"SHA1", "SHA224", "SHA256", "SHA384", "SHA512"};
    for (size_t i = 0; i < LENGTH_OF(names); i++)
        ENSURE(EVP_get_digestbyname(names[i]) != NULL);
}

void process_open_crypto(void)
{
    ENSURE(OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_ADD_ALL_CIPHERS |
                                   OPENSSL_INIT_ADD_ALL_DIGESTS | OPENSSL_INIT_LOAD_CONFIG,
                               NULL) == 1);
    ENSURE(OSSL_LIB_CTX_get0_global_default() !=
           NULL); /* what follows would read it all the same */
    ENSURE(OSSL_PROVIDER_do_all(NULL, check_provider, NULL) == 1);
    check_names();
}
