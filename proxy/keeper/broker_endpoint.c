/*
 * Where an account's token endpoint is, when its provider has an issuer alone.
 *
 * Happy path: the configuration says it, or the issuer has said it within a day; else the issuer is
 * asked first, and the account's request follows its answer.
 *
 * Failures: the issuer cannot be asked, which is as when the token endpoint cannot be reached; or
 * it says what must not be used. Who waits is told, and the next try has to wait.
 */
#include <string.h>

#include "keeper/broker_account.h"
#include "keeper/endpoint.h"
#include "keeper/registration.h"

static void account_not_found(struct broker_account *account, int status, const char *text)
{
    broker_token_note(account, 0, text);
    broker_account_set_failure(account, status == ERR_CONFIG ? WHY_INTERNAL : WHY_UNREACHABLE,
                               "no token for account %s: %s", account->label, text);
    broker_account_pause(account, 0);
    broker_account_answer_waiting(account, false);
}

static void on_discovered(void *owner, int status, const struct oauth_metadata *metadata,
                          const char *text)
{
    struct broker_account *account = owner;
    struct broker *broker = account->broker;
    (void)metadata; /* it is known from here on */
    account->lookup = NULL;
    broker_hold(broker);
    if (status == 0)
        broker_account_refresh(account);
    else
        account_not_found(account, status, text);
    if (!broker->closing)
        broker_wake(broker);
    broker_drop(broker);
}

bool broker_endpoint_look_up(struct broker_account *account, const struct account_config *options)
{
    struct broker *broker = account->broker;
    if (!endpoint_needs_discovery(options, OAUTH_TOKEN_ENDPOINT) ||
        discovery_known(broker->discovery, broker->config, options) != NULL)
        return false;
    account->lookup =
        discovery_ask(broker->discovery, broker->config, options, on_discovered, account);
    return true;
}

void broker_endpoint_refused(const struct broker_account *account, const char *error)
{
    struct broker *broker = account->broker;
    const struct account_config *options = config_account(broker->config, account->label);
    struct err err;
    if (options == NULL || account->answer_is_foreign || strcmp(error, "invalid_client") != 0)
        return;
    if (registration_forget(options, broker->vault, &err) != 0)
        log_warn(broker->log, "account %s: %s", account->label, err.text);
}
