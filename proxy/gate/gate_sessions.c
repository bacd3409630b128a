/*
 * The keeper wants to know which sessions there are: they go out in parts of MESSAGE_SESSIONS_MAX,
 * the last of which may be empty.
 */
#include "gate/gate.h"
#include "gate/session.h"

#define FRAME_MAX (64u * 1024)

static void send_part(struct gate *gate, uint64_t question, const struct message_sessions *part)
{
    struct buf frame;
    buf_init(&frame, FRAME_MAX);
    ENSURE(message_write_sessions(&frame, question, part) == 0);
    gate_send(gate, &frame);
}

void gate_list_sessions(struct gate *gate, uint64_t question)
{
    struct message_session items[MESSAGE_SESSIONS_MAX];
    struct message_sessions part = {.items = items};
    LIST_FOREACH (node, &gate->sessions) {
        if (!session_describe(session_of_list_node(node), &items[part.count]))
            continue;
        if (++part.count == MESSAGE_SESSIONS_MAX) {
            send_part(gate, question, &part);
            part.count = 0;
        }
    }
    part.is_last = true;
    send_part(gate, question, &part);
}
