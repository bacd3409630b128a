/*
 * Happy path: greet, read the client, ask the keeper, dial, log in, relay, close.
 *
 *   the client leaves or times out      the engine ends the session
 *   the keeper refuses                  the engine says no; the client may try again
 *   the dial or the upstream fails      likewise
 *   something breaks while relaying     both sides are closed, the client's after a flush
 *   the client is of another protocol   it hears so, and is closed, when that is on disk
 *   the keeper is gone                  the gate dismisses everybody
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>

#include "gate/session_internal.h"

/* ---- the end ---- */

static void free_session(struct session *session)
{
    struct session_settings settings = session->settings;
    relay_fini(&session->relay);
    engine_free(session->engine);
    sasl_initiator_free(session->sasl);
    if (session->granted != NULL)
        message_granted_clear(session->granted);
    mem_free(session->granted);
    mem_free(session->failure);
    buf_fini(&session->held[SIDE_CLIENT]);
    buf_fini(&session->held[SIDE_UPSTREAM]);
    gate_remove_session(session->gate, session);
    mem_free(session);
    settings.on_over(settings.owner);
}

static void part_closed(struct session *session)
{
    ENSURE(session->open_parts > 0);
    if (--session->open_parts == 0 && session->is_closing)
        free_session(session);
}

void session_hang_up(struct session *session)
{
    if (session->dial != NULL)
        dial_close(session->dial);
    if (session->upstream != NULL)
        stream_close(session->upstream);
    session->dial = NULL;
    session->upstream = NULL;
    session->upstream_ip[0] = '\0';
    buf_clear(&session->held[SIDE_UPSTREAM]);
}

void session_close(struct session *session, enum why why, const char *text)
{
    struct buf frame;
    if (session->is_closing)
        return;
    session->is_closing = true;
    deferral_cancel(&session->overdue);
    session_record_close(session, why, text);
    buf_init(&frame, 64);
    ENSURE(message_write_plain(&frame, MESSAGE_FORGET, session->number) == 0);
    gate_note(session->gate, &frame);
    deadline_stop(&session->deadline);
    deadline_stop(&session->login_deadline);
    list_remove(&session->waiting_node);
    session_hang_up(session);
    /* A login that is dismissed leaves its place at once; nobody floods us through one. */
    if (session->is_relaying)
        stream_close_lingering(session->client, session->gate->settings.flush);
    else
        stream_close_after_flush(session->client, session->gate->settings.flush);
}

/* Offers the engine what is held. True: it took some. */
static bool feed_held(struct session *session, enum side side)
{
    struct buf *held = &session->held[side];
    /* Who does not read our answers is not given more of them. */
    if (buf_size(held) == 0 || (side == SIDE_CLIENT && stream_is_congested(session->client)))
        return false;
    size_t consumed = engine_feed(session->engine, side, buf_bytes(held));
    buf_consume(held, consumed);
    return consumed > 0;
}

static void set_patience(struct session *session)
{
    enum engine_patience patience = engine_patience(session->engine);
    if (patience == session->patience || patience == PATIENCE_NONE)
        return;
    session->patience = patience;
    deadline_start(session->gate->patience[patience], &session->deadline);
    list_remove(&session->waiting_node);
    if (patience != PATIENCE_CLIENT)
        return;
    list_append(session->settings.waiting, &session->waiting_node);
    if (session->login_is_overdue)
        loop_defer(session->gate->loop, &session->overdue);
}

/* A side is read while nothing of it is held, and it reads us. */
static void set_reading(struct session *session, struct stream *stream, const struct buf *held)
{
    if (stream == NULL)
        return;
    if (buf_size(held) == 0 && !stream_is_congested(stream) && !session->gate->is_congested)
        stream_read_start(stream);
    else
        stream_read_stop(stream);
}

void session_update_reading(struct session *session)
{
    if (session->is_closing || session->awaits_record)
        return;
    if (session->is_relaying) {
        relay_set_paused(&session->relay, session->gate->is_congested);
        return;
    }
    set_reading(session, session->client, &session->held[SIDE_CLIENT]);
    set_reading(session, session->upstream, &session->held[SIDE_UPSTREAM]);
}

/* Does what there is to do until the engine waits for something. */
static void pump(struct session *session)
{
    if (session->is_closing || session->is_relaying || session->awaits_record)
        return;
    bool goes_on = session_do_deeds(session);
    while (goes_on && (feed_held(session, SIDE_CLIENT) || feed_held(session, SIDE_UPSTREAM)))
        goes_on = session_do_deeds(session);
    if (goes_on && session->client_has_ended && buf_size(&session->held[SIDE_CLIENT]) == 0) {
        engine_tell(session->engine, &(struct fact){.kind = FACT_EOF, .side = SIDE_CLIENT});
        goes_on = session_do_deeds(session);
    }
    if (session->is_relaying) {
        engine_free(session->engine);
        session->engine = NULL;
    }
    if (!goes_on)
        return;
    set_patience(session);
    session_update_reading(session);
}

