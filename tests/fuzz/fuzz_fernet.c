/*
 * Tokens of another program's file. The first octet chooses:
 *   even   the rest is taken for a token, under a key that has never made one
 *   odd    what follows three octets is what a token of the key holds: it opens to that, and does
 *          not any more when the octet that the two point to is changed by the third
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "auth/fernet.h"
#include "base/buf.h"
#include "steps.h"

#define CONTENT_MAX 4096u
#define IV_AT       9u
#define CONTENT_AT  25u
#define HALF        (FERNET_KEY_SIZE / 2)
#define TOKEN_MAX   (CONTENT_AT + CONTENT_MAX + 16u + 32u)

static const uint8_t key_octets[FERNET_KEY_SIZE] = "hhhhhhhhhhhhhhhhkkkkkkkkkkkkkkk";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t seal(struct slice content, uint8_t token[TOKEN_MAX])
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int size = 0, rest = 0;
    memset(token, 'i', CONTENT_AT);
    token[0] = 0x80;
    ENSURE(context != NULL &&
           EVP_EncryptInit_ex(context, EVP_aes_128_cbc(), NULL, key_octets + HALF, token + IV_AT) ==
               1 &&
           EVP_EncryptUpdate(context, token + CONTENT_AT, &size, content.data, (int)content.size) ==
               1 &&
           EVP_EncryptFinal_ex(context, token + CONTENT_AT + size, &rest) == 1);
    EVP_CIPHER_CTX_free(context);
    size_t end = CONTENT_AT + (size_t)size + (size_t)rest;
    ENSURE(HMAC(EVP_sha256(), key_octets, HALF, token, end, token + end, NULL) != NULL);
    return end + 32;
}

static int open_octets(const struct secret *key, struct slice token, struct secret *content_out)
{
    char text[TOKEN_MAX / 3 * 4 + 8];
    int size = EVP_EncodeBlock((unsigned char *)text, token.data, (int)token.size);
    return fernet_open(key, slice_of(text, (size_t)size), content_out);
}

static void open_made(const struct secret *key, struct slice input)
{
    uint8_t token[TOKEN_MAX];
    struct secret content = {0};
    size_t at = take_size(&input);
    uint8_t change = take_octet(&input);
    struct slice expected = slice_take(input, CONTENT_MAX);
    size_t size = seal(expected, token);
    ENSURE(open_octets(key, slice_of(token, size), &content) == 0);
    ENSURE(slice_equal(secret_bytes(&content), expected));
    secret_wipe(&content);
    token[at % size] ^= change;
    ENSURE(change == 0 || open_octets(key, slice_of(token, size), &content) != 0);
    secret_wipe(&content);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice input = slice_of(data, size);
    struct secret key = {0}, content = {0};
    secret_set(&key, slice_of(key_octets, sizeof(key_octets)));
    if (take_octet(&input) % 2 == 1)
        open_made(&key, input);
    else
        ENSURE(fernet_open(&key, input, &content) != 0 && !secret_is_set(&content));
    secret_wipe(&key);
    return 0;
}
