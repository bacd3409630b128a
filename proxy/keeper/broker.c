/*
 * Happy path: an ask is queued and looked at in the next turn of the loop. With a token that is
 * good it is answered there and then; without one it waits for the account's request, of which
 * there is one at most. The answer brings a token: what has rotated goes to the vault first, then
 * everybody who waits is answered.
 *
 * Failure modes:
 *   nobody has signed in            answered without a request, until broker_signed_in
 *   the vault's token is damaged    the same; it is left as it is
 *   invalid_grant                   the vault's token is wiped, then as above
 *   somebody else's token           not given out; the vault keeps it for a better configuration
 *   any other failure               who waits is told, the next try has to wait, the token stays
 *   the vault does not take the     it is kept here with its access token, both unused, and stored
 *   rotated token                   before anything else is done for the account
 *   the configuration changed       the answer's rotated token is stored, all else of it dropped,
 *   under the request               and who waits gets another request
 *   everybody cancelled             the request goes on, and its result is kept
 *
 * Of an account with flow none the password is given out instead, of one with flow command what
 * that prints: see broker_password.c.
 */
#include "keeper/broker.h"

#include <string.h>

#include "base/clock.h"
#include "keeper/broker_account.h"
#include "keeper/token_request.h"

void broker_hold(struct broker *broker)
{
    broker->references++;
}

void broker_drop(struct broker *broker)
{
    if (--broker->references > 0)
        return;
    LIST_FOREACH_SAFE (node, &broker->accounts)
        broker_account_free(CONTAINER_OF(node, struct broker_account, node));
    mem_free(broker);
}

static struct broker_account *account_find(const struct broker *broker, const char *label,
                                           const char *mailbox)
{
    LIST_FOREACH (node, &broker->accounts) {
        struct broker_account *account = CONTAINER_OF(node, struct broker_account, node);
        if (account->trial == NULL && strcmp(account->label, label) == 0 &&
            strcmp(account->mailbox, mailbox) == 0)
            return account;
    }
    return NULL;
}

/* ---- asking ---- */

static void ticket_look_at(struct broker *broker, struct broker_ticket *ticket)
{
    struct broker_account *account = ticket->account;
    int64_t now = clock_steady_milliseconds();

    if (account == NULL) {
        broker_ticket_answer(ticket, WHY_INTERNAL, NULL, "no such account is configured");
        return;
    }
    if (*account->mailbox != '\0') {
        list_remove(&account->node);
        list_append(&broker->accounts, &account->node);
    }
    account->asked = now;
    bool stored = broker_account_store_next(account);
    bool is_refused = account->generation == ticket->refused;
    bool may_try = stored && !account->is_signed_out && now >= account->retry_at;

    if (!is_refused && broker_access_is_usable(&account->access, now)) {
        if (now >= account->access.early && may_try)
            broker_account_refresh(account);
        bool is_waited_for = now >= account->access.late && broker_account_is_busy(account);
        if (secret_is_set(&account->access.token) && !is_waited_for) {
            broker_ticket_give(ticket);
            return;
        }
        may_try = false;
    }
    if (!broker_account_is_busy(account) && !may_try) {
        broker_ticket_fail(ticket);
        return;
    }
    list_remove(&ticket->node);
    list_append(&account->waiting, &ticket->node);
    broker_account_refresh(account);
}

static bool broker_is_idle(const struct broker *broker)
{
    LIST_FOREACH (node, &broker->accounts)
        if (CONTAINER_OF(node, struct broker_account, node)->fetch != NULL)
            return false;
    return true;
}

static void broker_tell_idle(struct broker *broker)
{
    void (*on_idle)(void *) = broker->on_idle;
    broker->on_idle = NULL;
    on_idle(broker->on_idle_owner);
}

static bool is_idle_mailbox(const struct broker_account *account)
{
    return *account->mailbox != '\0' && account->tickets == 0 && account->notice == NULL &&
           !broker_account_is_busy(account);
}

/* Names of mailboxes come from clients. Called from the loop alone: nobody is in a callback of what
 * goes. */
static void forget_mailboxes(struct broker *broker)
{
    size_t count = 0;
    LIST_FOREACH (node, &broker->accounts)
        count += *CONTAINER_OF(node, struct broker_account, node)->mailbox != '\0';
    LIST_FOREACH_SAFE (node, &broker->accounts) {
        struct broker_account *account = CONTAINER_OF(node, struct broker_account, node);
        if (count <= BROKER_MAILBOXES_MAX)
            return;
        if (!is_idle_mailbox(account))
            continue;
        list_remove(&account->node);
        broker_account_free(account);
        count--;
    }
}

