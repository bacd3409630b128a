/*
 * SESSIONS, in the encoding of message.c: whether it is the last part, a count, and so many
 * sessions.
 */
#include "auth/message_fields.h"

#define SESSION_SIZE (8u + 1 + 8 + 8 + 8)

int message_write_sessions(struct buf *out, uint64_t question,
                           const struct message_sessions *sessions)
{
    struct message_writer writer;
    message_begin(&writer, MESSAGE_SESSIONS, question);
    pack_u8(&writer.fields, sessions->is_last);
    message_put_count(&writer, sessions->count, MESSAGE_SESSIONS_MAX);
    for (size_t i = 0; i < sessions->count && writer.status == 0; i++) {
        const struct message_session *session = &sessions->items[i];
        pack_u64(&writer.fields, session->number);
        pack_u8(&writer.fields, (uint8_t)session->state);
        pack_u64(&writer.fields, session->client_bytes);
        pack_u64(&writer.fields, session->server_bytes);
        pack_u64(&writer.fields, session->age);
    }
    return message_end(&writer, out);
}

static void read_session(struct pack_reader *reader, struct message_session *session)
{
    session->number = unpack_u64(reader);
    session->state =
        (enum message_session_state)message_take_choice(reader, MESSAGE_SESSION_STATE_COUNT);
    session->client_bytes = unpack_u64(reader);
    session->server_bytes = unpack_u64(reader);
    session->age = unpack_u64(reader);
}

int message_read_sessions(const struct message *message, struct message_sessions *sessions_out)
{
    ENSURE(message->kind == MESSAGE_SESSIONS);
    *sessions_out = (struct message_sessions){0};
    struct pack_reader reader = pack_reader(message->fields);
    sessions_out->is_last = message_take_bool(&reader);
    sessions_out->count = message_take_count(&reader, MESSAGE_SESSIONS_MAX, SESSION_SIZE);
    sessions_out->items = mem_new_array(sessions_out->count, sizeof(*sessions_out->items));
    for (size_t i = 0; i < sessions_out->count; i++)
        read_session(&reader, &sessions_out->items[i]);
    if (unpack_end(&reader) == 0)
        return 0;
    message_sessions_clear(sessions_out);
    return ERR_SYNTAX;
}

void message_sessions_clear(struct message_sessions *sessions)
{
    mem_free(sessions->items);
    *sessions = (struct message_sessions){0};
}

const char *message_session_state_name(enum message_session_state state)
{
    static const char *const names[] = {
#define X(name, text) text,
        MESSAGE_SESSION_STATES(X)
#undef X
    };
    ENSURE((size_t)state < LENGTH_OF(names));
    return names[state];
}
