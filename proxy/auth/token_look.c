/*
 * Microsoft's tokens for organisations are JWTs: their audience is the resource, `scp` what may be
 * done with it (without the resource in front), and `upn` or a claim like it who has signed in.
 * Those of an application have no scp, and no user. Everybody else's are opaque: what is left is
 * the scope of the answer (RFC 6749 section 5.1).
 */
#include "auth/token_look.h"

#include <string.h>

#include "auth/jwt_claims.h"
#include "auth/oauth_json.h"

/* Microsoft Graph and its predecessor, by name and by number: whoever asks for a scope without a
 * resource gets a token for it. */
static const char *const other_resources[] = {
    "https://graph.microsoft.com",          "https://graph.microsoft.com/",
    "00000003-0000-0000-c000-000000000000", "https://graph.windows.net",
    "https://graph.windows.net/",           "00000002-0000-0000-c000-000000000000",
};

/* "https://outlook.office.com/IMAP.AccessAsUser.All" → what stands behind the last slash. */
static struct slice without_resource(struct slice word)
{
    for (size_t i = word.size; i > 0; i--)
        if (word.data[i - 1] == '/')
            return slice_skip(word, i);
    return word;
}

static bool is_for_another_resource(const json_t *claims, char text_out[TOKEN_LOOK_TEXT])
{
    struct slice audience;
    if (!oauth_json_string(claims, "aud", &audience))
        return false;
    for (size_t i = 0; i < LENGTH_OF(other_resources); i++) {
        if (!slice_is(audience, other_resources[i]))
            continue;
        slice_escape(audience, text_out, TOKEN_LOOK_TEXT);
        return true;
    }
    return false;
}

static bool lacks_scope(const json_t *claims, const struct token_question *question,
                        char text_out[TOKEN_LOOK_TEXT])
{
    struct slice wanted = slice_of_string(question->wanted), word, scp = SLICE_NONE;
    struct slice granted = slice_of_string(question->granted);
    if (claims != NULL && !oauth_json_string(claims, "scp", &scp))
        scp = SLICE_NONE;
    while (slice_next_word(&wanted, ' ', &word)) {
        struct slice right = without_resource(word);
        bool is_missing = scp.size > 0       ? !slice_has_word(scp, ' ', right)
                          : granted.size > 0 ? !slice_has_word(granted, ' ', word)
                                             : false;
        /* "all that the application was given" */
        if (!is_missing || word.size == 0 || slice_is(right, ".default"))
            continue;
        slice_escape(word, text_out, TOKEN_LOOK_TEXT);
        return true;
    }
    return false;
}

static bool is_of_another_user(const json_t *claims, const char *user,
                               char text_out[TOKEN_LOOK_TEXT])
{
    static const char *const names[] = {"upn", "preferred_username", "unique_name", "email"};
    struct slice first = SLICE_NONE, name;
    for (size_t i = 0; i < LENGTH_OF(names); i++) {
        if (!oauth_json_string(claims, names[i], &name) || slice_find(name, '@') == name.size)
            continue;
        if (slice_is_ignoring_case(name, user))
            return false;
        if (first.size == 0)
            first = name;
    }
    slice_escape(first, text_out, TOKEN_LOOK_TEXT);
    return first.size > 0;
}

enum token_flaw token_look(const struct token_question *question, char text_out[TOKEN_LOOK_TEXT])
{
    enum token_flaw flaw = TOKEN_FLAW_NONE;
    json_t *claims = jwt_claims_read(question->token);
    text_out[0] = '\0';
    if (claims != NULL && is_for_another_resource(claims, text_out))
        flaw = TOKEN_FLAW_RESOURCE;
    else if (lacks_scope(claims, question, text_out))
        flaw = TOKEN_FLAW_SCOPE;
    else if (claims != NULL && is_of_another_user(claims, question->user, text_out))
        flaw = TOKEN_FLAW_USER;
    json_decref(claims);
    return flaw;
}
