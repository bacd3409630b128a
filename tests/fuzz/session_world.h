/*
 * The world of one session that is fuzzed: the gate as far as the session knows it, SASL towards
 * the server, and what is looked at whenever something was said or a turn of the loop is over.
 */
#ifndef ECLUSE_TESTS_SESSION_WORLD_H
#define ECLUSE_TESTS_SESSION_WORLD_H

#include "engine_fuzz_sasl.h"
#include "mail/engine_internal.h"
#include "net/tls_server.h"
#include "session_journal.h"
#include "session_net.h"
#include "steps.h"

#define RECORD_MAX (64u * 1024 * 1024)
#define FRAME_MAX  (128u * 1024)
#define LOGIN_MAX  (512u * 1024) /* what a session may keep: its engine, and one read of a side */
#define RELAY_MAX  (768u * 1024) /* its passage, its tap, two reads */

/* Of passwords that a client says behind its login; both forms, as above. */
#define LATE_PASSWORD "L8S3CR"
static const char *const late_marks[] = {LATE_PASSWORD, "TDhTM0NS", "w4UzNDU", "MOFMzQ1"};

struct world {
    struct net net;
    struct gate gate;
    struct message_listener listener;
    struct session *session; /* NULL: it is over and gone */
    size_t heap_before;
    struct session_journal journal;
    struct mock sasl;
    /* Apart: an answer that waits for its record goes out up to its last octet when it comes in
     * pieces, so that a client may be told of it before or behind other things. */
    struct buf said[2], asked, told; /* to either side; to the keeper; to the journal */
    struct buf server_said;          /* all of it */
    struct message_granted granted;
    uint64_t generation; /* of the token that the session took */
    size_t repeated, receipts;
    bool is_durable_at_once;
    bool is_over, was_relaying;
    /* What the input does not hold by itself. */
    bool token_is_ours, password_is_ours, late_password_is_ours;
    bool is_plain;      /* the client's words of the relay are commands of one line */
    bool is_disturbed;  /* somebody did not read or was not there: what comes first hangs on the
                           pieces */
    bool is_unfollowed; /* and therefore to end */
    bool has_unsaid;    /* it ended while an answer waited for its record */
};

static struct world *world_of_net(struct net *net)
{
    return CONTAINER_OF(net, struct world, net);
}

static struct world *world_of_gate(struct gate *gate)
{
    return CONTAINER_OF(gate, struct world, gate);
}

static const struct session *session_of(const struct world *world)
{
    return world->session;
}

static bool holds_any(struct slice bytes, const char *const *marks)
{
    for (size_t i = 0; i < 4; i++)
        if (contains(bytes, marks[i]))
            return true;
    return false;
}

/* ---- what the session says to the sides ---- */

static void add(struct buf *to, char kind, struct slice bytes)
{
    char head[3] = {'\n', kind, ' '};
    ENSURE(buf_append(to, slice_of(head, sizeof(head))) == 0);
    ENSURE(buf_append(to, bytes) == 0);
}

static void check_for_server(const struct world *world, const struct stream *to, struct slice bytes)
{
    bool is_relaying = session_of(world)->is_relaying;
    ENSURE(!world->is_unfollowed);
    ENSURE(is_relaying || !world->password_is_ours || !holds_any(bytes, password_marks));
    ENSURE(!world->late_password_is_ours || !holds_any(bytes, late_marks));
    if (to->is_secure)
        return;
    ENSURE(!is_relaying && !contains(bytes, "AUTH"));
    ENSURE(!holds_any(bytes, token_marks));
}

static void on_said(struct net *net, const struct stream *to, struct slice bytes)
{
    struct world *world = world_of_net(net);
    ENSURE(world->session != NULL && !world->is_over);
    if (to->side == SIDE_UPSTREAM)
        check_for_server(world, to, bytes);
    else
        ENSURE(!world->token_is_ours || !holds_any(bytes, token_marks));
    ENSURE(buf_append(&world->said[to->side], bytes) == 0);
}

/* ---- the gate ---- */

void gate_add_session(struct gate *gate, struct session *session)
{
    struct world *world = world_of_gate(gate);
    ENSURE(world->session == NULL && !world->is_over);
    world->session = session;
}

void gate_remove_session(struct gate *gate, struct session *session)
{
    ENSURE(world_of_gate(gate)->session == session);
}

static void on_over(void *owner)
{
    struct world *world = owner;
    ENSURE(world->session != NULL && world->is_over);
    world->session = NULL;
}

/* What a server knows by itself may be in what it says. */
static bool is_betrayed(const struct world *world, struct slice bytes)
{
    return world->password_is_ours && holds_any(bytes, password_marks) &&
           !holds_any(buf_bytes(&world->server_said), password_marks);
}

