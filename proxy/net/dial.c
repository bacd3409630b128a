/*
 * Connecting to one of several addresses.
 *
 * Happy path: the first address is tried in the next turn of the loop; the descriptor that gets
 * writable without an error wins, or the one that is connected at once, as happens within the
 * machine; the others are closed, the winner becomes a stream, TLS is brought up if it is on,
 * on_ready.
 * Failures:
 * - an attempt fails: the next address at once; none left and none running: on_failed with the last
 *   reason;
 * - an attempt takes longer than STAGGER_MILLISECONDS: the next address beside it (RFC 8305 §5);
 * - TLS fails: on_failed, whatever addresses are left;
 * - dial_close at any time closes what runs.
 */
#include "net/dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/loopback.h"

#define STAGGER_MILLISECONDS 250

struct attempt {
    uv_poll_t poll;
    struct dial *dial;
    int descriptor; /* -1: not running */
    char place[80]; /* "192.0.2.1 port 993" */
};

struct dial {
    struct loop *loop;
    const struct dial_ops *ops;
    void *owner;
    unsigned open_handles; /* a stream that is not handed over counts as one */
    bool is_closing;
    bool is_over; /* on_ready or on_failed was called, or is due */
    struct deferral news;
    uv_timer_t stagger;
    struct dial_address *addresses;
    struct attempt *attempts; /* one for each address */
    size_t count, next;
    uint16_t port;
    struct tls *tls; /* until the stream has it */
    struct stream *stream;
    size_t winner;
    struct err failure; /* the last one */
};

/* -- the end -- */

static void handle_closed(struct dial *dial)
{
    if (--dial->open_handles > 0)
        return;
    ENSURE(dial->is_closing);
    dial->ops->on_closed(dial->owner);
    tls_free(dial->tls);
    mem_free(dial->attempts);
    mem_free(dial->addresses);
    mem_free(dial);
}

static void on_timer_closed(uv_handle_t *handle)
{
    handle_closed(CONTAINER_OF(handle, struct dial, stagger));
}

static void on_poll_closed(uv_handle_t *handle)
{
    handle_closed(CONTAINER_OF(handle, struct attempt, poll)->dial);
}

/* Gives the descriptor, which libuv has let go of when this returns. */
static int end_attempt(struct attempt *attempt)
{
    int descriptor = attempt->descriptor;
    attempt->descriptor = -1;
    uv_close((uv_handle_t *)&attempt->poll, on_poll_closed);
    return descriptor;
}

static void end_attempts(struct dial *dial)
{
    uv_timer_stop(&dial->stagger);
    for (size_t i = 0; i < dial->next; i++) {
        if (dial->attempts[i].descriptor >= 0)
            close(end_attempt(&dial->attempts[i]));
    }
}

void dial_close(struct dial *dial)
{
    if (dial->is_closing)
        return;
    dial->is_closing = true;
    deferral_cancel(&dial->news);
    end_attempts(dial);
    if (dial->stream != NULL)
        stream_close(dial->stream);
    uv_close((uv_handle_t *)&dial->stagger, on_timer_closed);
}

const struct dial_address *dial_winner(const struct dial *dial)
{
    return &dial->addresses[dial->winner];
}

static void fail(struct dial *dial, enum why why)
{
    dial->is_over = true;
    end_attempts(dial);
    dial->ops->on_failed(dial->owner, why, dial->failure.text);
}

static void hand_over(struct dial *dial)
{
    struct stream *stream = dial->stream;
    dial->stream = NULL;
    dial->open_handles--;
    dial->is_over = true;
    dial->ops->on_ready(dial->owner, stream);
}

/* -- the stream, as long as it is ours -- */

/* A dial never asks to read: neither of these two can come while the stream is ours. */
static void on_stream_read(void *owner, struct slice bytes)
{
    struct dial *dial = owner;
    ENSURE(dial->stream == NULL && bytes.size == 0);
}

