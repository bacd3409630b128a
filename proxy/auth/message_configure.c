/*
 * CONFIGURE: what a gate is told once, at its start. Counts are bounded before anything is taken
 * for them; after a failure what was read so far is freed by message_configure_clear, which the
 * counts tell how much there is.
 */
#include <string.h>

#include "auth/message.h"
#include "auth/message_fields.h"
#include "base/log.h"

#define LISTENER_SIZE_MIN 44u /* octets on the wire with every string empty */
#define TLS_MIN_COUNT     4u
#define NETWORK_SIZE      (4u + 16u + 1u)

static void put_listener(struct message_writer *writer, const struct message_listener *listener)
{
    message_put_string(writer, listener->name, MESSAGE_LABEL_MAX);
    pack_u8(&writer->fields, (uint8_t)listener->protocol);
    pack_u16(&writer->fields, listener->descriptors);
    message_put_string(writer, listener->account, MESSAGE_LABEL_MAX);
    message_put_string(writer, listener->mechanisms, MESSAGE_TEXT_MAX);
    message_put_string(writer, listener->capabilities, MESSAGE_LINES_MAX);
    pack_u8(&writer->fields, listener->needs_no_login);
    pack_u8(&writer->fields, listener->rejects_bare_newline);
    pack_u8(&writer->fields, (uint8_t)listener->tls);
    pack_u8(&writer->fields, listener->tls_min);
    message_put_string(writer, listener->certificate, MESSAGE_PEM_MAX);
    message_put_bytes(writer, secret_bytes(&listener->key), MESSAGE_PEM_MAX);
    pack_u8(&writer->fields, listener->peer_owner_only);
    pack_u8(&writer->fields, listener->is_remote);
    pack_u32(&writer->fields, listener->max_sessions);
    message_put_count(writer, listener->allowed_count, MESSAGE_NETWORKS_MAX);
    for (size_t i = 0; i < listener->allowed_count && writer->status == 0; i++) {
        message_put_bytes(writer, slice_of(listener->allowed[i].address, 16), 16);
        pack_u8(&writer->fields, listener->allowed[i].prefix_length);
    }
}

int message_write_configure(struct buf *out, const struct message_configure *configure)
{
    struct message_writer writer;
    message_begin(&writer, MESSAGE_CONFIGURE, 0);
    pack_u16(&writer.fields, configure->gate);
    pack_u8(&writer.fields, configure->log_level);
    pack_u32(&writer.fields, configure->user_id);
    pack_u8(&writer.fields, configure->audit.is_on);
    pack_u8(&writer.fields, configure->audit.wants_arguments);
    pack_u8(&writer.fields, configure->audit.holds_replies);
    pack_u8(&writer.fields, configure->audit.ends_unparsable);
    message_put_count(&writer, configure->listener_count, MESSAGE_LISTENERS_MAX);
    for (size_t i = 0; i < configure->listener_count && writer.status == 0; i++)
        put_listener(&writer, &configure->listeners[i]);
    message_put_count(&writer, configure->authority_count, MESSAGE_BUNDLES_MAX);
    for (size_t i = 0; i < configure->authority_count && writer.status == 0; i++)
        message_put_string(&writer, configure->authorities[i], MESSAGE_SIZE_MAX);
    message_put_count(&writer, configure->port_count, MESSAGE_PORTS_MAX);
    for (size_t i = 0; i < configure->port_count && writer.status == 0; i++)
        pack_u16(&writer.fields, configure->ports[i]);
    return message_end(&writer, out);
}

static void take_networks(struct pack_reader *reader, struct message_listener *listener)
{
    size_t count = message_take_count(reader, MESSAGE_NETWORKS_MAX, NETWORK_SIZE);
    if (count == 0)
        return;
    listener->allowed = mem_new_array(count, sizeof(*listener->allowed));
    listener->allowed_count = count;
    for (size_t i = 0; i < count && reader->status == 0; i++) {
        struct slice address = unpack_bytes(reader);
        listener->allowed[i].prefix_length = message_take_choice(reader, 129);
        if (address.size == 16)
            memcpy(listener->allowed[i].address, address.data, 16);
        else
            message_reject(reader);
    }
}