static void tell(struct session *session, const struct fact *fact)
{
    engine_tell(session->engine, fact);
    pump(session);
}

/* ---- sockets, before the relay ---- */

static void take_bytes(struct session *session, enum side side, struct slice bytes)
{
    if (session->is_closing)
        return;
    ENSURE(buf_append(&session->held[side], bytes) == 0);
    pump(session);
}

static void on_client_read(void *owner, struct slice bytes)
{
    take_bytes(owner, SIDE_CLIENT, bytes);
}

static void on_client_end(void *owner)
{
    struct session *session = owner;
    session->client_has_ended = true;
    pump(session);
}

static void on_client_failed(void *owner, enum why why, const char *text)
{
    struct session *session = owner;
    (void)why;
    if (stream_tls(session->client) != NULL && !session->client_is_secure)
        session_record_foreign(session, text, SLICE_NONE);
    if (!session->awaits_record)
        session_close(session, WHY_CLIENT_GONE, text);
    else if (session->failure == NULL)
        session->failure = mem_copy_string(text);
}

static void on_client_secured(void *owner)
{
    struct session *session = owner;
    session->client_is_secure = true;
    if (!session->is_closing)
        tell(session, &(struct fact){.kind = FACT_TLS_UP, .side = SIDE_CLIENT});
}

static void on_drained(void *owner)
{
    pump(owner);
}

static void on_part_closed(void *owner)
{
    part_closed(owner);
}

static void on_upstream_read(void *owner, struct slice bytes)
{
    take_bytes(owner, SIDE_UPSTREAM, bytes);
}

static void on_upstream_end(void *owner)
{
    struct session *session = owner;
    if (!session->is_closing)
        tell(session, &(struct fact){.kind = FACT_EOF, .side = SIDE_UPSTREAM});
}

static void on_upstream_secured(void *owner)
{
    struct session *session = owner;
    session->upstream_is_secure = true;
    if (session->is_closing)
        return;
    session_record_connect(session, WHY_NONE, NULL);
    tell(session, &(struct fact){.kind = FACT_TLS_UP, .side = SIDE_UPSTREAM});
}

static void on_upstream_failed(void *owner, enum why why, const char *text)
{
    struct session *session = owner;
    char sentence[300];
    bool is_handshake = stream_tls(session->upstream) != NULL && !session->upstream_is_secure;
    if (is_handshake && !session->is_closing)
        session_record_connect(session, why, text);
    snprintf(sentence, sizeof(sentence), "%s: %s",
             is_handshake ? "no trusted connection to the mail server"
                          : "the connection to the mail server broke",
             text);
    if (!session->is_closing)
        tell(session, &(struct fact){.kind = FACT_FAILED, .why = why, .text = sentence});
}

static const struct stream_ops client_ops = {.on_read = on_client_read,
                                             .on_end = on_client_end,
                                             .on_drained = on_drained,
                                             .on_secured = on_client_secured,
                                             .on_failed = on_client_failed,
                                             .on_closed = on_part_closed};
static const struct stream_ops upstream_ops = {.on_read = on_upstream_read,
                                               .on_end = on_upstream_end,
                                               .on_drained = on_drained,
                                               .on_secured = on_upstream_secured,
                                               .on_failed = on_upstream_failed,
                                               .on_closed = on_part_closed};

static void on_dial_ready(void *owner, struct stream *stream)
{
    struct session *session = owner;
    stream_set_owner(stream, &upstream_ops, session);
    session->open_parts++;
    session->upstream = stream;
    const struct dial_address *address = dial_winner(session->dial);
    inet_ntop(address->family == 4 ? AF_INET : AF_INET6, address->bytes, session->upstream_ip,
              sizeof(session->upstream_ip));
    dial_close(session->dial);
    session->dial = NULL;
    session->upstream_is_secure = stream_tls(stream) != NULL;
    if (session->upstream_is_secure)
        session_record_connect(session, WHY_NONE, NULL);
    tell(session, &(struct fact){.kind = FACT_CONNECTED, .is_secure = session->upstream_is_secure});
}

