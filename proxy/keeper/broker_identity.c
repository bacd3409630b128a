/*
 * Whose an account's tokens are, by the id_token that may come with them. At a sign-in of ours that
 * was looked at; a refresh token that was brought by hand or taken over can be anybody's.
 *
 * Happy path: it names the account's user, or nothing is said.
 *
 * Failures: it names somebody else: nothing is given out, until somebody signs in, or the
 * configuration says that this user may read the mailbox. With delegates = yes the mail server says
 * that, once for each name, by a login (keeper/trial.h):
 *   it lets the token in             as if it named the account's user
 *   it does not                      nothing is given out, as above; a token that has never served
 *                                    anybody is wiped
 *   it cannot be asked               nothing is given out; the next try has to wait, the token
 * stays
 */
#include <stdio.h>
#include <string.h>

#include "auth/oauth.h"
#include "base/clock.h"
#include "keeper/broker_account.h"
#include "keeper/endpoint.h"
#include "keeper/registration.h"

void broker_identity_forget(struct broker_account *account)
{
    mem_free(account->stranger);
    mem_free(account->subject);
    account->stranger = account->subject = NULL;
    account->identity = OAUTH_IDENTITY_UNKNOWN;
}

void broker_identity_note(struct broker_account *account, struct slice body)
{
    const struct broker *broker = account->broker;
    const struct account_config *options = config_account(broker->config, account->label);
    char who[OAUTH_IDENTITY_TEXT], *client_id = NULL;
    broker_identity_forget(account);
    if (options == NULL || !account->keeps_refresh_token ||
        registration_client(options, broker->vault, &client_id, NULL) != 0)
        return;
    const struct oauth_identity_question question = endpoint_identity_question(options, client_id);
    account->identity = oauth_identify(body, &question, who, &account->subject);
    if (account->identity == OAUTH_IDENTITY_OTHER)
        account->stranger = mem_copy_string(who);
    if (account->stranger != NULL && account->delegate != NULL &&
        strcmp(account->stranger, account->delegate) == 0)
        account->identity = OAUTH_IDENTITY_IS;
    mem_free(client_id);
}

/* False: it is not on disk yet, which is the account's failure. */
static bool store_rotated(struct broker_account *account, struct oauth_answer *answer)
{
    if (!secret_is_set(&answer->refresh_token))
        return true;
    secret_move(&account->next_refresh, &answer->refresh_token);
    return broker_account_store_next(account);
}

void broker_identity_refuse(struct broker_account *account, struct oauth_answer *answer)
{
    char note[VAULT_TEXT_MAX];
    secret_wipe(&answer->access_token);
    if (!store_rotated(account, answer))
        return;
    broker_account_sign_out(account);
    broker_account_set_failure(account, WHY_TOKEN_NEEDS_USER,
                               "the token of account %s is that of %s; sign in: ecluse login %s, "
                               "or set login_hint = %s if that user may read the mailbox",
                               account->label, account->stranger, account->label,
                               account->stranger);
    snprintf(note, sizeof(note), "the token is that of %s", account->stranger);
    broker_token_note(account, 0, note);
    log_warn(account->broker->log, "%s", account->failure_text);
}

/* ---- the mail server decides ---- */

static void let_in(struct broker_account *account)
{
    mem_free(account->delegate);
    account->delegate = mem_copy_string(account->stranger);
    account->identity = OAUTH_IDENTITY_IS;
    log_info(account->broker->log,
             "account %s: its token is that of %s, whom the mail server lets in", account->label,
             account->stranger);
    broker_token_note(account, clock_wall_seconds(), "");
    broker_account_adopt_next(account);
}

static void shut_out(struct broker_account *account, const char *said)
{
    char text[VAULT_TEXT_MAX];
    struct err err;
    snprintf(text, sizeof(text),
             "the token is that of %s, whom the mail server does not let in: %s", account->stranger,
             said);
    log_warn(account->broker->log, "account %s: %s", account->label, text);
    broker_token_note(account, 0, text);
    if (account->is_first_use && broker_token_wipe(account, text, &err) != 0)
        log_error(account->broker->log, "account %s: a stranger's token cannot be wiped: %s",
                  account->label, err.text);
    broker_account_sign_out(account);
    broker_account_set_failure(account, WHY_TOKEN_NEEDS_USER,
                               "the token of account %s is that of %s, whom the mail server does "
                               "not let into the mailbox (%s); sign in: ecluse login %s",
                               account->label, account->stranger, said, account->label);
}

static void on_mailbox_tried(void *owner, const struct trial_answer *answer)
{
    struct broker_account *account = owner;
    struct broker *broker = account->broker;
    char text[BROKER_TEXT_MAX];
    bool is_in = answer->verdict == TRIAL_YES;
    account->mailbox_trial = NULL;
    if (is_in) {
        let_in(account);
    } else if (answer->verdict == TRIAL_NO) {
        broker_access_wipe(&account->next);
        shut_out(account, answer->text);
    } else {
        broker_access_wipe(&account->next);
        snprintf(text, sizeof(text), "whether %s may read the mailbox cannot be tried: %s",
                 account->stranger, answer->text);
        broker_refusal_take_outage(account, text, 0);
    }
    broker_hold(broker);
    broker_account_answer_waiting(account, is_in);
    if (!broker->closing)
        broker_wake(broker);
    broker_drop(broker);
}

bool broker_identity_try(struct broker_account *account, struct oauth_answer *answer)
{
    struct broker *broker = account->broker;
    const struct account_config *options = config_account(broker->config, account->label);
    struct secret request = {0};
    if (options == NULL || !options->delegates)
        return false;
    /* A mail server that has a bad day ends no sign-in. */
    account->is_first_use = broker_token_is_new(account);
    if (!store_rotated(account, answer))
        return true;
    broker_account_set_next(account, &answer->access_token, answer->expires_in);
    account->next.scope = answer->scope;
    answer->scope = NULL;
    /* A token is ASCII. */
    ENSURE(trial_write_request(broker->config, options, PROTOCOL_COUNT, &account->next.token,
                               &request) == 0);
    account->mailbox_trial = trial_start(broker->loop, &request, on_mailbox_tried, account);
    return true;
}
