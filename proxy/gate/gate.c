/*
 * Happy path: open the channel, get CONFIGURE, open the listeners, give up what it does not need,
 * say READY, serve until DRAIN, let the sessions end, close the channel, end.
 *
 *   the keeper is gone, or talks nonsense     everything is closed and the gate ends
 *   a frame does not fit into the channel     likewise: the keeper does not read
 *   the keeper reads too slowly               nothing of which it would have to be told is read
 */
#include "gate/gate.h"

#include <stdio.h>
#include <unistd.h>

#include "gate/doorstep.h"
#include "gate/listener.h"
#include "gate/session.h"
#include "mail/dialect.h"

/* Frames wait here when the keeper is slow; each session has a few small ones at most. */
#define CHANNEL_QUEUE_MAX (8u * 1024 * 1024)
#define FRAME_MAX         (16u * 1024)
#define RECORDS_MAX       (64u * 1024)
#define CONGESTED         (512u * 1024) /* queued to the keeper: nothing is read for a while */
#define TLS_SESSIONS_MAX  1024
#define TABLE_SIZE        4096 /* a power of two */

static void gate_close(struct gate *gate);
static void send_records(struct gate *gate);
static void on_gathered(uv_timer_t *timer);

/* ---- sessions ---- */

static struct list *table_row(struct gate *gate, uint64_t number)
{
    return &gate->session_table[number & (TABLE_SIZE - 1)];
}

struct session *gate_find_session(struct gate *gate, uint64_t number)
{
    LIST_FOREACH (node, table_row(gate, number)) {
        struct session *session = session_of_table_node(node);
        if (session_number(session) == number)
            return session;
    }
    return NULL;
}

void gate_add_session(struct gate *gate, struct session *session)
{
    list_append(&gate->sessions, session_list_node(session));
    list_append(table_row(gate, session_number(session)), session_table_node(session));
    loop_note_tide(gate->loop, ++gate->session_count);
}

static void close_if_done(struct gate *gate)
{
    if (gate->is_draining && gate->session_count == 0 && doorstep_is_empty(gate->doorstep))
        gate_close(gate);
}

void gate_remove_session(struct gate *gate, struct session *session)
{
    list_remove(session_list_node(session));
    list_remove(session_table_node(session));
    loop_note_tide(gate->loop, --gate->session_count);
    close_if_done(gate);
}

static void dismiss_sessions(struct gate *gate, bool relaying_too, enum why why, const char *text)
{
    LIST_FOREACH_SAFE (node, &gate->sessions) {
        struct session *session = session_of_list_node(node);
        if (relaying_too || !session_is_relaying(session))
            session_dismiss(session, why, text);
    }
}

static void end_grant(struct gate *gate, int64_t grant)
{
    LIST_FOREACH_SAFE (node, &gate->sessions) {
        struct session *session = session_of_list_node(node);
        if (session_grant(session) == grant)
            session_dismiss(session, WHY_POLICY, "this password was revoked");
    }
}

/* ---- the end ---- */

static void close_listeners(struct gate *gate)
{
    for (size_t i = 0; i < gate->listener_count; i++)
        listener_close(gate->listeners[i]);
    gate->listener_count = 0;
}

static void free_gate(struct gate *gate)
{
    tls_sessions_free(gate->tls_sessions);
    for (size_t i = 0; i < gate->configure.authority_count; i++)
        if (gate->authorities != NULL && gate->authorities[i] != NULL)
            tls_authorities_free(gate->authorities[i]);
    mem_free(gate->authorities);
    for (size_t i = 0; i < gate->configure.listener_count; i++)
        if (gate->identities != NULL && gate->identities[i] != NULL)
            tls_identity_free(gate->identities[i]);
    mem_free(gate->identities);
    mem_free(gate->listeners);
    mem_free(gate->session_table);
    doorstep_free(gate->doorstep);
    buf_fini(&gate->records);
    message_configure_clear(&gate->configure);
    sasl_initiator_library_close(gate->sasl);
    peer_lookup_close(gate->peers);
    mem_free(gate);
}

static void handle_closed(struct gate *gate)
{
    if (--gate->open_handles > 0)
        return;
    struct gate_settings settings = gate->settings;
    free_gate(gate);
    settings.on_over(settings.owner);
}

static void on_channel_closed(void *owner)
{
    handle_closed(owner);
}

static void on_drain_timer_closed(uv_handle_t *timer)
{
    handle_closed(CONTAINER_OF(timer, struct gate, drain_timer));
}

static void on_gathering_closed(uv_handle_t *timer)
{
    handle_closed(CONTAINER_OF(timer, struct gate, gathering));
}