static void on_stream_end(void *owner)
{
    struct dial *dial = owner;
    ENSURE(dial->stream == NULL);
}

static void on_stream_drained(void *owner)
{
    (void)owner;
}

static void on_stream_secured(void *owner)
{
    hand_over(owner);
}

static void on_stream_failed(void *owner, enum why why, const char *text)
{
    struct dial *dial = owner;
    err_set(&dial->failure, ERR_UNAVAILABLE, "TLS with %s: %s", dial->attempts[dial->winner].place,
            text);
    fail(dial, why);
}

static void on_stream_closed(void *owner)
{
    handle_closed(owner);
}

static const struct stream_ops stream_ops = {
    .on_read = on_stream_read,
    .on_end = on_stream_end,
    .on_drained = on_stream_drained,
    .on_secured = on_stream_secured,
    .on_failed = on_stream_failed,
    .on_closed = on_stream_closed,
};

/* -- attempts -- */

static socklen_t socket_address(const struct dial_address *address, uint16_t port,
                                struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    if (address->family == 6) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        memcpy(&six->sin6_addr, address->bytes, sizeof(six->sin6_addr));
        return sizeof(*six);
    }
    ENSURE(address->family == 4);
    struct sockaddr_in *four = (struct sockaddr_in *)out;
    four->sin_family = AF_INET;
    four->sin_port = htons(port);
    memcpy(&four->sin_addr, address->bytes, sizeof(four->sin_addr));
    return sizeof(*four);
}

static void describe(struct attempt *attempt, const struct dial_address *address, uint16_t port)
{
    char text[INET6_ADDRSTRLEN];
    inet_ntop(address->family == 6 ? AF_INET6 : AF_INET, address->bytes, text, sizeof(text));
    snprintf(attempt->place, sizeof(attempt->place), "%s port %u", text, port);
}

static int note_errno(struct attempt *attempt, int number)
{
    return err_set(&attempt->dial->failure, ERR_UNAVAILABLE, "connect to %s: %s", attempt->place,
                   uv_strerror(uv_translate_sys_error(number)));
}

/* A server that vanished without a word (or a NAT that forgot) would hold an idle session for ever:
 * asked after two minutes, given up after four more. It is not worth failing for. */
static void keep_alive(int descriptor)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, 120},
        {IPPROTO_TCP, TCP_KEEPINTVL, 60},
        {IPPROTO_TCP, TCP_KEEPCNT, 4},
    };
    for (size_t i = 0; i < LENGTH_OF(options); i++)
        (void)setsockopt(descriptor, options[i].level, options[i].name, &options[i].value,
                         sizeof(options[i].value));
}

/* 0 or errno. Within the machine the other end has answered when connect returns, yet it takes a
 * second call to hear of it; that is cheaper than to wait for it. */
static int try_connect(int descriptor, const struct sockaddr_storage *peer, socklen_t size)
{
    const struct sockaddr *address = (const struct sockaddr *)peer;
    if (connect(descriptor, address, size) == 0)
        return 0;
    if (errno != EINPROGRESS || !loopback_is(peer))
        return errno;
    if (connect(descriptor, address, size) == 0)
        return 0;
    return errno == EALREADY ? EINPROGRESS : errno;
}

static void on_writable(uv_poll_t *poll, int status, int events);

