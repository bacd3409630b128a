/*
 * Happy path: a session-open is noted by gate and number, its session-close strikes it out.
 *
 *   the gate dies                  what is left of it is told
 *   a gate opens without end       the first of its sessions are known, the others not
 *   a number that is open already  a gate that talks nonsense: the old one is kept
 *   a close without an open        nothing to strike out
 */
#include "keeper/open_sessions.h"

#include <uv.h>

#include "base/clock.h"
#include "base/list.h"

#define BUCKETS 4096

struct open_gate {
    struct list node;
    unsigned number;
    size_t count;
    struct list sessions;
};

struct open_session {
    struct list in_bucket, in_gate;
    struct open_gate *gate;
    uint64_t number;
    uint64_t began; /* steady nanoseconds */
    uint64_t port, user_id;
    bool has_port, has_user;
    const char *protocol; /* static */
    char *ip, *listener;
};

struct open_sessions {
    struct list gates;
    struct list buckets[BUCKETS]; /* by number alone: of many gates few are there at a time */
};

struct open_sessions *open_sessions_new(void)
{
    struct open_sessions *sessions = mem_new(sizeof(*sessions));
    list_init(&sessions->gates);
    for (size_t i = 0; i < BUCKETS; i++)
        list_init(&sessions->buckets[i]);
    return sessions;
}

static struct open_gate *find_gate(struct open_sessions *sessions, unsigned number)
{
    LIST_FOREACH (node, &sessions->gates) {
        struct open_gate *gate = CONTAINER_OF(node, struct open_gate, node);
        if (gate->number == number)
            return gate;
    }
    return NULL;
}

static struct open_gate *hold_gate(struct open_sessions *sessions, unsigned number)
{
    struct open_gate *gate = find_gate(sessions, number);
    if (gate != NULL)
        return gate;
    gate = mem_new(sizeof(*gate));
    gate->number = number;
    list_init(&gate->node);
    list_init(&gate->sessions);
    list_append(&sessions->gates, &gate->node);
    return gate;
}

static struct list *bucket_of(struct open_sessions *sessions, uint64_t number)
{
    return &sessions->buckets[number % BUCKETS];
}

static struct open_session *find(struct open_sessions *sessions, const struct open_gate *gate,
                                 uint64_t number)
{
    LIST_FOREACH (node, bucket_of(sessions, number)) {
        struct open_session *session = CONTAINER_OF(node, struct open_session, in_bucket);
        if (session->number == number && session->gate == gate)
            return session;
    }
    return NULL;
}

static uint64_t number_of(const struct record *record, enum record_field field, bool *is_there)
{
    const struct record_value *value = record_find(record, field);
    *is_there = value != NULL;
    return value == NULL ? 0 : value->number;
}

static char *copy_ip(const struct record *record)
{
    const struct record_value *ip = record_find(record, FIELD_CLIENT_IP);
    return ip == NULL ? NULL : mem_copy_bytes_as_string(ip->text.data, ip->text.size);
}

static void add(struct open_sessions *sessions, const struct journal_place *place,
                const struct record *record)
{
    struct open_gate *gate = hold_gate(sessions, place->gate);
    if (gate->count >= OPEN_SESSIONS_PER_GATE_MAX || find(sessions, gate, place->session) != NULL)
        return;
    struct open_session *session = mem_new(sizeof(*session));
    session->gate = gate;
    session->number = place->session;
    session->began = uv_hrtime();
    session->port = number_of(record, FIELD_CLIENT_PORT, &session->has_port);
    session->user_id = number_of(record, FIELD_CLIENT_USER_ID, &session->has_user);
    session->ip = copy_ip(record);
    session->protocol = place->protocol;
    session->listener = mem_copy_string(place->listener);
    list_init(&session->in_bucket);
    list_init(&session->in_gate);
    list_append(bucket_of(sessions, session->number), &session->in_bucket);
    list_append(&gate->sessions, &session->in_gate);
    gate->count++;
}

static void drop(struct open_session *session)
{
    struct open_gate *gate = session->gate;
    list_remove(&session->in_bucket);
    list_remove(&session->in_gate);
    mem_free(session->ip);
    mem_free(session->listener);
    mem_free(session);
    gate->count--;
    if (gate->count > 0)
        return;
    list_remove(&gate->node);
    mem_free(gate);
}

void open_sessions_note(struct open_sessions *sessions, const struct journal_place *place,
                        const struct record *record)
{
    if (record->action == ACTION_SESSION_OPEN) {
        add(sessions, place, record);
    } else if (record->action == ACTION_SESSION_CLOSE) {
        const struct open_gate *gate = find_gate(sessions, place->gate);
        struct open_session *session = gate == NULL ? NULL : find(sessions, gate, place->session);
        if (session != NULL)
            drop(session);
    }
}

static void describe(const struct open_session *session, enum why why, struct record *record)
{
    record_init(record, ACTION_SESSION_CLOSE, why, (uint64_t)clock_wall_microseconds());
    record_add_string(record, FIELD_REASON, "its gate is gone");
    record_add_string(record, FIELD_CLIENT_IP, session->ip);
    if (session->has_port)
        record_add_number(record, FIELD_CLIENT_PORT, session->port);
    if (session->has_user)
        record_add_number(record, FIELD_CLIENT_USER_ID, session->user_id);
    record_add_number(record, FIELD_DURATION, uv_hrtime() - session->began);
}

void open_sessions_end_gate(struct open_sessions *sessions, unsigned number, enum why why,
                            void (*write)(void *owner, const struct journal_place *place,
                                          const struct record *record),
                            void *owner)
{
    struct open_gate *gate;
    while ((gate = find_gate(sessions, number)) != NULL) {
        struct open_session *session =
            CONTAINER_OF(gate->sessions.next, struct open_session, in_gate);
        const struct journal_place place = {.gate = number,
                                            .session = session->number,
                                            .listener = session->listener,
                                            .protocol = session->protocol};
        struct record record;
        describe(session, why, &record);
        write(owner, &place, &record);
        drop(session);
    }
}

/* A gate is there as long as it has sessions. */
void open_sessions_free(struct open_sessions *sessions)
{
    while (!list_is_empty(&sessions->gates)) {
        const struct open_gate *gate = CONTAINER_OF(sessions->gates.next, struct open_gate, node);
        drop(CONTAINER_OF(gate->sessions.next, struct open_session, in_gate));
    }
    mem_free(sessions);
}
