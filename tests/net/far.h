/*
 * Sockets for the tests, and a `far` end: a bare socket that the test drives by hand, with a TLS
 * server on it if need be.
 */
#ifndef ECLUSE_TESTS_FAR_H
#define ECLUSE_TESTS_FAR_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "tls_server.h"

#define ENDS_MAX         (80u * 1024 * 1024)
#define NEVER            (24 * 60 * 60 * 1000) /* milliseconds */
#define PATIENCE_SECONDS 60                    /* a test that waits so long has failed */

/* -- sockets -- */

static inline void make_nonblocking(int descriptor)
{
    assert_int_equal(fcntl(descriptor, F_SETFL, O_NONBLOCK), 0);
}

/* A listening socket on 127.0.0.x. */
static inline int listen_on(const char *address, int backlog, uint16_t *port)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(*port)};
    socklen_t size = sizeof(name);
    int yes = 1;
    assert_int_equal(inet_pton(AF_INET, address, &name.sin_addr), 1);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    assert_int_equal(bind(listener, (struct sockaddr *)&name, size), 0);
    assert_int_equal(listen(listener, backlog), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&name, &size), 0);
    *port = ntohs(name.sin_port);
    return listener;
}

static inline void tcp_pair(int pair[2])
{
    uint16_t port = 0;
    int listener = listen_on("127.0.0.1", 1, &port);
    struct sockaddr_in name = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(pair[0], (struct sockaddr *)&name, sizeof(name)), 0);
    pair[1] = accept(listener, NULL, NULL);
    assert_true(pair[1] >= 0);
    close(listener);
    make_nonblocking(pair[0]);
    make_nonblocking(pair[1]);
}

static inline void unix_pair(int pair[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
}

/* Little room in the kernel, so that a test need not send megabytes to fill it. */
static inline void make_small(int descriptor)
{
    int size = 16 * 1024;
    setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

/* -- the far end -- */

struct far {
    int descriptor;
    struct server_connection *tls;
    struct buf to_send, got;
    bool is_stalled; /* it does not read */
    bool is_ended, is_reset;
};

static inline void far_init(struct far *far, int descriptor, SSL_CTX *server)
{
    *far = (struct far){.descriptor = descriptor};
    buf_init(&far->to_send, ENDS_MAX);
    buf_init(&far->got, ENDS_MAX);
    if (server != NULL)
        far->tls = server_accept(server);
}

static inline void far_close(struct far *far)
{
    if (far->descriptor >= 0)
        close(far->descriptor);
    far->descriptor = -1;
}

static inline void far_reset(struct far *far)
{
    const struct linger hard = {.l_onoff = 1};
    setsockopt(far->descriptor, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    far_close(far);
}

static inline void far_fini(struct far *far)
{
    far_close(far);
    if (far->tls != NULL)
        server_connection_free(far->tls);
    buf_fini(&far->to_send);
    buf_fini(&far->got);
}

static inline void far_send(struct far *far, struct slice bytes)
{
    if (far->tls != NULL)
        server_write(far->tls, bytes, &far->to_send);
    else
        assert_int_equal(buf_append(&far->to_send, bytes), 0);
}

static inline void far_read(struct far *far)
{
    static uint8_t bytes[64 * 1024];
    ssize_t size = recv(far->descriptor, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (size == 0)
        far->is_ended = true;
    else if (size < 0 && errno != EAGAIN)
        far->is_reset = true;
    if (size <= 0)
        return;
    if (far->tls != NULL)
        server_read(far->tls, slice_of(bytes, (size_t)size), &far->to_send);
    else
        assert_int_equal(buf_append(&far->got, slice_of(bytes, (size_t)size)), 0);
}

/* What the other side said, decrypted if there is TLS. */
static inline struct slice far_got(const struct far *far)
{
    return buf_bytes(far->tls != NULL ? &far->tls->plain : &far->got);
}

static inline void far_turn(struct far *far)
{
    if (far->descriptor < 0)
        return;
    if (!far->is_stalled && !far->is_ended && !far->is_reset)
        far_read(far);
    if (buf_size(&far->to_send) == 0)
        return;
    struct slice bytes = buf_bytes(&far->to_send);
    ssize_t sent = send(far->descriptor, bytes.data, bytes.size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0)
        buf_consume(&far->to_send, (size_t)sent);
}

#endif
