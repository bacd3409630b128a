/*
 * Happy path: base64 off, HMAC compared in constant time, then decrypted.
 *
 * Failure modes: text that is no base64, too short, of another version, not whole blocks; the HMAC
 * of another key. What passes the HMAC and cannot be decrypted was written by nobody who had the
 * key for good.
 */
#include "auth/fernet.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/buf.h"
#include "base/err.h"

#define VERSION        0x80
#define IV_OFFSET      9
#define BLOCK_SIZE     16
#define CONTENT_OFFSET (IV_OFFSET + BLOCK_SIZE)
#define HMAC_SIZE      32
#define HALF_KEY       (FERNET_KEY_SIZE / 2)
#define TOKEN_MAXIMUM  (64u << 10u)

int fernet_key(struct slice password, struct slice salt, unsigned iterations,
               struct secret *key_out)
{
    uint8_t key[FERNET_KEY_SIZE];

    if (iterations == 0 || iterations > INT32_MAX || password.size > INT32_MAX ||
        salt.size > INT32_MAX ||
        PKCS5_PBKDF2_HMAC((const char *)password.data, (int)password.size, salt.data,
                          (int)salt.size, (int)iterations, EVP_sha256(), sizeof(key), key) != 1)
        return ERR_CRYPTO;
    secret_set(key_out, slice_of(key, sizeof(key)));
    mem_wipe(key, sizeof(key));
    return 0;
}

/* ---- base64 ---- */

static int digit_of(uint8_t letter)
{
    if (letter >= 'A' && letter <= 'Z')
        return letter - 'A';
    if (letter >= 'a' && letter <= 'z')
        return letter - 'a' + 26;
    if (letter >= '0' && letter <= '9')
        return letter - '0' + 52;
    if (letter == '-' || letter == '+')
        return 62;
    return letter == '_' || letter == '/' ? 63 : -1;
}

/* RFC 4648 in both of its alphabets, with or without the padding. */
static int decode(struct slice text, struct buf *out)
{
    uint32_t bits = 0;
    unsigned count = 0;
    int status = 0;

    while (text.size > 0 && text.data[text.size - 1] == '=')
        text.size--;
    if (text.size % 4 == 1)
        return ERR_SYNTAX;
    for (size_t i = 0; status == 0 && i < text.size; i++) {
        int digit = digit_of(text.data[i]);
        if (digit < 0)
            return ERR_SYNTAX;
        bits = bits << 6 | (uint32_t)digit;
        count += 6;
        if (count >= 8) {
            count -= 8;
            uint8_t octet = (uint8_t)(bits >> count);
            status = buf_append(out, slice_of(&octet, 1));
        }
    }
    return status == 0 ? 0 : ERR_SYNTAX;
}

/* ---- opening ---- */

static int check_hmac(struct slice key, struct slice token)
{
    struct slice signed_part = slice_take(token, token.size - HMAC_SIZE);
    uint8_t hmac[HMAC_SIZE];

    if (HMAC(EVP_sha256(), key.data, HALF_KEY, signed_part.data, signed_part.size, hmac, NULL) ==
        NULL)
        return ERR_CRYPTO;
    return CRYPTO_memcmp(hmac, token.data + signed_part.size, HMAC_SIZE) == 0 ? 0 : ERR_DENIED;
}

static int decrypt(struct slice key, struct slice token, struct secret *content_out)
{
    struct slice content = slice_skip(slice_take(token, token.size - HMAC_SIZE), CONTENT_OFFSET);
    uint8_t *plain = mem_new(content.size + BLOCK_SIZE);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int size = 0, rest = 0;

    bool is_fine = context != NULL &&
                   EVP_DecryptInit_ex(context, EVP_aes_128_cbc(), NULL, key.data + HALF_KEY,
                                      token.data + IV_OFFSET) == 1 &&
                   EVP_DecryptUpdate(context, plain, &size, content.data, (int)content.size) == 1 &&
                   EVP_DecryptFinal_ex(context, plain + size, &rest) == 1;
    EVP_CIPHER_CTX_free(context);
    if (is_fine)
        secret_set(content_out, slice_of(plain, (size_t)size + (size_t)rest));
    mem_wipe(plain, content.size + BLOCK_SIZE);
    mem_free(plain);
    return is_fine ? 0 : ERR_SYNTAX;
}

