/*
 * What the engine says, done: bytes to sockets, questions to the keeper, dials, the relay.
 */
#include <stdio.h>
#include <string.h>

#include "gate/session_internal.h"

#define FRAME_MAX (64u * 1024)

const struct message_listener *session_configure(const struct session *session)
{
    return &session->gate->configure.listeners[session->settings.listener];
}

const struct dialect *session_dialect(const struct session *session)
{
    return dialect_of(session_configure(session)->protocol);
}

/* ---- the record ---- */

void session_note(struct session *session, enum message_note_kind kind, enum why why,
                  const char *detail)
{
    struct message_note event = {.kind = kind,
                                 .why = why,
                                 .listener = session->settings.listener,
                                 .peer = session->settings.peer.text,
                                 .account = session->account,
                                 .detail = detail,
                                 .client_bytes = session->relay.client_bytes,
                                 .server_bytes = session->relay.server_bytes};
    gate_note(session->gate, session->number, &event);
}

/* ---- SASL towards the upstream, for the engine ---- */

static int sasl_start(void *owner, const char *mechanism, struct slice *response_out)
{
    struct session *session = owner;
    struct message_granted *granted = session->granted;
    struct secret token = {0};
    sasl_initiator_free(session->sasl);
    session->sasl = NULL;
    /* A copy: the same token is sent again when the connection is lost before it was looked at. */
    secret_copy(&token, &granted->token);
    struct sasl_initiator_identity identity = {.service = session_dialect(session)->sasl_service,
                                               .host = granted->host,
                                               .port = granted->port,
                                               .user = granted->user,
                                               .token = &token};
    int status = sasl_initiator_new(session->gate->sasl, mechanism, &identity, &session->sasl);
    secret_wipe(&token);
    return status != 0 ? status : sasl_initiator_start(session->sasl, response_out);
}

static int sasl_step(void *owner, struct slice challenge, struct slice *response_out)
{
    struct session *session = owner;
    return sasl_initiator_step(session->sasl, challenge, response_out);
}

struct engine_sasl session_sasl(struct session *session)
{
    return (struct engine_sasl){.start = sasl_start, .step = sasl_step, .owner = session};
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

static void do_dial(struct session *session)
{
    const struct message_granted *granted = session->granted;
    struct dial_address addresses[MESSAGE_ADDRESSES_MAX];
    char key[512];
    ENSURE(granted != NULL);
    snprintf(key, sizeof(key), "%s %s:%u", granted->account, granted->host, granted->port);
    struct tls_settings tls = {.authorities = session->gate->authorities[granted->authorities],
                               .sessions = session->gate->tls_sessions,
                               .session_key = key,
                               .host = granted->host,
                               .alpn = session_dialect(session)->alpn};
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
    static const enum message_note_kind kinds[] = {
        [ENGINE_NOTE_CROSS_PROTOCOL] = NOTE_CROSS_PROTOCOL,
        [ENGINE_NOTE_UPSTREAM_AUTH] = NOTE_UPSTREAM_AUTH};
    session_note(session, kinds[deed->note], deed->why, deed->text);
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
    mem_free(session->account);
    session->account = mem_copy_string("");
}

/* From here the session is two sockets, the TLS object and this struct. */
static void do_pass(struct session *session)
{
    deadline_stop(&session->deadline);
    list_remove(&session->waiting_node);
    session->is_relaying = true;
    relay_start(&session->relay, session->client, session->upstream,
                session_dialect(session)->capability_rule, buf_bytes(&session->held[SIDE_CLIENT]),
                buf_bytes(&session->held[SIDE_UPSTREAM]), session->client_has_ended,
                &session_relay_ops, session);
    buf_clear(&session->held[SIDE_CLIENT]);
    buf_clear(&session->held[SIDE_UPSTREAM]);
    forget_token(session);
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

bool session_do_deeds(struct session *session)
{
    struct deed deed;
    while (!session->is_closing && !session->is_relaying && engine_next(session->engine, &deed))
        do_deed(session, &deed);
    return !session->is_closing && !session->is_relaying;
}
