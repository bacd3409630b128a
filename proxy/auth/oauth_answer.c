/*
 * 200 with an access token is GRANTED. Of the refusals (4xx, but not 429) the code in `error`
 * decides. Only invalid_grant, said in so many words in sound JSON, ends a refresh token.
 *
 * Failure modes, all of them OAUTH_TRY_LATER: another status, a body that is none of RFC 6749
 * (HTML, cut off, nested too deep, duplicate keys, wrong types), a token with a character that must
 * not cross, a token_type that is not Bearer, an error that nobody has defined.
 */
#include <stdio.h>
#include <string.h>

#include "auth/credential.h"
#include "auth/oauth.h"
#include "auth/oauth_json.h"

#define EXPIRES_DEFAULT 3600
#define EXPIRES_MAX     31536000
#define ERROR_MAX       64u
#define DESCRIPTION_MAX 300u
#define SCOPE_MAX       4096u

static bool read_decimal(struct slice text, double *number_out)
{
    *number_out = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        *number_out = *number_out * 10 + (text.data[i] - '0');
    }
    return text.size > 0;
}

/* What cannot be read is as good as absent: it is advice, and no reason to lose the tokens. */
static int64_t read_expiry(const json_t *root)
{
    const json_t *value = json_object_get(root, "expires_in");
    double seconds = EXPIRES_DEFAULT;
    if (json_is_number(value)) {
        seconds = json_number_value(value);
    } else if (json_is_string(value)) {
        struct slice text = slice_of(json_string_value(value), json_string_length(value));
        if (!read_decimal(text, &seconds))
            seconds = EXPIRES_DEFAULT;
    }
    if (seconds < 1)
        seconds = 1;
    return seconds > EXPIRES_MAX ? EXPIRES_MAX : (int64_t)seconds;
}

/* `error` is printable already. */
static void set_failure(struct oauth_answer *answer, enum oauth_outcome outcome, const char *error,
                        struct slice description)
{
    char escaped[DESCRIPTION_MAX + 1];
    slice_escape(description, escaped, sizeof(escaped));
    oauth_answer_clear(answer);
    answer->outcome = outcome;
    answer->error = mem_copy_string(error);
    if (description.size > 0)
        answer->description = mem_copy_string(escaped);
}

static bool refresh_token_is_valid(struct slice token)
{
    return token.size <= OAUTH_TOKEN_MAX && credential_is_printable(token);
}

/* The old token may be dead from here on, whatever else is wrong with the answer. */
static void read_refresh_token(const json_t *root, struct oauth_answer *answer)
{
    struct slice refresh;
    if (oauth_json_string(root, "refresh_token", &refresh) && refresh.size > 0 &&
        refresh_token_is_valid(refresh))
        secret_set(&answer->refresh_token, refresh);
}

/* NULL, or what is wrong with it. */
static const char *read_grant(const json_t *root, struct oauth_answer *answer)
{
    struct slice access, refresh, type, scope;
    if (!oauth_json_string(root, "access_token", &access) ||
        !oauth_json_string(root, "token_type", &type) ||
        !oauth_json_string(root, "refresh_token", &refresh) ||
        !oauth_json_string(root, "scope", &scope))
        return "a field of the token answer has the wrong type";
    if (access.size == 0)
        return "there is no access token in the answer";
    if (type.data != NULL && !slice_is_ignoring_case(type, "Bearer"))
        return "the token is not a bearer token";
    if (!credential_token_is_valid(access))
        return "the access token holds what a token must not hold";
    if (!refresh_token_is_valid(refresh))
        return "the refresh token holds what a token must not hold";
    if (scope.size > SCOPE_MAX || !credential_is_printable(scope))
        return "the scope holds what a scope must not hold";
    secret_set(&answer->access_token, access);
    if (scope.data != NULL)
        answer->scope = mem_copy_bytes_as_string(scope.data, scope.size);
    answer->expires_in = read_expiry(root);
    answer->outcome = OAUTH_GRANTED;
    return NULL;
}

