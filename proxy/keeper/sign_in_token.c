/*
 * Happy path: the token is the account's (sign_in_identity.c), the refresh token goes into the
 * vault, the access token to the broker, and the sign-in has ended well.
 *
 * Failures, by which nothing is stored and the token before stays: no refresh token; it is somebody
 * else's, and is given back; the vault.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

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
static struct slice missing_scope(const char *asked, const char *granted, bool counts_all)
{
    struct slice rest = slice_of_string(asked), word;
    while (granted != NULL && slice_next_word(&rest, ' ', &word))
        if (word.size > 0 && (counts_all || !is_about_the_sign_in(word)) &&
            !slice_has_word(slice_of_string(granted), ' ', word))
            return word;
    return SLICE_NONE;
}

/* Not every scope that a provider signs in with is one that it refreshes with: when it did not
 * grant all of it, the broker gets its first token by a refresh, while the user looks on. */
static void tell_broker(struct sign_in *sign_in)
{
    struct broker *broker = sign_in->all->parts.broker;
    struct oauth_answer *granted = &sign_in->granted;
    if (missing_scope(sign_in->scope, granted->scope, true).size > 0)
        broker_signed_in(broker, sign_in->account);
    else
        broker_signed_in_with(broker, sign_in->account, &granted->access_token, granted->expires_in,
                              granted->scope);
}

static bool store(struct sign_in *sign_in)
{
    const struct sign_ins_parts *parts = &sign_in->all->parts;
    struct err err;
    int status = vault_token_store(parts->vault, sign_in->account, sign_in->issuer,
                                   &sign_in->granted.refresh_token, clock_wall_seconds(), &err);
    if (status != 0) {
        sign_in_end(sign_in, exit_code_of(status), "%s", err.text);
        return false;
    }
    tell_broker(sign_in);
    log_info(parts->log, "%s is signed in", sign_in->account);
    return true;
}

void sign_in_keep_token(struct sign_in *sign_in)
{
    struct slice missing = missing_scope(sign_in->scope, sign_in->granted.scope, false);
    if (!store(sign_in))
        return;
    if (missing.size > 0)
        sign_in_end(sign_in, EX_OK, "the provider did not grant %.*s", SLICE_PRINT(missing));
    else
        sign_in_end(sign_in, EX_OK, "%s", "");
}

void sign_in_take_token(struct sign_in *sign_in, struct oauth_answer *answer, struct slice body)
{
    const struct account_config *account = sign_in_account(sign_in);
    if (account == NULL)
        return;
    sign_in->granted = *answer;
    *answer = (struct oauth_answer){0};
    if (secret_is_set(&sign_in->granted.refresh_token))
        sign_in_identify(sign_in, account, body);
    else
        sign_in_end(sign_in, EX_NOPERM,
                    "the provider gave no refresh token; its scope or authorize_params must ask "
                    "for offline access");
}

/* ---- somebody else's ---- */

static void on_given_back(void *owner, int status, const char *text)
{
    struct sign_in *sign_in = owner;
    sign_in->revocation = NULL;
    if (status != 0)
        log_info(sign_in->all->parts.log, "%s: the token was dropped, but not revoked: %s",
                 sign_in->account, text);
    sign_in_end(sign_in, EX_NOPERM, "%s", sign_in->refusal);
}

static bool is_somebody_of(const struct account_config *account, const char *who)
{
    const char *const names[] = {account->address, account->user, account->login_hint};
    for (size_t i = 0; i < LENGTH_OF(names); i++)
        if (*names[i] != '\0' && slice_is_ignoring_case(slice_of_string(names[i]), who))
            return true;
    return false;
}

/* Some providers end all tokens of a user and client with one (RFC 7009 section 2.1): then another
 * account of ours would be signed out by this one's mistake, or, where nobody knows whose the token
 * is, this one. */
static bool may_be_of_ours(const struct sign_in *sign_in, const struct account_config *account,
                           const char *who)
{
    const struct config *config = sign_in->all->config;
    for (size_t i = 0; i < config->account_count; i++) {
        const struct account_config *other = config->accounts[i];
        if (other != account && other->provider_row == account->provider_row &&
            strcmp(other->client_id, account->client_id) == 0 && is_somebody_of(other, who))
            return true;
    }
    return *who == '\0';
}

void sign_in_refuse_token(struct sign_in *sign_in, const struct account_config *account,
                          const char *who, const char *format, ...)
{
    const struct sign_ins *all = sign_in->all;
    const struct revocation_parts parts = {
        .loop = all->parts.loop,
        .fetcher = all->parts.fetcher,
        .discovery = broker_discovery(all->parts.broker),
        .vault = all->parts.vault,
        .inputs = &sign_in->inputs,
        .config = all->config,
    };
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sign_in->refusal, sizeof(sign_in->refusal), format, arguments);
    va_end(arguments);
    log_warn(all->parts.log, "%s: a token was dropped that is not known to be the account's",
             sign_in->account);
    if (may_be_of_ours(sign_in, account, who))
        sign_in_end(sign_in, EX_NOPERM, "%s", sign_in->refusal);
    else
        sign_in->revocation = revocation_start(&parts, account, &sign_in->granted.refresh_token,
                                               on_given_back, sign_in);
}