static int open_octets(struct slice key, struct slice token, struct secret *content_out)
{
    if (token.size < CONTENT_OFFSET + BLOCK_SIZE + HMAC_SIZE || token.data[0] != VERSION ||
        (token.size - CONTENT_OFFSET - HMAC_SIZE) % BLOCK_SIZE != 0)
        return ERR_SYNTAX;
    int status = check_hmac(key, token);
    return status == 0 ? decrypt(key, token, content_out) : status;
}

int fernet_open(const struct secret *key, struct slice token, struct secret *content_out)
{
    struct buf octets;

    ENSURE(secret_bytes(key).size == FERNET_KEY_SIZE);
    buf_init(&octets, TOKEN_MAXIMUM);
    int status = decode(token, &octets);
    if (status == 0)
        status = open_octets(secret_bytes(key), buf_bytes(&octets), content_out);
    buf_fini(&octets);
    return status;
}

/* ---- by password ---- */

#define ITERATIONS_TODAY   1200000u
#define ITERATIONS_FIRST   100000u
#define ITERATIONS_MAXIMUM 10000000u /* seconds; more is nobody's file */
#define SALT_MAXIMUM       1024

static int open_with(struct slice password, struct slice salt, unsigned iterations,
                     struct slice token, struct secret *content_out)
{
    struct secret key = {0};
    int status = fernet_key(password, salt, iterations, &key);

    if (status == 0)
        status = fernet_open(&key, token, content_out);
    secret_wipe(&key);
    return status;
}

static int open_with_any(struct slice password, struct slice salt, unsigned iterations,
                         struct slice token, struct secret *content_out)
{
    const unsigned counts[] = {ITERATIONS_TODAY, iterations, ITERATIONS_FIRST};
    int status = ERR_DENIED;

    for (size_t i = 0; status == ERR_DENIED && i < LENGTH_OF(counts); i++) {
        bool is_asked = i != 1 || (iterations != 0 && iterations != ITERATIONS_TODAY &&
                                   iterations != ITERATIONS_FIRST);
        if (is_asked)
            status = open_with(password, salt, counts[i], token, content_out);
    }
    return status;
}

/* False when there is no backslash, and so nothing else to try. */
static bool double_backslashes(struct slice password, struct secret *out)
{
    uint8_t *text = mem_new(2 * password.size + 1);
    size_t size = 0;

    for (size_t i = 0; i < password.size; i++) {
        text[size++] = password.data[i];
        if (password.data[i] == '\\')
            text[size++] = '\\';
    }
    secret_set(out, slice_of(text, size));
    mem_wipe(text, 2 * password.size + 1);
    mem_free(text);
    return size > password.size;
}

int fernet_open_by_password(struct slice password, struct slice salt, unsigned iterations,
                            struct slice token, struct secret *content_out)
{
    struct buf octets;
    struct secret escaped = {0};

    if (iterations > ITERATIONS_MAXIMUM)
        return ERR_SYNTAX;
    buf_init(&octets, SALT_MAXIMUM);
    int status = decode(salt, &octets);
    if (status == 0)
        status = open_with_any(password, buf_bytes(&octets), iterations, token, content_out);
    if (status == ERR_DENIED && double_backslashes(password, &escaped))
        status = open_with_any(secret_bytes(&escaped), buf_bytes(&octets), iterations, token,
                               content_out);
    secret_wipe(&escaped);
    buf_fini(&octets);
    return status;
}
