/*
 * Happy path: a gate's messages are read, the session they name is found in the table, and what
 * they say is done: desk_exchange.c approves the client, desk_grant.c sends it on its way.
 *
 * Failure modes:
 *   a message that makes no sense      ERR_SYNTAX: the gate is ended, and forgotten
 *   a gate of an older configuration   REFUSED, shutdown: its numbers mean something else
 *   too many sessions of a gate        REFUSED, limit
 *   FORGET, a dead gate, a reload      what is under way is cancelled
 */
#include "keeper/desk.h"

#include <stdio.h>
#include <string.h>

#include "auth/capability_lines.h"
#include "base/clock.h"
#include "keeper/desk_session.h"

#define MECHANISMS  "PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256"
#define LEARNED_MAX 4 /* of one session; each may be written to disk */

/* ---- the table ---- */

static struct list *bucket_of(struct desk *desk, unsigned gate, uint64_t number)
{
    /* Session numbers count up, so that neighbours fall into neighbouring buckets. */
    return &desk->buckets[(number + gate * 2654435761u) % DESK_BUCKETS];
}

static struct desk_session *session_find(struct desk *desk, unsigned gate, uint64_t number)
{
    LIST_FOREACH (node, bucket_of(desk, gate, number)) {
        struct desk_session *session = CONTAINER_OF(node, struct desk_session, in_bucket);
        if (session->number == number && session->gate->number == gate)
            return session;
    }
    return NULL;
}

static struct desk_gate *gate_find(struct desk *desk, unsigned number)
{
    LIST_FOREACH (node, &desk->gates) {
        struct desk_gate *gate = CONTAINER_OF(node, struct desk_gate, node);
        if (gate->number == number)
            return gate;
    }
    return NULL;
}

static struct desk_gate *gate_hold(struct desk *desk, unsigned number)
{
    struct desk_gate *gate = gate_find(desk, number);
    if (gate != NULL)
        return gate;
    gate = mem_new(sizeof(*gate));
    gate->number = number;
    list_init(&gate->sessions);
    list_init(&gate->node);
    list_append(&desk->gates, &gate->node);
    return gate;
}

static void gate_release(struct desk_gate *gate)
{
    if (!list_is_empty(&gate->sessions))
        return;
    list_remove(&gate->node);
    mem_free(gate);
}

static void account_release(struct desk_account *account)
{
    if (account == NULL || !list_is_empty(&account->sessions))
        return;
    list_remove(&account->node);
    mem_free(account->label);
    mem_free(account);
}

static struct desk_session *session_new(struct desk *desk, struct desk_gate *gate, uint64_t number,
                                        const struct listener_config *options,
                                        const struct message_ask *ask)
{
    struct desk_session *session = mem_new(sizeof(*session));
    session->desk = desk;
    session->gate = gate;
    session->number = number;
    session->phase = DESK_SASL;
    session->protocol = options->protocol;
    session->listener = mem_copy_string(options->name);
    session->peer = mem_copy_string(ask->peer);
    session->mechanism = mem_copy_string(ask->mechanism);
    session->mailbox = mem_copy_string("");
    session->options = options;
    deadline_init(&session->delay, desk_exchange_on_delay);
    list_init(&session->in_account);
    list_init(&session->in_bucket);
    list_init(&session->in_gate);
    list_append(bucket_of(desk, gate->number, number), &session->in_bucket);
    list_append(&gate->sessions, &session->in_gate);
    gate->count++;
    return session;
}

void desk_session_set_phase(struct desk_session *session, enum desk_phase phase)
{
    session->desk->granted -= session->phase == DESK_GRANTED;
    session->desk->granted += phase == DESK_GRANTED;
    session->phase = phase;
    loop_note_tide(session->desk->parts.loop, session->desk->granted);
}

void desk_session_free(struct desk_session *session)
{
    struct desk *desk = session->desk;
    desk_exchange_end(session);
    desk_grant_drop(session);
    deadline_stop(&session->delay);
    desk->granted -= session->phase == DESK_GRANTED;
    list_remove(&session->in_bucket);
    list_remove(&session->in_account);
    account_release(session->account);
    list_remove(&session->in_gate);
    session->gate->count--;
    gate_release(session->gate);
    mem_free(session->listener);
    mem_free(session->peer);
    mem_free(session->mechanism);
    mem_free(session->label);
    mem_free(session->senders);
    mem_free(session->reason);
    mem_free(session->mailbox);
    mem_free(session);
    loop_note_tide(desk->parts.loop, desk->granted);
}

