/*
 * Happy path: begun, offered to whoever began it, waited for, ended; who waits is told, and it is
 * gone.
 *
 * Failures:
 *   nobody waits after the offer  given up after ABANDONED_SECONDS; not when the user is to paste
 *   the client's command fails    ended, 75
 *   the ten minutes are over      ended, 75; so when a code has expired
 *   begun again                   the one before ends, 75
 *   the keeper closes             cancelled without a word
 */
#include "keeper/sign_in.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/clock.h"
#include "keeper/endpoint.h"
#include "keeper/exit_code.h"
#include "keeper/journal_notes.h"
#include "keeper/sign_in_parts.h"

/* Whoever has been told where to go asks for the end at once. */
#define ABANDONED_SECONDS 10

/* ---- the end of one ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct sign_in *sign_in = handle->data;
    if (--sign_in->handles > 0)
        return;
    mem_free(sign_in->account);
    mem_free(sign_in->issuer);
    mem_free(sign_in->scope);
    mem_free(sign_in->client_id);
    mem_free(sign_in->redirect_uri);
    mem_free(sign_in->answer_issuer);
    mem_free(sign_in->subject);
    mem_free(sign_in->url);
    for (size_t i = 0; i < OAUTH_ENDPOINTS; i++)
        mem_free(sign_in->endpoints[i]);
    mem_free(sign_in);
}

/* Whatever could still change it. */
static void let_go(struct sign_in *sign_in)
{
    if (sign_in->collection != NULL)
        token_inputs_cancel(sign_in->collection);
    if (sign_in->fetch != NULL)
        fetch_cancel(sign_in->fetch);
    if (sign_in->catcher != NULL)
        redirect_catcher_close(sign_in->catcher);
    if (sign_in->registration != NULL)
        registration_cancel(sign_in->registration);
    if (sign_in->lookup != NULL)
        discovery_cancel(sign_in->lookup);
    if (sign_in->identification != NULL)
        identification_cancel(sign_in->identification);
    if (sign_in->revocation != NULL)
        revocation_cancel(sign_in->revocation);
    sign_in->collection = NULL;
    sign_in->registration = NULL;
    sign_in->lookup = NULL;
    sign_in->identification = NULL;
    sign_in->revocation = NULL;
    sign_in->fetch = NULL;
    sign_in->catcher = NULL;
    token_inputs_wipe(&sign_in->inputs);
    uv_timer_stop(&sign_in->poll);
    oauth_proof_wipe(&sign_in->proof);
    oauth_device_clear(&sign_in->device);
    oauth_answer_clear(&sign_in->granted);
}

static void forget(struct sign_in *sign_in)
{
    let_go(sign_in);
    deferral_cancel(&sign_in->turn);
    list_remove(&sign_in->node);
    sign_in->all->count--;
    sign_in->all = NULL;
    uv_close((uv_handle_t *)&sign_in->expiry, on_handle_closed);
    uv_close((uv_handle_t *)&sign_in->poll, on_handle_closed);
}

/* Its words may name somebody, and are left out. */
static void write_down(const struct sign_in *sign_in)
{
    enum why why = WHY_UNREACHABLE;
    if (sign_in->exit_code == EX_OK)
        why = WHY_NONE;
    else if (sign_in->exit_code == EX_NOPERM)
        why = WHY_AUTH_REJECTED;
    journal_note_sign_in(sign_in->all->parts.journal, why, sign_in->account,
                         sign_in->way == SIGN_IN_DEVICE ? "device_code" : "authorization_code",
                         sign_in->issuer, sign_in->scope);
}

void sign_in_end(struct sign_in *sign_in, int exit_code, const char *format, ...)
{
    char text[SIGN_IN_TEXT_MAX];
    va_list arguments;
    if (sign_in->has_ended)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    slice_escape(slice_of_string(text), sign_in->text, sizeof(sign_in->text));
    sign_in->has_ended = true;
    sign_in->exit_code = exit_code;
    write_down(sign_in);
    let_go(sign_in);
    loop_defer(sign_in->all->parts.loop, &sign_in->turn);
}

