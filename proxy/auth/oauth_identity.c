/*
 * Happy path: the second part of "header.claims.signature" is base64url of JSON, its audience is
 * our client, and one of the claims that name a mailbox is the account's. What userinfo says are
 * the same claims, bare.
 *
 * Failure modes: what cannot be read, or was made for another client or by another issuer, is
 * UNSOUND; a provider that gives no id_token, or none with a name in it, tells nothing: UNKNOWN. So
 * does a userinfo answer that is no JSON, such as a signed one.
 */
#include "auth/oauth_identity.h"

#include <string.h>

#include "auth/jwt_claims.h"
#include "auth/oauth_json.h"
#include "base/buf.h"

static bool is_text(const json_t *value, const char *text)
{
    return json_is_string(value) &&
           slice_is(slice_of(json_string_value(value), json_string_length(value)), text);
}

/* A text, or an array in which it stands. */
static bool is_meant_for(const json_t *audience, const char *client_id)
{
    for (size_t i = 0; i < json_array_size(audience); i++)
        if (is_text(json_array_get(audience, i), client_id))
            return true;
    return is_text(audience, client_id);
}

/* Some write their own name without the scheme. */
static bool is_issued_by(const json_t *issuer, const char *expected)
{
    static const char scheme[] = "https://";
    bool has_scheme = strncmp(expected, scheme, sizeof(scheme) - 1) == 0;
    return *expected == '\0' || is_text(issuer, expected) ||
           (has_scheme && is_text(issuer, expected + sizeof(scheme) - 1));
}

static bool is_expected(struct slice name, const struct oauth_identity_question *question)
{
    for (size_t i = 0; i < LENGTH_OF(question->expected); i++)
        if (question->expected[i] != NULL && slice_is_ignoring_case(name, question->expected[i]))
            return true;
    return false;
}

static enum oauth_identity compare(const json_t *claims,
                                   const struct oauth_identity_question *question,
                                   char who_out[OAUTH_IDENTITY_TEXT])
{
    static const char *const names[] = {"email", "preferred_username", "upn"};
    enum oauth_identity identity = OAUTH_IDENTITY_UNKNOWN;
    for (size_t i = 0; i < LENGTH_OF(names); i++) {
        struct slice name;
        if (!oauth_json_string(claims, names[i], &name) || slice_find(name, '@') == name.size)
            continue;
        if (identity == OAUTH_IDENTITY_UNKNOWN)
            slice_escape(name, who_out, OAUTH_IDENTITY_TEXT);
        if (is_expected(name, question))
            return OAUTH_IDENTITY_IS;
        identity = OAUTH_IDENTITY_OTHER;
    }
    return identity;
}

enum oauth_identity oauth_identify(struct slice body,
                                   const struct oauth_identity_question *question,
                                   char who_out[OAUTH_IDENTITY_TEXT], char **subject_out)
{
    enum oauth_identity identity = OAUTH_IDENTITY_UNSOUND;
    struct slice id_token = SLICE_NONE, subject;
    json_t *root = oauth_json_read(body), *claims = NULL;
    who_out[0] = '\0';
    *subject_out = NULL;
    if (oauth_json_string(root, "id_token", &id_token)) {
        claims = jwt_claims_read(id_token);
        if (id_token.size == 0)
            identity = OAUTH_IDENTITY_UNKNOWN;
        else if (claims != NULL &&
                 is_meant_for(json_object_get(claims, "aud"), question->client_id) &&
                 is_issued_by(json_object_get(claims, "iss"), question->issuer))
            identity = compare(claims, question, who_out);
    }
    if (identity != OAUTH_IDENTITY_UNSOUND && oauth_json_string(claims, "sub", &subject) &&
        subject.size > 0)
        *subject_out = mem_copy_bytes_as_string(subject.data, subject.size);
    json_decref(claims);
    json_decref(root);
    return identity;
}

enum oauth_identity oauth_identify_userinfo(struct slice body, const char *subject,
                                            const struct oauth_identity_question *question,
                                            char who_out[OAUTH_IDENTITY_TEXT])
{
    enum oauth_identity identity = OAUTH_IDENTITY_UNKNOWN;
    json_t *root = oauth_json_read(body);
    who_out[0] = '\0';
    if (root != NULL && subject != NULL && !is_text(json_object_get(root, "sub"), subject))
        identity = OAUTH_IDENTITY_UNSOUND;
    else if (root != NULL)
        identity = compare(root, question, who_out);
    json_decref(root);
    return identity;
}

void oauth_bearer(const struct secret *access_token, struct secret *authorization_out)
{
    static const char scheme[] = "Bearer ";
    struct slice token = secret_bytes(access_token);
    struct buf text;
    buf_init(&text, sizeof(scheme) + token.size);
    int status = buf_append_string(&text, scheme);
    if (status == 0)
        status = buf_append(&text, token);
    ENSURE(status == 0);
    secret_set(authorization_out, buf_bytes(&text));
    buf_fini(&text);
}
