/*
 * What becomes of a session in each phase of its life when somebody leaves, breaks off, or says no
 * more: exactly one session-close with the right reason and one FORGET, the other parties told or
 * closed, everything freed, and a second session on the same gate untouched.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gate_world.h"

#define PHASES(X)                                                                                  \
    X(AT_COMMAND, "command")           /* greeted */                                               \
    X(AT_EXCHANGE, "exchange")         /* asked for its user name */                               \
    X(AT_ASKED, "asked")               /* the keeper thinks */                                     \
    X(AT_DIALING, "dialing")           /* nobody answers the connection upstream */                \
    X(AT_HANDSHAKE, "handshake")       /* it is there, but TLS is not */                           \
    X(AT_GREETING, "greeting")         /* TLS is there, no greeting */                             \
    X(AT_AUTHENTICATE, "authenticate") /* greeted, no answer to the token */                       \
    X(AT_ASKED_AGAIN, "asked_again")   /* the token was refused, the keeper thinks */              \
    X(AT_RELAY, "relay")

#define EVENTS(X)                                                                                  \
    X(CLIENT_CLOSES, "client_closes")                                                              \
    X(CLIENT_RESETS, "client_resets")                                                              \
    X(NOBODY_SPEAKS, "nobody_speaks")                                                              \
    X(SERVER_CLOSES, "server_closes") /* as it should be: with close_notify where there is TLS */  \
    X(SERVER_BREAKS, "server_breaks") /* closes the bare connection */                             \
    X(SERVER_RESETS, "server_resets")                                                              \
    X(KEEPER_CLOSES, "keeper_closes")

#define X(name, text) name,
enum at { PHASES(X) AT_COUNT };
enum event { EVENTS(X) EVENT_COUNT };
#undef X
#define X(name, text) text,
static const char *const phase_names[] = {PHASES(X)};
static const char *const event_names[] = {EVENTS(X)};
#undef X

/* ---- what is expected ---- */

#define TOO_SLOW "s NO [UNAVAILABLE] the mail server did not answer in time\r\n"
#define BROKE    "s NO [UNAVAILABLE] the connection to the mail server broke: "
#define NO_TOKEN                                                                                   \
    "s NO [UNAVAILABLE] no access token in time, try again\r\n"                                    \
    "* BYE log in again on a new connection\r\n"
#define NO_TRUST "s NO [UNAVAILABLE] no trusted connection to the mail server: "

struct expectation {
    enum at at;
    enum event event;
    const char *said; /* to the client; NULL: nothing but the end */
    bool survives;    /* the login failed, or nothing happened: the client goes on */
    enum why why;     /* of the session-close, when it does not survive */
};