void sign_in_offer(struct sign_in *sign_in)
{
    sign_in->has_offer = true;
    loop_defer(sign_in->all->parts.loop, &sign_in->turn);
}

static void on_expired(uv_timer_t *timer)
{
    struct sign_in *sign_in = CONTAINER_OF(timer, struct sign_in, expiry);
    if (sign_in->on_news == NULL)
        forget(sign_in);
    else
        sign_in_end(sign_in, EX_TEMPFAIL, "%s; try again",
                    sign_in->code_ends != 0 ? "the code has expired"
                                            : "nobody has signed in in time");
}

static void expire_in(struct sign_in *sign_in, int64_t milliseconds)
{
    uint64_t left = milliseconds > 0 ? (uint64_t)milliseconds : 0;
    ENSURE(uv_timer_start(&sign_in->expiry, on_expired, left, 0) == 0);
}

static struct sign_in_news offer_of(const struct sign_in *sign_in)
{
    if (sign_in->way != SIGN_IN_DEVICE)
        return (struct sign_in_news){.url = sign_in->url, .expires_in = SIGN_IN_SECONDS};
    return (struct sign_in_news){.url = sign_in->device.verification_uri,
                                 .user_code = sign_in->device.user_code,
                                 .complete_url = sign_in->device.complete_uri,
                                 .expires_in = sign_in->device.expires_in};
}

/* The news are told last: the callee may cancel. */
static void on_turn(struct deferral *deferral)
{
    struct sign_in *sign_in = CONTAINER_OF(deferral, struct sign_in, turn);
    sign_in_on_news *on_news = sign_in->on_news;
    void *owner = sign_in->owner;
    if (on_news == NULL || (!sign_in->has_offer && !sign_in->has_ended))
        return;
    sign_in->on_news = NULL;
    if (!sign_in->has_ended) {
        struct sign_in_news offer = offer_of(sign_in);
        sign_in->has_offer = false;
        if (sign_in->way != SIGN_IN_PASTE)
            expire_in(sign_in, ABANDONED_SECONDS * 1000);
        on_news(owner, &offer);
        return;
    }
    char text[SIGN_IN_TEXT_MAX];
    memcpy(text, sign_in->text, sizeof(text));
    struct sign_in_news end = {.has_ended = true, .exit_code = sign_in->exit_code, .text = text};
    forget(sign_in);
    on_news(owner, &end);
}

const struct account_config *sign_in_account(struct sign_in *sign_in)
{
    const struct account_config *account = config_account(sign_in->all->config, sign_in->account);
    char *issuer = account == NULL ? NULL : endpoint_issuer(account);
    bool is_same = issuer != NULL && strcmp(issuer, sign_in->issuer) == 0;
    mem_free(issuer);
    if (is_same)
        return account;
    sign_in_end(sign_in, EX_TEMPFAIL, "the configuration has changed meanwhile; try again");
    return NULL;
}

/* ---- all ---- */

struct sign_ins *sign_ins_open(const struct sign_ins_parts *parts, const struct config *config)
{
    struct sign_ins *all = mem_new(sizeof(*all));
    all->parts = *parts;
    all->config = config;
    list_init(&all->under_way);
    return all;
}

void sign_ins_close(struct sign_ins *all)
{
    LIST_FOREACH_SAFE (node, &all->under_way)
        forget(CONTAINER_OF(node, struct sign_in, node));
    mem_free(all);
}

void sign_ins_set_config(struct sign_ins *all, const struct config *config)
{
    all->config = config;
}

static struct sign_in *find(struct sign_ins *all, uint64_t number)
{
    LIST_FOREACH (node, &all->under_way) {
        struct sign_in *sign_in = CONTAINER_OF(node, struct sign_in, node);
        if (sign_in->number == number)
            return sign_in;
    }
    return NULL;
}

