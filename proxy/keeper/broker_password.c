/*
 * Accounts with flow none, where what is given out is the provider's password, and with flow
 * command, where it is a token that nobody has told the age of.
 *
 * Happy path: it comes out of the vault, there and then, or from the account's password_command or
 * token_command, which runs once for all who wait. A password is good for an hour, so that one that
 * was changed is found; after a token is asked again at half an hour. The same one again is no new
 * token: its generation stays.
 *
 * Failure modes:
 *   none in the vault                  answered so until broker_signed_in
 *   what the vault has is damaged      the same
 *   the vault fails                    told, and the next try has to wait
 *   the command fails, or hangs        the same; a password that is good still stays
 *   the provider has refused it, and   told, and not given out for a while: to try it over and over
 *   it is still the same               would lock the account there
 *   the configuration changes          the command is ended, and who waits gets the new one
 */
#include "auth/credential.h"
#include "base/clock.h"
#include "keeper/broker_account.h"
#include "keeper/endpoint.h"
#include "keeper/journal_notes.h"

#define PASSWORD_SECONDS     3600
#define TOKEN_SECONDS        2400
#define EARLY_SECONDS        600 /* it is read again in the background */
#define COMMAND_MILLISECONDS (30 * 1000)

static const struct account_config *options_of(const struct broker_account *account)
{
    return config_account(account->broker->config, account->label);
}

static bool account_was_refused(const struct broker_account *account)
{
    LIST_FOREACH (node, &account->waiting) {
        uint64_t refused = CONTAINER_OF(node, struct broker_ticket, node)->refused;
        if (refused != 0 && refused == account->generation)
            return true;
    }
    return false;
}

static const char *secret_word(const struct broker_account *account)
{
    return options_of(account)->flow == FLOW_COMMAND ? "token" : "password";
}

void broker_password_set_refused(struct broker_account *account, const char *reason)
{
    const char *word = secret_word(account), *start = *reason == '\0' ? "" : " (";
    const char *end = *reason == '\0' ? "" : ")";
    if (endpoint_has_stored_password(options_of(account)))
        broker_account_set_failure(account, WHY_TOKEN_NEEDS_USER,
                                   "the provider refused the password of account %s%s%s%s; store "
                                   "the right one: ecluse login %s --password-stdin",
                                   account->label, start, reason, end, account->label);
    else
        broker_account_set_failure(account, WHY_TOKEN_NEEDS_USER,
                                   "the provider refused the %s of account %s%s%s%s; have its "
                                   "%s_command print the right one",
                                   word, account->label, start, reason, end, word);
    broker_account_pause(account, 0);
}

void broker_password_set_missing(struct broker_account *account)
{
    broker_account_sign_out(account);
    broker_account_set_failure(account, WHY_TOKEN_NEEDS_USER,
                               "account %s has no password; store it: ecluse login %s "
                               "--password-stdin",
                               account->label, account->label);
}

static void account_refuse_password(struct broker_account *account)
{
    /* It stays to be compared with what is found next. */
    account->access.expires = account->access.early = account->access.wall_expires = 0;
    broker_password_set_refused(account, "");
}

/* True: it is there for all. */
static bool account_take_password(struct broker_account *account, struct secret *password)
{
    bool is_same = secret_equal(&account->access.token, secret_bytes(password));
    if (is_same && account_was_refused(account)) {
        account_refuse_password(account);
        return false;
    }
    if (!is_same)
        account->generation = ++account->broker->generations;
    /* Whether a refused one is right after all, only the provider can say. */
    if (!is_same || account->failure != WHY_TOKEN_NEEDS_USER)
        broker_account_forgive(account);
    secret_move(&account->access.token, password);
    int64_t now = clock_steady_milliseconds();
    int64_t life = options_of(account)->flow == FLOW_COMMAND ? TOKEN_SECONDS : PASSWORD_SECONDS;
    account->access.expires = now + life * 1000;
    account->access.early = account->access.expires - EARLY_SECONDS * 1000;
    /* How old it gets is our own guess: nobody has to wait for a new one, nor is it asked for. */
    account->access.late = account->access.expires;
    account->access.ahead = 0;
    account->access.wall_expires = clock_wall_seconds() + life;
    return true;
}

/* ---- in the vault ---- */

static bool account_load_password(struct broker_account *account,
                                  const struct account_config *options)
{
    struct secret password = {0};
    struct err err = {0};
    char *issuer = endpoint_issuer(options);
    int status = vault_token_load(account->broker->vault, account->label, issuer, &password, &err);
    bool is_fresh = status == 0 && account_take_password(account, &password);
    if (status == ERR_NOT_FOUND) {
        broker_password_set_missing(account);
    } else if (status == ERR_CORRUPT && broker_token_is_damaged(account)) {
        broker_refusal_take_damage(account, options);
    } else if (status != 0) {
        broker_account_set_failure(account, WHY_INTERNAL, "%s", err.text);
        broker_account_pause(account, 0);
    }
    secret_wipe(&password);
    mem_free(issuer);
    return is_fresh;
}

/* ---- by a command ---- */

static void account_command_failed(struct broker_account *account, const char *reason)
{
    const char *word = secret_word(account);
    broker_account_set_failure(account, WHY_UNREACHABLE,
                               "no %s for account %s: its %s_command %s; see that it prints one "
                               "line, or try again later",
                               word, account->label, word, reason);
    broker_account_pause(account, 0);
}

static void on_command_done(void *owner, int status, struct secret *output, const char *reason)
{
    struct broker_account *account = owner;
    struct broker *broker = account->broker;
    bool is_token = options_of(account)->flow == FLOW_COMMAND, is_fresh = false;
    account->command = NULL;
    journal_note_command(broker->journal, status == 0 ? WHY_NONE : WHY_UNREACHABLE, account->label,
                         is_token ? "token_command" : "password_command", is_token ? output : NULL);
    if (status == 0 && is_token && !credential_token_is_valid(secret_bytes(output)))
        account_command_failed(account, "printed what cannot stand in a token");
    else if (status == 0)
        is_fresh = account_take_password(account, output);
    else
        account_command_failed(account, reason);
    broker_hold(broker);
    broker_account_answer_waiting(account, is_fresh);
    broker_drop(broker);
}

void broker_password_refresh(struct broker_account *account, const struct account_config *options)
{
    struct broker *broker = account->broker;
    if (endpoint_has_stored_password(options)) {
        broker_account_answer_waiting(account, account_load_password(account, options));
        return;
    }
    const struct secret_command_options limits = {
        .output_max =
            options->flow == FLOW_COMMAND ? CREDENTIAL_TOKEN_MAX : CREDENTIAL_PASSWORD_MAX,
    };
    log_debug(broker->log, "account %s: running its %s_command", account->label,
              secret_word(account));
    account->requests++;
    account->command = secret_command_start_with(
        broker->loop,
        options->flow == FLOW_COMMAND ? options->token_command : options->password_command,
        COMMAND_MILLISECONDS, &limits, on_command_done, account);
}
