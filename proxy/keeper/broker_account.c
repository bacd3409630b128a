/*
 * One account of the broker: its request, what the answer does to it, and who is told.
 */
#include "keeper/broker_account.h"

#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "auth/oauth.h"
#include "base/clock.h"
#include "keeper/endpoint.h"
#include "keeper/journal_notes.h"
#include "keeper/token_request.h"

#define EARLY_PART             5 /* a refresh starts when a fifth of the life is left */
#define EARLY_MAX_MILLISECONDS (600 * 1000)
#define LATE_MAX_MILLISECONDS  (300 * 1000)
#define AHEAD_LIFE_MIN         (120 * 1000) /* what is gone sooner is not worth the requests */
#define USABLE_MILLISECONDS    (30 * 1000)
#define PAUSE_MIN_MILLISECONDS 1000
#define PAUSE_MAX_MILLISECONDS (300 * 1000)

void broker_access_wipe(struct broker_access *access)
{
    secret_wipe(&access->token);
    mem_free(access->scope);
    *access = (struct broker_access){0};
}

void broker_access_move(struct broker_access *to, struct broker_access *from)
{
    broker_access_wipe(to);
    *to = *from;
    *from = (struct broker_access){0};
}

int64_t broker_random_between(int64_t least, int64_t most)
{
    uint32_t random = 0;
    RAND_bytes((unsigned char *)&random, sizeof(random));
    return least + (most - least) * random / UINT32_MAX;
}

bool broker_access_is_usable(const struct broker_access *access, int64_t now)
{
    return secret_is_set(&access->token) && now < access->expires - USABLE_MILLISECONDS;
}

struct broker_account *broker_account_new(struct broker *broker, const char *label,
                                          const char *mailbox)
{
    struct broker_account *account = mem_new(sizeof(*account));
    account->broker = broker;
    account->label = mem_copy_string(label);
    account->mailbox = mem_copy_string(mailbox);
    account->identity = OAUTH_IDENTITY_UNKNOWN;
    list_init(&account->waiting);
    list_init(&account->node);
    list_append(&broker->accounts, &account->node);
    return account;
}

void broker_account_free(struct broker_account *account)
{
    broker_access_wipe(&account->access);
    broker_access_wipe(&account->next);
    secret_wipe(&account->next_refresh);
    secret_wipe(&account->password);
    secret_wipe(&account->refused);
    broker_identity_forget(account);
    broker_trial_free(account->trial);
    mem_free(account->delegate);
    mem_free(account->issuer);
    mem_free(account->label);
    mem_free(account->mailbox);
    mem_free(account);
}

void broker_account_forgive(struct broker_account *account)
{
    account->is_signed_out = false;
    account->failure = WHY_NONE;
    account->is_noticed = false;
    account->failures = 0;
    account->retry_at = 0;
}

/* ---- answers ---- */

void broker_ticket_answer(struct broker_ticket *ticket, enum why why,
                          const struct broker_token *token, const char *text)
{
    struct broker_ticket copy = *ticket;
    broker_cancel(ticket);
    copy.on_answer(copy.owner, why, token, text);
}

void broker_ticket_give(struct broker_ticket *ticket)
{
    struct broker_account *account = ticket->account;
    const struct broker_access *access = &account->access;
    const struct broker_token token = {&access->token, account->generation, access->wall_expires,
                                       access->scope == NULL ? "" : access->scope};
    broker_ticket_answer(ticket, WHY_NONE, &token, "");
}

void broker_ticket_fail(struct broker_ticket *ticket)
{
    char text[BROKER_TEXT_MAX];
    ENSURE(ticket->account->failure != WHY_NONE);
    memcpy(text, ticket->account->failure_text, sizeof(text));
    broker_ticket_answer(ticket, ticket->account->failure, NULL, text);
}

void broker_account_answer_waiting(struct broker_account *account, bool is_fresh)
{
    while (!list_is_empty(&account->waiting)) {
        struct broker_ticket *ticket =
            CONTAINER_OF(account->waiting.next, struct broker_ticket, node);
        bool usable = secret_is_set(&account->access.token) &&
                      (is_fresh || clock_steady_milliseconds() < account->access.expires);
        if (usable && account->generation != ticket->refused)
            broker_ticket_give(ticket);
        else
            broker_ticket_fail(ticket);
    }
    if (!account->broker->closing)
        broker_wake(account->broker);
}