static enum oauth_outcome classify(struct slice error)
{
    static const char *const mistakes[] = {
        "invalid_client",  "unauthorized_client", "invalid_scope",    "unsupported_grant_type",
        "invalid_request", "login_required",      "consent_required", "interaction_required",
        "deleted_client",  "disabled_client",     "org_internal",     "admin_policy_enforced",
    };
    if (slice_is(error, "invalid_grant"))
        return OAUTH_SIGNED_OUT;
    for (size_t i = 0; i < LENGTH_OF(mistakes); i++)
        if (slice_is(error, mistakes[i]))
            return OAUTH_MISTAKEN;
    return OAUTH_TRY_LATER;
}

/* The first of "error_codes", or the number in "AADSTS50173: ...". */
static int64_t read_number(const json_t *root, struct slice description)
{
    static const char mark[] = "AADSTS";
    const json_t *first = json_array_get(json_object_get(root, "error_codes"), 0);
    uint64_t number = 0;
    if (json_is_integer(first))
        return json_integer_value(first);
    if (!slice_starts_with(description, mark))
        return 0;
    struct slice digits = slice_skip(description, sizeof(mark) - 1);
    digits = slice_take(digits, slice_find(digits, ':'));
    return slice_read_number(digits, INT32_MAX, &number) ? (int64_t)number : 0;
}

static void read_detail(const json_t *root, struct slice description, struct oauth_answer *answer)
{
    struct slice subcode = SLICE_NONE;
    char text[ERROR_MAX + 1];
    if (!oauth_json_string(root, "suberror", &subcode) || subcode.size == 0)
        (void)!oauth_json_string(root, "error_subtype", &subcode);
    slice_escape(subcode, text, sizeof(text));
    if (subcode.size > 0)
        answer->subcode = mem_copy_string(text);
    answer->number = read_number(root, description);
}

static void read_refusal(int http_status, const json_t *root, struct oauth_answer *answer)
{
    struct slice error = SLICE_NONE, description = SLICE_NONE;
    enum oauth_outcome outcome = OAUTH_TRY_LATER;
    char text[ERROR_MAX + 1];
    bool is_sound = oauth_json_string(root, "error", &error) &&
                    oauth_json_string(root, "error_description", &description) && error.size > 0;
    bool may_decide = http_status >= 400 && http_status < 500 && http_status != 429;
    snprintf(text, sizeof(text), "HTTP %d", http_status);
    if (is_sound && may_decide) {
        outcome = classify(error);
        slice_escape(error, text, sizeof(text));
    }
    set_failure(answer, outcome, text, description);
    if (is_sound && may_decide)
        read_detail(root, description, answer);
}

void oauth_read_answer(int http_status, struct slice body, struct oauth_answer *answer_out)
{
    char text[ERROR_MAX + 1];
    *answer_out = (struct oauth_answer){0};
    json_t *root = oauth_json_read(body);
    if (http_status == 200) {
        const char *problem =
            root == NULL ? "the answer cannot be read as JSON" : read_grant(root, answer_out);
        if (problem != NULL)
            set_failure(answer_out, OAUTH_TRY_LATER, "HTTP 200", slice_of_string(problem));
        read_refresh_token(root, answer_out);
    } else if (root == NULL) {
        snprintf(text, sizeof(text), "HTTP %d", http_status);
        set_failure(answer_out, OAUTH_TRY_LATER, text, SLICE_NONE);
    } else {
        read_refusal(http_status, root, answer_out);
    }
    json_decref(root);
}

void oauth_answer_refuse(const char *error, const char *description,
                         struct oauth_answer *answer_out)
{
    *answer_out = (struct oauth_answer){
        .outcome = classify(slice_of_string(error)),
        .error = mem_copy_string(error),
        .description = description == NULL ? NULL : mem_copy_string(description),
        .number = description == NULL ? 0 : read_number(NULL, slice_of_string(description)),
    };
}

void oauth_answer_clear(struct oauth_answer *answer)
{
    secret_wipe(&answer->access_token);
    secret_wipe(&answer->refresh_token);
    mem_free(answer->scope);
    mem_free(answer->error);
    mem_free(answer->description);
    mem_free(answer->subcode);
    *answer = (struct oauth_answer){0};
}