/* 0: it runs. A descriptor: it is connected already. Else ERR_*. */
static int start_attempt(struct attempt *attempt, const struct dial_address *address, uint16_t port)
{
    struct sockaddr_storage peer;
    socklen_t size = socket_address(address, port, &peer);
    describe(attempt, address, port);
    int descriptor = socket(peer.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return note_errno(attempt, errno);
    if (loopback_is(&peer))
        loopback_tune(descriptor);
    else
        keep_alive(descriptor);
    int number = try_connect(descriptor, &peer, size);
    if (number == 0)
        return descriptor;
    if (number != EINPROGRESS) {
        close(descriptor);
        return note_errno(attempt, number);
    }
    ENSURE(uv_poll_init(&attempt->dial->loop->uv, &attempt->poll, descriptor) == 0);
    ENSURE(uv_poll_start(&attempt->poll, UV_WRITABLE, on_writable) == 0);
    attempt->descriptor = descriptor;
    attempt->dial->open_handles++;
    return 0;
}

static bool is_any_running(const struct dial *dial)
{
    for (size_t i = 0; i < dial->next; i++) {
        if (dial->attempts[i].descriptor >= 0)
            return true;
    }
    return false;
}

static void win(struct dial *dial, struct attempt *attempt, int descriptor)
{
    end_attempts(dial);
    dial->winner = (size_t)(attempt - dial->attempts);
    if (stream_open(dial->loop, descriptor, &stream_ops, dial, &dial->stream, &dial->failure) !=
        0) {
        fail(dial, WHY_UNREACHABLE);
        return;
    }
    dial->open_handles++;
    if (dial->tls == NULL) {
        hand_over(dial);
        return;
    }
    struct tls *tls = dial->tls;
    dial->tls = NULL;
    stream_start_tls(dial->stream, tls);
}

static void on_stagger(uv_timer_t *timer);

/* Starts the next address that can be started, or ends the dial when nothing is left. */
static void try_next(struct dial *dial)
{
    while (dial->next < dial->count) {
        size_t index = dial->next++;
        struct attempt *attempt = &dial->attempts[index];
        int status = start_attempt(attempt, &dial->addresses[index], dial->port);
        if (status < 0)
            continue;
        if (status > 0)
            win(dial, attempt, status);
        else if (dial->next < dial->count)
            ENSURE(uv_timer_start(&dial->stagger, on_stagger, STAGGER_MILLISECONDS, 0) == 0);
        return;
    }
    if (!is_any_running(dial))
        fail(dial, WHY_UNREACHABLE);
}

static void on_stagger(uv_timer_t *timer)
{
    try_next(CONTAINER_OF(timer, struct dial, stagger));
}

static void on_start(struct deferral *news)
{
    try_next(CONTAINER_OF(news, struct dial, news));
}

static void on_writable(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct attempt *attempt = CONTAINER_OF(poll, struct attempt, poll);
    struct dial *dial = attempt->dial;
    if (dial->is_closing || dial->is_over)
        return;
    int number = 0;
    socklen_t size = sizeof(number);
    if (getsockopt(attempt->descriptor, SOL_SOCKET, SO_ERROR, &number, &size) != 0)
        number = errno;
    if (number == 0 && status != 0)
        number = -status;
    if (number == 0) {
        win(dial, attempt, end_attempt(attempt));
        return;
    }
    note_errno(attempt, number);
    close(end_attempt(attempt));
    try_next(dial);
}

struct dial *dial_open(struct loop *loop, const struct dial_settings *settings,
                       const struct dial_ops *ops, void *owner)
{
    struct dial *dial = mem_new(sizeof(*dial));
    dial->loop = loop;
    dial->ops = ops;
    dial->owner = owner;
    dial->open_handles = 1;
    dial->port = settings->port;
    dial->count = settings->address_count;
    dial->addresses = mem_new_array(dial->count, sizeof(*dial->addresses));
    dial->attempts = mem_new_array(dial->count, sizeof(*dial->attempts));
    for (size_t i = 0; i < dial->count; i++) {
        dial->addresses[i] = settings->addresses[i];
        dial->attempts[i].dial = dial;
        dial->attempts[i].descriptor = -1;
    }
    if (settings->mode == TLS_MODE_ON)
        dial->tls = tls_client_new(settings->tls);
    err_set(&dial->failure, ERR_UNAVAILABLE, "no address to connect to");
    ENSURE(uv_timer_init(&loop->uv, &dial->stagger) == 0);
    deferral_init(&dial->news, on_start);
    loop_defer(loop, &dial->news);
    return dial;
}