static void take_listener(struct pack_reader *reader, struct message_listener *listener)
{
    listener->name = message_take_string(reader, MESSAGE_TEXT_NAME, MESSAGE_LABEL_MAX);
    listener->protocol = (enum protocol)message_take_choice(reader, PROTOCOL_COUNT);
    listener->descriptors = unpack_u16(reader);
    listener->account = message_take_string(reader, MESSAGE_TEXT_NAME, MESSAGE_LABEL_MAX);
    listener->mechanisms = message_take_string(reader, MESSAGE_TEXT_PRINTABLE, MESSAGE_TEXT_MAX);
    listener->capabilities = message_take_string(reader, MESSAGE_TEXT_LINES, MESSAGE_LINES_MAX);
    listener->needs_no_login = message_take_bool(reader);
    listener->rejects_bare_newline = message_take_bool(reader);
    listener->tls = (enum tls_mode)message_take_choice(reader, TLS_MODE_COUNT);
    listener->tls_min = message_take_choice(reader, TLS_MIN_COUNT);
    listener->certificate = message_take_string(reader, MESSAGE_TEXT_ANY, MESSAGE_PEM_MAX);
    struct slice key = message_take_bytes(reader, MESSAGE_PEM_MAX);
    if (key.size > 0)
        secret_set(&listener->key, key);
    listener->peer_owner_only = message_take_bool(reader);
    listener->is_remote = message_take_bool(reader);
    listener->max_sessions = unpack_u32(reader);
    take_networks(reader, listener);
}

static void take_listeners(struct pack_reader *reader, struct message_configure *configure)
{
    size_t count = message_take_count(reader, MESSAGE_LISTENERS_MAX, LISTENER_SIZE_MIN);
    configure->listeners = mem_new_array(count, sizeof(*configure->listeners));
    configure->listener_count = count;
    for (size_t i = 0; i < count && reader->status == 0; i++)
        take_listener(reader, &configure->listeners[i]);
}

static void take_authorities(struct pack_reader *reader, struct message_configure *configure)
{
    size_t count = message_take_count(reader, MESSAGE_BUNDLES_MAX, 4);
    configure->authorities = mem_new_array(count, sizeof(*configure->authorities));
    configure->authority_count = count;
    for (size_t i = 0; i < count && reader->status == 0; i++)
        configure->authorities[i] = message_take_string(reader, MESSAGE_TEXT_ANY, MESSAGE_SIZE_MAX);
}

static void take_ports(struct pack_reader *reader, struct message_configure *configure)
{
    size_t count = message_take_count(reader, MESSAGE_PORTS_MAX, sizeof(uint16_t));
    configure->ports = mem_new_array(count, sizeof(*configure->ports));
    configure->port_count = count;
    for (size_t i = 0; i < count; i++)
        configure->ports[i] = unpack_u16(reader);
}

int message_read_configure(const struct message *message, struct message_configure *configure_out)
{
    ENSURE(message->kind == MESSAGE_CONFIGURE);
    *configure_out = (struct message_configure){0};
    struct pack_reader reader = pack_reader(message->fields);
    configure_out->gate = unpack_u16(&reader);
    configure_out->log_level = message_take_choice(&reader, LOG_LEVEL_DEBUG + 1);
    configure_out->user_id = unpack_u32(&reader);
    configure_out->audit.is_on = message_take_bool(&reader);
    configure_out->audit.wants_arguments = message_take_bool(&reader);
    configure_out->audit.holds_replies = message_take_bool(&reader);
    configure_out->audit.ends_unparsable = message_take_bool(&reader);
    take_listeners(&reader, configure_out);
    take_authorities(&reader, configure_out);
    take_ports(&reader, configure_out);
    if (unpack_end(&reader) == 0)
        return 0;
    message_configure_clear(configure_out);
    return ERR_SYNTAX;
}

void message_configure_clear(struct message_configure *configure)
{
    for (size_t i = 0; i < configure->listener_count; i++) {
        struct message_listener *listener = &configure->listeners[i];
        mem_free(listener->name);
        mem_free(listener->account);
        mem_free(listener->mechanisms);
        mem_free(listener->capabilities);
        mem_free(listener->certificate);
        secret_wipe(&listener->key);
        mem_free(listener->allowed);
    }
    for (size_t i = 0; i < configure->authority_count; i++)
        mem_free(configure->authorities[i]);
    mem_free(configure->listeners);
    mem_free(configure->authorities);
    mem_free(configure->ports);
    *configure = (struct message_configure){0};
}
