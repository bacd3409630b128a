/*
 * What a refusal of the token endpoint does to an account, and what its user is told.
 *
 * Of a code that a table knows (auth/oauth_reason) the sentence is told, and whether the token is
 * dead depends on it; of any other the code itself, and invalid_grant is the end of the token.
 * Nothing that quotes a token or a password is shown or kept.
 */
#include <stdio.h>
#include <string.h>

#include "auth/oauth_reason.h"
#include "keeper/broker_account.h"
#include "keeper/endpoint.h"

#define QUOTED_MIN 16 /* octets of a secret that make a text one that quotes it */

static bool quotes_secret(const struct secret *secret, const char *text)
{
    struct slice start = slice_take(secret_bytes(secret), QUOTED_MIN);
    return start.size > 0 && memmem(text, strlen(text), start.data, start.size) != NULL;
}

/* Some servers quote the token that they refuse ("Invalid refresh token: ..."), perhaps cut. */
static bool quotes_token(const struct broker_account *account, const char *text)
{
    struct secret token = {0};
    bool quotes = quotes_secret(&account->password, text);
    if (broker_token_load(account, &token, NULL) == 0)
        quotes = quotes || quotes_secret(&token, text);
    secret_wipe(&token);
    return quotes;
}

void broker_refusal_sign_out(struct broker_account *account, const char *reason)
{
    broker_account_sign_out(account);
    broker_account_set_failure(account, WHY_TOKEN_NEEDS_USER,
                               "account %s must be signed in again%s%s; sign in: ecluse login %s",
                               account->label, *reason == '\0' ? "" : ": ", reason, account->label);
}

void broker_refusal_take_damage(struct broker_account *account,
                                const struct account_config *options)
{
    bool is_password = endpoint_has_stored_password(options);
    broker_account_sign_out(account);
    broker_account_set_failure(account, WHY_TOKEN_NEEDS_USER,
                               "the %s of account %s in the vault is damaged, or was not put there "
                               "by ecluse; %s: ecluse login %s%s",
                               is_password ? "password" : "token", account->label,
                               is_password ? "store it anew" : "sign in", account->label,
                               is_password ? " --password-stdin" : "");
    log_warn(account->broker->log, "%s", account->failure_text);
}

/* The refresh token is dead. */
static void end_token(struct broker_account *account, const struct oauth_answer *answer,
                      const struct oauth_reason *reason)
{
    struct broker *broker = account->broker;
    const char *description = answer->description;
    char text[OAUTH_REFUSAL_MAX];
    struct err err;
    if (reason != NULL || (description != NULL && quotes_token(account, description)))
        description = NULL;
    oauth_refusal_write(answer, description, text);
    log_warn(broker->log, "account %s: %s: %s", account->label,
             account->trial == NULL ? "signed out by the provider"
                                    : "the provider refused the token that was brought",
             text);
    if (broker_token_wipe(account, text, &err) != 0)
        log_error(broker->log, "account %s: the dead refresh token cannot be wiped: %s",
                  account->label, err.text);
    broker_refusal_sign_out(account, reason == NULL ? "" : reason->text);
}

/* The user, or somebody for the user, has to do something. */
static void ask_user(struct broker_account *account, const struct oauth_reason *reason,
                     const char *code)
{
    if (reason == NULL || *reason->advice == '\0')
        broker_account_set_failure(
            account, WHY_TOKEN_NEEDS_USER,
            "the provider wants account %s to be signed in again (%s%s%s); %s%s", account->label,
            reason == NULL ? "" : reason->text, reason == NULL ? "" : ": ", code,
            account->keeps_refresh_token ? "sign in: ecluse login " : "use flow = code or device",
            account->keeps_refresh_token ? account->label : "");
    else
        broker_account_set_failure(account, WHY_TOKEN_NEEDS_USER,
                                   "the provider gives no token for account %s: %s (%s); %s",
                                   account->label, reason->text, code, reason->advice);
}

static void ask_for_configuration(struct broker_account *account, const struct oauth_reason *reason,
                                  const char *code)
{
    if (reason == NULL || *reason->advice == '\0')
        broker_account_set_failure(
            account, WHY_INTERNAL,
            "the provider refused the token request of account %s (%s%s%s); check its "
            "client_id, client_secret and scope",
            account->label, reason == NULL ? "" : reason->text, reason == NULL ? "" : ": ", code);
    else
        broker_account_set_failure(account, WHY_INTERNAL,
                                   "the provider refused the token request of account %s: %s "
                                   "(%s); %s",
                                   account->label, reason->text, code, reason->advice);
}

static bool is_for_user(const char *error, const struct oauth_reason *reason)
{
    if (reason != NULL)
        return reason->remedy != OAUTH_REMEDY_CONFIGURATION;
    return strcmp(error, "interaction_required") == 0 || strcmp(error, "login_required") == 0 ||
           strcmp(error, "consent_required") == 0;
}

/* What is sent over and over would lock its user out there. */
static void end_password(struct broker_account *account, const struct oauth_reason *reason)
{
    secret_move(&account->refused, &account->password);
    broker_password_set_refused(account, reason == NULL ? "" : reason->text);
}

void broker_refusal_take(struct broker_account *account, const struct oauth_answer *answer,
                         int64_t retry_after)
{
    const struct oauth_reason *reason = oauth_reason_find(answer);
    bool is_dead = answer->outcome == OAUTH_SIGNED_OUT &&
                   (reason == NULL || reason->remedy == OAUTH_REMEDY_SIGN_IN);
    char code[OAUTH_CODE_MAX], note[OAUTH_REFUSAL_MAX];
    if (is_dead && account->keeps_refresh_token) {
        end_token(account, answer, reason);
        return;
    }
    if (is_dead && secret_is_set(&account->password)) {
        end_password(account, reason);
        return;
    }
    oauth_refusal_write_code(answer, code);
    oauth_refusal_write(answer, NULL, note);
    broker_token_note(account, 0, note);
    if (is_for_user(answer->error, reason))
        ask_user(account, reason, code);
    else
        ask_for_configuration(account, reason, code);
    broker_account_pause(account, retry_after);
}

void broker_refusal_take_outage(struct broker_account *account, const char *reason,
                                int64_t retry_after)
{
    if (quotes_token(account, reason))
        reason = "unknown error";
    broker_token_note(account, 0, reason);
    broker_account_set_failure(account, WHY_UNREACHABLE,
                               "no token for account %s (%s); try again later", account->label,
                               reason);
    broker_account_pause(account, retry_after);
}
