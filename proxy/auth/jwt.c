/*
 * Happy path: a key out of its file, header and claims as JSON, both in base64url, the signature
 * over them behind.
 *
 * Failures: a file without a key; a key of another kind, or too small or too large; a passphrase
 * that is missing or wrong; a certificate of another key; a claim that is not UTF-8.
 */
#include "auth/jwt.h"

#include <jansson.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define BITS_MIN      2048
#define BITS_MAX      8192
#define SIGNATURE_MAX (BITS_MAX / 8)
#define JWT_MAX       (16ul * 1024)
#define CHUNK         3072u /* octets that become base64 at once; a multiple of 3 */

struct jwt_key {
    EVP_PKEY *pkey;
    char *account;    /* "" */
    char *identifier; /* "kid", or "" */
};

/* ---- base64url (RFC 4648 section 5), without padding ---- */

static int append_base64url(struct buf *out, struct slice bytes)
{
    char text[CHUNK / 3 * 4 + 1];
    int status = 0;
    while (bytes.size > 0 && status == 0) {
        struct slice chunk = slice_take(bytes, CHUNK);
        int size = EVP_EncodeBlock((unsigned char *)text, chunk.data, (int)chunk.size);
        for (int i = 0; i < size; i++)
            text[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
        while (size > 0 && text[size - 1] == '=')
            size--;
        status = buf_append(out, slice_of(text, (size_t)size));
        bytes = slice_skip(bytes, CHUNK);
    }
    return status;
}

/* ---- keys ---- */

struct passphrase_request {
    const struct secret *passphrase;
    bool was_asked;
};

/* Without it OpenSSL would ask on the terminal. */
static int give_passphrase(char *out, int capacity, int is_written, void *data)
{
    struct passphrase_request *request = data;
    struct slice bytes = secret_bytes(request->passphrase);
    (void)is_written;
    request->was_asked = true;
    if (bytes.size == 0 || bytes.size > (size_t)capacity)
        return -1;
    memcpy(out, bytes.data, bytes.size);
    return (int)bytes.size;
}

static int check_key(const EVP_PKEY *pkey, struct err *err)
{
    int bits = EVP_PKEY_get_bits(pkey);
    if (EVP_PKEY_get_base_id(pkey) != EVP_PKEY_RSA)
        return err_set(err, ERR_SYNTAX, "the key is not an RSA key");
    if (bits < BITS_MIN || bits > BITS_MAX)
        return err_set(err, ERR_SYNTAX, "the key has %d bits; it must have %d to %d", bits,
                       BITS_MIN, BITS_MAX);
    return 0;
}

static int read_pem(struct slice text, const struct secret *passphrase, struct jwt_key *key,
                    struct err *err)
{
    struct passphrase_request request = {.passphrase = passphrase};
    BIO *bio = BIO_new_mem_buf(text.data, (int)text.size);
    ENSURE(bio != NULL);
    ERR_clear_error();
    key->pkey = PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, &request);
    BIO_free(bio);
    ERR_clear_error();
    if (key->pkey != NULL)
        return check_key(key->pkey, err);
    if (request.was_asked && !secret_is_set(passphrase))
        return err_set(err, ERR_DENIED, "the key is encrypted and there is no passphrase");
    if (request.was_asked)
        return err_set(err, ERR_DENIED, "the passphrase of the key is wrong");
    return err_set(err, ERR_SYNTAX, "there is no private key in it");
}

static char *copy_member(const json_t *root, const char *name)
{
    const char *value = json_string_value(json_object_get(root, name));
    return mem_copy_string(value == NULL ? "" : value);
}

static int read_json(struct slice text, struct jwt_key *key, struct err *err)
{
    const struct secret none = {0};
    json_t *root = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, NULL);
    const json_t *pem = json_object_get(root, "private_key");
    int status;
    mem_free(key->account);
    mem_free(key->identifier);
    key->account = copy_member(root, "client_email");
    key->identifier = copy_member(root, "private_key_id");
    if (!json_is_string(pem) || *key->account == '\0')
        status = err_set(err, ERR_SYNTAX,
                         "it is not the JSON of a service account: no private_key, or no "
                         "client_email");
    else
        status =
            read_pem(slice_of(json_string_value(pem), json_string_length(pem)), &none, key, err);
    json_decref(root);
    return status;
}

int jwt_key_read(struct slice text, const struct secret *passphrase, struct jwt_key **key_out,
                 struct err *err)
{
    struct slice start = text;
    *key_out = NULL;
    if (text.size == 0 || text.size > JWT_FILE_MAX)
        return err_set(err, ERR_SYNTAX, "there is no private key in it");
    while (start.size > 0 && start.data[0] <= ' ')
        start = slice_skip(start, 1);
    struct jwt_key *key = mem_new(sizeof(*key));
    key->account = mem_copy_string("");
    key->identifier = mem_copy_string("");
    int status = slice_starts_with(start, "{") ? read_json(text, key, err)
                                               : read_pem(text, passphrase, key, err);
    if (status == 0)
        *key_out = key;
    else
        jwt_key_free(key);
    return status;
}

