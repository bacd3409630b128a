/*
 * Happy path: epoll says readable, one recv into the mill's memory, TLS decrypts from there, the
 * owner gets it; link_write encrypts into the mill's memory and sends that at once.
 * A link that is closed while events of the same turn still name it is freed at the turn's end.
 */
#include "link.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CIPHER_MAX (LINK_CHUNK + 64ul * 1024)
#define TURN_MAX   256

struct watch {
    void (*on_ready)(void *owner, int descriptor);
    void *owner;
    int descriptor;
};

/* What epoll's pointer leads to. */
struct source {
    struct link *link;
    struct watch watch; /* when link is NULL */
};

struct mill {
    int epoll;
    bool is_stopped;
    BIO_METHOD *method;
    uint8_t *input, *plain, *cipher;
    struct link *closed; /* freed at the end of the turn */
};

struct link {
    struct source source;
    struct mill *mill;
    const struct link_ops *ops;
    void *owner;
    int descriptor;
    bool is_open, is_closed, waits_to_write, is_paused;
    SSL *ssl;
    const uint8_t *input; /* of the recv in hand */
    size_t input_size, output_size;
    uint8_t *kept; /* what the socket has not taken */
    size_t kept_size, kept_start, kept_capacity;
    struct link *next_closed;
};

void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static void *allocate(size_t size)
{
    void *memory = calloc(1, size);
    if (memory == NULL)
        die("out of memory");
    return memory;
}

/* ---- what OpenSSL reads and writes ---- */

static int bio_read(BIO *bio, char *out, size_t size, size_t *size_out)
{
    struct link *link = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    *size_out = 0;
    if (link->input_size == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    *size_out = size < link->input_size ? size : link->input_size;
    memcpy(out, link->input, *size_out);
    link->input += *size_out;
    link->input_size -= *size_out;
    return 1;
}

static int bio_write(BIO *bio, const char *bytes, size_t size, size_t *size_out)
{
    struct link *link = BIO_get_data(bio);
    if (size > CIPHER_MAX - link->output_size)
        die("TLS wrote more than there is room for");
    memcpy(link->mill->cipher + link->output_size, bytes, size);
    link->output_size += size;
    *size_out = size;
    return 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

/* ---- the loop ---- */

struct mill *mill_new(void)
{
    struct mill *mill = allocate(sizeof(*mill));
    mill->epoll = epoll_create1(EPOLL_CLOEXEC);
    mill->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "mill");
    if (mill->epoll < 0 || mill->method == NULL)
        die("no epoll");
    BIO_meth_set_read_ex(mill->method, bio_read);
    BIO_meth_set_write_ex(mill->method, bio_write);
    BIO_meth_set_ctrl(mill->method, bio_control);
    mill->input = allocate(LINK_CHUNK);
    mill->plain = allocate(LINK_CHUNK + 32ul * 1024);
    mill->cipher = allocate(CIPHER_MAX);
    return mill;
}

static void set_events(struct mill *mill, int operation, int descriptor, uint32_t events,
                       struct source *source)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    if (epoll_ctl(mill->epoll, operation, descriptor, &event) != 0)
        die("epoll_ctl: %s", strerror(errno));
}

void mill_watch(struct mill *mill, int descriptor, void (*on_ready)(void *owner, int descriptor),
                void *owner)
{
    struct source *source = allocate(sizeof(*source));
    source->watch = (struct watch){.on_ready = on_ready, .owner = owner, .descriptor = descriptor};
    set_events(mill, EPOLL_CTL_ADD, descriptor, EPOLLIN, source);
}

void mill_stop(struct mill *mill)
{
    mill->is_stopped = true;
}

static void handle(struct link *link, uint32_t events);