void broker_account_ask_again(struct broker_account *account)
{
    LIST_FOREACH_SAFE (node, &account->waiting) {
        list_remove(node);
        list_append(&account->broker->asked, node);
    }
}

/* ---- failures ---- */

/* 1 s doubling to 5 min, less up to a quarter, so that accounts do not come all at once. */
static int64_t pause_milliseconds(unsigned failures)
{
    int64_t pause = PAUSE_MIN_MILLISECONDS;
    for (unsigned i = 1; i < failures && pause < PAUSE_MAX_MILLISECONDS; i++)
        pause *= 2;
    if (pause > PAUSE_MAX_MILLISECONDS)
        pause = PAUSE_MAX_MILLISECONDS;
    return broker_random_between(pause - pause / 4, pause);
}

void broker_account_set_failure(struct broker_account *account, enum why why, const char *format,
                                ...)
{
    char text[BROKER_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    slice_escape(slice_of_string(text), account->failure_text, sizeof(account->failure_text));
    account->failure = why;
    if (why == WHY_TOKEN_NEEDS_USER)
        broker_tend_notice(account);
}

void broker_account_sign_out(struct broker_account *account)
{
    account->is_signed_out = true;
    broker_access_wipe(&account->access);
}

void broker_account_pause(struct broker_account *account, int64_t retry_after)
{
    int64_t pause = retry_after > 0 ? retry_after * 1000 : pause_milliseconds(++account->failures);
    account->retry_at = clock_steady_milliseconds() + pause;
    log_warn(account->broker->log, "%s (next try in %lld s)", account->failure_text,
             (long long)((pause + 999) / 1000));
}

/* ---- tokens ---- */

void broker_account_adopt_next(struct broker_account *account)
{
    broker_access_move(&account->access, &account->next);
    account->generation = ++account->broker->generations;
    broker_account_forgive(account);
}

static int64_t at_most(int64_t number, int64_t most)
{
    return number < most ? number : most;
}

void broker_account_set_next(struct broker_account *account, struct secret *access_token,
                             int64_t expires_in)
{
    int64_t life = expires_in * 1000, end = clock_steady_milliseconds() + life;
    int64_t early = at_most(life / EARLY_PART, EARLY_MAX_MILLISECONDS);
    secret_move(&account->next.token, access_token);
    account->next.life = life;
    account->next.expires = end;
    account->next.early = end - early;
    account->next.late = end - at_most(life / EARLY_PART, LATE_MAX_MILLISECONDS);
    account->next.ahead =
        life < AHEAD_LIFE_MIN ? 0 : broker_random_between(end - early - early / 2, end - early);
    account->next.wall_expires = clock_wall_seconds() + expires_in;
}

void broker_account_adopt(struct broker_account *account, struct secret *access_token,
                          int64_t expires_in, const char *scope)
{
    broker_account_set_next(account, access_token, expires_in);
    broker_account_adopt_next(account);
    account->access.scope = scope == NULL ? NULL : mem_copy_string(scope);
}

bool broker_account_store_next(struct broker_account *account)
{
    struct broker *broker = account->broker;
    struct err err;
    if (!secret_is_set(&account->next_refresh))
        return true;
    if (broker_token_store(account, &account->next_refresh, &err) != 0) {
        log_error(broker->log, "account %s: the new refresh token cannot be stored: %s",
                  account->label, err.text);
        broker_account_set_failure(
            account, WHY_UNREACHABLE,
            "the new token of account %s cannot be stored on this machine; make "
            "room on its disk",
            account->label);
        return false;
    }
    secret_wipe(&account->next_refresh);
    if (secret_is_set(&account->next.token))
        broker_account_adopt_next(account);
    return true;
}

/* True: a new access token is there for all. */
static bool account_take_grant(struct broker_account *account, struct oauth_answer *answer)
{
    broker_account_forgive(account);
    secret_wipe(&account->refused);
    /* What can be asked for anew at any time is not kept. */
    if (!account->keeps_refresh_token)
        secret_wipe(&answer->refresh_token);
    bool rotated = secret_is_set(&answer->refresh_token);
    if (!account->answer_is_foreign)
        broker_account_set_next(account, &answer->access_token, answer->expires_in);
    if (rotated) {
        secret_move(&account->next_refresh, &answer->refresh_token);
        if (!broker_account_store_next(account))
            return false;
    } else {
        broker_token_note(account, clock_wall_seconds(), "");
        if (secret_is_set(&account->next.token))
            broker_account_adopt_next(account);
    }
    if (!account->answer_is_foreign) {
        mem_free(account->access.scope);
        account->access.scope = answer->scope;
        answer->scope = NULL;
    }
    log_info(account->broker->log, "account %s: new access token, valid for %lld s%s",
             account->label, (long long)answer->expires_in,
             rotated ? ", the refresh token has rotated" : "");
    return true;
}

/* An error that the standard does not know may quote anything. */
static const char *known_error(const struct oauth_answer *read)
{
    bool is_known = read->outcome == OAUTH_SIGNED_OUT || read->outcome == OAUTH_MISTAKEN;
    return is_known ? read->error : "";
}

static void account_write_down(const struct broker_account *account,
                               const struct fetch_answer *answer, const struct oauth_answer *read)
{
    struct journal_refresh refresh = {
        .account = account->label,
        .issuer = account->issuer,
        .http_status = answer->status,
        .read = read,
        .reason = read == NULL ? answer->text : known_error(read),
    };
    if (read != NULL)
        refresh.has_rotated = account->keeps_refresh_token && secret_is_set(&read->refresh_token);
    LIST_FOREACH (node, &account->waiting)
        refresh.waiters++;
    journal_note_refresh(account->broker->journal, &refresh);
}

/* It may bring a new refresh token all the same, and then the old one is dead. */
static void account_take_no_use(struct broker_account *account, const struct fetch_answer *answer,
                                struct oauth_answer *read)
{
    /* Of a refusal the server's own words are not shown: they may quote anything. */
    const char *reason = answer->status == 200 ? read->description : read->error;
    broker_refusal_take_outage(account, reason, answer->retry_after);
    if (!secret_is_set(&read->refresh_token) || !account->keeps_refresh_token)
        return;
    secret_move(&account->next_refresh, &read->refresh_token);
    if (broker_account_store_next(account))
        broker_token_note(account, 0, reason); /* that has wiped it */
}

static bool account_take_answer(struct broker_account *account, const struct fetch_answer *answer)
{
    struct oauth_answer read = {0};
    bool is_fresh = false;

    if (answer->status == 0) {
        account_write_down(account, answer, NULL);
        broker_refusal_take_outage(account, answer->text, 0);
        return false;
    }
    oauth_read_answer(answer->status, answer->body, &read);
    account_write_down(account, answer, &read);
    switch (read.outcome) {
    case OAUTH_GRANTED:
        broker_identity_note(account, answer->body);
        if (account->identity != OAUTH_IDENTITY_OTHER || account->answer_is_foreign)
            is_fresh = account_take_grant(account, &read);
        else if (!broker_identity_try(account, &read))
            broker_identity_refuse(account, &read);
        break;
    case OAUTH_SIGNED_OUT:
    case OAUTH_MISTAKEN:
        broker_endpoint_refused(account, read.error);
        /* It may be the client of the old configuration that it was not for. */
        if (!account->answer_is_foreign)
            broker_refusal_take(account, &read, answer->retry_after);
        break;
    case OAUTH_TRY_LATER:
        account_take_no_use(account, answer, &read);
        break;
    }
    oauth_answer_clear(&read);
    secret_wipe(&account->password);
    return is_fresh;
}

/* ---- the request ---- */

bool broker_account_is_busy(const struct broker_account *account)
{
    return account->fetch != NULL || account->lookup != NULL || account->collection != NULL ||
           account->command != NULL || account->mailbox_trial != NULL;
}

void broker_account_interrupt(struct broker_account *account)
{
    if (account->fetch != NULL)
        fetch_cancel(account->fetch);
    account->fetch = NULL;
    if (account->lookup != NULL)
        discovery_cancel(account->lookup);
    account->lookup = NULL;
    if (account->collection != NULL)
        token_inputs_cancel(account->collection);
    account->collection = NULL;
    if (account->command != NULL)
        secret_command_cancel(account->command);
    account->command = NULL;
    if (account->mailbox_trial != NULL)
        trial_cancel(account->mailbox_trial);
    account->mailbox_trial = NULL;
}

static void on_fetched(void *owner, const struct fetch_answer *answer)
{
    struct broker_account *account = owner;
    struct broker *broker = account->broker;
    account->fetch = NULL;
    bool is_fresh = account_take_answer(account, answer);

    broker_hold(broker);
    if (account->answer_is_foreign) {
        broker_account_forgive(account);
        broker_account_ask_again(account);
    } else if (account->mailbox_trial == NULL) {
        broker_account_answer_waiting(account, is_fresh);
    }
    if (!broker->closing)
        broker_wake(broker);
    broker_drop(broker);
}

/* Soon there may be a token, or nobody has to hear of it: this is not the account's failure. */
static void account_wait_for_trial(struct broker_account *account)
{
    broker_account_set_failure(account, WHY_UNREACHABLE,
                               "account %s is being signed in; try again in a moment",
                               account->label);
    broker_account_answer_waiting(account, false);
    account->failure = WHY_NONE;
}

/* The request could not even be made. Who waits is told at once: this is never called by an owner.
 */
static void account_refresh_failed(struct broker_account *account, int status, const char *text)
{
    const struct account_config *options = config_account(account->broker->config, account->label);
    bool is_damaged = status == ERR_CORRUPT && options != NULL && broker_token_is_damaged(account);
    if (status == ERR_NOT_FOUND && options != NULL && endpoint_takes_password(options)) {
        broker_password_set_missing(account);
    } else if ((status == ERR_NOT_FOUND || is_damaged) && account->trial == NULL &&
               broker_trial_is_under_way(account->broker, account->label)) {
        account_wait_for_trial(account);
        return;
    } else if (is_damaged) {
        broker_refusal_take_damage(account, options);
    } else if (status == ERR_NOT_FOUND) {
        broker_refusal_sign_out(account, "");
    } else {
        broker_account_set_failure(account, WHY_INTERNAL, "account %s: %s", account->label, text);
        broker_account_pause(account, 0);
    }
    broker_account_answer_waiting(account, false);
}

/* As account_refresh_failed when it cannot be made. */
static void account_request(struct broker_account *account, const struct token_inputs *inputs)
{
    struct broker *broker = account->broker;
    const struct account_config *options = config_account(broker->config, account->label);
    struct token_request request = {0};
    struct err err = {0};
    int status =
        options == NULL
            ? err_set(&err, ERR_CONFIG, "it is not configured any more")
            : token_request_make(options, account->mailbox,
                                 discovery_known(broker->discovery, broker->config, options),
                                 broker->vault, broker_token_on_trial(account, options), inputs,
                                 &request, &err);
    if (status != 0) {
        account_refresh_failed(account, status, err.text);
        return;
    }
    if (secret_is_set(&request.password) &&
        secret_equal(&account->refused, secret_bytes(&request.password))) {
        token_request_clear(&request);
        broker_password_set_refused(account, "");
        broker_account_answer_waiting(account, false);
        return;
    }
    mem_free(account->issuer);
    account->issuer = request.issuer;
    request.issuer = NULL;
    secret_move(&account->password, &request.password);
    const struct fetch_request fetch = {
        .url = request.url,
        .ca_file = endpoint_ca_file(broker->config, options),
        .body = &request.body,
        .authorization = &request.authorization,
    };
    log_debug(broker->log, "account %s: asking %s for an access token", account->label,
              request.url);
    account->requests++;
    account->answer_is_foreign = false;
    account->keeps_refresh_token = endpoint_has_sign_in(options);
    account->fetch = fetch_start(broker->fetcher, &fetch, on_fetched, account);
    token_request_clear(&request);
}

static void on_collected(void *owner, int status, struct token_inputs *inputs, const char *reason)
{
    struct broker_account *account = owner;
    struct broker *broker = account->broker;
    account->collection = NULL;
    broker_hold(broker);
    if (status == 0) {
        account_request(account, inputs);
    } else {
        broker_account_set_failure(account, WHY_UNREACHABLE,
                                   "no token for account %s: %s; see that it prints one line, or "
                                   "try again later",
                                   account->label, reason);
        broker_account_pause(account, 0);
        broker_account_answer_waiting(account, false);
    }
    broker_drop(broker);
}

void broker_account_refresh(struct broker_account *account)
{
    struct broker *broker = account->broker;
    const struct account_config *options = config_account(broker->config, account->label);
    const struct token_inputs nothing = {0};

    if (broker_account_is_busy(account))
        return;
    if (options != NULL && (options->flow == FLOW_NONE || options->flow == FLOW_COMMAND)) {
        broker_password_refresh(account, options);
        return;
    }
    if (options != NULL && broker_endpoint_look_up(account, options))
        return;
    if (options != NULL)
        account->collection = token_inputs_collect(broker->loop, options, on_collected, account);
    if (account->collection == NULL)
        account_request(account, &nothing);
}