static struct journal_place place_of(const struct desk_session *session)
{
    return (struct journal_place){.gate = session->gate->number,
                                  .session = session->number,
                                  .listener = session->listener,
                                  .protocol = protocol_name(session->protocol),
                                  .account =
                                      session->account == NULL ? NULL : session->account->label};
}

/* Of "127.0.0.1:40312", "[::1]:40312" or "unix". */
static void add_client(struct record *record, const char *peer)
{
    const char *colon = strrchr(peer, ':');
    struct slice ip = slice_of(peer, colon == NULL ? 0 : (size_t)(colon - peer));
    uint64_t port;
    if (colon == NULL || !slice_read_number(slice_of_string(colon + 1), UINT16_MAX, &port))
        return;
    if (ip.size > 2 && ip.data[0] == '[')
        ip = slice_of(ip.data + 1, ip.size - 2);
    record_add_text(record, FIELD_CLIENT_IP, ip);
    record_add_number(record, FIELD_CLIENT_PORT, port);
}

/* The name that was typed is not written unless it is an account's: it may be a password in the
 * wrong field. */
static void add_login(struct record *record, const struct desk_session *session)
{
    const struct desk *desk = session->desk;
    const struct account_config *account =
        session->label == NULL ? NULL : config_account(desk->config, session->label);
    const struct vault_grant *grant = grant_check_grant(desk->parts.grants, session->grant);
    if (grant != NULL)
        record_add_string(record, FIELD_GRANT, grant->name);
    if (account != NULL)
        record_add_string(record, FIELD_LOGIN,
                          *session->mailbox != '\0' ? session->mailbox : account->address);
}

void desk_session_note_login(const struct desk_session *session, enum why why, const char *detail)
{
    struct journal_place place = place_of(session);
    struct record record;
    record_init(&record, ACTION_CLIENT_AUTH, why, (uint64_t)clock_wall_microseconds());
    record_add_string(&record, FIELD_REASON, detail);
    add_client(&record, session->peer);
    record_add_string(&record, FIELD_MECHANISM, session->mechanism);
    add_login(&record, session);
    place.account = session->label;
    journal_write(session->desk->parts.journal, &place, &record);
}

static void tell_refused(struct desk_session *session, enum why why, const char *text)
{
    struct desk *desk = session->desk;
    unsigned gate = session->gate->number;
    uint64_t number = session->number;
    desk_session_free(session);
    desk_send_refused(desk, gate, number, why, text);
}

static void on_refusal_recorded(void *owner, int status)
{
    struct desk_session *session = owner;
    session->record = NULL;
    if (status != 0) {
        tell_refused(session, WHY_UNREACHABLE, JOURNAL_REFUSAL);
        return;
    }
    char *reason = session->reason;
    session->reason = NULL;
    tell_refused(session, session->why, reason);
    mem_free(reason);
}

void desk_session_refuse(struct desk_session *session, enum why why, const char *text)
{
    struct journal *journal = session->desk->parts.journal;
    if (session->phase == DESK_RECORDING)
        return;
    if (session->account == NULL)
        desk_session_note_login(session, why, text);
    if (journal_is_durable(journal)) {
        tell_refused(session, why, text);
        return;
    }
    desk_session_set_phase(session, DESK_RECORDING);
    session->why = why;
    session->reason = mem_copy_string(text);
    desk_exchange_end(session);
    desk_grant_drop(session);
    deadline_stop(&session->delay);
    session->record = journal_when_durable(journal, on_refusal_recorded, session);
}

/* ---- messages ---- */

/* NULL when the gate knows another configuration, or there is no such listener. */
static const struct listener_config *listener_of(const struct desk *desk, unsigned gate,
                                                 uint16_t index)
{
    if (gate < desk->first_gate || index >= desk->config->listener_count)
        return NULL;
    return desk->config->listeners[index];
}

