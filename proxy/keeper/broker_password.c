/*
 * Accounts with flow none: what is given out is the provider's password.
 *
 * Happy path: it comes out of the vault, there and then, or from the account's password_command,
 * which runs once for all who wait. It is good for an hour, so that one that was changed is found;
 * the same one again is no new token: its generation stays.
 *
 * Failure modes:
 *   none in the vault                  answered so until broker_signed_in
 *   the vault fails                    told, and the next try has to wait
 *   the command fails, or hangs        the same; a password that is good still stays
 *   the provider has refused it, and   told, and not given out for a while: to try it over and over
 *   it is still the same               would lock the account there
 *   the configuration changes          the command is ended, and who waits gets the new one
 */
#include "base/clock.h"
#include "keeper/broker_account.h"
#include "keeper/endpoint.h"

#define LIFE_SECONDS         3600
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

static void account_refuse_password(struct broker_account *account)
{
    /* It stays to be compared with what is found next. */
    account->access.expires = account->access.early = account->access.wall_expires = 0;
    if (endpoint_has_stored_password(options_of(account)))
        broker_account_set_failure(account, WHY_TOKEN_NEEDS_USER,
                                   "the provider refused the password of account %s; store the "
                                   "right one: ecluse login %s --password-stdin",
                                   account->label, account->label);
    else
        broker_account_set_failure(account, WHY_TOKEN_NEEDS_USER,
                                   "the provider refused the password of account %s; have its "
                                   "password_command print the right one",
                                   account->label);
    broker_account_pause(account, 0);
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
    account->access.expires = now + LIFE_SECONDS * 1000;
    account->access.early = account->access.expires - EARLY_SECONDS * 1000;
    account->access.wall_expires = clock_wall_seconds() + LIFE_SECONDS;
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
        broker_account_sign_out(account);
        broker_account_set_failure(account, WHY_TOKEN_NEEDS_USER,
                                   "account %s has no password; store it: ecluse login %s "
                                   "--password-stdin",
                                   account->label, account->label);
    } else if (status != 0) {
        broker_account_set_failure(account, WHY_INTERNAL, "%s", err.text);
        broker_account_pause(account, 0);
    }
    secret_wipe(&password);
    mem_free(issuer);
    return is_fresh;
}

/* ---- by a command ---- */

static void on_command_done(void *owner, int status, struct secret *output, const char *reason)
{
    struct broker_account *account = owner;
    struct broker *broker = account->broker;
    bool is_fresh = false;
    account->command = NULL;
    if (status == 0) {
        is_fresh = account_take_password(account, output);
    } else {
        broker_account_set_failure(account, WHY_UNREACHABLE,
                                   "no password for account %s: its password_command %s; see that "
                                   "it prints one line, or try again later",
                                   account->label, reason);
        broker_account_pause(account, 0);
    }
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
    log_debug(broker->log, "account %s: running its password_command", account->label);
    account->requests++;
    account->command = secret_command_start(broker->loop, options->password_command,
                                            COMMAND_MILLISECONDS, on_command_done, account);
}
