/*
 * A name server on loopback, on the loop of the test: it knows some SRV records, and may answer
 * with damaged messages.
 */
#ifndef ECLUSE_TESTS_NET_SCRIPTED_NAME_SERVER_H
#define ECLUSE_TESTS_NET_SCRIPTED_NAME_SERVER_H

#include <arpa/inet.h>
#include <string.h>
#include <uv.h>

#include "net/record_query.h"

struct known_record {
    const char *name; /* "_imaps._tcp.example.test" */
    uint8_t priority, weight;
    uint16_t port; /* 0: an MX record */
    const char *target;
};

struct name_server {
    uv_udp_t socket;
    struct sockaddr_in address;
    const struct known_record *records;
    size_t record_count;
    bool is_damaged; /* the last octet of every answer with records is missing */
    uint8_t failure; /* RCODE of every answer, unless 0 */
    unsigned queries;
    uint8_t input[1024];
};

static inline size_t put_u16(uint8_t *out, size_t size, unsigned value)
{
    out[size] = (uint8_t)(value >> 8);
    out[size + 1] = (uint8_t)value;
    return size + 2;
}

static inline size_t put_name(uint8_t *out, size_t size, const char *name)
{
    for (const char *label = name; *label != '\0';) {
        size_t length = strcspn(label, ".");
        out[size] = (uint8_t)length;
        memcpy(out + size + 1, label, length);
        size += 1 + length;
        label += length + (label[length] == '.');
    }
    out[size] = 0;
    return size + 1;
}

static inline size_t put_record(uint8_t *out, size_t size, const struct known_record *record)
{
    size = put_u16(out, size, 0xc00c);
    size = put_u16(out, size, record->port == 0 ? 15 : 33);
    size = put_u16(out, size, 1);
    size = put_u16(out, put_u16(out, size, 0), 60);
    size_t length = size;
    size = put_u16(out, length + 2, record->priority);
    if (record->port != 0)
        size = put_u16(out, put_u16(out, size, record->weight), record->port);
    size = put_name(out, size, record->target);
    (void)put_u16(out, length, (unsigned)(size - length - 2));
    return size;
}

/* The question is sent back as it came. */
static inline size_t name_server_answer(const struct name_server *server, const uint8_t *query,
                                        size_t query_size, uint8_t *out)
{
    uint8_t name[300];
    size_t size = 12, count = 0;
    while (size < query_size && query[size] != 0)
        size += 1u + query[size];
    size += 5;
    memcpy(out, query, size);
    for (size_t i = 0; i < server->record_count && server->failure == 0; i++) {
        size_t length = put_name(name, 0, server->records[i].name);
        if (memcmp(name, query + 12, length) == 0) {
            size = put_record(out, size, &server->records[i]);
            count++;
        }
    }
    unsigned code = server->failure != 0 ? server->failure : count == 0 ? 3 : 0;
    (void)put_u16(out, 2, 0x8180u | code);
    (void)put_u16(out, 6, (unsigned)count);
    memset(out + 8, 0, 4); /* no authority, and no EDNS */
    return size - (server->is_damaged && count > 0);
}

static inline void on_query_memory(uv_handle_t *handle, size_t wanted, uv_buf_t *out)
{
    struct name_server *server = handle->data;
    (void)wanted;
    *out = uv_buf_init((char *)server->input, sizeof(server->input));
}

static inline void on_query(uv_udp_t *socket, ssize_t size, const uv_buf_t *bytes,
                            const struct sockaddr *from, unsigned flags)
{
    struct name_server *server = socket->data;
    uint8_t out[2048];
    (void)bytes;
    (void)flags;
    if (size < 17 || from == NULL)
        return;
    server->queries++;
    size_t length = name_server_answer(server, server->input, (size_t)size, out);
    uv_buf_t answer = uv_buf_init((char *)out, (unsigned)length);
    assert_int_equal(uv_udp_try_send(socket, &answer, 1, from), (int)length);
}

static inline void name_server_open(struct name_server *server, struct loop *loop)
{
    int size = sizeof(server->address);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(uv_udp_init(&loop->uv, &server->socket), 0);
    server->socket.data = server;
    assert_int_equal(uv_udp_bind(&server->socket, (const struct sockaddr *)&any, 0), 0);
    assert_int_equal(
        uv_udp_getsockname(&server->socket, (struct sockaddr *)&server->address, &size), 0);
    assert_int_equal(uv_udp_recv_start(&server->socket, on_query_memory, on_query), 0);
}

static inline void name_server_close(struct name_server *server)
{
    uv_close((uv_handle_t *)&server->socket, NULL);
}

#endif