static const struct expectation expectations[] = {
    {AT_COMMAND, CLIENT_CLOSES, NULL, false, WHY_CLIENT_GONE},
    {AT_COMMAND, CLIENT_RESETS, NULL, false, WHY_CLIENT_GONE},
    {AT_COMMAND, NOBODY_SPEAKS, "* BYE the time to log in is over\r\n", false, WHY_TIMEOUT},
    {AT_COMMAND, KEEPER_CLOSES, "* BYE ecluse is stopping\r\n", false, WHY_SHUTDOWN},

    {AT_EXCHANGE, CLIENT_CLOSES, NULL, false, WHY_CLIENT_GONE},
    {AT_EXCHANGE, CLIENT_RESETS, NULL, false, WHY_CLIENT_GONE},
    {AT_EXCHANGE, NOBODY_SPEAKS, "* BYE the time to log in is over\r\n", false, WHY_TIMEOUT},
    {AT_EXCHANGE, KEEPER_CLOSES, "* BYE ecluse is stopping\r\n", false, WHY_SHUTDOWN},

    {AT_ASKED, CLIENT_CLOSES, NULL, false, WHY_CLIENT_GONE},
    {AT_ASKED, CLIENT_RESETS, NULL, false, WHY_CLIENT_GONE},
    /* The keeper's answer may come yet, and must not be taken for that to another question. */
    {AT_ASKED, NOBODY_SPEAKS, NO_TOKEN, false, WHY_TIMEOUT},
    {AT_ASKED, KEEPER_CLOSES, "* BYE ecluse is stopping\r\n", false, WHY_SHUTDOWN},

    {AT_DIALING, CLIENT_CLOSES, NULL, false, WHY_CLIENT_GONE},
    {AT_DIALING, CLIENT_RESETS, NULL, false, WHY_CLIENT_GONE},
    {AT_DIALING, NOBODY_SPEAKS, TOO_SLOW, true, WHY_NONE},
    {AT_DIALING, KEEPER_CLOSES, "* BYE ecluse is stopping\r\n", false, WHY_SHUTDOWN},

    {AT_HANDSHAKE, CLIENT_CLOSES, NULL, false, WHY_CLIENT_GONE},
    {AT_HANDSHAKE, CLIENT_RESETS, NULL, false, WHY_CLIENT_GONE},
    {AT_HANDSHAKE, NOBODY_SPEAKS, TOO_SLOW, true, WHY_NONE},
    {AT_HANDSHAKE, SERVER_BREAKS, NO_TRUST, true, WHY_NONE},
    {AT_HANDSHAKE, SERVER_RESETS, "s NO [UNAVAILABLE] the mail server cannot be reached: ", true,
     WHY_NONE},
    {AT_HANDSHAKE, KEEPER_CLOSES, "* BYE ecluse is stopping\r\n", false, WHY_SHUTDOWN},

    {AT_GREETING, CLIENT_CLOSES, NULL, false, WHY_CLIENT_GONE},
    {AT_GREETING, CLIENT_RESETS, NULL, false, WHY_CLIENT_GONE},
    {AT_GREETING, NOBODY_SPEAKS, TOO_SLOW, true, WHY_NONE},
    {AT_GREETING, SERVER_CLOSES,
     "s NO [UNAVAILABLE] the mail server closed the connection during the login\r\n", true,
     WHY_NONE},
    {AT_GREETING, SERVER_BREAKS, BROKE "the peer closed the connection without close_notify\r\n",
     true, WHY_NONE},
    {AT_GREETING, SERVER_RESETS, BROKE "read: connection reset by peer\r\n", true, WHY_NONE},
    {AT_GREETING, KEEPER_CLOSES, "* BYE ecluse is stopping\r\n", false, WHY_SHUTDOWN},

    {AT_AUTHENTICATE, CLIENT_CLOSES, NULL, false, WHY_CLIENT_GONE},
    {AT_AUTHENTICATE, CLIENT_RESETS, NULL, false, WHY_CLIENT_GONE},
    {AT_AUTHENTICATE, NOBODY_SPEAKS, TOO_SLOW, true, WHY_NONE},
    {AT_AUTHENTICATE, SERVER_CLOSES,
     "s NO [UNAVAILABLE] the mail server closed the connection during the login\r\n", true,
     WHY_NONE},
    {AT_AUTHENTICATE, SERVER_BREAKS,
     BROKE "the peer closed the connection without close_notify\r\n", true, WHY_NONE},
    {AT_AUTHENTICATE, SERVER_RESETS, BROKE "read: connection reset by peer\r\n", true, WHY_NONE},
    {AT_AUTHENTICATE, KEEPER_CLOSES, "* BYE ecluse is stopping\r\n", false, WHY_SHUTDOWN},

    /* The server's end does not matter there: the next token goes over a new connection. */
    {AT_ASKED_AGAIN, CLIENT_CLOSES, NULL, false, WHY_CLIENT_GONE},
    {AT_ASKED_AGAIN, CLIENT_RESETS, NULL, false, WHY_CLIENT_GONE},
    {AT_ASKED_AGAIN, NOBODY_SPEAKS, NO_TOKEN, false, WHY_TIMEOUT},
    {AT_ASKED_AGAIN, KEEPER_CLOSES, "* BYE ecluse is stopping\r\n", false, WHY_SHUTDOWN},

    {AT_RELAY, CLIENT_CLOSES, NULL, false, WHY_CLIENT_GONE},
    {AT_RELAY, CLIENT_RESETS, NULL, false, WHY_CLIENT_GONE},
    {AT_RELAY, NOBODY_SPEAKS, NULL, true, WHY_NONE},
    {AT_RELAY, SERVER_CLOSES, NULL, false, WHY_SERVER_GONE},
    {AT_RELAY, SERVER_BREAKS, NULL, false, WHY_SERVER_GONE},
    {AT_RELAY, SERVER_RESETS, NULL, false, WHY_SERVER_GONE},
    {AT_RELAY, KEEPER_CLOSES, "* BYE ecluse is stopping\r\n", false, WHY_SHUTDOWN},
};

