/*
 * Happy path: the key is read anew for each assertion, so that one that was replaced is found, and
 * is not kept; unless it stands in the configuration itself.
 *
 * Failures: what keeper/whole_file and auth/jwt say of the files, with their paths.
 */
#include "keeper/token_assertion.h"

#include <openssl/rand.h>

#include "auth/jwt.h"
#include "base/clock.h"
#include "base/hex.h"
#include "keeper/whole_file.h"

#define LIFE_SECONDS    300
#define IDENTIFIER_SIZE 16u /* octets of a jti */

/* For what is said of it. */
static const char *key_place(const struct account_config *account)
{
    return secret_is_set(&account->key) ? "its key" : account->jwt_key_file;
}

static int read_key_text(const struct account_config *account, struct buf *text, struct err *err)
{
    if (!secret_is_set(&account->key))
        return whole_file_read(account->jwt_key_file, true, text, err);
    if (buf_append(text, secret_bytes(&account->key)) != 0)
        return err_set(err, ERR_FULL, "its key is larger than %lu KiB", JWT_FILE_MAX / 1024);
    return 0;
}

/* *is_locked_out: it is encrypted, and the passphrase is missing or wrong. */
static int read_key(const struct account_config *account, const struct token_inputs *inputs,
                    struct jwt_key **key_out, bool *is_locked_out, struct err *err)
{
    struct buf text;
    *key_out = NULL;
    *is_locked_out = false;
    buf_init(&text, JWT_FILE_MAX);
    int status = read_key_text(account, &text, err);
    if (status == 0) {
        status =
            jwt_key_read(buf_bytes(&text), &inputs->secrets[TOKEN_INPUT_PASSPHRASE], key_out, err);
        *is_locked_out = status == ERR_DENIED;
        if (*is_locked_out)
            err_wrap(err, "%s: see jwt_passphrase_command", key_place(account));
        else if (status != 0)
            err_wrap(err, "%s", key_place(account));
    }
    buf_fini(&text);
    return status;
}

static int read_thumbprint(const char *path, const struct jwt_key *key,
                           char thumbprint_out[JWT_THUMBPRINT_SIZE], struct err *err)
{
    struct buf text;
    buf_init(&text, JWT_FILE_MAX);
    int status = whole_file_read(path, false, &text, err);
    if (status == 0) {
        status = jwt_certificate_thumbprint(buf_bytes(&text), key, thumbprint_out, err);
        if (status != 0)
            err_wrap(err, "%s", path);
    }
    buf_fini(&text);
    return status;
}

static void fill_identifier(char identifier_out[2 * IDENTIFIER_SIZE + 1])
{
    unsigned char random[IDENTIFIER_SIZE];
    ENSURE(RAND_bytes(random, sizeof(random)) == 1);
    hex_write(slice_of(random, sizeof(random)), identifier_out);
    identifier_out[2 * sizeof(random)] = '\0';
}

/* Fills in what all of them have. */
static int sign(const struct jwt_key *key, enum jwt_algorithm algorithm, const char *thumbprint,
                struct jwt_claims *claims, struct secret *assertion_out, struct err *err)
{
    char identifier[2 * IDENTIFIER_SIZE + 1];
    fill_identifier(identifier);
    claims->identifier = identifier;
    claims->issued_at = clock_wall_seconds();
    claims->expires = claims->issued_at + LIFE_SECONDS;
    int status = jwt_sign(key, algorithm, thumbprint, claims, assertion_out, err);
    claims->identifier = NULL;
    return status;
}

int token_assertion_of_client(const struct account_config *account,
                              const struct token_inputs *inputs, const char *audience,
                              struct secret *assertion_out, struct err *err)
{
    bool has_certificate = *account->jwt_cert_file != '\0';
    char thumbprint[JWT_THUMBPRINT_SIZE];
    struct jwt_claims claims = {
        .issuer = account->client_id, .subject = account->client_id, .audience = audience};
    struct jwt_key *key;
    bool is_locked;
    int status = read_key(account, inputs, &key, &is_locked, err);
    if (status == 0 && has_certificate)
        status = read_thumbprint(account->jwt_cert_file, key, thumbprint, err);
    if (status == 0)
        status = sign(key, has_certificate ? JWT_PS256 : JWT_RS256,
                      has_certificate ? thumbprint : NULL, &claims, assertion_out, err);
    jwt_key_free(key);
    return status;
}

/* Borrowed from either. */
static int find_issuer(const struct account_config *account, const struct jwt_key *key,
                       const char **issuer_out, struct err *err)
{
    *issuer_out = *jwt_key_account(key) == '\0' ? account->client_id : jwt_key_account(key);
    if (**issuer_out != '\0')
        return 0;
    return err_set(err, ERR_CONFIG,
                   "%s does not name its service account; add client_id with the account's address",
                   key_place(account));
}

int token_assertion_of_service(const struct account_config *account, const char *mailbox,
                               const struct token_inputs *inputs, const char *audience,
                               const char *scope, struct secret *assertion_out, struct err *err)
{
    struct jwt_claims claims = {
        .subject = *mailbox != '\0'         ? mailbox
                   : *account->user == '\0' ? account->address
                                            : account->user,
        .audience = audience,
        .scope = scope,
    };
    struct jwt_key *key;
    bool is_locked;
    int status = read_key(account, inputs, &key, &is_locked, err);
    if (status != 0)
        return status;
    status = find_issuer(account, key, &claims.issuer, err);
    if (status == 0)
        status = sign(key, JWT_RS256, NULL, &claims, assertion_out, err);
    jwt_key_free(key);
    return status;
}

static int check_readable(const char *path, struct err *err)
{
    struct buf text;
    buf_init(&text, JWT_FILE_MAX);
    int status = whole_file_read(path, false, &text, err);
    buf_fini(&text);
    return status;
}

int token_assertion_check(const struct account_config *account, bool *is_locked_out,
                          struct err *err)
{
    const struct token_inputs nothing = {0};
    const char *certificate = account->jwt_cert_file, *issuer;
    char thumbprint[JWT_THUMBPRINT_SIZE];
    struct jwt_key *key;
    bool is_locked;
    int status = read_key(account, &nothing, &key, &is_locked, err);
    *is_locked_out = is_locked && *account->jwt_passphrase_command != '\0';
    if (*is_locked_out)
        return *certificate == '\0' ? 0 : check_readable(certificate, err);
    if (status == 0 && *certificate != '\0')
        status = read_thumbprint(certificate, key, thumbprint, err);
    if (status == 0 && account->flow == FLOW_SERVICE_ACCOUNT)
        status = find_issuer(account, key, &issuer, err);
    jwt_key_free(key);
    return status;
}
