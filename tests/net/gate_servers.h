/*
 * The mail servers of a gate's world (gate_world.h), and what that world consists of.
 */
#ifndef ECLUSE_TESTS_GATE_SERVERS_H
#define ECLUSE_TESTS_GATE_SERVERS_H

#include <stdio.h>

#include "far.h"
#include "gate/gate.h"
#include "gate_speech.h"

#define CLIENTS_MAX   8
#define UPSTREAMS_MAX 8
#define SESSIONS_MAX  32
#define SETTLE_TURNS  60
#define A_LONG_TIME   (PATIENCE_SECONDS * 1000)

/* ---- what the test wishes ---- */

/* How far a server goes by itself. With STARTTLS: no word; it agrees to TLS, and then is silent; up
 * to the token; all the way. */
enum reach { REACH_TCP, REACH_TLS, REACH_GREETING, REACH_ALL };

struct world_wish {
    enum protocol protocol;
    bool has_starttls;               /* the servers: no TLS before they are asked for it */
    int64_t patience[PATIENCE_NONE]; /* 0: for ever */
    int64_t flush, login, idle, content, taking, verdict, gather;
    uint32_t max_sessions;
    bool is_of_other_user;
    struct message_audit audit;
    const char *bundle; /* instead of the root's certificate */
};

/* ---- what was seen ---- */

/* What the keeper was told of one session. */
struct seen {
    unsigned opens, closes, forgets, asks, answers, agains;
    uint64_t generation; /* of the last AGAIN */
    enum why why;        /* of the close */
    char detail[200];
    uint64_t client_bytes, server_bytes;
    char mechanism[32], peer[64];
    struct buf secret;         /* of the last ASK or ANSWER */
    unsigned connects, logins; /* upstream-connect and upstream-auth without a reason against it */
    char connected[200];       /* TLS version */
    char upstream_mechanism[32];
    char learned[200]; /* what the server can do */
};

struct upstream {
    struct far far;
    enum reach reach;
    bool has_greeted;
    unsigned logins;
    char authenticate[4096]; /* the last line with a token, less its tag */
    char heard[4096];        /* all lines that were answered, less their tags */
};

struct world {
    struct loop loop;
    bool is_over;
    const struct speech *speech;
    struct far keeper;
    struct seen seen[SESSIONS_MAX]; /* by number */
    unsigned ready, rejected;
    char rejection[200];
    unsigned commands; /* that were told of */
    unsigned taps_off;
    unsigned denials;
    char first_word[80]; /* of the last client of another protocol */
    unsigned receipts;
    uint64_t receipt; /* of the last record that had one; 0: none since the test looked */

    int client_listener; /* the keeper's own descriptor of it, which stays open */
    uint16_t client_port;
    struct far clients[CLIENTS_MAX];
    size_t client_count;

    struct test_certificates certificates;
    SSL_CTX *server;
    int upstream_listener;
    uint16_t upstream_port;
    struct upstream upstreams[UPSTREAMS_MAX];
    size_t upstream_count;

    /* how those around the gate behave */
    bool is_keeper_silent, is_keeper_refusing;
    bool has_starttls;
    const char *deaf_to;     /* a line that servers do not answer */
    const char *injected;    /* behind the answer that agrees to TLS */
    unsigned tokens_refused; /* so many logins are answered by a refusal */
    enum reach reach;        /* of servers that are accepted from now on */
    int64_t next_grant;
    bool is_read_only; /* what the keeper grants */
    const char *user;
    struct dial_place {
        uint8_t bytes[4];
        uint16_t port;
    } place; /* where the keeper says the server is */
};

/* ---- servers ---- */

static inline bool is_secured(const struct upstream *upstream)
{
    return upstream->far.tls != NULL && SSL_is_init_finished(upstream->far.tls->ssl);
}

static inline void upstream_say(struct upstream *upstream, struct slice tag, const char *untagged,
                                const char *answer)
{
    char text[300];
    snprintf(text, sizeof(text), "%s%.*s%s%s\r\n", untagged, SLICE_PRINT(tag),
             tag.size == 0 ? "" : " ", answer);
    far_send(&upstream->far, slice_of_string(text));
}

