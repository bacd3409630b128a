/*
 * What the desk tells gates, whichever of its files says so.
 */
#include "keeper/desk_session.h"

void desk_send(struct desk *desk, unsigned gate, struct buf *message, int status)
{
    if (status == 0)
        desk->parts.send(desk->parts.owner, gate, buf_bytes(message));
    else
        log_error(desk->parts.log, "a message to gate %u does not fit", gate);
    buf_fini(message);
}

void desk_send_refused(struct desk *desk, unsigned gate, uint64_t session, enum why why,
                       const char *text)
{
    const struct message_refused refused = {.why = why, .text = text};
    struct buf message;
    buf_init(&message, MESSAGE_SIZE_MAX);
    int status = message_write_refused(&message, session, &refused);
    desk_send(desk, gate, &message, status);
}

void desk_send_end_grant(struct desk *desk, unsigned gate, int64_t grant)
{
    struct buf message;
    buf_init(&message, MESSAGE_SIZE_MAX);
    int status = message_write_number(&message, MESSAGE_END_GRANT, 0, (uint64_t)grant);
    desk_send(desk, gate, &message, status);
}
