/*
 * Happy path: the grant allows what the session is; the broker's token and the resolver's addresses
 * are asked for together, and when both are there GRANTED goes out with them. Neither is kept.
 *
 * Failure modes, each one REFUSED that ends the session at the desk:
 *   the grant or the listener is not for this   policy
 *   too many sessions of the account            limit
 *   the provider has no such protocol           policy
 *   no token, no address                        what the broker said; unreachable
 *   the journal cannot be written               unreachable
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "keeper/authorities.h"
#include "keeper/desk_session.h"

#define TEXT_MAX 200

void desk_grant_drop(struct desk_session *session)
{
    if (session->ticket != NULL)
        broker_cancel(session->ticket);
    session->ticket = NULL;
    if (session->lookup != NULL)
        resolve_cancel(session->lookup);
    session->lookup = NULL;
    if (session->record != NULL)
        journal_cancel(session->record);
    session->record = NULL;
    secret_wipe(&session->token);
    mem_free(session->addresses);
    session->addresses = NULL;
    session->address_count = 0;
}

/* ---- is it allowed? ---- */

/* Each mailbox of an account for a whole domain is counted for itself. */
static int64_t sessions_beside(const struct desk_account *account,
                               const struct desk_session *session)
{
    int64_t count = 0;
    LIST_FOREACH (node, &account->sessions) {
        const struct desk_session *other = CONTAINER_OF(node, struct desk_session, in_account);
        count += strcmp(other->listener, session->options->name) == 0 &&
                 strcmp(other->mailbox, session->mailbox) == 0;
    }
    return count;
}

static struct desk_account *account_find(struct desk *desk, const char *label)
{
    LIST_FOREACH (node, &desk->accounts) {
        struct desk_account *account = CONTAINER_OF(node, struct desk_account, node);
        if (strcmp(account->label, label) == 0)
            return account;
    }
    return NULL;
}

/* WHY_NONE, or why not, with a text; so does the one below. */
static enum why judge_grant(const struct desk_session *session, const struct vault_grant *grant,
                            char text[TEXT_MAX])
{
    if (!vault_grant_allows(grant, session->protocol)) {
        snprintf(text, TEXT_MAX, "this password is not for %s", protocol_name(session->protocol));
        return WHY_POLICY;
    }
    return WHY_NONE;
}

/* `grant` NULL: nobody had to log in. */
static enum why judge(const struct desk_session *session, const struct vault_grant *grant,
                      const struct account_config *account, char text[TEXT_MAX])
{
    const struct listener_config *listener = session->options;
    const struct desk_account *held = account_find(session->desk, account->name);

    if (*listener->account != '\0' && strcmp(listener->account, account->name) != 0) {
        snprintf(text, TEXT_MAX, "this port is for another account");
        return WHY_POLICY;
    }
    enum why why = grant == NULL ? WHY_NONE : judge_grant(session, grant, text);
    if (why != WHY_NONE)
        return why;
    if (!account->provider_row->endpoints[session->protocol].is_set) {
        snprintf(text, TEXT_MAX, "provider %s has no %s", account->provider,
                 protocol_name(session->protocol));
        return WHY_POLICY;
    }
    if (held != NULL && sessions_beside(held, session) >= listener->max_sessions_per_account) {
        snprintf(text, TEXT_MAX, "too many sessions of account %s", account->name);
        return WHY_LIMIT;
    }
    return WHY_NONE;
}

static struct desk_account *account_hold(struct desk *desk, const char *label)
{
    struct desk_account *account = account_find(desk, label);
    if (account != NULL)
        return account;
    account = mem_new(sizeof(*account));
    account->label = mem_copy_string(label);
    list_init(&account->sessions);
    list_init(&account->node);
    list_append(&desk->accounts, &account->node);
    return account;
}

void desk_grant_approve(struct desk_session *session)
{
    struct desk *desk = session->desk;
    const struct account_config *account =
        session->label == NULL ? NULL : config_account(desk->config, session->label);
    const struct vault_grant *grant = grant_check_grant(desk->parts.grants, session->grant);
    bool needs_grant = session->options->auth != LISTENER_AUTH_NONE;
    char text[TEXT_MAX];

    if (account == NULL || needs_grant != (grant != NULL)) {
        desk_exchange_fail(session);
        return;
    }
    enum why why = judge(session, grant, account, text);
    if (why != WHY_NONE) {
        desk_session_refuse(session, why, text);
        return;
    }
    deadline_stop(&session->delay);
    desk_exchange_end(session);
    if (grant != NULL) {
        session->is_read_only = grant->read_only;
        session->senders = mem_copy_string(grant->from);
    }
    session->account = account_hold(desk, account->name);
    list_append(&session->account->sessions, &session->in_account);
    desk_session_note_login(session, WHY_NONE, "");
    if (grant != NULL)
        vault_grant_used(desk->parts.vault, session->grant, clock_wall_seconds());
    desk_grant_collect(session, 0);
}

