/*
 * What the broker does unasked: it refreshes accounts that nobody uses, since providers drop a
 * sign-in that lies idle (Microsoft after 90 days), and has notify_command tell an account's user
 * that it is needed.
 *
 * Happy path: the first look some time after the start, then about each hour. Of those that are due
 * one is refreshed, and the next has its turn within a minute, so that they do not come all at
 * once. It is the vault's row that says when the last refresh was: a restart loses nothing.
 *
 * Failures: a refresh that fails is a failure like any other, and has its pause; the vault cannot
 * be read, the command fails: logged.
 */
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "keeper/broker_account.h"
#include "keeper/endpoint.h"

#define IDLE_SECONDS       (30 * 24 * 3600)
#define COMMAND_SECONDS    30
#define VARIABLE_MAX       (BROKER_TEXT_MAX + 32u)
#define FIRST_LOOK_SECONDS 10, 120 /* from, to */
#define NEXT_DUE_SECONDS   5, 60
#define NEXT_LOOK_SECONDS  3000, 4200

struct broker_tending {
    uv_timer_t timer;
    struct broker *broker;
};

static int64_t milliseconds_between(int64_t least, int64_t most)
{
    uint32_t random = 0;
    RAND_bytes((unsigned char *)&random, sizeof(random));
    return least * 1000 + (most - least) * 1000 * random / UINT32_MAX;
}

/* ---- idle accounts ---- */

static bool is_due(const struct broker *broker, const struct vault_token *token)
{
    const struct account_config *options = config_account(broker->config, token->account);
    int64_t used = token->last_refresh > token->created ? token->last_refresh : token->created;
    if (options == NULL || !endpoint_has_sign_in(options) || token->state != VAULT_SIGNED_IN ||
        clock_wall_seconds() - used < IDLE_SECONDS)
        return false;
    char *issuer = endpoint_issuer(options);
    bool is_of_issuer = strcmp(issuer, token->issuer) == 0;
    mem_free(issuer);
    return is_of_issuer;
}

static bool may_try(struct broker_account *account)
{
    return !broker_account_is_busy(account) && !account->is_signed_out &&
           clock_steady_milliseconds() >= account->retry_at && broker_account_store_next(account);
}

/* How many are left; the first of them is being refreshed. */
static unsigned refresh_first_due(struct broker *broker, const struct vault_token *tokens,
                                  size_t count)
{
    unsigned due = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_due(broker, &tokens[i]))
            continue;
        struct broker_account *account = broker_account_of(broker, tokens[i].account, "");
        if (!may_try(account) || due++ > 0)
            continue;
        log_info(broker->log, "account %s: a refresh, so that its sign-in does not lie idle",
                 account->label);
        broker_account_refresh(account);
    }
    return due > 0 ? due - 1 : 0;
}

int64_t broker_tend_look(struct broker *broker)
{
    struct vault_token *tokens;
    size_t count;
    struct err err;
    unsigned left = 0;
    if (broker->on_idle != NULL)
        return milliseconds_between(NEXT_LOOK_SECONDS);
    if (vault_token_list(broker->vault, NULL, &tokens, &count, &err) != 0) {
        log_warn(broker->log, "idle accounts: %s", err.text);
        return milliseconds_between(NEXT_LOOK_SECONDS);
    }
    broker_hold(broker);
    left = refresh_first_due(broker, tokens, count);
    vault_tokens_free(tokens, count);
    broker_drop(broker);
    return left > 0 ? milliseconds_between(NEXT_DUE_SECONDS)
                    : milliseconds_between(NEXT_LOOK_SECONDS);
}

static void on_look(uv_timer_t *timer)
{
    struct broker_tending *tending = CONTAINER_OF(timer, struct broker_tending, timer);
    int64_t next = broker_tend_look(tending->broker);
    ENSURE(uv_timer_start(timer, on_look, (uint64_t)next, 0) == 0);
}

void broker_tend(struct broker *broker)
{
    ENSURE(broker->tending == NULL);
    struct broker_tending *tending = mem_new(sizeof(*tending));
    tending->broker = broker;
    ENSURE(uv_timer_init(&broker->loop->uv, &tending->timer) == 0);
    ENSURE(uv_timer_start(&tending->timer, on_look,
                          (uint64_t)milliseconds_between(FIRST_LOOK_SECONDS), 0) == 0);
    /* It keeps nobody from ending. */
    uv_unref((uv_handle_t *)&tending->timer);
    broker->tending = tending;
}

static void on_timer_closed(uv_handle_t *handle)
{
    mem_free(CONTAINER_OF(handle, struct broker_tending, timer));
}

void broker_tend_end(struct broker *broker)
{
    if (broker->tending != NULL)
        uv_close((uv_handle_t *)&broker->tending->timer, on_timer_closed);
    broker->tending = NULL;
}

/* ---- users who are needed ---- */

static void on_noticed(void *owner, int status, struct secret *output, const char *reason)
{
    struct broker_account *account = owner;
    (void)output;
    account->notice = NULL;
    if (status != 0)
        log_warn(account->broker->log, "account %s: notify_command %s", account->label, reason);
}

void broker_tend_notice(struct broker_account *account)
{
    struct broker *broker = account->broker;
    char name[VARIABLE_MAX], reason[VARIABLE_MAX];
    const char *const variables[] = {name, reason, NULL};
    const struct secret_command_options options = {.variables = variables};
    /* Who has brought a token hears of it by itself. */
    if (broker->tending == NULL || account->trial != NULL || account->is_noticed ||
        account->notice != NULL || *broker->config->notify_command == '\0')
        return;
    account->is_noticed = true;
    snprintf(name, sizeof(name), "ECLUSE_ACCOUNT=%s", account->label);
    snprintf(reason, sizeof(reason), "ECLUSE_REASON=%s", account->failure_text);
    log_info(broker->log, "account %s: running notify_command", account->label);
    account->notice =
        secret_command_start_with(broker->loop, broker->config->notify_command,
                                  (int64_t)COMMAND_SECONDS * 1000, &options, on_noticed, account);
}