static inline void upstream_note(struct upstream *upstream, struct slice line)
{
    size_t size = strlen(upstream->heard);
    snprintf(upstream->heard + size, sizeof(upstream->heard) - size, "%.*s", SLICE_PRINT(line));
}

/* What has the token; a server that does not go so far leaves it where it is. */
static inline bool upstream_take_token(struct world *world, struct upstream *upstream,
                                       struct slice tag, struct slice line)
{
    snprintf(upstream->authenticate, sizeof(upstream->authenticate), "%.*s", SLICE_PRINT(line));
    if (upstream->reach < REACH_ALL)
        return false;
    bool is_refused = world->tokens_refused > 0;
    world->tokens_refused -= is_refused;
    upstream->logins += !is_refused;
    upstream_say(upstream, tag, "", is_refused ? world->speech->refused : world->speech->accepted);
    return true;
}

static inline void upstream_begin_tls(struct world *world, struct upstream *upstream)
{
    if (world->injected != NULL)
        far_send(&upstream->far, slice_of_string(world->injected));
    upstream_note(upstream, SLICE_LITERAL("<TLS>\r\n"));
    if (upstream->reach != REACH_TLS) /* else it agrees, and that is all */
        upstream->far.tls = server_accept(world->server);
}

/* True: it was one that comes before the login, and was answered. */
static inline bool upstream_answer_line(struct world *world, struct upstream *upstream,
                                        struct slice tag, struct slice line)
{
    const struct speech *speech = world->speech;
    for (size_t i = 0; i < LENGTH_OF(speech->before_login); i++) {
        const struct line_and_answer *known = &speech->before_login[i];
        if (known->line == NULL || !slice_starts_with(line, known->line))
            continue;
        if (world->deaf_to != NULL && slice_starts_with(line, world->deaf_to))
            return false;
        upstream_note(upstream, line);
        upstream_say(upstream, tag, known->untagged, known->answer);
        return true;
    }
    return slice_starts_with(line, speech->token) &&
           upstream_take_token(world, upstream, tag, line);
}

static inline void upstream_answer(struct world *world, struct upstream *upstream)
{
    struct slice got = far_got(&upstream->far), tag = SLICE_NONE;
    size_t end = slice_find(got, '\n');
    if (end == got.size)
        return;
    struct slice line = slice_take(got, end + 1), rest = line;
    if (world->speech->has_tags)
        assert_true(slice_next_word(&rest, ' ', &tag));
    if (!upstream_answer_line(world, upstream, tag, rest))
        return;
    bool is_for_tls = slice_starts_with(rest, world->speech->starttls);
    bool is_plain = upstream->far.tls == NULL;
    buf_consume(is_plain ? &upstream->far.got : &upstream->far.tls->plain, line.size);
    if (is_for_tls && is_plain)
        upstream_begin_tls(world, upstream);
}

static inline void upstream_turn(struct world *world, struct upstream *upstream)
{
    far_turn(&upstream->far);
    bool is_bare = world->has_starttls && upstream->far.tls == NULL;
    if (!is_bare && !is_secured(upstream))
        return;
    if (!upstream->has_greeted &&
        (is_bare ? upstream->reach > REACH_TCP : upstream->reach >= REACH_GREETING)) {
        upstream->has_greeted = true;
        far_send(&upstream->far, slice_of_string(world->speech->hello));
    }
    if (upstream->logins == 0 && upstream->has_greeted)
        upstream_answer(world, upstream);
}

static inline void accept_upstreams(struct world *world)
{
    int descriptor = accept4(world->upstream_listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0)
        return;
    assert_true(world->upstream_count < UPSTREAMS_MAX);
    struct upstream *upstream = &world->upstreams[world->upstream_count++];
    *upstream = (struct upstream){.reach = world->reach};
    bool is_bare = world->has_starttls || world->reach == REACH_TCP;
    far_init(&upstream->far, descriptor, is_bare ? NULL : world->server);
}

#endif
