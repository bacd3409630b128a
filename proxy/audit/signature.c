#include "audit/signature.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

int signature_public_key(const struct secret *private_key,
                         uint8_t public_key_out[SIGNATURE_PUBLIC_KEY_SIZE])
{
    size_t size = SIGNATURE_PUBLIC_KEY_SIZE;
    EVP_PKEY *key =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, private_key->bytes, private_key->size);
    bool done = key != NULL && EVP_PKEY_get_raw_public_key(key, public_key_out, &size) == 1;
    EVP_PKEY_free(key);
    return done ? 0 : ERR_CRYPTO;
}

int signature_write_pem(const uint8_t public_key[SIGNATURE_PUBLIC_KEY_SIZE], struct buf *pem)
{
    char *text = NULL;
    int status = ERR_CRYPTO;
    BIO *memory = BIO_new(BIO_s_mem());
    EVP_PKEY *key =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, SIGNATURE_PUBLIC_KEY_SIZE);
    if (memory != NULL && key != NULL && PEM_write_bio_PUBKEY(memory, key) == 1) {
        long size = BIO_get_mem_data(memory, &text);
        status = size > 0 ? buf_append(pem, slice_of(text, (size_t)size)) : ERR_CRYPTO;
    }
    EVP_PKEY_free(key);
    BIO_free(memory);
    return status;
}

int signature_read_pem(struct slice pem, uint8_t public_key_out[SIGNATURE_PUBLIC_KEY_SIZE])
{
    size_t size = SIGNATURE_PUBLIC_KEY_SIZE;
    if (pem.size == 0 || pem.size > SIGNATURE_PEM_MAX)
        return ERR_SYNTAX;
    BIO *memory = BIO_new_mem_buf(pem.data, (int)pem.size);
    EVP_PKEY *key = memory == NULL ? NULL : PEM_read_bio_PUBKEY(memory, NULL, NULL, NULL);
    bool is_key = key != NULL && EVP_PKEY_is_a(key, "ED25519") == 1 &&
                  EVP_PKEY_get_raw_public_key(key, public_key_out, &size) == 1;
    EVP_PKEY_free(key);
    BIO_free(memory);
    ERR_clear_error();
    return is_key ? 0 : ERR_SYNTAX;
}
