/*
 * A message is a kind (8 bits), a session (64 bits) and the fields of that kind, in the order in
 * which auth/message.h lists them. CONFIGURE is in message_configure.c,
 * RECORDS in message_record.c, SESSIONS in message_sessions.c.
 *
 * Failure modes: a message that is short, has octets left over, a field over its maximum, a choice
 * out of its range or a string with what must not stand in it: ERR_SYNTAX, and what had been read
 * of it is freed.
 */
#include "auth/message.h"

#include <string.h>

#include "auth/credential.h"
#include "auth/message_fields.h"

#define HOST_MAX      253u
#define MECHANISM_MAX 20u /* RFC 4422 section 3.1 */

static bool kind_is_plain(enum message_kind kind)
{
    return kind == MESSAGE_READY || kind == MESSAGE_FORGET || kind == MESSAGE_LIST_SESSIONS;
}

static bool has_number(enum message_kind kind)
{
    return kind == MESSAGE_AGAIN || kind == MESSAGE_END_GRANT || kind == MESSAGE_DRAIN ||
           kind == MESSAGE_DURABLE;
}

int message_write_plain(struct buf *out, enum message_kind kind, uint64_t session)
{
    struct message_writer writer;
    ENSURE(kind_is_plain(kind));
    message_begin(&writer, kind, session);
    return message_end(&writer, out);
}

int message_write_bytes(struct buf *out, enum message_kind kind, uint64_t session,
                        struct slice bytes)
{
    struct message_writer writer;
    ENSURE(kind == MESSAGE_ANSWER || kind == MESSAGE_CHALLENGE);
    message_begin(&writer, kind, session);
    message_put_bytes(&writer, bytes, MESSAGE_BYTES_MAX);
    return message_end(&writer, out);
}

int message_write_number(struct buf *out, enum message_kind kind, uint64_t session, uint64_t number)
{
    struct message_writer writer;
    ENSURE(has_number(kind));
    message_begin(&writer, kind, session);
    pack_u64(&writer.fields, number);
    return message_end(&writer, out);
}

int message_write_ask(struct buf *out, uint64_t session, const struct message_ask *ask)
{
    struct message_writer writer;
    message_begin(&writer, MESSAGE_ASK, session);
    pack_u16(&writer.fields, ask->listener);
    message_put_string(&writer, ask->mechanism, MECHANISM_MAX);
    message_put_string(&writer, ask->peer, MESSAGE_TEXT_MAX);
    pack_u8(&writer.fields, ask->has_bytes);
    message_put_bytes(&writer, secret_bytes(&ask->bytes), MESSAGE_BYTES_MAX);
    return message_end(&writer, out);
}

static size_t address_size(uint8_t family)
{
    return family == 4 ? 4 : 16;
}

int message_write_granted(struct buf *out, uint64_t session, const struct message_granted *granted)
{
    struct message_writer writer;
    message_begin(&writer, MESSAGE_GRANTED, session);
    message_put_string(&writer, granted->account, MESSAGE_LABEL_MAX);
    pack_u64(&writer.fields, (uint64_t)granted->grant);
    message_put_string(&writer, granted->host, HOST_MAX);
    pack_u16(&writer.fields, granted->port);
    pack_u8(&writer.fields, (uint8_t)granted->tls);
    pack_u16(&writer.fields, granted->authorities);
    message_put_count(&writer, granted->address_count, MESSAGE_ADDRESSES_MAX);
    for (size_t i = 0; i < granted->address_count && writer.status == 0; i++) {
        const struct message_address *address = &granted->addresses[i];
        ENSURE(address->family == 4 || address->family == 6);
        pack_u8(&writer.fields, address->family);
        message_put_bytes(&writer, slice_of(address->bytes, address_size(address->family)), 16);
    }
    message_put_string(&writer, granted->mechanisms, MESSAGE_TEXT_MAX);
    message_put_string(&writer, granted->user, CREDENTIAL_USER_MAX);
    message_put_bytes(&writer, secret_bytes(&granted->token), MESSAGE_TOKEN_MAX);
    pack_u8(&writer.fields, granted->is_read_only);
    message_put_string(&writer, granted->senders, MESSAGE_TEXT_MAX);
    pack_u8(&writer.fields, granted->is_password);
    pack_u64(&writer.fields, granted->generation);
    return message_end(&writer, out);
}

int message_write_refused(struct buf *out, uint64_t session, const struct message_refused *refused)
{
    struct message_writer writer;
    message_begin(&writer, MESSAGE_REFUSED, session);
    pack_u8(&writer.fields, (uint8_t)refused->why);
    message_put_sentence(&writer, refused->text);
    return message_end(&writer, out);
}