static void replace(struct sign_ins *all, const char *account)
{
    LIST_FOREACH_SAFE (node, &all->under_way) {
        struct sign_in *sign_in = CONTAINER_OF(node, struct sign_in, node);
        if (strcmp(sign_in->account, account) != 0)
            continue;
        if (sign_in->on_news == NULL)
            forget(sign_in);
        else
            sign_in_end(sign_in, EX_TEMPFAIL, "another sign-in of this account was begun");
    }
}

static struct sign_in *add(struct sign_ins *all, const struct account_config *account,
                           enum sign_in_way way)
{
    uv_loop_t *uv = &all->parts.loop->uv;
    struct sign_in *sign_in = mem_new(sizeof(*sign_in));
    sign_in->all = all;
    sign_in->number = ++all->numbers;
    sign_in->account = mem_copy_string(account->name);
    sign_in->issuer = endpoint_issuer(account);
    sign_in->scope = endpoint_scope(account, NULL);
    sign_in->way = way;
    list_init(&sign_in->node);
    deferral_init(&sign_in->turn, on_turn);
    ENSURE(uv_timer_init(uv, &sign_in->expiry) == 0 && uv_timer_init(uv, &sign_in->poll) == 0);
    sign_in->expiry.data = sign_in->poll.data = sign_in;
    sign_in->handles = 2;
    list_append(&all->under_way, &sign_in->node);
    all->count++;
    return sign_in;
}

/* What of the issuer's own words makes an answer one of this provider's (RFC 9207). A template such
 * as Microsoft's, with {tenant} in it, is no name that an answer could have. */
static void expect_issuer(struct sign_in *sign_in, const struct account_config *account,
                          const struct oauth_metadata *metadata)
{
    bool is_template = strchr(account->provider_row->issuer, '{') != NULL;
    sign_in->wants_answer_issuer = metadata != NULL && metadata->has_issuer_parameter;
    if (metadata != NULL || !is_template)
        sign_in->answer_issuer = endpoint_issuer_url(account);
}

static void go(struct sign_in *sign_in, const struct account_config *account)
{
    const struct sign_ins *all = sign_in->all;
    const struct oauth_metadata *metadata =
        discovery_known(broker_discovery(all->parts.broker), all->config, account);
    struct err err;
    for (enum oauth_endpoint i = 0; i < OAUTH_ENDPOINTS; i++)
        sign_in->endpoints[i] = endpoint_url(account, metadata, i);
    mem_free(sign_in->scope);
    sign_in->scope = endpoint_scope(account, metadata);
    expect_issuer(sign_in, account, metadata);
    int status = sign_in->way == SIGN_IN_DEVICE ? sign_in_begin_device(sign_in, account, &err)
                                                : sign_in_begin_code(sign_in, account, &err);
    if (status != 0)
        sign_in_end(sign_in, exit_code_of(err.code), "%s", err.text);
}

/* What is needed is known already; that an issuer cannot be asked for the rest is in the log. */
static void on_discovered(void *owner, int status, const struct oauth_metadata *metadata,
                          const char *text)
{
    struct sign_in *sign_in = owner;
    (void)status;
    (void)metadata;
    (void)text;
    sign_in->lookup = NULL;
    const struct account_config *account = sign_in_account(sign_in);
    if (account != NULL)
        go(sign_in, account);
}

static void on_registered(void *owner, const struct registration_answer *answer)
{
    struct sign_in *sign_in = owner;
    const struct sign_ins *all = sign_in->all;
    struct discovery *discovery = broker_discovery(all->parts.broker);
    sign_in->registration = NULL;
    if (answer->status != 0) {
        sign_in_end(sign_in, exit_code_of(answer->status), "%s", answer->text);
        return;
    }
    sign_in->client_id = mem_copy_string(answer->client_id);
    sign_in->is_registered = answer->is_registered;
    const struct account_config *account = sign_in_account(sign_in);
    if (account == NULL)
        return;
    if (*account->provider_row->issuer != '\0' &&
        discovery_known(discovery, all->config, account) == NULL)
        sign_in->lookup = discovery_ask(discovery, all->config, account, on_discovered, sign_in);
    else
        go(sign_in, account);
}