/* The same. */
static void forget_trials(struct broker *broker)
{
    LIST_FOREACH_SAFE (node, &broker->accounts) {
        struct broker_account *account = CONTAINER_OF(node, struct broker_account, node);
        if (!broker_trial_is_over(account) || account->tickets > 0)
            continue;
        list_remove(&account->node);
        broker_account_free(account);
    }
}

/* Tickets that are asked for by the callbacks of this turn belong to the next. */
static void on_turn(struct deferral *deferral)
{
    struct broker *broker = CONTAINER_OF(deferral, struct broker, turn);

    broker_hold(broker);
    LIST_FOREACH_SAFE (node, &broker->asked) {
        list_remove(node);
        list_append(&broker->looking, node);
    }
    while (!list_is_empty(&broker->looking))
        ticket_look_at(broker, CONTAINER_OF(broker->looking.next, struct broker_ticket, node));
    if (!broker->closing) {
        forget_trials(broker);
        forget_mailboxes(broker);
        broker_tend_plan(broker);
    }
    if (!broker->closing && !list_is_empty(&broker->asked))
        broker_wake(broker);
    else if (!broker->closing && broker->on_idle != NULL && broker_is_idle(broker))
        broker_tell_idle(broker);
    broker_drop(broker);
}

void broker_wake(struct broker *broker)
{
    loop_defer(broker->loop, &broker->turn);
}

struct broker_account *broker_account_of(struct broker *broker, const char *label,
                                         const char *mailbox)
{
    struct broker_account *account = account_find(broker, label, mailbox);
    if (account != NULL || config_account(broker->config, label) == NULL)
        return account;
    return broker_account_new(broker, label, mailbox);
}

/* A client's own token opens every mailbox that it may open. */
static bool is_one_for_each_mailbox(const struct broker *broker, const char *label)
{
    const struct account_config *options = config_account(broker->config, label);
    return options != NULL && options->flow == FLOW_SERVICE_ACCOUNT;
}

struct broker_ticket *broker_ticket_new(struct broker *broker, struct broker_account *account,
                                        void (*on_answer)(void *owner, enum why why,
                                                          const struct broker_token *token,
                                                          const char *text),
                                        void *owner)
{
    ENSURE(!broker->closing);
    struct broker_ticket *ticket = mem_new(sizeof(*ticket));
    if (account != NULL)
        account->tickets++;
    ticket->account = account;
    ticket->on_answer = on_answer;
    ticket->owner = owner;
    list_init(&ticket->node);
    list_append(&broker->asked, &ticket->node);
    broker_wake(broker);
    return ticket;
}

struct broker_ticket *broker_ask_for(struct broker *broker, const char *label, const char *mailbox,
                                     uint64_t refused_generation,
                                     void (*on_answer)(void *owner, enum why why,
                                                       const struct broker_token *token,
                                                       const char *text),
                                     void *owner)
{
    struct broker_account *account =
        broker_account_of(broker, label, is_one_for_each_mailbox(broker, label) ? mailbox : "");
    struct broker_ticket *ticket = broker_ticket_new(broker, account, on_answer, owner);
    ticket->refused = refused_generation;
    return ticket;
}

struct broker_ticket *
broker_ask(struct broker *broker, const char *label, uint64_t refused_generation,
           void (*on_answer)(void *owner, enum why why, const struct broker_token *token,
                             const char *text),
           void *owner)
{
    return broker_ask_for(broker, label, "", refused_generation, on_answer, owner);
}

void broker_cancel(struct broker_ticket *ticket)
{
    if (ticket->account != NULL)
        ticket->account->tickets--;
    list_remove(&ticket->node);
    mem_free(ticket);
}

/* ---- what happens to accounts ---- */

void broker_signed_in(struct broker *broker, const char *label)
{
    struct broker_account *account = account_find(broker, label, "");
    if (account == NULL)
        return;
    broker_account_interrupt(account);
    account->answer_is_foreign = false;
    broker_access_wipe(&account->access);
    broker_access_wipe(&account->next);
    secret_wipe(&account->next_refresh);
    secret_wipe(&account->refused);
    broker_identity_forget(account);
    broker_account_forgive(account);
    broker_account_ask_again(account);
    broker_wake(broker);
}

void broker_signed_in_with(struct broker *broker, const char *label, struct secret *access_token,
                           int64_t expires_in, const char *scope)
{
    struct broker_account *account = broker_account_of(broker, label, "");
    broker_signed_in(broker, label);
    if (account != NULL)
        broker_account_adopt(account, access_token, expires_in, scope);
    secret_wipe(access_token);
}

/* A token that has rotated is the account's all the same: it stays to be stored. A command,
 * and where an endpoint was, do not matter any more. */