void jwt_key_free(struct jwt_key *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_free(key->pkey);
    mem_free(key->account);
    mem_free(key->identifier);
    mem_free(key);
}

const char *jwt_key_account(const struct jwt_key *key)
{
    return key->account;
}

/* ---- certificates ---- */

static void write_thumbprint(const X509 *certificate, char thumbprint_out[JWT_THUMBPRINT_SIZE])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    struct buf text;
    ENSURE(X509_digest(certificate, EVP_sha256(), digest, &size) == 1);
    buf_init(&text, JWT_THUMBPRINT_SIZE - 1);
    ENSURE(append_base64url(&text, slice_of(digest, size)) == 0);
    struct slice bytes = buf_bytes(&text);
    ENSURE(bytes.data != NULL && bytes.size == JWT_THUMBPRINT_SIZE - 1);
    memcpy(thumbprint_out, bytes.data, JWT_THUMBPRINT_SIZE - 1);
    thumbprint_out[JWT_THUMBPRINT_SIZE - 1] = '\0';
    buf_fini(&text);
}

int jwt_certificate_thumbprint(struct slice text, const struct jwt_key *key,
                               char thumbprint_out[JWT_THUMBPRINT_SIZE], struct err *err)
{
    if (text.size == 0 || text.size > JWT_FILE_MAX)
        return err_set(err, ERR_SYNTAX, "there is no certificate in it");
    BIO *bio = BIO_new_mem_buf(text.data, (int)text.size);
    ENSURE(bio != NULL);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    int status = 0;
    if (certificate == NULL)
        status = err_set(err, ERR_SYNTAX, "there is no certificate in it");
    else if (X509_check_private_key(certificate, key->pkey) != 1)
        status = err_set(err, ERR_SYNTAX, "the certificate is not that of the key");
    else
        write_thumbprint(certificate, thumbprint_out);
    X509_free(certificate);
    BIO_free(bio);
    ERR_clear_error();
    return status;
}

/* ---- signing ---- */

static json_t *make_header(const struct jwt_key *key, enum jwt_algorithm algorithm,
                           const char *thumbprint)
{
    return json_pack("{s:s, s:s, s:s*, s:s*}", "alg", algorithm == JWT_PS256 ? "PS256" : "RS256",
                     "typ", "JWT", "kid", *key->identifier == '\0' ? NULL : key->identifier,
                     "x5t#S256", thumbprint);
}

/* NULL: not UTF-8. */
static json_t *make_claims(const struct jwt_claims *claims)
{
    return json_pack("{s:s*, s:s*, s:s*, s:s*, s:s*, s:I, s:I, s:I}", "iss", claims->issuer, "sub",
                     claims->subject, "aud", claims->audience, "scope", claims->scope, "jti",
                     claims->identifier, "iat", (json_int_t)claims->issued_at, "nbf",
                     (json_int_t)claims->issued_at, "exp", (json_int_t)claims->expires);
}

/* Takes `value`. */
static int append_json(struct buf *out, json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT);
    ENSURE(text != NULL);
    int status = append_base64url(out, slice_of_string(text));
    json_decref(value);
    free(text);
    return status;
}

static bool sign(const struct jwt_key *key, enum jwt_algorithm algorithm, struct slice bytes,
                 unsigned char signature_out[SIGNATURE_MAX], size_t *size_out)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *options = NULL;
    *size_out = SIGNATURE_MAX;
    bool is_good = context != NULL &&
                   EVP_DigestSignInit(context, &options, EVP_sha256(), NULL, key->pkey) == 1 &&
                   (algorithm == JWT_RS256 ||
                    (EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
                     EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1)) &&
                   EVP_DigestSign(context, signature_out, size_out, bytes.data, bytes.size) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return is_good;
}

static int write_jwt(const struct jwt_key *key, enum jwt_algorithm algorithm, json_t *header,
                     json_t *claims, struct buf *out)
{
    unsigned char signature[SIGNATURE_MAX];
    size_t size;
    int status = append_json(out, header);
    if (status == 0)
        status = buf_append_string(out, ".");
    if (status == 0)
        status = append_json(out, claims);
    else
        json_decref(claims);
    if (status == 0 && !sign(key, algorithm, buf_bytes(out), signature, &size))
        status = ERR_CRYPTO;
    if (status == 0)
        status = buf_append_string(out, ".");
    return status != 0 ? status : append_base64url(out, slice_of(signature, size));
}

int jwt_sign(const struct jwt_key *key, enum jwt_algorithm algorithm, const char *thumbprint,
             const struct jwt_claims *claims, struct secret *jwt_out, struct err *err)
{
    struct buf out;
    json_t *body = make_claims(claims);
    secret_wipe(jwt_out);
    if (body == NULL)
        return err_set(err, ERR_SYNTAX, "a claim of the assertion is not UTF-8");
    buf_init(&out, JWT_MAX);
    int status = write_jwt(key, algorithm, make_header(key, algorithm, thumbprint), body, &out);
    if (status == 0)
        secret_set(jwt_out, buf_bytes(&out));
    else
        err_set(err, status, "the assertion cannot be signed: %s", err_code_text(status));
    buf_fini(&out);
    return status;
}