/* ---- the stage ---- */

/* So long is short, and long enough for a login on a busy machine. */
#define SHORT_PATIENCE 500

#define OTHER   1
#define SUBJECT 2

/* Two connections fill a queue of none; what comes then is dropped. */
struct black_hole {
    int listener;
    int fillers[4];
};

struct stage {
    const struct expectation *expectation;
    struct world *world;
    struct far *other, *client;
    struct upstream *other_upstream, *upstream; /* NULL: there is none */
    struct black_hole hole;
};

static struct world_wish patience_for(const struct expectation *expectation)
{
    static const enum engine_patience stages[] = {
        [AT_COMMAND] = PATIENCE_CLIENT,        [AT_EXCHANGE] = PATIENCE_CLIENT,
        [AT_ASKED] = PATIENCE_KEEPER,          [AT_DIALING] = PATIENCE_UPSTREAM,
        [AT_HANDSHAKE] = PATIENCE_UPSTREAM,    [AT_GREETING] = PATIENCE_UPSTREAM,
        [AT_AUTHENTICATE] = PATIENCE_UPSTREAM, [AT_ASKED_AGAIN] = PATIENCE_KEEPER,
    };
    struct world_wish wish = {0};
    if (expectation->event == NOBODY_SPEAKS && expectation->at != AT_RELAY)
        wish.patience[stages[expectation->at]] = SHORT_PATIENCE;
    return wish;
}

static void open_black_hole(struct stage *stage)
{
    struct dial_place *place = &stage->world->place;
    struct black_hole *hole = &stage->hole;
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    place->port = 0;
    hole->listener = listen_on("127.0.0.1", 0, &place->port);
    name.sin_port = htons(place->port);
    for (size_t i = 0; i < LENGTH_OF(hole->fillers); i++) {
        hole->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)!connect(hole->fillers[i], (struct sockaddr *)&name, sizeof(name));
    }
}

static void close_black_hole(struct stage *stage)
{
    if (stage->hole.listener == 0)
        return;
    close(stage->hole.listener);
    for (size_t i = 0; i < LENGTH_OF(stage->hole.fillers); i++)
        close(stage->hole.fillers[i]);
}

static void wait_for_secured(struct stage *stage)
{
    for (int64_t start = clock_steady_milliseconds();
         !SSL_is_init_finished(stage->upstream->far.tls->ssl);)
        world_wait(stage->world, start, "the handshake");
    world_settle(stage->world);
}

static void wait_for_again(struct stage *stage)
{
    for (int64_t start = clock_steady_milliseconds(); seen_of(stage->world, SUBJECT)->agains == 0;)
        world_wait(stage->world, start, "AGAIN");
}