static void check_ask(const struct world *world, const struct message *message)
{
    struct message_ask ask;
    ENSURE(message_read_ask(message, &ask) == 0);
    ENSURE(world->listener.tls == TLS_MODE_OFF || session_of(world)->client_is_secure);
    message_ask_clear(&ask);
}

static void check_frame(struct world *world, const struct message *message)
{
    struct slice bytes;
    uint64_t number;
    char *lines;
    switch (message->kind) {
    case MESSAGE_ASK:
        check_ask(world, message);
        break;
    case MESSAGE_ANSWER:
        ENSURE(message_read_bytes(message, &bytes) == 0);
        break;
    case MESSAGE_AGAIN:
        ENSURE(message_read_number(message, &number) == 0 && number == world->generation);
        break;
    case MESSAGE_LEARNED:
        ENSURE(message_read_learned(message, &lines) == 0);
        mem_free(lines);
        ENSURE(!world->token_is_ours || !holds_any(message->fields, token_marks));
        ENSURE(!is_betrayed(world, message->fields));
        break;
    default:
        ENSURE(message->kind == MESSAGE_FORGET && !world->is_over);
        world->is_over = true;
        world->has_unsaid = session_of(world)->relay.answer_size > 0;
        break;
    }
}

void gate_send(struct gate *gate, struct buf *frame)
{
    struct world *world = world_of_gate(gate);
    struct message message;
    ENSURE(message_read(buf_bytes(frame), &message) == 0 && !world->is_over);
    ENSURE(message.session == session_number(world->session));
    check_frame(world, &message);
    add(&world->asked, '=', buf_bytes(frame));
    buf_clear(frame);
}

void gate_note(struct gate *gate, struct buf *frame)
{
    gate_send(gate, frame);
}

static bool is_compared(const struct record *record, const struct record_value *value)
{
    /* Of a piece that ends a session, the rest may have come already. */
    return record->action != ACTION_SESSION_CLOSE ||
           (value->field != FIELD_CLIENT_BYTES && value->field != FIELD_SERVER_BYTES &&
            value->field != FIELD_COMMANDS);
}

static void check_value(const struct world *world, const struct record_value *value)
{
    ENSURE(value->field < RECORD_FIELD_COUNT && value->text.size <= RECORD_TEXT_MAX);
    ENSURE(!world->token_is_ours || !holds_any(value->text, token_marks));
    ENSURE(!world->late_password_is_ours || !holds_any(value->text, late_marks));
    /* What a client says behind its login may be anything, and told: the name of a folder. */
    bool may_be_said = world->was_relaying || value->field == FIELD_FIRST_WORD;
    ENSURE(may_be_said || !is_betrayed(world, value->text));
}

static void take_record(struct world *world, const struct message_record *message)
{
    const struct record *record = &message->record;
    const int head[] = {(int)record->action, (int)record->why, message->receipt != 0};
    ENSURE(message->session == session_number(world->session));
    add(&world->told, 'r', slice_of(head, sizeof(head)));
    for (size_t i = 0; i < record->count; i++) {
        const struct record_value *value = &record->values[i];
        check_value(world, value);
        if (!is_compared(record, value))
            continue;
        add(&world->told, (char)value->field, value->text);
        add(&world->told, 'n', slice_of(&value->number, sizeof(value->number)));
    }
    if (record->action == ACTION_TAP_OFF && world->gate.configure.audit.ends_unparsable)
        world->is_unfollowed = true;
    journal_write(&world->journal, record);
}

void gate_record(struct gate *gate, const struct message_record *record)
{
    struct world *world = world_of_gate(gate);
    struct message_record read;
    struct message message;
    struct buf frame;
    buf_init(&frame, FRAME_MAX);
    ENSURE(!world->is_over && message_write_record(&frame, record) == 0);
    ENSURE(message_read(buf_bytes(&frame), &message) == 0 && message.kind == MESSAGE_RECORDS);
    ENSURE(message_read_record(&message.fields, &read) == 0 && message.fields.size == 0);
    ENSURE(world->session != NULL || read.record.action == ACTION_SESSION_OPEN);
    world->receipts += read.receipt != 0;
    take_record(world, &read);
    buf_fini(&frame);
}

/* ---- SASL towards the server ---- */

struct sasl_initiator {
    struct mock *mock;
};

int upstream_sasl_start(struct sasl_initiator_library *library, const char *mechanism,
                        struct sasl_initiator_identity identity, const struct secret *token,
                        struct sasl_initiator **initiator, struct slice *response_out)
{
    struct mock *mock = (struct mock *)(void *)library;
    ENSURE(token->size > 0 && identity.user != NULL);
    sasl_initiator_free(*initiator);
    *initiator = NULL;
    mock->has_password = identity.is_password;
    int status = mock_start(mock, mechanism, response_out);
    if (status != 0)
        return status;
    *initiator = mem_new(sizeof(**initiator));
    (*initiator)->mock = mock;
    return 0;
}