static void on_dial_failed(void *owner, enum why why, const char *text)
{
    struct session *session = owner;
    char sentence[300];
    session_record_connect(session, why, text);
    snprintf(sentence, sizeof(sentence), "%s: %s",
             why == WHY_UPSTREAM_TLS ? "no trusted connection to the mail server"
                                     : "the mail server cannot be reached",
             text);
    tell(session, &(struct fact){.kind = FACT_FAILED, .why = why, .text = sentence});
}

const struct dial_ops session_dial_ops = {
    .on_ready = on_dial_ready, .on_failed = on_dial_failed, .on_closed = on_part_closed};

static void on_relay_over(void *owner, enum why why, const char *text)
{
    session_close(owner, why, text);
}

static void on_relay_record(void *owner, const struct record *record, bool is_awaited)
{
    const struct session *session = owner;
    struct message_record message FILLED_LATER;
    message.session = session->number;
    message.listener = session->settings.listener;
    message.receipt = is_awaited ? session->number : 0;
    record_copy(&message.record, record);
    gate_record(session->gate, &message);
}

const struct relay_ops session_relay_ops = {
    .on_over = on_relay_over, .on_stream_closed = on_part_closed, .on_record = on_relay_record};

static void tick(struct session *session)
{
    if (session->awaits_record)
        session_close(session, WHY_TIMEOUT, "the journal did not take it in time");
    else
        tell(session, &(struct fact){.kind = FACT_TICK});
}

static void on_patience_over(struct deadline *deadline)
{
    struct session *session = CONTAINER_OF(deadline, struct session, deadline);
    session->patience = PATIENCE_NONE;
    tick(session);
}

/* What the keeper and the upstream take is theirs to be bounded; the client is told when it is on
 * its own turn again. */
static void on_login_over(struct deadline *deadline)
{
    struct session *session = CONTAINER_OF(deadline, struct session, login_deadline);
    session->login_is_overdue = true;
    if (session->patience == PATIENCE_CLIENT || session->awaits_record)
        tick(session);
}

static void on_overdue(struct deferral *deferral)
{
    struct session *session = CONTAINER_OF(deferral, struct session, overdue);
    if (session->patience == PATIENCE_CLIENT)
        tick(session);
}

/* ---- the keeper's words ---- */

static int take_granted(struct session *session, const struct message *message)
{
    struct message_granted granted;
    if (message_read_granted(message, &granted) != 0)
        return ERR_SYNTAX;
    bool makes_sense = granted.address_count > 0 && granted.tls != TLS_MODE_OFF &&
                       granted.authorities < session->gate->configure.authority_count;
    /* One that comes when we have ceased to wait must not replace what a later login goes by. */
    bool is_awaited = !session->is_closing && session->engine != NULL &&
                      engine_patience(session->engine) == PATIENCE_KEEPER;
    if (!makes_sense || !is_awaited) {
        message_granted_clear(&granted);
        return makes_sense ? 0 : ERR_SYNTAX;
    }
    if (session->granted == NULL)
        session->granted = mem_new(sizeof(*session->granted));
    message_granted_clear(session->granted);
    *session->granted = granted;
    session->grant = granted.grant;
    tell(session, &(struct fact){.kind = FACT_GRANTED,
                                 .text = granted.mechanisms,
                                 .is_password = granted.is_password});
    return 0;
}

static int take_refused(struct session *session, const struct message *message)
{
    struct message_refused refused;
    if (message_read_refused(message, &refused) != 0)
        return ERR_SYNTAX;
    if (session->engine != NULL && !session->is_closing)
        tell(session,
             &(struct fact){.kind = FACT_REFUSED, .why = refused.why, .text = refused.text});
    message_refused_clear(&refused);
    return 0;
}

int session_take(struct session *session, const struct message *message)
{
    struct slice bytes;
    if (message->kind == MESSAGE_GRANTED)
        return take_granted(session, message);
    if (message->kind == MESSAGE_REFUSED)
        return take_refused(session, message);
    if (message->kind != MESSAGE_CHALLENGE || message_read_bytes(message, &bytes) != 0)
        return ERR_SYNTAX;
    if (session->engine != NULL && !session->is_closing)
        tell(session, &(struct fact){.kind = FACT_CHALLENGE, .bytes = bytes});
    return 0;
}

void session_await_record(struct session *session)
{
    session->awaits_record = true;
    stream_read_stop(session->client);
    /* It keeps nobody else from a place. */
    list_remove(&session->waiting_node);
    list_append(session->settings.waiting, &session->waiting_node);
}

void session_release(struct session *session)
{
    if (session->is_closing)
        return;
    if (session->is_relaying) {
        relay_release(&session->relay);
        return;
    }
    if (!session->awaits_record)
        return;
    session->awaits_record = false;
    if (session->failure != NULL)
        session_close(session, WHY_CLIENT_GONE, session->failure);
    else
        pump(session);
}