/* When no session is left. The channel goes when the keeper has what was said, or is gone. */
static void gate_close(struct gate *gate)
{
    if (gate->is_closing)
        return;
    close_listeners(gate);
    send_records(gate);
    gate->is_closing = true;
    if (gate->channel_has_failed || channel_queued(gate->channel) == 0)
        channel_close(gate->channel);
    deferral_cancel(&gate->giving_up);
    uv_close((uv_handle_t *)&gate->drain_timer, on_drain_timer_closed);
    uv_close((uv_handle_t *)&gate->gathering, on_gathering_closed);
    for (size_t i = 0; i < LENGTH_OF(gate->patience); i++)
        deadline_queue_close(gate->patience[i]);
    deadline_queue_close(gate->login);
    deadline_queue_close(gate->relay_patience.idle);
    deadline_queue_close(gate->relay_patience.content);
    deadline_queue_close(gate->relay_patience.verdict);
}

/* Ends everything now: sessions first, since they use the rest. */
static void abandon(struct gate *gate, enum why why, const char *text)
{
    gate->is_draining = true;
    close_listeners(gate);
    doorstep_clear(gate->doorstep);
    if (gate->session_count == 0)
        gate_close(gate);
    else
        dismiss_sessions(gate, true, why, text);
}

static void on_drain_over(uv_timer_t *timer)
{
    struct gate *gate = CONTAINER_OF(timer, struct gate, drain_timer);
    abandon(gate, WHY_SHUTDOWN, "ecluse is stopping");
}

/* Without a limit it is a reload: who is about to log in may still do so. */
static void drain(struct gate *gate, uint64_t milliseconds)
{
    gate->is_draining = true;
    close_listeners(gate);
    if (milliseconds > 0) {
        dismiss_sessions(gate, false, WHY_SHUTDOWN, "ecluse is stopping");
        uv_timer_start(&gate->drain_timer, on_drain_over, milliseconds, 0);
    }
    close_if_done(gate);
}

/* ---- the channel ---- */

static void set_congested(struct gate *gate, bool is_congested)
{
    if (gate->is_congested == is_congested)
        return;
    gate->is_congested = is_congested;
    for (size_t i = 0; i < gate->listener_count; i++)
        listener_update_accepting(gate->listeners[i]);
    LIST_FOREACH (node, &gate->sessions)
        session_update_reading(session_of_list_node(node));
}

static void put_frame(struct gate *gate, struct slice frame)
{
    if (!gate->is_closing && channel_put(gate->channel, frame) == ERR_FULL)
        loop_defer(gate->loop, &gate->giving_up);
    if (!gate->is_closing && channel_queued(gate->channel) > CONGESTED)
        set_congested(gate, true);
}

static void put_records(struct gate *gate)
{
    if (buf_size(&gate->records) > 0)
        put_frame(gate, buf_bytes(&gate->records));
    buf_rewind(&gate->records, RECORDS_MAX);
}

/* All that was said. */
static void send_records(struct gate *gate)
{
    deferral_cancel(&gate->flushing);
    uv_timer_stop(&gate->gathering);
    put_records(gate);
    if (!gate->is_closing)
        channel_flush(gate->channel);
}

void gate_send(struct gate *gate, struct buf *frame)
{
    put_records(gate);
    put_frame(gate, buf_bytes(frame));
    buf_fini(frame);
    send_records(gate);
}

static void gather(struct gate *gate)
{
    if (!gate->is_closing && !uv_is_active((uv_handle_t *)&gate->gathering))
        ENSURE(uv_timer_start(&gate->gathering, on_gathered, (uint64_t)gate->settings.gather, 0) ==
               0);
}

void gate_note(struct gate *gate, struct buf *frame)
{
    put_records(gate);
    put_frame(gate, buf_bytes(frame));
    buf_fini(frame);
    gather(gate);
}

static void on_flushing(struct deferral *deferral)
{
    send_records(CONTAINER_OF(deferral, struct gate, flushing));
}

static void on_gathered(uv_timer_t *timer)
{
    send_records(CONTAINER_OF(timer, struct gate, gathering));
}

/* A frame of its own would wake the keeper for each. */
void gate_record(struct gate *gate, const struct message_record *record)
{
    if (message_write_record(&gate->records, record) != 0) {
        send_records(gate);
        ENSURE(message_write_record(&gate->records, record) == 0);
    }
    if (record->receipt != 0)
        loop_defer(gate->loop, &gate->flushing);
    else
        gather(gate);
}

static void on_giving_up(struct deferral *deferral)
{
    struct gate *gate = CONTAINER_OF(deferral, struct gate, giving_up);
    log_error(&gate->log, "the keeper does not read what it is told");
    abandon(gate, WHY_INTERNAL, "internal error");
}