static void account_changed(struct broker_account *account)
{
    mem_free(account->delegate);
    account->delegate = NULL;
    if (account->command != NULL || account->collection != NULL || account->lookup != NULL ||
        account->mailbox_trial != NULL) {
        broker_account_interrupt(account);
        broker_account_ask_again(account);
        broker_wake(account->broker);
    }
    account->answer_is_foreign = account->fetch != NULL;
    broker_access_wipe(&account->access);
    broker_access_wipe(&account->next);
    secret_wipe(&account->refused);
    broker_account_forgive(account);
}

void broker_set_config(struct broker *broker, const struct config *config)
{
    LIST_FOREACH (node, &broker->accounts) {
        struct broker_account *account = CONTAINER_OF(node, struct broker_account, node);
        const struct account_config *before = config_account(broker->config, account->label);
        const struct account_config *after = config_account(config, account->label);
        if (before == NULL || after == NULL || !token_request_is_same(before, after))
            account_changed(account);
    }
    broker->config = config;
}

void broker_drain(struct broker *broker, void (*on_idle)(void *owner), void *owner)
{
    broker->on_idle = on_idle;
    broker->on_idle_owner = owner;
    broker_wake(broker);
}

static unsigned list_length(const struct list *head)
{
    unsigned length = 0;
    LIST_FOREACH (node, head)
        length++;
    return length;
}

static void add_state(const struct broker_account *account, struct broker_state *state)
{
    int64_t now = clock_steady_milliseconds();
    bool has_token = secret_is_set(&account->access.token) && now < account->access.expires;
    if (has_token && (!state->has_token || account->access.wall_expires > state->expires))
        state->expires = account->access.wall_expires;
    state->has_token = state->has_token || has_token;
    if (now < account->retry_at)
        state->retry_at = clock_wall_seconds() + (account->retry_at - now + 999) / 1000;
    if (account->failure != WHY_NONE)
        state->failure = account->failure_text;
    if (account->identity != OAUTH_IDENTITY_UNKNOWN) {
        state->identity = account->identity;
        state->stranger = account->stranger == NULL ? "" : account->stranger;
    }
    if (account->subject != NULL)
        state->subject = account->subject;
    state->waiting += list_length(&account->waiting);
    state->requests += account->requests;
}

static const struct broker_state nothing = {
    .failure = "", .identity = OAUTH_IDENTITY_UNKNOWN, .stranger = ""};

struct broker_state broker_account_state(const struct broker_account *account)
{
    struct broker_state state = nothing;
    add_state(account, &state);
    return state;
}

int broker_state(const struct broker *broker, const char *label, struct broker_state *state_out)
{
    *state_out = nothing;
    if (config_account(broker->config, label) == NULL)
        return ERR_NOT_FOUND;
    LIST_FOREACH (node, &broker->accounts) {
        const struct broker_account *account = CONTAINER_OF(node, struct broker_account, node);
        if (account->trial == NULL && strcmp(account->label, label) == 0)
            add_state(account, state_out);
    }
    return 0;
}

/* ---- open and close ---- */

struct broker *broker_open(struct loop *loop, struct fetcher *fetcher, struct vault *vault,
                           const struct config *config, const struct log *log)
{
    struct broker *broker = mem_new(sizeof(*broker));
    broker->loop = loop;
    broker->fetcher = fetcher;
    broker->vault = vault;
    broker->config = config;
    broker->log = log;
    broker->discovery = discovery_open(loop, fetcher, log);
    list_init(&broker->accounts);
    list_init(&broker->asked);
    list_init(&broker->looking);
    deferral_init(&broker->turn, on_turn);
    broker->references = 1;
    return broker;
}

struct discovery *broker_discovery(struct broker *broker)
{
    return broker->discovery;
}

static void cancel_all(struct list *tickets)
{
    LIST_FOREACH_SAFE (node, tickets)
        broker_cancel(CONTAINER_OF(node, struct broker_ticket, node));
}

static void account_close(struct broker_account *account)
{
    broker_account_interrupt(account);
    if (!broker_account_store_next(account))
        log_error(account->broker->log,
                  "account %s: the new refresh token is lost; sign in: ecluse login %s",
                  account->label, account->label);
    if (account->notice != NULL)
        secret_command_cancel(account->notice);
    account->notice = NULL;
    cancel_all(&account->waiting);
}

void broker_set_journal(struct broker *broker, struct journal *journal)
{
    broker->journal = journal;
}

void broker_close(struct broker *broker)
{
    if (broker->closing)
        return;
    broker->closing = true;
    LIST_FOREACH (node, &broker->accounts)
        account_close(CONTAINER_OF(node, struct broker_account, node));
    cancel_all(&broker->asked);
    cancel_all(&broker->looking);
    deferral_cancel(&broker->turn);
    broker_tend_end(broker);
    discovery_close(broker->discovery);
    broker_drop(broker);
}
