/*
 * What the broker does unasked: it refreshes the accounts in use ahead of need, so that a login
 * does not have to wait for that, and those that nobody uses, since providers drop a sign-in that
 * lies idle (Microsoft after 90 days); and it has notify_command tell an account's user that it is
 * needed.
 *
 * Happy path, in use: each token has a time at which that is decided; the timer waits for the next
 * one. When more than one is due (the machine was suspended) they follow each other at a pace. At
 * the start there is no token, and nothing is due.
 *
 * Happy path, idle: the first look some time after the start, then about each hour. Of those that
 * are due one is refreshed, and the next has its turn within a minute, so that they do not come all
 * at once. It is the vault's row that says when the last refresh was: a restart loses nothing.
 *
 * Failures: a refresh that fails is a failure like any other, and has its pause; where it is no
 * outage, only a login tries again. The vault cannot be read, the command fails: logged.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "keeper/broker_account.h"
#include "keeper/endpoint.h"

#define IDLE_SECONDS    (30 * 24 * 3600)
#define COMMAND_SECONDS 30
#define VARIABLE_MAX    (BROKER_TEXT_MAX + 32u)
#define FIRST_LOOK_PART 12                  /* of the longest time until then: the shortest */
#define NEXT_DUE        5 * 1000, 60 * 1000 /* milliseconds, from and to */
#define NEXT_LOOK       3000 * 1000, 4200 * 1000
#define NEXT_AHEAD      100, 1000
#define IN_USE_MIN      (3600 * 1000)

struct broker_tending {
    uv_timer_t idle, ahead;
    unsigned open; /* of these */
    struct broker *broker;
    struct broker_tending_options options;
};

/* ---- accounts in use ---- */

/* Whoever looks has said so lately, or may come back when a session ends. */
static bool is_in_use(const struct broker_account *account)
{
    const struct broker_tending_options *options = &account->broker->tending->options;
    int64_t lately = account->access.life > IN_USE_MIN ? account->access.life : IN_USE_MIN;
    if (account->asked != 0 && clock_steady_milliseconds() - account->asked <= lately)
        return true;
    return *account->mailbox == '\0' && options->has_sessions != NULL &&
           options->has_sessions(options->owner, account->label);
}

/* When it is to be looked at; steady milliseconds. INT64_MAX: not until it has another token. */
static int64_t ahead_of(const struct broker_account *account)
{
    int64_t ahead = account->access.ahead;
    if (ahead == 0 || account->trial != NULL || account->is_signed_out ||
        broker_account_is_busy(account))
        return INT64_MAX;
    return ahead > account->retry_at ? ahead : account->retry_at;
}

/* Whether it is refreshed. */
static bool is_wanted(struct broker_account *account)
{
    bool is_outage = account->failure == WHY_NONE || account->failure == WHY_UNREACHABLE;
    if (!is_outage || !is_in_use(account)) {
        account->access.ahead = 0;
        return false;
    }
    if (broker_account_store_next(account))
        return true;
    broker_account_pause(account, 0);
    return false;
}

/* From now on; INT64_MAX: there is none. */
static int64_t until_next_ahead(const struct broker *broker)
{
    int64_t next = INT64_MAX, now = clock_steady_milliseconds();
    LIST_FOREACH (node, &broker->accounts) {
        int64_t ahead = ahead_of(CONTAINER_OF(node, struct broker_account, node));
        if (ahead < next)
            next = ahead;
    }
    if (next == INT64_MAX || broker->on_idle != NULL)
        return INT64_MAX;
    return next > now ? next - now : broker_random_between(NEXT_AHEAD);
}

int64_t broker_tend_look_ahead(struct broker *broker)
{
    int64_t now = clock_steady_milliseconds();
    bool is_done = broker->on_idle != NULL;
    broker_hold(broker);
    LIST_FOREACH (node, &broker->accounts) {
        struct broker_account *account = CONTAINER_OF(node, struct broker_account, node);
        if (is_done || ahead_of(account) > now || !is_wanted(account))
            continue;
        log_debug(broker->log, "account %s: a refresh ahead of need", account->label);
        broker_account_refresh(account);
        is_done = true;
    }
    int64_t next = until_next_ahead(broker);
    broker_drop(broker);
    return next;
}

static void on_ahead(uv_timer_t *timer)
{
    struct broker *broker = CONTAINER_OF(timer, struct broker_tending, ahead)->broker;
    (void)broker_tend_look_ahead(broker);
    broker_tend_plan(broker);
}

/* Never later than it was: those who ask must not put it off for ever. */
void broker_tend_plan(struct broker *broker)
{
    if (broker->tending == NULL)
        return;
    uv_timer_t *timer = &broker->tending->ahead;
    int64_t next = until_next_ahead(broker);
    if (next == INT64_MAX)
        uv_timer_stop(timer);
    else if (!uv_is_active((uv_handle_t *)timer) || uv_timer_get_due_in(timer) > (uint64_t)next)
        ENSURE(uv_timer_start(timer, on_ahead, (uint64_t)next, 0) == 0);
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
        return broker_random_between(NEXT_LOOK);
    if (vault_token_list(broker->vault, NULL, &tokens, &count, &err) != 0) {
        log_warn(broker->log, "idle accounts: %s", err.text);
        return broker_random_between(NEXT_LOOK);
    }
    broker_hold(broker);
    left = refresh_first_due(broker, tokens, count);
    vault_tokens_free(tokens, count);
    broker_drop(broker);
    return left > 0 ? broker_random_between(NEXT_DUE) : broker_random_between(NEXT_LOOK);
}

static void on_look(uv_timer_t *timer)
{
    struct broker_tending *tending = CONTAINER_OF(timer, struct broker_tending, idle);
    int64_t next = broker_tend_look(tending->broker);
    ENSURE(uv_timer_start(timer, on_look, (uint64_t)next, 0) == 0);
}

/* It keeps nobody from ending. */
static void open_timer(struct broker_tending *tending, uv_timer_t *timer)
{
    ENSURE(uv_timer_init(&tending->broker->loop->uv, timer) == 0);
    uv_unref((uv_handle_t *)timer);
    timer->data = tending;
    tending->open++;
}

void broker_tend(struct broker *broker, const struct broker_tending_options *options)
{
    ENSURE(broker->tending == NULL);
    struct broker_tending *tending = mem_new(sizeof(*tending));
    int64_t most = options->first_look;
    tending->broker = broker;
    tending->options = *options;
    open_timer(tending, &tending->idle);
    open_timer(tending, &tending->ahead);
    ENSURE(uv_timer_start(&tending->idle, on_look,
                          (uint64_t)broker_random_between(most / FIRST_LOOK_PART, most), 0) == 0);
    broker->tending = tending;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct broker_tending *tending = handle->data;
    if (--tending->open == 0)
        mem_free(tending);
}

void broker_tend_end(struct broker *broker)
{
    struct broker_tending *tending = broker->tending;
    broker->tending = NULL;
    if (tending == NULL)
        return;
    uv_close((uv_handle_t *)&tending->idle, on_timer_closed);
    uv_close((uv_handle_t *)&tending->ahead, on_timer_closed);
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