static int open_authorities(struct gate *gate, struct err *err)
{
    size_t count = gate->configure.authority_count;
    gate->authorities = mem_new_array(count, sizeof(struct tls_authorities *));
    for (size_t i = 0; i < count; i++) {
        struct slice bundle = slice_of_string(gate->configure.authorities[i]);
        int status = tls_authorities_new(bundle, &gate->authorities[i], err);
        if (status != 0)
            return status;
    }
    return 0;
}

/* The keys are needed no longer than this. */
static int open_identities(struct gate *gate, struct err *err)
{
    size_t count = gate->configure.listener_count;
    gate->identities = mem_new_array(count, sizeof(struct tls_identity *));
    for (size_t i = 0; i < count; i++) {
        struct message_listener *listener = &gate->configure.listeners[i];
        if (listener->tls == TLS_MODE_OFF)
            continue;
        int status = tls_identity_new(
            &(struct tls_identity_settings){.certificate = slice_of_string(listener->certificate),
                                            .key = secret_bytes(&listener->key),
                                            .minimum = listener->tls_min,
                                            .alpn = dialect_of(listener->protocol)->alpn},
            &gate->identities[i], err);
        secret_wipe(&listener->key);
        if (status != 0)
            return err_wrap(err, "listener %s", listener->name);
    }
    return 0;
}

static int open_listeners(struct gate *gate, struct err *err)
{
    int descriptor = gate->settings.listeners;
    gate->listeners = mem_new_array(gate->configure.listener_count, sizeof(struct listener *));
    for (size_t i = 0; i < gate->configure.listener_count; i++) {
        int status = listener_open(gate, (uint16_t)i, descriptor, &gate->listeners[i], err);
        if (status != 0)
            return status;
        gate->listener_count++;
        descriptor += gate->configure.listeners[i].descriptors;
    }
    return 0;
}

static int configure(struct gate *gate, const struct message *message)
{
    struct err err = {0};
    struct buf frame;
    char prefix[32];
    if (gate->is_configured || message_read_configure(message, &gate->configure) != 0)
        return ERR_SYNTAX;
    gate->is_configured = true;
    snprintf(prefix, sizeof(prefix), "gate %u", gate->configure.gate);
    log_init(&gate->log, (enum log_level)gate->configure.log_level, prefix);
    if (open_authorities(gate, &err) != 0 || open_identities(gate, &err) != 0 ||
        open_listeners(gate, &err) != 0 ||
        (gate->settings.is_process && gate_confine(gate, &err) != 0)) {
        log_error(&gate->log, "%s", err.text);
        return ERR_CONFIG;
    }
    buf_init(&frame, FRAME_MAX);
    ENSURE(message_write_plain(&frame, MESSAGE_READY, 0) == 0);
    gate_send(gate, &frame);
    return 0;
}

/* A session that ended a moment ago may still be spoken of. */
static int take_session_message(struct gate *gate, const struct message *message)
{
    struct session *session = gate_find_session(gate, message->session);
    return session == NULL ? 0 : session_take(session, message);
}

/* What was said is on disk; the session may be gone. */
static void release(struct gate *gate, uint64_t receipt)
{
    if (doorstep_is_receipt(receipt)) {
        doorstep_release(gate->doorstep, receipt);
        close_if_done(gate);
        return;
    }
    struct session *session = gate_find_session(gate, receipt);
    if (session != NULL)
        session_release(session);
}

/* Every session is refused; those that come from here on are not. */
static int end_all(struct gate *gate, const struct message *message)
{
    struct message_refused refused;
    if (message_read_refused(message, &refused) != 0)
        return ERR_SYNTAX;
    dismiss_sessions(gate, true, refused.why, refused.text);
    message_refused_clear(&refused);
    return 0;
}

/* For clients that come from here on. */
static int take_offer(struct gate *gate, const struct message *message)
{
    struct message_offer offer;
    if (message_read_offer(message, &offer) != 0)
        return ERR_SYNTAX;
    bool is_ours = offer.listener < gate->configure.listener_count;
    if (is_ours) {
        struct message_listener *listener = &gate->configure.listeners[offer.listener];
        mem_free(listener->mechanisms);
        mem_free(listener->capabilities);
        listener->mechanisms = offer.mechanisms;
        listener->capabilities = offer.capabilities;
        offer = (struct message_offer){0};
    }
    message_offer_clear(&offer);
    return is_ours ? 0 : ERR_SYNTAX;
}

