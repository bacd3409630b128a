/*
 * A message from a hostile peer. What can be read is written again, and must come out as it was:
 * there is one encoding of everything.
 */
#include <stddef.h>
#include <stdint.h>

#include "auth/message.h"

static int again_ask(const struct message *message, struct buf *out)
{
    struct message_ask ask;
    if (message_read_ask(message, &ask) != 0)
        return ERR_SYNTAX;
    int status = message_write_ask(out, message->session, &ask);
    message_ask_clear(&ask);
    return status;
}

static int again_records(const struct message *message, struct buf *out)
{
    struct slice rest = message->fields;
    struct message_record record;
    do {
        if (message_read_record(&rest, &record) != 0)
            return ERR_SYNTAX;
        ENSURE(message_write_record(out, &record) == 0);
    } while (rest.size > 0);
    return 0;
}

static int again_granted(const struct message *message, struct buf *out)
{
    struct message_granted granted;
    if (message_read_granted(message, &granted) != 0)
        return ERR_SYNTAX;
    int status = message_write_granted(out, message->session, &granted);
    message_granted_clear(&granted);
    return status;
}

static int again_refused(const struct message *message, struct buf *out)
{
    struct message_refused refused;
    if (message_read_refused(message, &refused) != 0)
        return ERR_SYNTAX;
    int status = message_write_refused(out, message->session, &refused);
    message_refused_clear(&refused);
    return status;
}

static int again_learned(const struct message *message, struct buf *out)
{
    char *learned;
    int status = message_read_learned(message, &learned);
    if (status == 0)
        status = message_write_learned(out, message->session, learned);
    mem_free(learned);
    return status;
}

static int again_offer(const struct message *message, struct buf *out)
{
    struct message_offer offer;
    if (message->session != 0)
        return ERR_SYNTAX;
    int status = message_read_offer(message, &offer);
    if (status == 0)
        status = message_write_offer(out, &offer);
    message_offer_clear(&offer);
    return status;
}

static int again_sessions(const struct message *message, struct buf *out)
{
    struct message_sessions sessions;
    int status = message_read_sessions(message, &sessions);
    if (status == 0)
        status = message_write_sessions(out, message->session, &sessions);
    message_sessions_clear(&sessions);
    return status;
}

static int again_configure(const struct message *message, struct buf *out)
{
    struct message_configure configure;
    if (message->session != 0 || message_read_configure(message, &configure) != 0)
        return ERR_SYNTAX;
    int status = message_write_configure(out, &configure);
    message_configure_clear(&configure);
    return status;
}

static int again_bytes(const struct message *message, struct buf *out)
{
    struct slice bytes;
    if (message_read_bytes(message, &bytes) != 0)
        return ERR_SYNTAX;
    return message_write_bytes(out, message->kind, message->session, bytes);
}

static int again_number(const struct message *message, struct buf *out)
{
    uint64_t number;
    if (message_read_number(message, &number) != 0)
        return ERR_SYNTAX;
    return message_write_number(out, message->kind, message->session, number);
}

static int again(const struct message *message, struct buf *out)
{
    switch (message->kind) {
    case MESSAGE_READY:
    case MESSAGE_FORGET:
    case MESSAGE_LIST_SESSIONS:
        return message_write_plain(out, message->kind, message->session);
    case MESSAGE_ASK:
        return again_ask(message, out);
    case MESSAGE_RECORDS:
        return again_records(message, out);
    case MESSAGE_GRANTED:
        return again_granted(message, out);
    case MESSAGE_REFUSED:
        return again_refused(message, out);
    case MESSAGE_CONFIGURE:
        return again_configure(message, out);
    case MESSAGE_LEARNED:
        return again_learned(message, out);
    case MESSAGE_OFFER:
        return again_offer(message, out);
    case MESSAGE_SESSIONS:
        return again_sessions(message, out);
    case MESSAGE_ANSWER:
    case MESSAGE_CHALLENGE:
        return again_bytes(message, out);
    case MESSAGE_AGAIN:
    case MESSAGE_END_GRANT:
    case MESSAGE_DRAIN:
    case MESSAGE_DURABLE:
        return again_number(message, out);
    }
    return ERR_SYNTAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message message;
    struct buf out;
    if (message_read(slice_of(data, size), &message) != 0)
        return 0;
    buf_init(&out, MESSAGE_SIZE_MAX);
    int status = again(&message, &out);
    ENSURE(status == 0 || status == ERR_SYNTAX);
    ENSURE(status != 0 || slice_equal(buf_bytes(&out), slice_of(data, size)));
    buf_fini(&out);
    return 0;
}
