/*
 * Happy path: LIST_SESSIONS goes to every gate, their SESSIONS are gathered until the last one's
 * last part, and the owner gets all of it in the next turn of the loop.
 *
 * Failure modes:
 *   a gate cannot be reached, dies, is slow   counted as silent; what it said by then counts
 *   an answer to a call that is over          dropped
 *   more sessions than are kept of a gate     counted
 */
#include "keeper/roll_call.h"

#include <string.h>

#define FRAME_MAX 64u

struct roll_gate {
    unsigned number;
    size_t sessions;
    bool is_done;
};

struct roll_call {
    struct list node;
    struct roll_calls *calls;
    uint64_t question;
    struct roll_gate *gates;
    size_t gate_count, open; /* gates that have not finished */
    struct roll_row *rows;
    size_t count, capacity;
    size_t dropped, silent;
    struct deadline deadline;
    struct deferral over;
    void (*on_over)(void *owner, const struct roll *roll);
    void *owner;
};

struct roll_calls {
    struct roll_calls_parts parts;
    struct deadline_queue *deadlines;
    struct list calls;
    uint64_t questions;
};

void roll_call_cancel(struct roll_call *call)
{
    list_remove(&call->node);
    deadline_stop(&call->deadline);
    deferral_cancel(&call->over);
    mem_free(call->gates);
    mem_free(call->rows);
    mem_free(call);
}

static void on_over(struct deferral *over)
{
    struct roll_call *call = CONTAINER_OF(over, struct roll_call, over);
    const struct roll roll = {call->rows, call->count, call->dropped, call->silent};
    call->on_over(call->owner, &roll);
    roll_call_cancel(call);
}

static void on_deadline(struct deadline *deadline)
{
    struct roll_call *call = CONTAINER_OF(deadline, struct roll_call, deadline);
    call->silent += call->open;
    call->open = 0;
    loop_defer(call->calls->parts.loop, &call->over);
}

static void finish_gate(struct roll_call *call, struct roll_gate *gate, bool is_silent)
{
    gate->is_done = true;
    call->silent += is_silent;
    if (--call->open > 0)
        return;
    deadline_stop(&call->deadline);
    loop_defer(call->calls->parts.loop, &call->over);
}

/* ---- asking ---- */

static void ask(struct roll_call *call, struct roll_gate *gate)
{
    const struct roll_calls_parts *parts = &call->calls->parts;
    struct buf message;
    buf_init(&message, FRAME_MAX);
    ENSURE(message_write_plain(&message, MESSAGE_LIST_SESSIONS, call->question) == 0);
    int status = parts->send(parts->owner, gate->number, buf_bytes(&message));
    buf_fini(&message);
    if (status != 0)
        finish_gate(call, gate, true);
}

struct roll_call *roll_call_start(struct roll_calls *calls, const unsigned *gates, size_t count,
                                  void (*over)(void *owner, const struct roll *roll), void *owner)
{
    struct roll_call *call = mem_new(sizeof(*call));
    call->calls = calls;
    call->question = ++calls->questions;
    call->on_over = over;
    call->owner = owner;
    call->gate_count = count;
    call->open = count;
    call->gates = mem_new_array(count, sizeof(*call->gates));
    list_init(&call->node);
    list_append(&calls->calls, &call->node);
    deferral_init(&call->over, on_over);
    deadline_init(&call->deadline, on_deadline);
    deadline_start(calls->deadlines, &call->deadline);
    for (size_t i = 0; i < count; i++)
        call->gates[i].number = gates[i];
    if (count == 0)
        loop_defer(calls->parts.loop, &call->over);
    for (size_t i = 0; i < count; i++)
        ask(call, &call->gates[i]);
    return call;
}

/* ---- answers ---- */

static struct roll_gate *find_gate(struct roll_call *call, unsigned number)
{
    for (size_t i = 0; i < call->gate_count; i++)
        if (call->gates[i].number == number && !call->gates[i].is_done)
            return &call->gates[i];
    return NULL;
}

static void keep(struct roll_call *call, unsigned gate, const struct message_session *session)
{
    if (call->count == call->capacity) {
        size_t capacity = call->capacity == 0 ? MESSAGE_SESSIONS_MAX : call->capacity * 2;
        struct roll_row *rows = mem_new_array(capacity, sizeof(*rows));
        if (call->count > 0)
            memcpy(rows, call->rows, call->count * sizeof(*rows));
        mem_free(call->rows);
        call->rows = rows;
        call->capacity = capacity;
    }
    call->rows[call->count++] = (struct roll_row){gate, *session};
}

static int take(struct roll_call *call, struct roll_gate *gate,
                const struct message_sessions *sessions)
{
    if (sessions->count == 0 && !sessions->is_last)
        return ERR_SYNTAX;
    for (size_t i = 0; i < sessions->count; i++) {
        if (gate->sessions++ < ROLL_SESSIONS_PER_GATE_MAX)
            keep(call, gate->number, &sessions->items[i]);
        else
            call->dropped++;
    }
    if (sessions->is_last)
        finish_gate(call, gate, false);
    return 0;
}

static struct roll_call *find_call(struct roll_calls *calls, uint64_t question)
{
    LIST_FOREACH (node, &calls->calls) {
        struct roll_call *call = CONTAINER_OF(node, struct roll_call, node);
        if (call->question == question)
            return call;
    }
    return NULL;
}

int roll_calls_take(struct roll_calls *calls, unsigned number, const struct message *message)
{
    struct message_sessions sessions;
    if (message->session == 0 || message->session > calls->questions ||
        message_read_sessions(message, &sessions) != 0)
        return ERR_SYNTAX;
    struct roll_call *call = find_call(calls, message->session);
    struct roll_gate *gate = call == NULL ? NULL : find_gate(call, number);
    int status = gate == NULL ? 0 : take(call, gate, &sessions);
    message_sessions_clear(&sessions);
    return status;
}

void roll_calls_forget_gate(struct roll_calls *calls, unsigned number)
{
    LIST_FOREACH (node, &calls->calls) {
        struct roll_call *call = CONTAINER_OF(node, struct roll_call, node);
        struct roll_gate *gate = find_gate(call, number);
        if (gate != NULL)
            finish_gate(call, gate, true);
    }
}

/* ---- open and close ---- */

struct roll_calls *roll_calls_open(const struct roll_calls_parts *parts)
{
    struct roll_calls *calls = mem_new(sizeof(*calls));
    calls->parts = *parts;
    calls->deadlines = deadline_queue_new(parts->loop, ROLL_CALL_MILLISECONDS);
    list_init(&calls->calls);
    return calls;
}

void roll_calls_close(struct roll_calls *calls)
{
    ENSURE(list_is_empty(&calls->calls));
    deadline_queue_close(calls->deadlines);
    mem_free(calls);
}