static int take_message(struct gate *gate, const struct message *message)
{
    uint64_t number;
    switch (message->kind) {
    case MESSAGE_CONFIGURE:
        return configure(gate, message);
    case MESSAGE_CHALLENGE:
    case MESSAGE_GRANTED:
        return take_session_message(gate, message);
    case MESSAGE_REFUSED:
        return message->session == 0 ? end_all(gate, message) : take_session_message(gate, message);
    case MESSAGE_DURABLE:
        if (message_read_number(message, &number) != 0)
            return ERR_SYNTAX;
        release(gate, number);
        return 0;
    case MESSAGE_END_GRANT:
        if (message_read_number(message, &number) != 0)
            return ERR_SYNTAX;
        end_grant(gate, (int64_t)number);
        return 0;
    case MESSAGE_DRAIN:
        if (message_read_number(message, &number) != 0)
            return ERR_SYNTAX;
        drain(gate, number);
        return 0;
    case MESSAGE_OFFER:
        return take_offer(gate, message);
    case MESSAGE_LIST_SESSIONS:
        gate_list_sessions(gate, message->session);
        return 0;
    case MESSAGE_READY:
    case MESSAGE_ASK:
    case MESSAGE_ANSWER:
    case MESSAGE_AGAIN:
    case MESSAGE_RECORDS:
    case MESSAGE_LEARNED:
    case MESSAGE_FORGET:
    case MESSAGE_SESSIONS:
        break;
    }
    return ERR_SYNTAX;
}

static void on_frame(void *owner, struct slice frame)
{
    struct gate *gate = owner;
    struct message message;
    int status = message_read(frame, &message);
    if (status == 0)
        status = take_message(gate, &message);
    if (status == 0)
        return;
    if (status == ERR_SYNTAX)
        log_error(&gate->log, "the keeper said something unreadable");
    abandon(gate, WHY_INTERNAL, "internal error");
}

static void on_channel_failed(void *owner, int code)
{
    struct gate *gate = owner;
    gate->channel_has_failed = true;
    if (gate->is_closing) {
        channel_close(gate->channel);
        return;
    }
    log_debug(&gate->log, "the channel to the keeper: %s", err_code_text(code));
    abandon(gate, WHY_SHUTDOWN, "ecluse is stopping");
}

static void on_channel_drained(void *owner)
{
    struct gate *gate = owner;
    if (gate->is_closing)
        channel_close(gate->channel);
    else
        set_congested(gate, false);
}

static const struct channel_ops channel_ops = {.on_frame = on_frame,
                                               .on_failed = on_channel_failed,
                                               .on_closed = on_channel_closed,
                                               .on_drained = on_channel_drained};

/* ---- the beginning ---- */

/* What may fail. `channel` is open afterwards, or closed. */
static int open_parts(struct gate *gate, struct err *err)
{
    int status = sasl_initiator_library_open(SASL_PLUGIN_FOLDER, &gate->sasl, err);
    if (status == 0)
        status = peer_lookup_open(&gate->peers, err);
    if (status != 0) {
        close(gate->settings.channel);
        return status;
    }
    return channel_open(gate->loop, gate->settings.channel, MESSAGE_SIZE_MAX, CHANNEL_QUEUE_MAX,
                        &channel_ops, gate, &gate->channel, err);
}

int gate_open(struct loop *loop, const struct gate_settings *settings, struct err *err)
{
    struct gate *gate = mem_new(sizeof(*gate));
    gate->loop = loop;
    gate->settings = *settings;
    log_init(&gate->log, LOG_LEVEL_INFO, "gate");
    int status = open_parts(gate, err);
    if (status != 0) {
        free_gate(gate);
        return status;
    }
    list_init(&gate->sessions);
    gate->doorstep = doorstep_new();
    gate->session_table = mem_new_array(TABLE_SIZE, sizeof(struct list));
    for (size_t i = 0; i < TABLE_SIZE; i++)
        list_init(&gate->session_table[i]);
    for (size_t i = 0; i < LENGTH_OF(gate->patience); i++)
        gate->patience[i] = deadline_queue_new(loop, settings->patience[i]);
    gate->login = deadline_queue_new(loop, settings->login);
    gate->relay_patience =
        (struct relay_patience){.idle = deadline_queue_new(loop, settings->idle),
                                .content = deadline_queue_new(loop, settings->content),
                                .verdict = deadline_queue_new(loop, settings->verdict),
                                .content_milliseconds = settings->content,
                                .taking_milliseconds = settings->taking};
    gate->tls_sessions = tls_sessions_new(TLS_SESSIONS_MAX);
    ENSURE(uv_timer_init(&loop->uv, &gate->drain_timer) == 0);
    ENSURE(uv_timer_init(&loop->uv, &gate->gathering) == 0);
    deferral_init(&gate->giving_up, on_giving_up);
    deferral_init(&gate->flushing, on_flushing);
    buf_init(&gate->records, RECORDS_MAX);
    gate->open_handles = 3;
    return 0;
}