int message_write_learned(struct buf *out, uint64_t session, const char *capabilities)
{
    struct message_writer writer;
    message_begin(&writer, MESSAGE_LEARNED, session);
    message_put_string(&writer, capabilities, MESSAGE_LINES_MAX);
    return message_end(&writer, out);
}

int message_write_offer(struct buf *out, const struct message_offer *offer)
{
    struct message_writer writer;
    message_begin(&writer, MESSAGE_OFFER, 0);
    pack_u16(&writer.fields, offer->listener);
    message_put_string(&writer, offer->mechanisms, MESSAGE_TEXT_MAX);
    message_put_string(&writer, offer->capabilities, MESSAGE_LINES_MAX);
    return message_end(&writer, out);
}

static bool kind_is_known(uint8_t kind)
{
    switch (kind) {
#define X(name, value) case value:
        MESSAGE_KINDS(X)
#undef X
        return true;
    default:
        return false;
    }
}

int message_read(struct slice bytes, struct message *message_out)
{
    *message_out = (struct message){0};
    struct pack_reader reader = pack_reader(bytes);
    uint8_t kind = unpack_u8(&reader);
    uint64_t session = unpack_u64(&reader);
    if (reader.status != 0 || bytes.size > MESSAGE_SIZE_MAX || !kind_is_known(kind))
        return ERR_SYNTAX;
    if (kind_is_plain((enum message_kind)kind) && reader.rest.size > 0)
        return ERR_SYNTAX;
    if (kind == MESSAGE_RECORDS && session != 0)
        return ERR_SYNTAX;
    *message_out = (struct message){(enum message_kind)kind, session, reader.rest};
    return 0;
}

int message_read_bytes(const struct message *message, struct slice *bytes_out)
{
    ENSURE(message->kind == MESSAGE_ANSWER || message->kind == MESSAGE_CHALLENGE);
    struct pack_reader reader = pack_reader(message->fields);
    *bytes_out = message_take_bytes(&reader, MESSAGE_BYTES_MAX);
    if (unpack_end(&reader) == 0)
        return 0;
    *bytes_out = SLICE_NONE;
    return ERR_SYNTAX;
}

int message_read_number(const struct message *message, uint64_t *number_out)
{
    ENSURE(has_number(message->kind));
    struct pack_reader reader = pack_reader(message->fields);
    *number_out = unpack_u64(&reader);
    return unpack_end(&reader);
}

static bool is_mechanism(struct slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        uint8_t byte = name.data[i];
        if (!((byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '-' ||
              byte == '_'))
            return false;
    }
    return name.size > 0;
}

int message_read_ask(const struct message *message, struct message_ask *ask_out)
{
    ENSURE(message->kind == MESSAGE_ASK);
    *ask_out = (struct message_ask){0};
    struct pack_reader reader = pack_reader(message->fields);
    ask_out->listener = unpack_u16(&reader);
    ask_out->mechanism = message_take_string(&reader, MESSAGE_TEXT_WORD, MECHANISM_MAX);
    if (reader.status == 0 && !is_mechanism(slice_of_string(ask_out->mechanism)))
        message_reject(&reader);
    ask_out->peer = message_take_string(&reader, MESSAGE_TEXT_PRINTABLE, MESSAGE_TEXT_MAX);
    ask_out->has_bytes = message_take_bool(&reader);
    struct slice bytes = message_take_bytes(&reader, MESSAGE_BYTES_MAX);
    if (!ask_out->has_bytes && bytes.size > 0)
        message_reject(&reader);
    if (unpack_end(&reader) != 0) {
        message_ask_clear(ask_out);
        return ERR_SYNTAX;
    }
    if (ask_out->has_bytes)
        secret_set(&ask_out->bytes, bytes);
    return 0;
}

static void read_addresses(struct pack_reader *reader, struct message_granted *granted)
{
    granted->address_count = message_take_count(reader, MESSAGE_ADDRESSES_MAX, 1 + 4 + 4);
    for (size_t i = 0; i < granted->address_count; i++) {
        struct message_address *address = &granted->addresses[i];
        address->family = unpack_u8(reader);
        struct slice bytes = unpack_bytes(reader);
        if ((address->family != 4 && address->family != 6) ||
            bytes.size != address_size(address->family)) {
            message_reject(reader);
            return;
        }
        memcpy(address->bytes, bytes.data, bytes.size);
    }
}

