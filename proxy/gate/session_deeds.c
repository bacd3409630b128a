/*
 * What the engine says, done: bytes to sockets, questions to the keeper, dials, the relay.
 */
#include <stdio.h>
#include <string.h>

#include "auth/capability_lines.h"
#include "gate/session_internal.h"
#include "gate/upstream_sasl.h"

#define FRAME_MAX (64u * 1024)

const struct message_listener *session_configure(const struct session *session)
{
    return &session->gate->configure.listeners[session->settings.listener];
}

const struct dialect *session_dialect(const struct session *session)
{
    return dialect_of(session_configure(session)->protocol);
}

/* ---- SASL towards the upstream, for the engine ---- */

static int sasl_start(void *owner, const char *mechanism, struct slice *response_out)
{
    struct session *session = owner;
    const struct message_granted *granted = session->granted;
    const struct sasl_initiator_identity identity = {.service =
                                                         session_dialect(session)->sasl_service,
                                                     .host = granted->host,
                                                     .port = granted->port,
                                                     .user = granted->user,
                                                     .is_password = granted->is_password};
    return upstream_sasl_start(session->gate->sasl, mechanism, identity, &granted->token,
                               &session->sasl, response_out);
}

static int sasl_step(void *owner, struct slice challenge, struct slice *response_out)
{
    struct session *session = owner;
    return sasl_initiator_step(session->sasl, challenge, response_out);
}

static bool sasl_is_complete(void *owner)
{
    const struct session *session = owner;
    return sasl_initiator_is_complete(session->sasl);
}

struct engine_sasl session_sasl(struct session *session)
{
    return (struct engine_sasl){
        .start = sasl_start, .step = sasl_step, .is_complete = sasl_is_complete, .owner = session};
}

/* ---- the engine's deeds ---- */

static void do_ask(struct session *session, const struct deed *deed)
{
    struct buf frame;
    struct message_ask ask = {.listener = session->settings.listener,
                              .mechanism = deed->mechanism,
                              .peer = session->settings.peer.text,
                              .has_bytes = deed->has_bytes};
    buf_init(&frame, FRAME_MAX);
    secret_set(&ask.bytes, deed->bytes);
    ENSURE(message_write_ask(&frame, session->number, &ask) == 0);
    secret_wipe(&ask.bytes);
    gate_send(session->gate, &frame);
}

static void do_answer(struct session *session, struct slice bytes)
{
    struct buf frame;
    buf_init(&frame, FRAME_MAX);
    ENSURE(message_write_bytes(&frame, MESSAGE_ANSWER, session->number, bytes) == 0);
    gate_send(session->gate, &frame);
}

static void do_again(struct session *session)
{
    struct buf frame;
    ENSURE(session->granted != NULL);
    buf_init(&frame, FRAME_MAX);
    ENSURE(message_write_number(&frame, MESSAGE_AGAIN, session->number,
                                session->granted->generation) == 0);
    gate_send(session->gate, &frame);
}

#define TLS_KEY_MAX 512

/* `key` is where the session key is put. */
static struct tls_settings tls_settings(const struct session *session, char key[TLS_KEY_MAX])
{
    const struct message_granted *granted = session->granted;
    ENSURE(granted != NULL);
    snprintf(key, TLS_KEY_MAX, "%s %s:%u", granted->account, granted->host, granted->port);
    return (struct tls_settings){.authorities = session->gate->authorities[granted->authorities],
                                 .sessions = session->gate->tls_sessions,
                                 .session_key = key,
                                 .host = granted->host,
                                 .alpn = session_dialect(session)->alpn};
}

/* What is held of that side came before TLS and is not for it: the engine is fed it, and ends. */
static void do_start_tls(struct session *session, enum side side)
{
    char key[TLS_KEY_MAX];
    if (buf_size(&session->held[side]) > 0)
        return;
    if (side == SIDE_CLIENT) {
        struct tls_identity *identity = session->gate->identities[session->settings.listener];
        ENSURE(identity != NULL);
        stream_start_tls(session->client, tls_server_new(identity));
        return;
    }
    struct tls_settings settings = tls_settings(session, key);
    stream_start_tls(session->upstream, tls_client_new(&settings));
}

static void do_dial(struct session *session)
{
    const struct message_granted *granted = session->granted;
    struct dial_address addresses[MESSAGE_ADDRESSES_MAX];
    char key[TLS_KEY_MAX];
    struct tls_settings tls = tls_settings(session, key);
    struct dial_settings settings = {.addresses = addresses,
                                     .address_count = granted->address_count,
                                     .port = granted->port,
                                     .mode = granted->tls,
                                     .tls = &tls};
    for (size_t i = 0; i < granted->address_count; i++) {
        addresses[i].family = granted->addresses[i].family;
        memcpy(addresses[i].bytes, granted->addresses[i].bytes, sizeof(addresses[i].bytes));
    }
    session_hang_up(session);
    session->dial = dial_open(session->gate->loop, &settings, &session_dial_ops, session);
    session->open_parts++;
}

