/*
 * Happy path: libcrypto starts up, and one algorithm of each kind is asked for, and the names that
 * certificates use.
 *
 * Failures: out of memory ends the process. Later it would not: libcrypto 3.0 tries each of these
 * once, at its first use, and is for the rest of its life without what it did not get then.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include "base/mem.h"
#include "cli/process.h"

/* clang-format off */
#define FETCH(kind, name)                                                                          \
    do {                                                                                           \
        kind *algorithm = kind##_fetch(NULL, name, NULL);                                          \
        ENSURE(algorithm != NULL);                                                                 \
        kind##_free(algorithm);                                                                    \
    } while (0)
/* clang-format on */

static void fetch_digests(void)
{
    FETCH(EVP_MD, "SHA2-256");
    FETCH(EVP_MD, "SHA2-384");
    FETCH(EVP_MAC, "HMAC");
    FETCH(EVP_KDF, "HKDF");
    FETCH(EVP_KDF, "TLS13-KDF");
    FETCH(EVP_KDF, "TLS1-PRF");
}

/* By these names are the digests of certificates' signatures looked up; none can be fetched in
 * place of one that is not in the table. */
static void find_names(void)
{
    static const char *const names[] = {"SHA1", "SHA224", "SHA256", "SHA384", "SHA512"};
    for (size_t i = 0; i < LENGTH_OF(names); i++)
        ENSURE(EVP_get_digestbyname(names[i]) != NULL);
}

static void fetch_ciphers(void)
{
    FETCH(EVP_CIPHER, "AES-128-GCM");
    FETCH(EVP_CIPHER, "AES-256-GCM");
    FETCH(EVP_RAND, "CTR-DRBG");
}

static void fetch_key_types(void)
{
    FETCH(EVP_KEYMGMT, "RSA");
    FETCH(EVP_KEYMGMT, "EC");
    FETCH(EVP_KEYEXCH, "ECDH");
    FETCH(EVP_SIGNATURE, "RSA");
    FETCH(EVP_SIGNATURE, "ECDSA");
}

void process_open_crypto(void)
{
    ENSURE(OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_ADD_ALL_CIPHERS |
                                   OPENSSL_INIT_ADD_ALL_DIGESTS | OPENSSL_INIT_LOAD_CONFIG,
                               NULL) == 1);
    find_names();
    fetch_digests();
    fetch_ciphers();
    fetch_key_types();
}