/* ---- what a GRANTED is made of ---- */

static void fill_addresses(const struct desk_session *session, struct message_granted *granted)
{
    granted->address_count = session->address_count;
    for (size_t i = 0; i < session->address_count; i++) {
        granted->addresses[i].family = session->addresses[i].family;
        memcpy(granted->addresses[i].bytes, session->addresses[i].bytes,
               sizeof(granted->addresses[i].bytes));
    }
}

static void send_granted(struct desk_session *session, const struct account_config *account)
{
    const struct provider_config *provider = account->provider_row;
    const struct endpoint *endpoint = &provider->endpoints[session->protocol];
    struct message_granted granted = {
        .account = mem_copy_string(account->name),
        .grant = session->grant,
        .host = mem_copy_string(endpoint->host),
        .port = endpoint->port,
        .tls = endpoint->tls,
        .authorities = authorities_index(session->desk->config, provider),
        .mechanisms = words_join(&provider->mechanisms),
        .user = mem_copy_string(*session->mailbox != '\0'
                                    ? session->mailbox
                                    : account_upstream_user(account, session->protocol)),
        .is_password = account->flow == FLOW_NONE,
        .generation = session->generation,
        .is_read_only = session->is_read_only,
        .senders = mem_copy_string(session->senders == NULL ? "" : session->senders),
    };
    struct buf message;
    buf_init(&message, MESSAGE_SIZE_MAX);
    fill_addresses(session, &granted);
    secret_move(&granted.token, &session->token);
    int status = message_write_granted(&message, session->number, &granted);
    desk_send(session->desk, session->gate->number, &message, status);
    message_granted_clear(&granted);
}

static void grant_when_complete(struct desk_session *session);

static void on_recorded(void *owner, int status)
{
    struct desk_session *session = owner;
    session->record = NULL;
    session->is_recorded = true;
    if (status == 0)
        grant_when_complete(session);
    else
        desk_session_refuse(session, WHY_UNREACHABLE, JOURNAL_REFUSAL);
}

/* Not before both are there, and the journal has what came with them. */
static void grant_when_complete(struct desk_session *session)
{
    struct journal *journal = session->desk->parts.journal;
    if (session->ticket != NULL || session->lookup != NULL || session->record != NULL)
        return;
    if (!session->is_recorded && !journal_is_durable(journal)) {
        session->record = journal_when_durable(journal, on_recorded, session);
        return;
    }
    const struct account_config *account =
        config_account(session->desk->config, session->account->label);
    ENSURE(account != NULL);
    desk_session_set_phase(session, DESK_GRANTED);
    send_granted(session, account);
    desk_grant_drop(session);
}

static void on_token(void *owner, enum why why, const struct broker_token *token, const char *text)
{
    struct desk_session *session = owner;
    session->ticket = NULL;
    if (why != WHY_NONE) {
        desk_session_refuse(session, why, text);
        return;
    }
    secret_copy(&session->token, token->token);
    session->generation = token->generation;
    grant_when_complete(session);
}

static void on_addresses(void *owner, int status, const struct dial_address *addresses,
                         size_t count, const char *text)
{
    struct desk_session *session = owner;
    session->lookup = NULL;
    if (status != 0) {
        log_warn(session->desk->parts.log, "account %s: %s", session->account->label, text);
        desk_session_refuse(session, WHY_UNREACHABLE,
                            "the provider's name cannot be looked up; try again later");
        return;
    }
    ENSURE(count <= RESOLVE_ADDRESSES_MAX);
    session->addresses = mem_new_array(count, sizeof(*addresses));
    memcpy(session->addresses, addresses, count * sizeof(*addresses));
    session->address_count = count;
    grant_when_complete(session);
}

/* A reload may have made it one of another account. */
static bool has_mailbox(const struct config *config, const struct account_config *account,
                        const char *mailbox)
{
    if (*mailbox == '\0')
        return !account_is_domain(account);
    return config_account_by_address(config, slice_of_string(mailbox)) == account;
}

void desk_grant_collect(struct desk_session *session, uint64_t refused_generation)
{
    struct desk *desk = session->desk;
    const struct account_config *account = config_account(desk->config, session->account->label);

    if (account == NULL || !account->provider_row->endpoints[session->protocol].is_set ||
        !has_mailbox(desk->config, account, session->mailbox) ||
        (session->grant != 0 && grant_check_grant(desk->parts.grants, session->grant) == NULL)) {
        desk_session_refuse(session, WHY_POLICY, "the account or its password was taken away");
        return;
    }
    desk_session_set_phase(session, DESK_COLLECTING);
    session->is_recorded = false;
    session->ticket = broker_ask_for(desk->parts.broker, account->name, session->mailbox,
                                     refused_generation, on_token, session);
    session->lookup = resolve_start(desk->parts.resolver,
                                    account->provider_row->endpoints[session->protocol].host,
                                    on_addresses, session);
}