void mill_run(struct mill *mill)
{
    struct epoll_event events[TURN_MAX];
    mill->is_stopped = false;
    while (!mill->is_stopped) {
        int count = epoll_wait(mill->epoll, events, TURN_MAX, -1);
        for (int i = 0; i < count; i++) {
            struct source *source = events[i].data.ptr;
            if (source->link != NULL)
                handle(source->link, events[i].events);
            else
                source->watch.on_ready(source->watch.owner, source->watch.descriptor);
        }
        while (mill->closed != NULL) {
            struct link *link = mill->closed;
            mill->closed = link->next_closed;
            SSL_free(link->ssl);
            free(link->kept);
            free(link);
        }
    }
}

/* ---- writing ---- */

static void update_events(struct link *link)
{
    uint32_t events =
        (link->is_paused ? 0 : (uint32_t)EPOLLIN) | (link->waits_to_write ? (uint32_t)EPOLLOUT : 0);
    set_events(link->mill, EPOLL_CTL_MOD, link->descriptor, events, &link->source);
}

static void want_to_write(struct link *link, bool is_wanted)
{
    if (link->waits_to_write == is_wanted)
        return;
    link->waits_to_write = is_wanted;
    update_events(link);
}

void link_pause(struct link *link, bool is_paused)
{
    if (link->is_paused == is_paused || link->is_closed)
        return;
    link->is_paused = is_paused;
    update_events(link);
}

static void keep(struct link *link, const uint8_t *bytes, size_t size)
{
    if (link->kept_size + size > link->kept_capacity) {
        link->kept_capacity = (link->kept_size + size) * 2;
        link->kept = realloc(link->kept, link->kept_capacity);
        if (link->kept == NULL)
            die("out of memory");
    }
    memcpy(link->kept + link->kept_size, bytes, size);
    link->kept_size += size;
    want_to_write(link, true);
}

static size_t send_some(struct link *link, const uint8_t *bytes, size_t size)
{
    ssize_t sent = send(link->descriptor, bytes, size, MSG_NOSIGNAL);
    /* An error shows in the next recv. */
    return sent < 0 ? (errno == EAGAIN ? 0 : size) : (size_t)sent;
}

static void send_or_keep(struct link *link, const uint8_t *bytes, size_t size)
{
    size_t sent = link->kept_size == 0 && link->is_open ? send_some(link, bytes, size) : 0;
    if (sent < size)
        keep(link, bytes + sent, size - sent);
}

static void flush_tls(struct link *link)
{
    size_t size = link->output_size;
    link->output_size = 0;
    if (size > 0)
        send_or_keep(link, link->mill->cipher, size);
}

void link_write(struct link *link, const void *bytes, size_t size)
{
    const uint8_t *next = bytes;
    if (link->is_closed)
        return;
    if (link->ssl == NULL) {
        send_or_keep(link, next, size);
        return;
    }
    while (size > 0) {
        size_t part = size < LINK_CHUNK ? size : LINK_CHUNK, written;
        for (size_t at = 0; at < part; at += written)
            if (SSL_write_ex(link->ssl, next + at, part - at, &written) != 1)
                die("TLS does not write");
        flush_tls(link);
        next += part;
        size -= part;
    }
}

bool link_is_full(const struct link *link)
{
    return link->kept_size > 0;
}

static void write_kept(struct link *link)
{
    size_t left = link->kept_size - link->kept_start;
    link->kept_start += send_some(link, link->kept + link->kept_start, left);
    if (link->kept_start < link->kept_size)
        return;
    free(link->kept);
    link->kept = NULL;
    link->kept_size = link->kept_start = link->kept_capacity = 0;
    want_to_write(link, false);
    if (link->ops->on_drained != NULL)
        link->ops->on_drained(link->owner);
}

/* ---- reading ---- */

static void opened(struct link *link)
{
    link->is_open = true;
    if (link->ops->on_open != NULL)
        link->ops->on_open(link->owner);
}

static void handshake(struct link *link)
{
    ERR_clear_error();
    int result = SSL_do_handshake(link->ssl);
    bool was_open = link->is_open;
    link->is_open = true; /* for the handshake's own bytes */
    flush_tls(link);
    link->is_open = was_open;
    if (result == 1) {
        opened(link);
    } else if (SSL_get_error(link->ssl, result) != SSL_ERROR_WANT_READ) {
        ERR_print_errors_fp(stderr);
        die("the TLS handshake failed");
    }
}