int message_read_granted(const struct message *message, struct message_granted *granted_out)
{
    ENSURE(message->kind == MESSAGE_GRANTED);
    *granted_out = (struct message_granted){0};
    struct pack_reader reader = pack_reader(message->fields);
    granted_out->account = message_take_string(&reader, MESSAGE_TEXT_NAME, MESSAGE_LABEL_MAX);
    granted_out->grant = (int64_t)unpack_u64(&reader);
    granted_out->host = message_take_string(&reader, MESSAGE_TEXT_WORD, HOST_MAX);
    granted_out->port = unpack_u16(&reader);
    granted_out->tls = (enum tls_mode)message_take_choice(&reader, TLS_MODE_COUNT);
    granted_out->authorities = unpack_u16(&reader);
    read_addresses(&reader, granted_out);
    granted_out->mechanisms =
        message_take_string(&reader, MESSAGE_TEXT_PRINTABLE, MESSAGE_TEXT_MAX);
    granted_out->user = message_take_string(&reader, MESSAGE_TEXT_NAME, CREDENTIAL_USER_MAX);
    struct slice token = message_take_bytes(&reader, MESSAGE_TOKEN_MAX);
    granted_out->is_read_only = message_take_bool(&reader);
    granted_out->senders = message_take_string(&reader, MESSAGE_TEXT_NAME, MESSAGE_TEXT_MAX);
    granted_out->is_password = message_take_bool(&reader);
    granted_out->generation = unpack_u64(&reader);
    if (granted_out->port == 0 || granted_out->address_count == 0 || token.size == 0)
        message_reject(&reader);
    if (unpack_end(&reader) != 0) {
        message_granted_clear(granted_out);
        return ERR_SYNTAX;
    }
    secret_set(&granted_out->token, token);
    return 0;
}

int message_read_refused(const struct message *message, struct message_refused *refused_out)
{
    ENSURE(message->kind == MESSAGE_REFUSED);
    *refused_out = (struct message_refused){0};
    struct pack_reader reader = pack_reader(message->fields);
    refused_out->why = (enum why)message_take_choice(&reader, WHY_COUNT);
    refused_out->text = message_take_string(&reader, MESSAGE_TEXT_PRINTABLE, MESSAGE_TEXT_MAX);
    if (unpack_end(&reader) == 0)
        return 0;
    message_refused_clear(refused_out);
    return ERR_SYNTAX;
}

int message_read_learned(const struct message *message, char **capabilities_out)
{
    ENSURE(message->kind == MESSAGE_LEARNED);
    struct pack_reader reader = pack_reader(message->fields);
    *capabilities_out = message_take_string(&reader, MESSAGE_TEXT_LINES, MESSAGE_LINES_MAX);
    if (unpack_end(&reader) == 0)
        return 0;
    mem_free(*capabilities_out);
    *capabilities_out = NULL;
    return ERR_SYNTAX;
}

int message_read_offer(const struct message *message, struct message_offer *offer_out)
{
    ENSURE(message->kind == MESSAGE_OFFER);
    *offer_out = (struct message_offer){0};
    struct pack_reader reader = pack_reader(message->fields);
    offer_out->listener = unpack_u16(&reader);
    offer_out->mechanisms = message_take_string(&reader, MESSAGE_TEXT_PRINTABLE, MESSAGE_TEXT_MAX);
    offer_out->capabilities = message_take_string(&reader, MESSAGE_TEXT_LINES, MESSAGE_LINES_MAX);
    if (unpack_end(&reader) == 0)
        return 0;
    message_offer_clear(offer_out);
    return ERR_SYNTAX;
}

/* Of a message that was read: the fields are const for those who only write one. */
static void free_text(const char *text)
{
    mem_free((void *)(uintptr_t)text);
}

void message_ask_clear(struct message_ask *ask)
{
    free_text(ask->mechanism);
    free_text(ask->peer);
    secret_wipe(&ask->bytes);
    *ask = (struct message_ask){0};
}

void message_granted_clear(struct message_granted *granted)
{
    mem_free(granted->account);
    mem_free(granted->host);
    mem_free(granted->mechanisms);
    mem_free(granted->user);
    mem_free(granted->senders);
    secret_wipe(&granted->token);
    *granted = (struct message_granted){0};
}

void message_refused_clear(struct message_refused *refused)
{
    free_text(refused->text);
    *refused = (struct message_refused){0};
}

void message_offer_clear(struct message_offer *offer)
{
    mem_free(offer->mechanisms);
    mem_free(offer->capabilities);
    *offer = (struct message_offer){0};
}
