#include "auth/apop.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "auth/credential.h"
#include "base/hex.h"

static bool is_timestamp(struct slice text)
{
    return text.size > 2 && text.size <= APOP_TIMESTAMP_MAX && text.data[0] == '<' &&
           text.data[text.size - 1] == '>' && credential_is_printable(text);
}

static bool read_digest(struct slice text, uint8_t digest_out[APOP_DIGEST_SIZE])
{
    return text.size == (size_t)2 * APOP_DIGEST_SIZE && hex_read(text, digest_out);
}

int apop_read(struct slice bytes, struct apop *apop_out)
{
    struct slice rest = bytes;
    if (!slice_next_word(&rest, '\0', &apop_out->timestamp) ||
        !slice_next_word(&rest, '\0', &apop_out->user) || !is_timestamp(apop_out->timestamp) ||
        apop_out->user.size == 0 || !read_digest(rest, apop_out->digest))
        return ERR_SYNTAX;
    return 0;
}

bool apop_matches(const struct apop *apop, const struct secret *password)
{
    struct slice timestamp = apop->timestamp, secret = secret_bytes(password);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t digest[APOP_DIGEST_SIZE];
    unsigned size = 0;
    bool done = context != NULL && EVP_DigestInit_ex(context, EVP_md5(), NULL) == 1 &&
                EVP_DigestUpdate(context, timestamp.data, timestamp.size) == 1 &&
                EVP_DigestUpdate(context, secret.data, secret.size) == 1 &&
                EVP_DigestFinal_ex(context, digest, &size) == 1 && size == sizeof(digest);
    EVP_MD_CTX_free(context);
    bool matches = done && CRYPTO_memcmp(digest, apop->digest, sizeof(digest)) == 0;
    mem_wipe(digest, sizeof(digest));
    return matches;
}