static void prepare(struct stage *stage)
{
    static const enum reach reaches[] = {
        [AT_HANDSHAKE] = REACH_TCP,   [AT_GREETING] = REACH_TLS, [AT_AUTHENTICATE] = REACH_GREETING,
        [AT_ASKED_AGAIN] = REACH_ALL, [AT_RELAY] = REACH_ALL,
    };
    enum at at = stage->expectation->at;
    struct world *world = stage->world;
    world->reach = at >= AT_HANDSHAKE ? reaches[at] : REACH_ALL;
    world->is_keeper_silent = at == AT_ASKED;
    world->tokens_refused = at == AT_ASKED_AGAIN;
    if (at == AT_DIALING)
        open_black_hole(stage);
}

/* Brings the second session to where the event is to happen. */
static void go_there(struct stage *stage)
{
    enum at at = stage->expectation->at;
    struct world *world = stage->world;
    prepare(stage);
    stage->client = client_greeted(world);
    if (at == AT_EXCHANGE) {
        client_say(stage->client, "s AUTHENTICATE LOGIN\r\n");
        wait_for_text(world, stage->client, "+ VXNlciBOYW1l\r\n");
    }
    if (at < AT_ASKED)
        return;
    client_say(stage->client, "s LOGIN alice secret\r\n");
    wait_for_asks(world, SUBJECT, 1);
    world->is_keeper_silent = true;
    if (at < AT_HANDSHAKE) {
        world_settle(world);
        return;
    }
    stage->upstream = wait_for_upstream(world, 1);
    if (at == AT_HANDSHAKE)
        for (int64_t start = clock_steady_milliseconds(); far_got(&stage->upstream->far).size == 0;)
            world_wait(world, start, "the client's hello");
    else
        wait_for_secured(stage);
    if (at == AT_AUTHENTICATE)
        wait_for_text(world, &stage->upstream->far, "AUTHENTICATE XOAUTH2 ");
    if (at == AT_ASKED_AGAIN)
        wait_for_again(stage);
    if (at == AT_RELAY)
        wait_for_text(world, stage->client, "s OK [CAPABILITY IMAP4rev1 IDLE] Logged in\r\n");
}

/* ---- the event, and what follows ---- */

static void happen(struct stage *stage)
{
    struct far *server = stage->upstream == NULL ? NULL : &stage->upstream->far;
    switch (stage->expectation->event) {
    case CLIENT_CLOSES:
        far_close(stage->client);
        return;
    case CLIENT_RESETS:
        far_reset(stage->client);
        return;
    case SERVER_CLOSES:
        server_end(server->tls, &server->to_send);
        while (buf_size(&server->to_send) > 0)
            far_turn(server);
        far_close(server);
        return;
    case SERVER_BREAKS:
        far_close(server);
        return;
    case SERVER_RESETS:
        far_reset(server);
        return;
    case KEEPER_CLOSES:
        far_close(&stage->world->keeper);
        return;
    case NOBODY_SPEAKS:
    case EVENT_COUNT:
        return;
    }
}

/* The connection upstream has gone with the login. A server that we closed needs none. */
static void check_upstream_is_closed(struct stage *stage)
{
    if (stage->upstream == NULL || stage->upstream->far.descriptor < 0)
        return;
    wait_for_end(stage->world, &stage->upstream->far);
    far_close(&stage->upstream->far);
}

static void check_survival(struct stage *stage)
{
    struct world *world = stage->world;
    if (stage->expectation->at == AT_RELAY) {
        check_relay(world, stage->client, stage->upstream);
    } else {
        check_upstream_is_closed(stage);
        client_say(stage->client, "t NOOP\r\n");
        wait_for_text(world, stage->client, "t OK NOOP completed\r\n");
    }
    assert_int_equal(seen_of(world, SUBJECT)->closes, 0);
    far_reset(stage->client);
    wait_for_close(world, SUBJECT, WHY_CLIENT_GONE);
}

static void check_subject(struct stage *stage)
{
    const struct expectation *expectation = stage->expectation;
    struct world *world = stage->world;
    if (expectation->said != NULL)
        wait_for_text(world, stage->client, expectation->said);
    if (expectation->survives) {
        check_survival(stage);
        return;
    }
    if (stage->client->descriptor >= 0) {
        wait_for_end(world, stage->client);
        assert_int_equal(buf_size(&stage->client->got), 0);
    }
    check_upstream_is_closed(stage);
    if (expectation->event != KEEPER_CLOSES)
        wait_for_close(world, SUBJECT, expectation->why);
}