static int refuse_retired(struct desk *desk, unsigned gate, uint64_t number)
{
    desk_send_refused(desk, gate, number, WHY_SHUTDOWN,
                      "the configuration has changed; log in again");
    return 0;
}

static int begin(struct desk *desk, unsigned gate, uint64_t number, const struct message_ask *ask)
{
    struct desk_session *before = session_find(desk, gate, number);
    if (before != NULL)
        desk_session_free(before);
    if (gate < desk->first_gate)
        return refuse_retired(desk, gate, number);
    if (journal_refuses(desk->parts.journal)) {
        desk_send_refused(desk, gate, number, WHY_UNREACHABLE, JOURNAL_REFUSAL);
        return 0;
    }
    const struct listener_config *options = listener_of(desk, gate, ask->listener);
    if (options == NULL)
        return ERR_SYNTAX;
    struct desk_gate *holder = gate_hold(desk, gate);
    if (holder->count >= DESK_SESSIONS_PER_GATE_MAX) {
        desk_send_refused(desk, gate, number, WHY_LIMIT, "too many sessions");
        return 0;
    }
    desk_exchange_start(session_new(desk, holder, number, options, ask), ask);
    return 0;
}

static int take_ask(struct desk *desk, unsigned gate, const struct message *message)
{
    struct message_ask ask;
    int status = message_read_ask(message, &ask);
    if (status != 0)
        return status;
    status = begin(desk, gate, message->session, &ask);
    message_ask_clear(&ask);
    return status;
}

static int take_answer(struct desk *desk, unsigned gate, const struct message *message)
{
    struct desk_session *session = session_find(desk, gate, message->session);
    struct slice bytes;
    if (message_read_bytes(message, &bytes) != 0)
        return ERR_SYNTAX;
    /* A reload may have refused it while the answer was on its way. */
    bool is_refused = session == NULL || session->phase == DESK_RECORDING;
    if (is_refused && gate < desk->first_gate)
        return 0;
    if (session == NULL || session->phase != DESK_SASL)
        return ERR_SYNTAX;
    desk_exchange_step(session, true, bytes);
    return 0;
}

static int take_again(struct desk *desk, unsigned gate, const struct message *message)
{
    struct desk_session *session = session_find(desk, gate, message->session);
    uint64_t generation;
    if (message_read_number(message, &generation) != 0)
        return ERR_SYNTAX;
    if (session == NULL || session->phase != DESK_GRANTED || session->has_asked_again ||
        session->generation != generation)
        return ERR_SYNTAX;
    session->has_asked_again = true;
    if (gate < desk->first_gate) {
        desk_session_free(session);
        return refuse_retired(desk, gate, message->session);
    }
    desk_grant_collect(session, generation);
    return 0;
}

static int take_learned(struct desk *desk, unsigned gate, const struct message *message)
{
    struct desk_session *session = session_find(desk, gate, message->session);
    char *capabilities;
    if (message_read_learned(message, &capabilities) != 0)
        return ERR_SYNTAX;
    bool makes_sense = session != NULL && session->phase == DESK_GRANTED &&
                       capability_lines_are_valid(slice_of_string(capabilities));
    if (makes_sense && gate >= desk->first_gate && session->learned++ < LEARNED_MAX)
        desk->parts.learn(desk->parts.owner, session->account->label, session->protocol,
                          capabilities);
    mem_free(capabilities);
    return makes_sense ? 0 : ERR_SYNTAX;
}

/* What only the keeper does is not for a gate to tell of. */
static bool is_of_gates(enum record_action action)
{
    switch (action) {
    case ACTION_SESSION_OPEN:
    case ACTION_SESSION_CLOSE:
    case ACTION_PEER_REJECTED:
    case ACTION_CROSS_PROTOCOL:
    case ACTION_UPSTREAM_CONNECT:
    case ACTION_UPSTREAM_AUTH:
    case ACTION_COMMAND:
    case ACTION_MESSAGE_SEND:
    case ACTION_MESSAGE_FETCH:
    case ACTION_MESSAGE_DELETE:
    case ACTION_MESSAGE_APPEND:
    case ACTION_FLAG_CHANGE:
    case ACTION_POLICY:
    case ACTION_TAP_OFF:
        return true;
    default:
        return false;
    }
}

