/*
 * An owner of an engine that counts its deeds and checks their order, and the ways to each phase of
 * a login. The dialect is IMAP.
 */
#ifndef ECLUSE_TESTS_ENGINE_OWNER_H
#define ECLUSE_TESTS_ENGINE_OWNER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mail/engine_internal.h"
#include "repeat.h"

#define GREETING "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2] hello\r\n"
/* Rooms of what an engine may keep: its own buffers' maxima. */
#define KEPT_MAX (256u * 1024)

/* ---- an owner that counts ---- */

struct owner {
    struct engine *engine;
    unsigned deeds[DEED_END + 1];
    enum deed_kind last;
    enum why why;
    struct buf to_client, to_upstream;
    bool is_connected;                         /* a DIAL or what came of it is not hung up yet */
    bool client_is_secure, upstream_is_secure; /* as we told the engine */
    enum tls_mode client_tls;
};

static int start(void *owner, const char *mechanism, struct slice *response_out)
{
    (void)owner;
    (void)mechanism;
    *response_out = SLICE_LITERAL("user and token");
    return 0;
}

static int step(void *owner, struct slice challenge, struct slice *response_out)
{
    (void)owner;
    (void)challenge;
    *response_out = SLICE_NONE;
    return 0;
}

static void check_order(const struct owner *owner, const struct deed *deed)
{
    unsigned over = owner->deeds[DEED_END] + owner->deeds[DEED_PASS];
    assert_int_equal(over, 0);
    if (deed->kind == DEED_SEND && deed->side == SIDE_UPSTREAM)
        assert_true(owner->is_connected);
    if (deed->kind == DEED_SEND || deed->kind == DEED_ANSWER)
        assert_true(deed->kind == DEED_ANSWER || deed->bytes.size > 0);
    if (deed->kind == DEED_ANSWER || deed->kind == DEED_AGAIN || deed->kind == DEED_DIAL)
        assert_true(owner->deeds[DEED_ASK] > 0);
    /* No login on either side, before its TLS is up. */
    if (deed->kind == DEED_ASK || deed->kind == DEED_ANSWER)
        assert_true(owner->client_tls == TLS_MODE_OFF || owner->client_is_secure);
    if (deed->kind == DEED_SEND && deed->side == SIDE_UPSTREAM && !owner->upstream_is_secure)
        assert_null(memmem(deed->bytes.data, deed->bytes.size, "AUTH", 4));
    if (deed->kind == DEED_START_TLS && deed->side == SIDE_UPSTREAM)
        assert_true(owner->is_connected && !owner->upstream_is_secure);
    if (deed->kind == DEED_START_TLS && deed->side == SIDE_CLIENT)
        assert_true(owner->client_tls != TLS_MODE_OFF && !owner->client_is_secure);
    if (deed->kind == DEED_HANG_UP || deed->kind == DEED_AGAIN || deed->kind == DEED_PASS)
        assert_true(owner->is_connected);
}

static void do_deeds(struct owner *owner)
{
    struct deed deed;
    while (engine_next(owner->engine, &deed)) {
        check_order(owner, &deed);
        assert_true(strlen(deed.text) < DEED_TEXT_MAX);
        owner->deeds[deed.kind]++;
        owner->last = deed.kind;
        owner->why = deed.kind == DEED_END ? deed.why : owner->why;
        if (deed.kind == DEED_DIAL)
            owner->is_connected = true;
        if (deed.kind == DEED_HANG_UP)
            owner->is_connected = false;
        if (deed.kind == DEED_SEND) {
            struct buf *sent = deed.side == SIDE_CLIENT ? &owner->to_client : &owner->to_upstream;
            assert_int_equal(buf_append(sent, deed.bytes), 0);
        }
    }
}

static void owner_init_tls(struct owner *owner, enum tls_mode client_tls)
{
    *owner = (struct owner){.client_tls = client_tls};
    buf_init(&owner->to_client, 16u * 1024 * 1024);
    buf_init(&owner->to_upstream, 16u * 1024 * 1024);
    owner->engine = engine_new(&(struct engine_settings){
        .dialect = dialect_of(PROTOCOL_IMAP),
        .mechanisms = "PLAIN LOGIN",
        .client_tls = client_tls,
        .sasl = {.start = start, .step = step},
    });
    do_deeds(owner);
}

static void owner_init(struct owner *owner)
{
    owner_init_tls(owner, TLS_MODE_OFF);
}

