/*
 * Happy path: the id_token names the account's user, the refresh token goes into the vault, the
 * broker hears of it, and the sign-in has ended well.
 *
 * Failures, by which nothing is stored and the token before stays: somebody else has signed in; an
 * id_token that cannot be read or is meant for another client; no refresh token; the vault.
 */
#include <string.h>
#include <sysexits.h>

#include "auth/oauth_identity.h"
#include "base/clock.h"
#include "keeper/exit_code.h"
#include "keeper/sign_in_parts.h"

/* What a scope may leave out without anybody missing it. */
static bool is_about_the_sign_in(struct slice word)
{
    static const char *const words[] = {"openid", "offline_access", "email", "profile"};
    for (size_t i = 0; i < LENGTH_OF(words); i++)
        if (slice_is(word, words[i]))
            return true;
    return false;
}

/* The first word of `asked` that is not granted; empty: none. */
static struct slice missing_scope(const char *asked, const char *granted)
{
    struct slice rest = slice_of_string(asked), word;
    while (granted != NULL && slice_next_word(&rest, ' ', &word))
        if (word.size > 0 && !is_about_the_sign_in(word) &&
            !slice_has_word(slice_of_string(granted), ' ', word))
            return word;
    return SLICE_NONE;
}

static bool check_identity(struct sign_in *sign_in, const struct account_config *account,
                           struct slice body, bool *is_known_out)
{
    const char *issuer = account->provider_row->issuer;
    const struct oauth_identity_question question = {
        .client_id = sign_in->client_id,
        .issuer = strchr(issuer, '{') == NULL ? issuer : "",
        .expected = *account->login_hint != '\0' ? account->login_hint : account->address,
    };
    char who[OAUTH_IDENTITY_TEXT];
    enum oauth_identity identity = oauth_identify(body, &question, who);
    *is_known_out = identity == OAUTH_IDENTITY_IS;
    if (identity == OAUTH_IDENTITY_OTHER)
        sign_in_end(sign_in, EX_NOPERM,
                    "%s has signed in, and not %s; that token is not kept. Sign in as the right "
                    "user, or set login_hint",
                    who, question.expected);
    else if (identity == OAUTH_IDENTITY_UNSOUND)
        sign_in_end(sign_in, EX_NOPERM,
                    "the id_token is not for this client or not of this provider; the token is not "
                    "kept");
    else
        return true;
    return false;
}

static bool store(struct sign_in *sign_in, const struct oauth_answer *answer)
{
    const struct sign_ins_parts *parts = &sign_in->all->parts;
    struct err err;
    int status = vault_token_store(parts->vault, sign_in->account, sign_in->issuer,
                                   &answer->refresh_token, clock_wall_seconds(), &err);
    if (status != 0) {
        sign_in_end(sign_in, exit_code_of(status), "%s", err.text);
        return false;
    }
    broker_signed_in(parts->broker, sign_in->account);
    log_info(parts->log, "%s is signed in", sign_in->account);
    return true;
}

void sign_in_take_token(struct sign_in *sign_in, struct oauth_answer *answer, struct slice body)
{
    const struct account_config *account = sign_in_account(sign_in);
    bool is_known = false;
    if (account == NULL || !check_identity(sign_in, account, body, &is_known))
        return;
    if (!secret_is_set(&answer->refresh_token)) {
        sign_in_end(sign_in, EX_NOPERM,
                    "the provider gave no refresh token; its scope or authorize_params must ask "
                    "for offline access");
        return;
    }
    struct slice missing = missing_scope(sign_in->scope, answer->scope);
    if (!store(sign_in, answer))
        return;
    if (missing.size > 0)
        sign_in_end(sign_in, EX_OK, "the provider did not grant %.*s", SLICE_PRINT(missing));
    else
        sign_in_end(sign_in, EX_OK, "%s",
                    is_known ? "" : "the provider does not tell who has signed in");
}
