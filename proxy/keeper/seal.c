/*
 * Happy path: nonce from the private generator, the place packed into the additional data (every
 * field with its length, so that no two places pack alike), one pass of AES-GCM.
 *
 * Failures: a header of another version, a tag that does not fit, anything too short are all
 * ERR_CORRUPT, and no octet of content comes out.
 */
#include "keeper/seal.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#include "base/derive.h"
#include "base/pack.h"

static const uint8_t header[SEAL_HEADER_SIZE] = {'E', 'V', 1};

int seal_derive_key(const struct secret *key, const char *purpose, struct secret *key_out)
{
    uint8_t derived[SEAL_KEY_SIZE];
    int status = derive_key(key, purpose, derived, sizeof(derived));
    if (status == 0)
        secret_set(key_out, slice_of(derived, sizeof(derived)));
    mem_wipe(derived, sizeof(derived));
    return status;
}

static int write_place(struct buf *out, const struct seal_place *place)
{
    struct pack_writer writer = pack_writer(out);
    pack_bytes(&writer, slice_of(header, sizeof(header)));
    pack_string(&writer, place->table);
    pack_string(&writer, place->column);
    pack_string(&writer, place->account);
    pack_bytes(&writer, place->bound);
    return writer.status;
}

/* Starts either direction: key, nonce and place are in. NULL on failure. */
static EVP_CIPHER_CTX *start(bool encrypting, const struct secret *key, const uint8_t *nonce,
                             const struct seal_place *place)
{
    ENSURE(key->size == SEAL_KEY_SIZE);
    struct buf bound;
    buf_init(&bound, SEAL_PLACE_MAX);
    EVP_CIPHER_CTX *cipher = NULL;
    if (write_place(&bound, place) == 0)
        cipher = EVP_CIPHER_CTX_new();
    int size;
    struct slice bytes = buf_bytes(&bound);
    bool done =
        cipher != NULL &&
        EVP_CipherInit_ex(cipher, EVP_aes_256_gcm(), NULL, key->bytes, nonce, encrypting) == 1 &&
        EVP_CipherUpdate(cipher, NULL, &size, bytes.data, (int)bytes.size) == 1;
    buf_fini(&bound);
    if (!done) {
        EVP_CIPHER_CTX_free(cipher);
        return NULL;
    }
    return cipher;
}

/* Nonce and content in, `sealed` out, which has room for all of it. */
static int encrypt(const struct secret *key, const struct seal_place *place, struct slice content,
                   uint8_t *sealed)
{
    uint8_t *nonce = sealed + SEAL_HEADER_SIZE;
    uint8_t *body = nonce + SEAL_NONCE_SIZE;
    memcpy(sealed, header, SEAL_HEADER_SIZE);
    if (RAND_bytes(nonce, SEAL_NONCE_SIZE) != 1)
        return ERR_CRYPTO;
    EVP_CIPHER_CTX *cipher = start(true, key, nonce, place);
    if (cipher == NULL)
        return ERR_CRYPTO;
    int size = 0, rest = 0;
    bool done =
        EVP_CipherUpdate(cipher, body, &size, content.data, (int)content.size) == 1 &&
        EVP_CipherFinal_ex(cipher, body + size, &rest) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_SIZE, body + content.size) == 1;
    EVP_CIPHER_CTX_free(cipher);
    return done ? 0 : ERR_CRYPTO;
}

int seal_write(const struct secret *key, const struct seal_place *place, struct slice content,
               struct buf *out)
{
    ENSURE(content.size > 0);
    if (content.size > SEAL_CONTENT_MAX)
        return ERR_FULL;
    size_t size = content.size + SEAL_OVERHEAD;
    uint8_t *sealed = mem_new(size);
    int status = encrypt(key, place, content, sealed);
    if (status == 0) {
        buf_clear(out);
        status = buf_append(out, slice_of(sealed, size));
    }
    mem_wipe(sealed, size);
    mem_free(sealed);
    return status;
}

/* `content` has room for what stands between nonce and tag. */
static bool decrypt(EVP_CIPHER_CTX *cipher, struct slice body, uint8_t *content)
{
    size_t content_size = body.size - SEAL_TAG_SIZE;
    uint8_t tag[SEAL_TAG_SIZE];
    memcpy(tag, body.data + content_size, sizeof(tag));
    int size = 0, rest = 0;
    return EVP_CipherUpdate(cipher, content, &size, body.data, (int)content_size) == 1 &&
           EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) == 1 &&
           EVP_CipherFinal_ex(cipher, content + size, &rest) == 1;
}

int seal_read(const struct secret *key, const struct seal_place *place, struct slice sealed,
              struct secret *content_out)
{
    if (sealed.size <= SEAL_OVERHEAD || sealed.size > SEAL_OVERHEAD + SEAL_CONTENT_MAX ||
        memcmp(sealed.data, header, SEAL_HEADER_SIZE) != 0)
        return ERR_CORRUPT;
    struct slice body = slice_skip(sealed, SEAL_HEADER_SIZE + SEAL_NONCE_SIZE);
    EVP_CIPHER_CTX *cipher = start(false, key, sealed.data + SEAL_HEADER_SIZE, place);
    if (cipher == NULL)
        return ERR_CRYPTO;
    uint8_t *content = mem_new(body.size);
    bool done = decrypt(cipher, body, content);
    if (done)
        secret_set(content_out, slice_of(content, body.size - SEAL_TAG_SIZE));
    EVP_CIPHER_CTX_free(cipher);
    mem_wipe(content, body.size);
    mem_free(content);
    return done ? 0 : ERR_CORRUPT;
}