static void owner_fini(struct owner *owner)
{
    engine_free(owner->engine);
    buf_fini(&owner->to_client);
    buf_fini(&owner->to_upstream);
}

/* As the gate does: what is not consumed is offered again after the deeds, while some of it is. */
static size_t feed(struct owner *owner, enum side side, struct slice bytes)
{
    size_t consumed = 0, more;
    do {
        more = engine_feed(owner->engine, side, slice_skip(bytes, consumed));
        consumed += more;
        assert_true(consumed <= bytes.size);
        do_deeds(owner);
    } while (more > 0 && consumed < bytes.size);
    return consumed;
}

static void feed_string(struct owner *owner, enum side side, const char *text)
{
    assert_int_equal(feed(owner, side, slice_of_string(text)), strlen(text));
}

static void tell(struct owner *owner, struct fact fact)
{
    if (fact.text == NULL)
        fact.text = "";
    /* Before the engine acts on it. */
    if (fact.kind == FACT_CONNECTED && owner->engine->phase == PHASE_DIALING)
        owner->upstream_is_secure = fact.is_secure;
    if (fact.kind == FACT_TLS_UP && fact.side == SIDE_UPSTREAM &&
        owner->engine->phase == PHASE_SECURING)
        owner->upstream_is_secure = true;
    if (fact.kind == FACT_TLS_UP && fact.side == SIDE_CLIENT &&
        owner->engine->phase == PHASE_CLIENT_TLS)
        owner->client_is_secure = true;
    engine_tell(owner->engine, &fact);
    do_deeds(owner);
}

static size_t kept(const struct engine *engine)
{
    return engine->readers[0].bytes.capacity + engine->readers[1].bytes.capacity +
           engine->out[0].capacity + engine->out[1].capacity + engine->asked.capacity +
           engine->capabilities.capacity + engine->mechanisms.capacity + engine->user.capacity +
           engine->said_already.capacity + engine->reply_text.capacity + engine->learned.capacity +
           engine->first_message.capacity;
}

/* ---- where a session can be ---- */

static void go_nowhere(struct owner *owner)
{
    (void)owner;
}

static void go_to_asked(struct owner *owner)
{
    feed_string(owner, SIDE_CLIENT, "a LOGIN alice secret\r\n");
}

static void go_to_exchange(struct owner *owner)
{
    feed_string(owner, SIDE_CLIENT, "a AUTHENTICATE LOGIN\r\n");
    tell(owner, (struct fact){.kind = FACT_CHALLENGE, .bytes = SLICE_LITERAL("User:")});
}

static void go_to_dialing(struct owner *owner)
{
    go_to_asked(owner);
    tell(owner, (struct fact){.kind = FACT_GRANTED});
}

static void go_to_greeting(struct owner *owner)
{
    go_to_dialing(owner);
    tell(owner, (struct fact){.kind = FACT_CONNECTED, .is_secure = true});
}

static void go_to_client_tls(struct owner *owner)
{
    feed_string(owner, SIDE_CLIENT, "a STARTTLS\r\n");
}

static void go_to_upgrade(struct owner *owner)
{
    go_to_dialing(owner);
    tell(owner, (struct fact){.kind = FACT_CONNECTED});
    feed_string(owner, SIDE_UPSTREAM, GREETING);
}

static void go_to_securing(struct owner *owner)
{
    go_to_upgrade(owner);
    feed_string(owner, SIDE_UPSTREAM, "e1 OK begin\r\n");
}

static void go_to_capability(struct owner *owner)
{
    go_to_greeting(owner);
    feed_string(owner, SIDE_UPSTREAM, "* OK hello\r\n");
}

static void go_to_authenticate(struct owner *owner)
{
    go_to_greeting(owner);
    feed_string(owner, SIDE_UPSTREAM, GREETING);
}

static void go_to_asked_again(struct owner *owner)
{
    go_to_authenticate(owner);
    feed_string(owner, SIDE_UPSTREAM, "e1 NO expired\r\n");
}

static void go_to_confirm(struct owner *owner)
{
    go_to_authenticate(owner);
    feed_string(owner, SIDE_UPSTREAM, "e1 OK in\r\n");
}

static void go_to_relay(struct owner *owner)
{
    go_to_authenticate(owner);
    feed_string(owner, SIDE_UPSTREAM, "e1 OK [CAPABILITY IMAP4rev1] in\r\n");
}

static void go_over(struct owner *owner)
{
    feed_string(owner, SIDE_CLIENT, "a LOGOUT\r\n");
}

#endif
