/*
 * A key's file as somebody names it, and what is signed with it: an octet (1: PS256, 2: with a
 * passphrase), then the file. What can be read signs, and the claims come out again; a text that
 * cannot says why, printably.
 */
#include <string.h>

#include "auth/credential.h"
#include "auth/jwt.h"
#include "auth/jwt_claims.h"
#include "steps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(const json_t *claims, const char *name, const char *value)
{
    const char *text = json_string_value(json_object_get(claims, name));
    ENSURE(text != NULL && strcmp(text, value) == 0);
}

static void check_token(struct slice token, const char *account)
{
    json_t *claims = jwt_claims_read(token);
    ENSURE(claims != NULL && credential_token_is_valid(token));
    expect(claims, "aud", "https://token.test");
    if (*account != '\0')
        expect(claims, "iss", account);
    ENSURE(json_integer_value(json_object_get(claims, "iat")) == 1000);
    json_decref(claims);
}

static void sign(const struct jwt_key *key, enum jwt_algorithm algorithm, struct slice text)
{
    char thumbprint[JWT_THUMBPRINT_SIZE];
    struct secret token = {0};
    struct err err;
    const char *account = jwt_key_account(key);
    const struct jwt_claims claims = {.issuer = *account == '\0' ? NULL : account,
                                      .audience = "https://token.test",
                                      .issued_at = 1000,
                                      .expires = 4600};
    bool has_certificate = jwt_certificate_thumbprint(text, key, thumbprint, &err) == 0;
    ENSURE(!has_certificate || strlen(thumbprint) == JWT_THUMBPRINT_SIZE - 1);
    ENSURE(jwt_sign(key, algorithm, has_certificate ? thumbprint : NULL, &claims, &token, &err) ==
           0);
    check_token(secret_bytes(&token), account);
    secret_wipe(&token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data, size);
    struct secret passphrase = {0};
    struct jwt_key *key;
    struct err err = {0};
    uint8_t options = take_octet(&text);
    if ((options & 2) != 0)
        secret_set(&passphrase, SLICE_LITERAL("correct horse"));
    int status = jwt_key_read(text, &passphrase, &key, &err);
    ENSURE((status == 0) == (key != NULL));
    if (status == 0)
        sign(key, (enum jwt_algorithm)(options & 1), text);
    else
        ENSURE((status == ERR_SYNTAX || status == ERR_DENIED) &&
               credential_is_printable(slice_of_string(err.text)));
    jwt_key_free(key);
    secret_wipe(&passphrase);
    return 0;
}