static void do_note(struct session *session, const struct deed *deed)
{
    if (deed->note == ENGINE_NOTE_CROSS_PROTOCOL)
        session_record_foreign(session, deed->text, deed->bytes);
    else
        session_record_login(session, deed->why, deed->mechanism, deed->text);
}

/* What the login had of secrets. */
static void forget_token(struct session *session)
{
    sasl_initiator_free(session->sasl);
    session->sasl = NULL;
    if (session->granted != NULL)
        message_granted_clear(session->granted);
    mem_free(session->granted);
    session->granted = NULL;
}

/* The client is nobody again. */
static void do_hang_up(struct session *session)
{
    session_hang_up(session);
    forget_token(session);
    session->grant = 0;
}

static struct tap *open_tap(const struct session *session)
{
    const struct message_audit *audit = &session->gate->configure.audit;
    if (!audit->is_on)
        return NULL;
    return tap_open(&(struct tap_settings){.protocol = session_configure(session)->protocol,
                                           .wants_arguments = audit->wants_arguments,
                                           .awaits_each = audit->holds_replies});
}

/* From here the session is two sockets, the TLS objects and this struct. */
static void do_pass(struct session *session)
{
    struct gate *gate = session->gate;
    ENSURE(session->granted != NULL);
    struct passage_settings passage = {
        .rejects_bare_newline = session_configure(session)->rejects_bare_newline,
        .is_read_only = session->granted->is_read_only,
        .senders = session->granted->senders,
    };
    struct relay_settings settings = {.client = session->client,
                                      .upstream = session->upstream,
                                      .passage = engine_passage(session->engine, &passage),
                                      .tap = open_tap(session),
                                      .ends_unparsable = gate->configure.audit.ends_unparsable,
                                      .is_paused = gate->is_congested,
                                      .patience = &gate->relay_patience,
                                      .ops = &session_relay_ops,
                                      .owner = session};
    deadline_stop(&session->deadline);
    deadline_stop(&session->login_deadline);
    list_remove(&session->waiting_node);
    session->is_relaying = true;
    forget_token(session);
    relay_start(&session->relay, &settings);
    relay_feed(&session->relay, SIDE_CLIENT, engine_said_already(session->engine));
    relay_feed(&session->relay, SIDE_CLIENT, buf_bytes(&session->held[SIDE_CLIENT]));
    relay_feed(&session->relay, SIDE_UPSTREAM, buf_bytes(&session->held[SIDE_UPSTREAM]));
    if (session->client_has_ended)
        relay_client_ended(&session->relay);
    buf_clear(&session->held[SIDE_CLIENT]);
    buf_clear(&session->held[SIDE_UPSTREAM]);
}

static void do_learned(struct session *session, struct slice lines)
{
    struct buf frame;
    char *text = mem_copy_bytes_as_string(lines.data, lines.size);
    buf_init(&frame, FRAME_MAX);
    /* What the keeper would not take is not remembered. */
    if (capability_lines_are_valid(lines) &&
        message_write_learned(&frame, session->number, text) == 0)
        gate_note(session->gate, &frame);
    buf_fini(&frame);
    mem_free(text);
}

static void do_send(struct session *session, enum side side, struct slice bytes)
{
    struct stream *stream = side == SIDE_CLIENT ? session->client : session->upstream;
    /* A stream that has failed says so by itself. */
    if (stream != NULL)
        (void)!stream_write(stream, bytes);
}

static void do_deed(struct session *session, const struct deed *deed)
{
    switch (deed->kind) {
    case DEED_SEND:
        do_send(session, deed->side, deed->bytes);
        return;
    case DEED_ASK:
        do_ask(session, deed);
        return;
    case DEED_ANSWER:
        do_answer(session, deed->bytes);
        return;
    case DEED_AGAIN:
        do_again(session);
        return;
    case DEED_DIAL:
        do_dial(session);
        return;
    case DEED_HANG_UP:
        do_hang_up(session);
        return;
    case DEED_START_TLS:
        do_start_tls(session, deed->side);
        return;
    case DEED_LEARNED:
        do_learned(session, deed->bytes);
        return;
    case DEED_NOTE:
        do_note(session, deed);
        return;
    case DEED_PASS:
        do_pass(session);
        return;
    case DEED_END:
        session_close(session, deed->why, deed->text);
        return;
    }
}

/* For good, or until a record is on disk. */
static bool has_nothing_to_do(const struct session *session)
{
    return session->is_closing || session->is_relaying || session->awaits_record;
}

bool session_do_deeds(struct session *session)
{
    struct deed deed;
    while (!has_nothing_to_do(session) && engine_next(session->engine, &deed))
        do_deed(session, &deed);
    return !has_nothing_to_do(session);
}
