/*
 * Whose an account's tokens are, by the id_token that may come with them. At a sign-in of ours that
 * was looked at; a refresh token that was brought by hand or taken over can be anybody's.
 *
 * Happy path: it names the account's user, or nothing is said.
 *
 * Failures: it names somebody else: nothing is given out, until somebody signs in, or the
 * configuration says that this user may read the mailbox.
 */
#include <stdio.h>

#include "auth/oauth.h"
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
    mem_free(client_id);
}

void broker_identity_refuse(struct broker_account *account, struct oauth_answer *answer)
{
    char note[VAULT_TEXT_MAX];
    secret_wipe(&answer->access_token);
    if (secret_is_set(&answer->refresh_token)) {
        secret_move(&account->next_refresh, &answer->refresh_token);
        if (!broker_account_store_next(account))
            return;
    }
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
