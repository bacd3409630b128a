/*
 * Happy path: a state and a verifier out of random octets, a URL with the challenge, a query with
 * the code and the same state.
 *
 * Failure modes: a query that says something twice, or both that it worked and that it did not, is
 * no answer at all (ERR_SYNTAX); so is one with control characters. Whose answer it is the caller
 * asks by oauth_redirect_has_state before anything of it is believed.
 */
#include "auth/oauth_authorize.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

#include "auth/credential.h"
#include "auth/oauth_form.h"

#define STATE_OCTETS    32u
#define DESCRIPTION_MAX 300u
#define ERROR_MAX       64u

/* ---- state and verifier ---- */

/* Of 32 octets: 43 characters, no padding. */
static void write_base64url(const uint8_t octets[32], char text[OAUTH_PROOF_TEXT])
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned bits = 0, count = 0;
    size_t size = 0;
    for (size_t i = 0; i < 32; i++) {
        bits = bits << 8 | octets[i];
        for (count += 8; count >= 6; count -= 6)
            text[size++] = alphabet[bits >> (count - 6) & 63];
    }
    text[size++] = alphabet[bits << (6 - count) & 63];
    text[size++] = '\0';
    ENSURE(size == OAUTH_PROOF_TEXT);
}

void oauth_proof_make(const uint8_t random[OAUTH_PROOF_RANDOM], struct oauth_proof *proof_out)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    write_base64url(random, proof_out->state);
    write_base64url(random + STATE_OCTETS, proof_out->verifier);
    SHA256((const unsigned char *)proof_out->verifier, strlen(proof_out->verifier), digest);
    write_base64url(digest, proof_out->challenge);
}

void oauth_proof_wipe(struct oauth_proof *proof)
{
    mem_wipe(proof, sizeof(*proof));
}

/* ---- the URL ---- */

/* The provider's parameters come out of its configuration and go as they are, but never in the
 * place of one that keeps the flow safe. */
static int check_parameters(const char *parameters)
{
    static const char *const own[] = {
        "response_type", "client_id", "redirect_uri",   "scope",
        "state",         "nonce",     "code_challenge", "code_challenge_method",
        "login_hint",    "resource",  "response_mode",  "request",
        "request_uri",   ""};
    struct slice rest = slice_of_string(parameters), field;
    if (!credential_is_printable(rest) || strpbrk(parameters, " \"#<>\\^`{|}") != NULL)
        return ERR_SYNTAX;
    while (slice_next_word(&rest, '&', &field)) {
        struct slice name = slice_take(field, slice_find(field, '='));
        if (slice_find(name, '%') < name.size)
            return ERR_SYNTAX;
        for (size_t i = 0; i < LENGTH_OF(own); i++)
            if (slice_is(name, own[i]))
                return ERR_SYNTAX;
    }
    return 0;
}

static int write_query(const struct oauth_authorization *authorization, struct buf *query)
{
    const struct oauth_field fields[] = {
        {"response_type", SLICE_LITERAL("code")},
        {"client_id", slice_of_string(authorization->client_id)},
        {"redirect_uri", slice_of_string(authorization->redirect_uri)},
        {"scope", slice_of_string(authorization->scope)},
        {"state", slice_of_string(authorization->proof->state)},
        {"code_challenge", slice_of_string(authorization->proof->challenge)},
        {"code_challenge_method", SLICE_LITERAL("S256")},
        {"login_hint", slice_of_string(authorization->login_hint)},
        {"resource", slice_of_string(authorization->resource)},
    };
    int status = 0;
    for (size_t i = 0; i < LENGTH_OF(fields) && status == 0; i++)
        if (fields[i].value.size > 0)
            status = oauth_form_add(query, fields[i].name, fields[i].value);
    if (status == 0 && *authorization->parameters != '\0') {
        status = buf_append_string(query, "&");
        if (status == 0)
            status = buf_append_string(query, authorization->parameters);
    }
    return status;
}