/* Without the keeper there is no gate: every session ends. */
static void check_without_keeper(struct stage *stage)
{
    struct world *world = stage->world;
    wait_for_end(world, stage->other);
    wait_for_end(world, &stage->other_upstream->far);
    wait_for_over(world);
}

static void test_phase(void **state)
{
    struct stage stage = {.expectation = *state};
    struct world_wish wish = patience_for(stage.expectation);
    struct world *world = stage.world = world_ready(&wish);
    stage.other = client_relayed(world);
    stage.other_upstream = newest_upstream(world);
    go_there(&stage);
    happen(&stage);
    check_subject(&stage);
    if (stage.expectation->event == KEEPER_CLOSES) {
        check_without_keeper(&stage);
        world_free(world);
    } else {
        world_settle(world);
        check_relay(world, stage.other, stage.other_upstream);
        assert_int_equal(seen_of(world, OTHER)->closes, 0);
        far_reset(stage.other);
        wait_for_close(world, OTHER, WHY_CLIENT_GONE);
        world_close(world);
    }
    close_black_hole(&stage);
}

/* ---- two that are not in the table ---- */

static void test_server_refuses_the_connection(void **state)
{
    struct world *world = world_ready(&(struct world_wish){0});
    (void)state;
    uint16_t port = 0;
    close(listen_on("127.0.0.1", 1, &port));
    world->place.port = port;
    struct far *client = client_greeted(world);
    client_say(client, "s LOGIN alice secret\r\n");
    wait_for_text(world, client,
                  "s NO [UNAVAILABLE] the mail server cannot be reached: connect to 127.0.0.1");
    /* And again, with a server that is there. */
    world->place.port = world->upstream_port;
    client_say(client, "t LOGIN alice secret\r\n");
    wait_for_text(world, client, "t OK [CAPABILITY IMAP4rev1 IDLE] Logged in\r\n");
    far_reset(client);
    wait_for_close(world, 1, WHY_CLIENT_GONE);
    world_close(world);
}

/* A client that takes nothing of our last words is not waited for beyond the flush. */
static void test_client_that_does_not_read_is_closed(void **state)
{
    struct world *world = world_ready(&(struct world_wish){.flush = SHORT_PATIENCE});
    (void)state;
    make_small(world->client_listener);
    struct far *client = client_relayed(world);
    struct upstream *upstream = newest_upstream(world);
    static uint8_t bytes[256 * 1024];
    make_small(client->descriptor);
    client->is_stalled = true;
    for (size_t idle = 0; idle < 100; idle++) {
        if (buf_size(&upstream->far.to_send) == 0) {
            far_send(&upstream->far, slice_of(bytes, sizeof(bytes)));
            idle = 0;
        }
        world_turn(world);
    }
    keeper_number(world, MESSAGE_END_GRANT, 7);
    wait_for_close(world, 1, WHY_POLICY);
    world_close(world);
}

int main(void)
{
    static struct CMUnitTest tests[LENGTH_OF(expectations) + 2];
    static char names[LENGTH_OF(expectations)][64];
    size_t count = 0;
    for (; count < LENGTH_OF(expectations); count++) {
        const struct expectation *expectation = &expectations[count];
        snprintf(names[count], sizeof(names[count]), "%s_%s", phase_names[expectation->at],
                 event_names[expectation->event]);
        tests[count] = (struct CMUnitTest){.name = names[count],
                                           .test_func = test_phase,
                                           .initial_state = (void *)(uintptr_t)expectation};
    }
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_server_refuses_the_connection);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_client_that_does_not_read_is_closed);
    return _cmocka_run_group_tests("gate phases", tests, count, NULL, NULL);
}