static void write_record(struct desk *desk, unsigned gate, const struct message_record *record)
{
    const struct listener_config *listener = listener_of(desk, gate, record->listener);
    const struct desk_session *session = session_find(desk, gate, record->session);
    struct journal_place place = {.gate = gate, .session = record->session, .listener = ""};
    if (session != NULL) {
        place = place_of(session);
    } else if (listener != NULL) {
        place.listener = listener->name;
        place.protocol = protocol_name(listener->protocol);
    }
    open_sessions_note(desk->open, &place, &record->record);
    journal_write(desk->parts.journal, &place, &record->record);
    if (record->receipt != 0)
        journal_want_receipt(desk->parts.journal, gate, record->receipt);
}

static int take_records(struct desk *desk, unsigned gate, const struct message *message)
{
    struct slice rest = message->fields;
    struct message_record record FILLED_LATER;
    do {
        if (message_read_record(&rest, &record) != 0 || !is_of_gates(record.record.action))
            return ERR_SYNTAX;
        write_record(desk, gate, &record);
    } while (rest.size > 0);
    return 0;
}

static int take_forget(struct desk *desk, unsigned gate, const struct message *message)
{
    struct desk_session *session = session_find(desk, gate, message->session);
    if (message->fields.size != 0)
        return ERR_SYNTAX;
    if (session != NULL)
        desk_session_free(session);
    return 0;
}

int desk_take(struct desk *desk, unsigned gate, struct slice bytes)
{
    struct message message;
    if (message_read(bytes, &message) != 0)
        return ERR_SYNTAX;
    switch (message.kind) {
    case MESSAGE_ASK:
        return take_ask(desk, gate, &message);
    case MESSAGE_ANSWER:
        return take_answer(desk, gate, &message);
    case MESSAGE_AGAIN:
        return take_again(desk, gate, &message);
    case MESSAGE_RECORDS:
        return take_records(desk, gate, &message);
    case MESSAGE_FORGET:
        return take_forget(desk, gate, &message);
    case MESSAGE_LEARNED:
        return take_learned(desk, gate, &message);
    case MESSAGE_READY:
    case MESSAGE_CONFIGURE:
    case MESSAGE_CHALLENGE:
    case MESSAGE_GRANTED:
    case MESSAGE_REFUSED:
    case MESSAGE_END_GRANT:
    case MESSAGE_DRAIN:
    case MESSAGE_OFFER:
    case MESSAGE_DURABLE:
    case MESSAGE_SESSIONS:
    case MESSAGE_LIST_SESSIONS:
        break;
    }
    return ERR_SYNTAX;
}

/* ---- many at once ---- */

static void drop_sessions(struct desk *desk, unsigned number)
{
    const struct desk_gate *gate;
    while ((gate = gate_find(desk, number)) != NULL)
        desk_session_free(CONTAINER_OF(gate->sessions.next, struct desk_session, in_gate));
}

static void write_untold_end(void *owner, const struct journal_place *place,
                             const struct record *record)
{
    struct desk *desk = owner;
    const struct desk_session *session = session_find(desk, place->gate, place->session);
    const struct journal_place known = session == NULL ? *place : place_of(session);
    journal_write(desk->parts.journal, &known, record);
}

void desk_forget_gate(struct desk *desk, unsigned number, enum why why)
{
    journal_forget_gate(desk->parts.journal, number);
    open_sessions_end_gate(desk->open, number, why, write_untold_end, desk);
    drop_sessions(desk, number);
}

/* One END_GRANT tells a gate about all of its sessions; exchanges of the grant are refused. The
 * gate goes with its last session, so its list is not looked at after a refusal. */
static void end_grant_at(struct desk *desk, struct desk_gate *gate, int64_t grant)
{
    const struct list *end = &gate->sessions;
    unsigned number = gate->number;
    bool told = false;
    for (struct list *node = end->next; node != end;) {
        struct desk_session *session = CONTAINER_OF(node, struct desk_session, in_gate);
        node = node->next;
        if (session->grant != grant || session->account == NULL)
            continue;
        if (session->phase != DESK_GRANTED) {
            desk_session_refuse(session, WHY_AUTH_REJECTED, "the password was taken away");
        } else if (!told) {
            desk_send_end_grant(desk, number, grant);
            told = true;
        }
    }
}