/* True: the peer has said that it ends. */
static bool decrypt(struct link *link)
{
    size_t size = 0, got = 0;
    int result = 1;
    ERR_clear_error();
    while (size < LINK_CHUNK && result == 1) {
        result = SSL_read_ex(link->ssl, link->mill->plain + size, LINK_CHUNK - size, &got);
        size += result == 1 ? got : 0;
    }
    int problem = result == 1 ? 0 : SSL_get_error(link->ssl, result);
    if (problem != 0 && problem != SSL_ERROR_WANT_READ && problem != SSL_ERROR_ZERO_RETURN) {
        ERR_print_errors_fp(stderr);
        die("TLS cannot be read");
    }
    flush_tls(link);
    if (size > 0)
        link->ops->on_read(link->owner, link->mill->plain, size);
    return problem == SSL_ERROR_ZERO_RETURN;
}

static void take(struct link *link, size_t size)
{
    bool has_ended = false;
    if (link->ssl == NULL) {
        link->ops->on_read(link->owner, link->mill->input, size);
        return;
    }
    link->input = link->mill->input;
    link->input_size = size;
    if (!link->is_open)
        handshake(link);
    while (!has_ended && link->is_open && !link->is_closed &&
           (link->input_size > 0 || SSL_pending(link->ssl) > 0))
        has_ended = decrypt(link);
    if (has_ended && !link->is_closed)
        link->ops->on_end(link->owner);
}

static void start(struct link *link)
{
    want_to_write(link, false);
    if (link->ssl == NULL)
        opened(link);
    else
        handshake(link);
}

static void handle(struct link *link, uint32_t events)
{
    if (link->is_closed)
        return;
    if ((events & EPOLLOUT) != 0 && !link->is_open && link->kept_size == 0) {
        start(link);
    } else if ((events & EPOLLOUT) != 0) {
        write_kept(link);
    }
    if (link->is_closed || (events & ~(uint32_t)EPOLLOUT) == 0)
        return;
    ssize_t size = recv(link->descriptor, link->mill->input, LINK_CHUNK, 0);
    if (size > 0)
        take(link, (size_t)size);
    else if (size == 0 || errno != EAGAIN)
        link->ops->on_end(link->owner);
}

/* ---- its life ---- */

struct link *link_open(struct mill *mill, int descriptor, SSL_CTX *context, bool is_server,
                       SSL_SESSION *session, const struct link_ops *ops, void *owner)
{
    struct link *link = allocate(sizeof(*link));
    link->source.link = link;
    link->mill = mill;
    link->ops = ops;
    link->owner = owner;
    link->descriptor = descriptor;
    link->waits_to_write = !is_server;
    if (context != NULL) {
        link->ssl = SSL_new(context);
        BIO *bio = BIO_new(mill->method);
        if (link->ssl == NULL || bio == NULL)
            die("out of memory");
        BIO_set_data(bio, link);
        BIO_set_init(bio, 1);
        SSL_set_bio(link->ssl, bio, bio);
        SSL_set_app_data(link->ssl, owner);
        if (is_server)
            SSL_set_accept_state(link->ssl);
        else
            SSL_set_connect_state(link->ssl);
        if (session != NULL)
            SSL_set_session(link->ssl, session);
    }
    set_events(mill, EPOLL_CTL_ADD, descriptor, EPOLLIN | (is_server ? 0 : (uint32_t)EPOLLOUT),
               &link->source);
    if (is_server && context == NULL)
        opened(link);
    return link;
}

void link_close(struct link *link)
{
    if (link->is_closed)
        return;
    if (link->ssl != NULL && link->is_open && link->kept_size == 0) {
        SSL_shutdown(link->ssl);
        flush_tls(link);
    }
    link->is_closed = true;
    close(link->descriptor);
    link->next_closed = link->mill->closed;
    link->mill->closed = link;
}

SSL *link_ssl(const struct link *link)
{
    return link->ssl;
}