int oauth_authorization_url(const struct oauth_authorization *authorization, struct buf *url)
{
    struct buf query;
    int status =
        *authorization->parameters == '\0' ? 0 : check_parameters(authorization->parameters);
    if (status != 0)
        return status;
    buf_init(&query, OAUTH_URL_MAX);
    status = write_query(authorization, &query);
    if (status == 0)
        status = buf_append_string(url, authorization->endpoint);
    if (status == 0)
        status = buf_append_string(url, strchr(authorization->endpoint, '?') == NULL ? "?" : "&");
    if (status == 0)
        status = buf_append(url, buf_bytes(&query));
    buf_fini(&query);
    return status;
}

/* ---- the redirect ---- */

enum redirect_field { CODE, STATE, ISSUER, ERROR, DESCRIPTION, REDIRECT_FIELDS };

struct redirect_values {
    struct buf values[REDIRECT_FIELDS];
    bool is_there[REDIRECT_FIELDS];
};

static int take_field(struct slice field, struct redirect_values *values)
{
    static const char *const names[REDIRECT_FIELDS] = {"code", "state", "iss", "error",
                                                       "error_description"};
    size_t end = slice_find(field, '=');
    struct slice name = slice_take(field, end);
    for (size_t i = 0; i < REDIRECT_FIELDS; i++) {
        if (!slice_is(name, names[i]))
            continue;
        if (values->is_there[i])
            return ERR_SYNTAX;
        values->is_there[i] = true;
        int status = oauth_form_decode(slice_skip(field, end + 1), &values->values[i]);
        if (status == 0 && i != DESCRIPTION &&
            !credential_is_printable(buf_bytes(&values->values[i])))
            status = ERR_SYNTAX;
        return status;
    }
    return 0;
}

static char *copy_or_null(const struct redirect_values *values, enum redirect_field field,
                          size_t maximum)
{
    if (!values->is_there[field])
        return NULL;
    char *text = mem_new(maximum + 1);
    slice_escape(buf_bytes(&values->values[field]), text, maximum + 1);
    return text;
}

static int take_values(const struct redirect_values *values, struct oauth_redirect *redirect)
{
    struct slice code = buf_bytes(&values->values[CODE]);
    if (values->is_there[CODE] == values->is_there[ERROR] ||
        (values->is_there[CODE] && code.size == 0))
        return ERR_SYNTAX;
    if (values->is_there[CODE])
        secret_set(&redirect->code, code);
    redirect->state = copy_or_null(values, STATE, OAUTH_REDIRECT_MAX);
    redirect->issuer = copy_or_null(values, ISSUER, OAUTH_REDIRECT_MAX);
    redirect->error = copy_or_null(values, ERROR, ERROR_MAX);
    redirect->description = copy_or_null(values, DESCRIPTION, DESCRIPTION_MAX);
    return 0;
}

int oauth_read_redirect(struct slice query, struct oauth_redirect *redirect_out)
{
    struct redirect_values values = {0};
    struct slice rest = query, field;
    int status = query.size > OAUTH_REDIRECT_MAX ? ERR_FULL : 0;
    *redirect_out = (struct oauth_redirect){0};
    for (size_t i = 0; i < REDIRECT_FIELDS; i++)
        buf_init(&values.values[i], OAUTH_REDIRECT_MAX);
    while (status == 0 && slice_next_word(&rest, '&', &field))
        status = take_field(field, &values);
    if (status == 0)
        status = take_values(&values, redirect_out);
    for (size_t i = 0; i < REDIRECT_FIELDS; i++)
        buf_fini(&values.values[i]);
    return status;
}

void oauth_redirect_clear(struct oauth_redirect *redirect)
{
    secret_wipe(&redirect->code);
    mem_free(redirect->state);
    mem_free(redirect->issuer);
    mem_free(redirect->error);
    mem_free(redirect->description);
    *redirect = (struct oauth_redirect){0};
}

bool oauth_redirect_has_state(const struct oauth_redirect *redirect,
                              const struct oauth_proof *proof)
{
    return redirect->state != NULL && strlen(redirect->state) == OAUTH_PROOF_TEXT - 1 &&
           CRYPTO_memcmp(redirect->state, proof->state, OAUTH_PROOF_TEXT - 1) == 0;
}