void desk_end_grant(struct desk *desk, int64_t grant)
{
    if (grant == 0) /* that of nobody, which no session was opened by */
        return;
    LIST_FOREACH_SAFE (node, &desk->gates)
        end_grant_at(desk, CONTAINER_OF(node, struct desk_gate, node), grant);
}

size_t desk_session_count(const struct desk *desk, const char *label)
{
    size_t count = 0;
    if (label == NULL)
        return desk->granted;
    LIST_FOREACH (node, &desk->accounts) {
        const struct desk_account *account = CONTAINER_OF(node, struct desk_account, node);
        if (strcmp(account->label, label) != 0)
            continue;
        LIST_FOREACH (held, &account->sessions)
            count += CONTAINER_OF(held, struct desk_session, in_account)->phase == DESK_GRANTED;
    }
    return count;
}

bool desk_describe(struct desk *desk, unsigned gate, uint64_t number,
                   struct desk_description *description_out)
{
    const struct desk_session *session = session_find(desk, gate, number);
    if (session == NULL || session->account == NULL)
        return false;
    *description_out = (struct desk_description){.account = session->account->label,
                                                 .grant = session->grant,
                                                 .peer = session->peer,
                                                 .listener = session->listener,
                                                 .protocol = session->protocol};
    return true;
}

/* ---- configuration ---- */

static void refuse_unfinished(struct desk *desk)
{
    for (size_t i = 0; i < DESK_BUCKETS; i++)
        LIST_FOREACH_SAFE (node, &desk->buckets[i]) {
            struct desk_session *session = CONTAINER_OF(node, struct desk_session, in_bucket);
            if (session->phase != DESK_GRANTED)
                desk_session_refuse(session, WHY_SHUTDOWN,
                                    "the configuration has changed; log in again");
        }
}

/* Sessions that needed no login all have grant 0, so that those of other accounts end with them. Of
 * gates that drain: whoever is still wanted comes back, and is served by the new ones. */
static void end_account(struct desk *desk, const struct desk_account *account)
{
    LIST_FOREACH (node, &account->sessions) {
        const struct desk_session *session = CONTAINER_OF(node, struct desk_session, in_account);
        desk_send_end_grant(desk, session->gate->number, session->grant);
    }
}

void desk_set_config(struct desk *desk, const struct config *config)
{
    refuse_unfinished(desk);
    desk->config = config;
    LIST_FOREACH (node, &desk->accounts) {
        const struct desk_account *account = CONTAINER_OF(node, struct desk_account, node);
        if (config_account(config, account->label) == NULL)
            end_account(desk, account);
    }
}

void desk_retire_gates(struct desk *desk, unsigned first)
{
    desk->first_gate = first;
}

const char *desk_mechanisms(const struct desk *desk)
{
    return sasl_acceptor_library_mechanisms(desk->library);
}

/* ---- open and close ---- */

int desk_open(const struct desk_parts *parts, const struct config *config, struct desk **desk_out,
              struct err *err)
{
    struct sasl_acceptor_library *library;
    int status = sasl_acceptor_library_open(parts->sasl_plugin_folder, MECHANISMS, &desk_users,
                                            &library, err);
    if (status != 0)
        return status;
    struct desk *desk = mem_new(sizeof(*desk));
    desk->parts = *parts;
    desk->config = config;
    desk->library = library;
    desk->delays = deadline_queue_new(parts->loop, DESK_FAILURE_DELAY_MILLISECONDS);
    desk->throttle = throttle_new();
    desk->open = open_sessions_new();
    list_init(&desk->gates);
    list_init(&desk->accounts);
    for (size_t i = 0; i < DESK_BUCKETS; i++)
        list_init(&desk->buckets[i]);
    *desk_out = desk;
    return 0;
}

void desk_close(struct desk *desk)
{
    while (!list_is_empty(&desk->gates))
        drop_sessions(desk, CONTAINER_OF(desk->gates.next, struct desk_gate, node)->number);
    deadline_queue_close(desk->delays);
    sasl_acceptor_library_close(desk->library);
    throttle_free(desk->throttle);
    open_sessions_free(desk->open);
    mem_free(desk);
}