static void start(struct sign_in *sign_in, const struct account_config *account)
{
    const struct sign_ins *all = sign_in->all;
    const struct registration_parts parts = {
        .loop = all->parts.loop,
        .fetcher = all->parts.fetcher,
        .discovery = broker_discovery(all->parts.broker),
        .vault = all->parts.vault,
        .config = all->config,
    };
    sign_in->registration = registration_start(
        &parts, account,
        sign_in->way == SIGN_IN_DEVICE ? OAUTH_DEVICE_ENDPOINT : OAUTH_AUTHORIZATION_ENDPOINT,
        on_registered, sign_in);
}

static void on_inputs(void *owner, int status, struct token_inputs *inputs, const char *reason)
{
    struct sign_in *sign_in = owner;
    sign_in->collection = NULL;
    if (status != 0) {
        sign_in_end(sign_in, EX_TEMPFAIL, "%s", reason);
        return;
    }
    for (size_t i = 0; i < TOKEN_INPUT_COUNT; i++)
        secret_move(&sign_in->inputs.secrets[i], &inputs->secrets[i]);
    const struct account_config *account = sign_in_account(sign_in);
    if (account != NULL)
        start(sign_in, account);
}

int sign_in_begin(struct sign_ins *all, const struct account_config *account, enum sign_in_way way,
                  sign_in_on_news *on_news, void *owner, uint64_t *number_out, struct err *err)
{
    replace(all, account->name);
    if (all->count >= SIGN_INS_MAX)
        return err_set(err, ERR_UNAVAILABLE, "%u sign-ins are under way; finish one first",
                       SIGN_INS_MAX);
    struct sign_in *sign_in = add(all, account, way);
    sign_in->collection = token_inputs_collect(all->parts.loop, account, on_inputs, sign_in);
    if (sign_in->collection == NULL)
        start(sign_in, account);
    sign_in->on_news = on_news;
    sign_in->owner = owner;
    *number_out = sign_in->number;
    expire_in(sign_in, SIGN_IN_SECONDS * 1000);
    return 0;
}

static int no_such(struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "there is no such sign-in any more; begin again");
}

int sign_in_paste(struct sign_ins *all, uint64_t number, const char *url, struct err *err)
{
    struct sign_in *sign_in = find(all, number);
    struct slice query = slice_of_string(url);
    if (sign_in == NULL || sign_in->way != SIGN_IN_PASTE)
        return no_such(err);
    query = slice_skip(query, slice_find(query, '?') + 1);
    query = slice_take(query, slice_find(query, '#'));
    if (sign_in_take_redirect(sign_in, query))
        return 0;
    return err_set(err, ERR_SYNTAX,
                   "that is not the address at which this sign-in ends; paste all of it");
}

int sign_in_wait(struct sign_ins *all, uint64_t number, sign_in_on_news *on_news, void *owner,
                 struct err *err)
{
    struct sign_in *sign_in = find(all, number);
    if (sign_in == NULL)
        return no_such(err);
    if (sign_in->on_news != NULL)
        return err_set(err, ERR_BUSY, "somebody waits for this sign-in already");
    sign_in->on_news = on_news;
    sign_in->owner = owner;
    expire_in(sign_in, sign_in->code_ends == 0 ? SIGN_IN_SECONDS * 1000
                                               : sign_in->code_ends - clock_steady_milliseconds());
    if (sign_in->has_ended)
        loop_defer(all->parts.loop, &sign_in->turn);
    return 0;
}

void sign_in_cancel(struct sign_ins *all, uint64_t number)
{
    struct sign_in *sign_in = find(all, number);
    if (sign_in != NULL)
        forget(sign_in);
}