int sasl_initiator_step(struct sasl_initiator *initiator, struct slice challenge,
                        struct slice *response_out)
{
    return mock_step(initiator->mock, challenge, response_out);
}

bool sasl_initiator_is_complete(const struct sasl_initiator *initiator)
{
    return mock_is_complete(initiator->mock);
}

void sasl_initiator_free(struct sasl_initiator *initiator)
{
    mem_free(initiator);
}

/* ---- turns of the loop ---- */

static void note_phase(struct world *world)
{
    const struct session *session = session_of(world);
    bool is_relaying = session != NULL && session->is_relaying;
    if (is_relaying && !world->was_relaying)
        ENSURE(session->is_closing || (session->upstream != NULL && session->upstream->is_secure));
    world->was_relaying = world->was_relaying || is_relaying;
    /* What came behind an answer that waits is heard when it does no more, after what the client
     * has said until then. */
    bool may_wait =
        session != NULL && session->gate->configure.audit.is_on && !world->is_durable_at_once;
    world->net.client_has_words =
        may_wait || (session != NULL && (buf_size(&session->held[SIDE_CLIENT]) > 0 ||
                                         (is_relaying && buf_size(&session->relay.held) > 0)));
}

static bool release(struct world *world)
{
    if (world->receipts == 0 || world->session == NULL)
        return false;
    world->receipts--;
    session_release(world->session);
    return true;
}

/* A side that has something to say and is not read. */
static bool is_due(const struct stream *stream)
{
    return stream != NULL && !stream->is_closed && !stream->has_failed && !stream->is_reading &&
           (buf_size(&stream->waiting) > 0 || (stream->peer_has_ended && !stream->end_is_told));
}

static bool has_reason(const struct session *session, enum side side)
{
    const struct stream *client = session->client, *upstream = session->upstream;
    const struct relay *relay = &session->relay;
    if (session->gate->is_congested || session->is_closing || session->awaits_record)
        return true;
    if (!session->is_relaying) {
        const struct stream *stream = side == SIDE_CLIENT ? client : upstream;
        return buf_size(&session->held[side]) > 0 || stream->is_congested;
    }
    if (side == SIDE_CLIENT)
        return buf_size(&relay->held) > 0 || upstream->is_congested;
    return relay->answer_size > 0 || client->is_congested;
}

/* What is said is read, or there is a reason. */
static void check_reading(const struct world *world)
{
    const struct session *session = session_of(world);
    if (session == NULL || session->is_closing)
        return;
    ENSURE(!is_due(world->net.client) || has_reason(session, SIDE_CLIENT));
    ENSURE(!is_due(world->net.upstream) || has_reason(session, SIDE_UPSTREAM));
    /* A client whose turn it is has been heard. */
    if (!session->is_relaying && !session->awaits_record && !session->client->is_congested &&
        engine_patience(session->engine) == PATIENCE_CLIENT)
        ENSURE(buf_size(&session->held[SIDE_CLIENT]) == 0);
    /* What waits is told of, and what is told of as awaited waits. */
    const struct relay *relay = &session->relay;
    size_t awaited = session->is_relaying ? relay->awaited_count + relay->denial_is_due
                                          : (size_t)session->awaits_record;
    ENSURE(world->receipts == awaited);
    ENSURE((relay->answer_size > 0) == (relay->awaited_count > 0));
}

/* Without what the network and the owner keep. */
static size_t heap_of_session(const struct world *world)
{
    size_t others = world->said[SIDE_CLIENT].capacity + world->said[SIDE_UPSTREAM].capacity +
                    world->asked.capacity + world->told.capacity + world->server_said.capacity +
                    world->journal.lines.capacity;
    if (world->net.client != NULL)
        others += world->net.client->waiting.capacity;
    if (world->net.upstream != NULL)
        others += world->net.upstream->waiting.capacity;
    return allocated() - others;
}

static void check_memory(const struct world *world)
{
    size_t maximum = world->was_relaying ? RELAY_MAX : LOGIN_MAX;
    ENSURE(world->session == NULL || heap_of_session(world) <= world->heap_before + maximum);
}

static void run(struct world *world)
{
    struct net *net = &world->net;
    do {
        note_phase(world);
    } while (net_run_closing(net) || net_read(net->client) || net_read(net->upstream) ||
             net_run_deferred(net) || (world->is_durable_at_once && release(world)));
    check_reading(world);
    check_memory(world);
}

#endif
