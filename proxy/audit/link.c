#include "audit/link.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

#include "base/err.h"

static const char context[] = "ecluse audit checkpoint";

struct link {
    EVP_MD *algorithm;
    EVP_MD_CTX *digest;
    EVP_MAC_CTX *seal;
};

struct link *link_new(void)
{
    struct link *link = mem_new(sizeof(*link));
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    link->algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    link->digest = EVP_MD_CTX_new();
    link->seal = hmac == NULL ? NULL : EVP_MAC_CTX_new(hmac);
    EVP_MAC_free(hmac);
    if (link->seal == NULL || link->algorithm == NULL || link->digest == NULL ||
        EVP_DigestInit_ex2(link->digest, link->algorithm, NULL) != 1) {
        link_free(link);
        return NULL;
    }
    return link;
}

void link_free(struct link *link)
{
    if (link == NULL)
        return;
    EVP_MAC_CTX_free(link->seal);
    EVP_MD_CTX_free(link->digest);
    EVP_MD_free(link->algorithm);
    mem_free(link);
}

int link_set_key(struct link *link, const struct secret *key)
{
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_init(link->seal, key->bytes, key->size, parameters) == 1 ? 0 : ERR_CRYPTO;
}

int link_hash(struct link *link, struct slice body, uint8_t hash_out[LINK_SIZE])
{
    return EVP_DigestInit_ex2(link->digest, NULL, NULL) == 1 &&
                   EVP_DigestUpdate(link->digest, body.data, body.size) == 1 &&
                   EVP_DigestFinal_ex(link->digest, hash_out, NULL) == 1
               ? 0
               : ERR_CRYPTO;
}

int link_seal(struct link *link, const uint8_t head_before[LINK_SIZE], uint64_t sequence,
              const uint8_t hash[LINK_SIZE], uint8_t head_out[LINK_SIZE])
{
    uint8_t input[LINK_SIZE + 8 + LINK_SIZE];
    size_t size;
    memcpy(input, head_before, LINK_SIZE);
    for (size_t i = 0; i < 8; i++)
        input[LINK_SIZE + i] = (uint8_t)(sequence >> (56 - 8 * i));
    memcpy(input + LINK_SIZE + 8, hash, LINK_SIZE);
    /* Without a key it begins anew with the one that it has. */
    return EVP_MAC_init(link->seal, NULL, 0, NULL) == 1 &&
                   EVP_MAC_update(link->seal, input, sizeof(input)) == 1 &&
                   EVP_MAC_final(link->seal, head_out, &size, LINK_SIZE) == 1
               ? 0
               : ERR_CRYPTO;
}

int link_extend(struct link *link, const uint8_t hash[LINK_SIZE], const uint8_t head[LINK_SIZE],
                uint8_t digest[LINK_SIZE])
{
    uint8_t input[3 * LINK_SIZE];
    memcpy(input, digest, LINK_SIZE);
    memcpy(input + LINK_SIZE, hash, LINK_SIZE);
    memcpy(input + (size_t)2 * LINK_SIZE, head, LINK_SIZE);
    return link_hash(link, slice_of(input, sizeof(input)), digest);
}

/* The context without its NUL, and the digest. */
static void write_message(const uint8_t digest[LINK_SIZE], uint8_t *message)
{
    memcpy(message, context, sizeof(context) - 1);
    memcpy(message + sizeof(context) - 1, digest, LINK_SIZE);
}

int link_sign(const struct secret *private_key, const uint8_t digest[LINK_SIZE],
              uint8_t signature_out[SIGNATURE_SIZE])
{
    uint8_t message[sizeof(context) - 1 + LINK_SIZE];
    size_t size = SIGNATURE_SIZE;
    write_message(digest, message);
    EVP_PKEY *key =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, private_key->bytes, private_key->size);
    EVP_MD_CTX *signing = EVP_MD_CTX_new();
    bool done = key != NULL && signing != NULL &&
                EVP_DigestSignInit(signing, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestSign(signing, signature_out, &size, message, sizeof(message)) == 1;
    EVP_MD_CTX_free(signing);
    EVP_PKEY_free(key);
    return done ? 0 : ERR_CRYPTO;
}

bool link_is_signed(const uint8_t public_key[SIGNATURE_PUBLIC_KEY_SIZE],
                    const uint8_t digest[LINK_SIZE], const uint8_t signature[SIGNATURE_SIZE])
{
    uint8_t message[sizeof(context) - 1 + LINK_SIZE];
    write_message(digest, message);
    EVP_PKEY *key =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, SIGNATURE_PUBLIC_KEY_SIZE);
    EVP_MD_CTX *checking = EVP_MD_CTX_new();
    bool is_signed =
        key != NULL && checking != NULL &&
        EVP_DigestVerifyInit(checking, NULL, NULL, NULL, key) == 1 &&
        EVP_DigestVerify(checking, signature, SIGNATURE_SIZE, message, sizeof(message)) == 1;
    EVP_MD_CTX_free(checking);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return is_signed;
}
