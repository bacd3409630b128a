/*
 * For the tests of the keeper's rooms: a folder with a configuration and a real vault in it, a
 * clock that stands still until it is moved, and a scripted net/fetch. Clock and fetch are defined
 * here and found before the real ones.
 *
 * A request is answered by the test, from outside of every function of the program, as the loop
 * would do it.
 */
#ifndef ECLUSE_TESTS_NET_KEEPER_WORLD_H
#define ECLUSE_TESTS_NET_KEEPER_WORLD_H

#include "config_file.h"

#include "../lib/scratch_folder.h"
#include "base/clock.h"
#include "keeper/vault.h"
#include "keeper/vault_key.h"
#include "net/fetch.h"

/* ---- the clock ---- */

#define WALL_START 1700000000

static int64_t now_milliseconds = 1000;

int64_t clock_steady_milliseconds(void)
{
    return now_milliseconds;
}

int64_t clock_wall_seconds(void)
{
    return WALL_START + now_milliseconds / 1000;
}

int64_t clock_wall_microseconds(void)
{
    return clock_wall_seconds() * 1000000;
}

static inline void pass_seconds(int64_t seconds)
{
    now_milliseconds += seconds * 1000;
}

/* ---- fetch ---- */

struct fetch {
    struct list node;
    char *url, *ca_file;
    struct secret body;
    void (*on_answer)(void *owner, const struct fetch_answer *answer);
    void *owner;
};

static struct {
    struct list open;
    unsigned started, cancelled;
} script;

int fetcher_open(struct loop *loop, struct fetcher **fetcher_out, struct err *err)
{
    (void)loop;
    (void)err;
    *fetcher_out = NULL;
    return 0;
}

void fetcher_close(struct fetcher *fetcher, void (*on_closed)(void *owner), void *owner)
{
    (void)fetcher;
    on_closed(owner);
}

static inline void fetch_free(struct fetch *fetch)
{
    list_remove(&fetch->node);
    secret_wipe(&fetch->body);
    mem_free(fetch->url);
    mem_free(fetch->ca_file);
    mem_free(fetch);
}

struct fetch *fetch_start(struct fetcher *fetcher, const struct fetch_request *request,
                          void (*on_answer)(void *owner, const struct fetch_answer *answer),
                          void *owner)
{
    struct fetch *fetch = mem_new(sizeof(*fetch));
    (void)fetcher;
    fetch->url = mem_copy_string(request->url);
    fetch->ca_file = mem_copy_string(request->ca_file);
    if (request->body != NULL)
        secret_move(&fetch->body, request->body);
    assert_true(request->authorization == NULL || !secret_is_set(request->authorization));
    fetch->on_answer = on_answer;
    fetch->owner = owner;
    list_init(&fetch->node);
    list_append(&script.open, &fetch->node);
    script.started++;
    return fetch;
}

void fetch_cancel(struct fetch *fetch)
{
    script.cancelled++;
    fetch_free(fetch);
}

/* The request that has waited longest. */
static inline struct fetch *fetch_open(void)
{
    assert_false(list_is_empty(&script.open));
    return CONTAINER_OF(script.open.next, struct fetch, node);
}

static inline bool fetch_has(const char *part)
{
    struct slice body = secret_bytes(&fetch_open()->body);
    return memmem(body.data, body.size, part, strlen(part)) != NULL;
}

static inline void answer_fetch(const struct fetch_answer *answer)
{
    struct fetch *fetch = fetch_open();
    void (*on_answer)(void *, const struct fetch_answer *) = fetch->on_answer;
    void *owner = fetch->owner;
    fetch_free(fetch);
    on_answer(owner, answer);
}

static inline void answer_status(int status, const char *body, int64_t retry_after)
{
    answer_fetch(&(struct fetch_answer){
        .status = status, .body = slice_of_string(body), .retry_after = retry_after, .text = ""});
}

static inline void answer_unreachable(const char *text)
{
    answer_fetch(&(struct fetch_answer){.text = text});
}

/* `refresh_token` NULL: it has not rotated. */
static inline void answer_token(const char *token, int expires_in, const char *refresh_token)
{
    char body[400];
    snprintf(body, sizeof(body),
             "{\"access_token\":\"%s\",\"token_type\":\"Bearer\",\"expires_in\":%d%s%s%s}", token,
             expires_in, refresh_token == NULL ? "" : ",\"refresh_token\":\"",
             refresh_token == NULL ? "" : refresh_token, refresh_token == NULL ? "" : "\"");
    answer_status(200, body, 0);
}

/* ---- the world ---- */

#define ISSUER_URL "https://id.example.test"
#define TOKEN_URL  "https://id.example.test/token"

struct world {
    char *folder;
    struct config *config;
    struct loop loop;
    struct state_folder *state;
    struct vault *vault;
    struct fetcher *fetcher;
    struct log log;
};

static inline struct config *world_config(const struct world *world, const char *text)
{
    return config_from_text(world->folder, text);
}

static inline void world_open_vault(struct world *world)
{
    struct secret key = {0};
    struct err err;
    assert_int_equal(vault_key_from_file(world->state, &key, &err), 0);
    assert_int_equal(vault_open(world->state, &key, &world->vault, &err), 0);
    secret_wipe(&key);
}

static inline void world_init(struct world *world, const char *text)
{
    struct err err;
    memset(&script, 0, sizeof(script));
    list_init(&script.open);
    memset(world, 0, sizeof(*world));
    world->folder = scratch_folder_new();
    world->config = world_config(world, text);
    assert_int_equal(loop_init(&world->loop, &err), 0);
    assert_int_equal(state_folder_open(world->config->state_dir, &world->state, &err), 0);
    world_open_vault(world);
    log_init(&world->log, LOG_LEVEL_DEBUG, "test");
    world->log.descriptor = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_true(world->log.descriptor >= 0);
}

/* loop_fini insists that every handle is closed. */
static inline void world_fini(struct world *world)
{
    assert_true(list_is_empty(&script.open));
    loop_run(&world->loop);
    loop_fini(&world->loop);
    vault_close(world->vault);
    state_folder_close(world->state);
    config_free(world->config);
    close(world->log.descriptor);
    scratch_folder_remove(world->folder);
}

/* What is deferred happens; nothing is waited for. */
static inline void world_turn(struct world *world)
{
    for (int i = 0; i < 3; i++)
        uv_run(&world->loop.uv, UV_RUN_NOWAIT);
}

static inline void world_sign_in(struct world *world, const char *account, const char *token)
{
    struct secret secret = {0};
    struct err err;
    secret_set(&secret, slice_of_string(token));
    assert_int_equal(
        vault_token_store(world->vault, account, ISSUER_URL, &secret, WALL_START, &err), 0);
    secret_wipe(&secret);
}

/* NULL: the account has none. */
static inline void assert_vault_has(struct world *world, const char *account, const char *token)
{
    struct secret secret = {0};
    int status = vault_token_load(world->vault, account, ISSUER_URL, &secret, NULL);
    assert_int_equal(status, token == NULL ? ERR_NOT_FOUND : 0);
    if (token != NULL)
        assert_true(slice_is(secret_bytes(&secret), token));
    secret_wipe(&secret);
}

#endif
