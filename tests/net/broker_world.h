/*
 * For the tests of the broker: those who ask, a real vault, a scripted token endpoint and a clock
 * that the tests move.
 */
#ifndef ECLUSE_TESTS_NET_BROKER_WORLD_H
#define ECLUSE_TESTS_NET_BROKER_WORLD_H

#include "keeper_world.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "keeper/broker.h"

#define PROVIDER                                                                                   \
    "[listen imap]\n"                                                                              \
    "address = 127.0.0.1:1143\n"                                                                   \
    "[provider local]\n"                                                                           \
    "imap = tls://imap.example.test:993\n"                                                         \
    "issuer = " ISSUER_URL "\n"                                                                    \
    "authorization_endpoint = " ISSUER_URL "/auth\n"                                               \
    "token_endpoint = " TOKEN_URL "\n"                                                             \
    "scope = openid mail\n"                                                                        \
    "scope_imap = mail imap\n"
#define OTHER_ACCOUNT                                                                              \
    "[account other]\n"                                                                            \
    "address = bob@example.test\n"                                                                 \
    "provider = local\n"                                                                           \
    "client_id = test-client\n"
#define CONFIGURATION                                                                              \
    "[account work]\n"                                                                             \
    "address = alice@example.test\n"                                                               \
    "provider = local\n"                                                                           \
    "client_id = test-client\n" OTHER_ACCOUNT PROVIDER

/* ---- those who ask ---- */

struct asker {
    struct broker *broker;
    struct broker_ticket *ticket;
    unsigned answers;
    enum why why;
    char token[64], scope[64];
    char text[500];
    uint64_t generation;
    int64_t expires;
    /* done from within the answer */
    struct asker *then_asks;
    bool then_closes;
    const char *then_vault_has;
};

static struct {
    struct world world;
    struct broker *broker;
} test;

static inline void ask(struct asker *asker, const char *account, uint64_t refused);

static inline void on_answer(void *owner, enum why why, const struct broker_token *token,
                             const char *text)
{
    struct asker *asker = owner;
    asker->ticket = NULL;
    asker->answers++;
    asker->why = why;
    snprintf(asker->text, sizeof(asker->text), "%s", text);
    assert_int_equal(why == WHY_NONE, token != NULL);
    if (token != NULL) {
        struct slice bytes = secret_bytes(token->token);
        snprintf(asker->token, sizeof(asker->token), "%.*s", SLICE_PRINT(bytes));
        snprintf(asker->scope, sizeof(asker->scope), "%s", token->scope);
        asker->generation = token->generation;
        asker->expires = token->expires;
    }
    if (asker->then_vault_has != NULL)
        assert_vault_has(&test.world, "work", asker->then_vault_has);
    if (asker->then_asks != NULL)
        ask(asker->then_asks, "work", 0);
    if (asker->then_closes)
        broker_close(asker->broker);
}

static inline void ask(struct asker *asker, const char *account, uint64_t refused)
{
    unsigned answers = asker->answers;
    asker->broker = test.broker;
    asker->token[0] = '\0';
    asker->ticket = broker_ask(test.broker, account, refused, on_answer, asker);
    assert_int_equal(asker->answers, answers);
}

static inline void turn(void)
{
    world_turn(&test.world);
}

/* Asks and lets the loop turn. */
static inline void try(struct asker *asker, uint64_t refused)
{
    ask(asker, "work", refused);
    turn();
}

static inline void assert_given(const struct asker *asker, const char *token)
{
    assert_int_equal(asker->answers, 1);
    assert_int_equal(asker->why, WHY_NONE);
    assert_string_equal(asker->token, token);
}

static inline void assert_failed(const struct asker *asker, enum why why)
{
    assert_int_equal(asker->answers, 1);
    assert_int_equal(asker->why, why);
    assert_true(asker->text[0] != '\0');
    assert_string_equal(asker->token, "");
}

/* Of a new asker, for which no request is made. */
static inline void assert_now_given(const char *token)
{
    struct asker asker = {0};
    unsigned started = script.started;
    try(&asker, 0);
    assert_given(&asker, token);
    assert_int_equal(script.started, started);
}

static inline void assert_now_failed(enum why why)
{
    struct asker asker = {0};
    unsigned started = script.started;
    try(&asker, 0);
    assert_failed(&asker, why);
    assert_int_equal(script.started, started);
}

static inline struct broker_state state_of(const char *account)
{
    struct broker_state state;
    assert_int_equal(broker_state(test.broker, account, &state), 0);
    return state;
}

/* A token "first" of an hour (or another life), from a refresh. */
static inline uint64_t get_first(int expires_in)
{
    struct asker asker = {0};
    try(&asker, 0);
    answer_token("first", expires_in, NULL);
    assert_given(&asker, "first");
    return asker.generation;
}

/* ---- commands of the configuration ---- */

/* A file beside the configuration, for a command to print. */
static inline void keep_file(const char *name, const char *text)
{
    char *path = scratch_path(test.world.folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "%s\n", text);
    assert_int_equal(fclose(file), 0);
    free(path);
}

/* How often a command was run that keeps count by "echo run >>@/runs". */
static inline unsigned runs(void)
{
    struct stat stat_of_runs;
    char *path = scratch_path(test.world.folder, "runs");
    int status = stat(path, &stat_of_runs);
    free(path);
    return status == 0 ? (unsigned)stat_of_runs.st_size / (unsigned)strlen("run\n") : 0;
}

/* Until no command is under way. */
static inline void settle(void)
{
    loop_run(&test.world.loop);
}

static inline void change_config(const char *text)
{
    struct config *config = world_config(&test.world, text);
    broker_set_config(test.broker, config);
    config_free(test.world.config);
    test.world.config = config;
}

/* A disk on which nothing can be written: what stands in the files stays. */
static inline void set_disk_full(bool full)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = full ? 0 : limit.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* ---- times ---- */

/* The least and the most of some times. */
struct span {
    int64_t least, most;
};

#define SPAN_NONE                                                                                  \
    {                                                                                              \
        INT64_MAX, 0                                                                               \
    }

static inline void span_add(struct span *span, int64_t time)
{
    span->least = time < span->least ? time : span->least;
    span->most = time > span->most ? time : span->most;
}

/* They differ, and all are within. */
static inline void assert_span(const struct span *span, int64_t least, int64_t most)
{
    assert_in_range(span->least, least, most);
    assert_in_range(span->most, span->least + 1, most);
}

static inline void on_guard(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("the timer does not run");
}

/* Until there are that many requests. */
static inline void await_requests(unsigned count)
{
    uv_timer_t guard;
    assert_int_equal(uv_timer_init(&test.world.loop.uv, &guard), 0);
    assert_int_equal(uv_timer_start(&guard, on_guard, 30 * 1000, 0), 0);
    while (script.started < count)
        uv_run(&test.world.loop.uv, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&guard, NULL);
    turn();
}

/* ---- a test ---- */

static inline void open_broker(const char *configuration)
{
    world_init(&test.world, configuration);
    test.broker = broker_open(&test.world.loop, test.world.fetcher, test.world.vault,
                              test.world.config, &test.world.log);
}

static inline int set_up(void **state)
{
    (void)state;
    open_broker(CONFIGURATION);
    world_sign_in(&test.world, "work", "refresh-1");
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    if (test.broker != NULL)
        broker_close(test.broker);
    world_fini(&test.world);
    return 0;
}

#endif
