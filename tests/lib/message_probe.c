#include "message_probe.h"

static int read_records(struct slice rest)
{
    struct message_record record;
    int status;
    do
        status = message_read_record(&rest, &record);
    while (status == 0 && rest.size > 0);
    return status;
}

static int read_fields(const struct message *message)
{
    struct message_ask ask;
    struct message_granted granted;
    struct message_refused refused;
    struct message_configure configure;
    struct message_offer offer;
    struct message_sessions sessions;
    char *learned;
    struct slice bytes;
    uint64_t number;
    int status = 0;
    switch (message->kind) {
    case MESSAGE_READY:
    case MESSAGE_FORGET:
    case MESSAGE_LIST_SESSIONS:
        return 0;
    case MESSAGE_SESSIONS:
        status = message_read_sessions(message, &sessions);
        message_sessions_clear(&sessions);
        return status;
    case MESSAGE_ASK:
        status = message_read_ask(message, &ask);
        message_ask_clear(&ask);
        return status;
    case MESSAGE_RECORDS:
        return read_records(message->fields);
    case MESSAGE_GRANTED:
        status = message_read_granted(message, &granted);
        message_granted_clear(&granted);
        return status;
    case MESSAGE_REFUSED:
        status = message_read_refused(message, &refused);
        message_refused_clear(&refused);
        return status;
    case MESSAGE_CONFIGURE:
        status = message_read_configure(message, &configure);
        message_configure_clear(&configure);
        return status;
    case MESSAGE_LEARNED:
        status = message_read_learned(message, &learned);
        mem_free(learned);
        return status;
    case MESSAGE_OFFER:
        status = message_read_offer(message, &offer);
        message_offer_clear(&offer);
        return status;
    case MESSAGE_ANSWER:
    case MESSAGE_CHALLENGE:
        return message_read_bytes(message, &bytes);
    case MESSAGE_AGAIN:
    case MESSAGE_END_GRANT:
    case MESSAGE_DRAIN:
    case MESSAGE_DURABLE:
        return message_read_number(message, &number);
    }
    return ERR_SYNTAX;
}

int message_probe(struct slice bytes)
{
    struct message message;
    int status = message_read(bytes, &message);
    return status != 0 ? status : read_fields(&message);
}
