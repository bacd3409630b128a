#include "base/derive.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

int derive_key(const struct secret *key, const char *purpose, uint8_t *derived_out, size_t size)
{
    struct slice info = slice_of_string(purpose);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key->bytes, key->size),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info.data,
                                          info.size),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF *algorithm = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *derivation = algorithm == NULL ? NULL : EVP_KDF_CTX_new(algorithm);
    bool done =
        derivation != NULL && EVP_KDF_derive(derivation, derived_out, size, parameters) == 1;
    EVP_KDF_CTX_free(derivation);
    EVP_KDF_free(algorithm);
    return done ? 0 : ERR_CRYPTO;
}