void session_dismiss(struct session *session, enum why why, const char *text)
{
    if (session->is_closing)
        return;
    if (session->engine == NULL) {
        relay_dismiss(&session->relay, why, text);
        return;
    }
    if (session->awaits_record) {
        session_close(session, why, text);
        return;
    }
    tell(session, &(struct fact){.kind = FACT_DISMISSED, .why = why, .text = text});
}

/* ---- the beginning ---- */

/* Nobody may know it beforehand. */
static void make_timestamp(char *out, size_t capacity)
{
    uint64_t random[2];
    ENSURE(RAND_bytes((unsigned char *)random, sizeof(random)) == 1);
    snprintf(out, capacity, "<%016" PRIx64 "%016" PRIx64 "@localhost>", random[0], random[1]);
}

static struct engine *new_engine(struct session *session)
{
    const struct message_listener *configure = session_configure(session);
    char timestamp[64];
    /* RFC 1939 section 7: a client that sees one tries APOP. */
    bool has_apop =
        slice_has_word(slice_of_string(configure->mechanisms), ' ', SLICE_LITERAL("APOP"));
    if (has_apop)
        make_timestamp(timestamp, sizeof(timestamp));
    return engine_new(&(struct engine_settings){.dialect = session_dialect(session),
                                                .mechanisms = configure->mechanisms,
                                                .capabilities = configure->capabilities,
                                                .timestamp = has_apop ? timestamp : NULL,
                                                .client_tls = configure->tls,
                                                .needs_no_login = configure->needs_no_login,
                                                .refusal = session->settings.refusal,
                                                .refusal_why = session->settings.refusal_why,
                                                .sasl = session_sasl(session)});
}

int session_open(struct gate *gate, int descriptor, const struct session_settings *settings,
                 struct err *err)
{
    struct session *session = mem_new(sizeof(*session));
    session->gate = gate;
    session->settings = *settings;
    int status = stream_open(gate->loop, descriptor, &client_ops, session, &session->client, err);
    if (status != 0) {
        mem_free(session);
        return status;
    }
    session->open_parts = 1;
    session->number = ++gate->next_session;
    session->began = uv_hrtime();
    session->patience = PATIENCE_NONE;
    list_init(&session->list_node);
    list_init(&session->table_node);
    list_init(&session->waiting_node);
    deadline_init(&session->deadline, on_patience_over);
    deadline_init(&session->login_deadline, on_login_over);
    deferral_init(&session->overdue, on_overdue);
    /* One read at most is held: a side is not read while something of it is. */
    buf_init(&session->held[SIDE_CLIENT], LOOP_SCRATCH_SIZE);
    buf_init(&session->held[SIDE_UPSTREAM], LOOP_SCRATCH_SIZE);
    gate_add_session(gate, session);
    session_record_open(session);
    if (settings->refusal_why == WHY_CLIENT_PROTOCOL)
        session_record_foreign(session, settings->refusal, settings->first_word);
    session->settings.first_word = SLICE_NONE;
    deadline_start(gate->login, &session->login_deadline);
    session->engine = new_engine(session);
    pump(session);
    return 0;
}

/* ---- small questions ---- */

bool session_is_relaying(const struct session *session)
{
    return session->is_relaying;
}

int64_t session_grant(const struct session *session)
{
    return session->grant;
}

uint64_t session_number(const struct session *session)
{
    return session->number;
}

static enum message_session_state state_of(const struct session *session)
{
    if (session->is_relaying)
        return MESSAGE_SESSION_RELAYING;
    return engine_patience(session->engine) == PATIENCE_UPSTREAM ? MESSAGE_SESSION_CONNECTING
                                                                 : MESSAGE_SESSION_LOGGING_IN;
}

bool session_describe(const struct session *session, struct message_session *session_out)
{
    if (session->is_closing)
        return false;
    *session_out = (struct message_session){
        .number = session->number,
        .state = state_of(session),
        .client_bytes = session->relay.client_bytes,
        .server_bytes = session->relay.server_bytes,
        .age = (uv_hrtime() - session->began) / 1000000,
    };
    return true;
}

struct list *session_table_node(struct session *session)
{
    return &session->table_node;
}

struct list *session_list_node(struct session *session)
{
    return &session->list_node;
}

struct session *session_of_table_node(struct list *node)
{
    return CONTAINER_OF(node, struct session, table_node);
}

struct session *session_of_list_node(struct list *node)
{
    return CONTAINER_OF(node, struct session, list_node);
}

struct session *session_of_waiting_node(struct list *node)
{
    return CONTAINER_OF(node, struct session, waiting_node);
}
