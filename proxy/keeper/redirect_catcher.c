/*
 * Happy path: the browser connects, asks for the path with the answer in the query, gets the page
 * "you may close this", and whoever waits for the answer has it.
 *
 * Failures:
 *   no IPv6 here              127.0.0.1 alone, unless the redirect goes to [::1]
 *   the port taken on one     another port, PORT_TRIES times
 *   another user's            closed before anything of it is looked at
 *   slow or silent            shut down after CONNECTION_MILLISECONDS, however busy it looks
 *   too long                  libmicrohttpd answers 413, 414 or 431 and closes
 *   closed by its owner       with a linger, so that the page still reaches the browser
 *
 * libmicrohttpd has an epoll descriptor of its own, which is watched here; MHD_run does the rest.
 */
#include "keeper/redirect_catcher.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/redirect_request.h"
#include "net/peer.h"

#define PORT_TRIES              16
#define CONNECTIONS_MAX         64u
#define CONNECTION_MILLISECONDS 5000
#define CONNECTION_MEMORY       (16ul * 1024) /* with its request, which is the limit of that */
#define LINGER_MILLISECONDS     1000
#define BACKLOG                 128

enum family { IPV4, IPV6, FAMILIES };

struct server {
    struct redirect_catcher *catcher;
    struct MHD_Daemon *daemon; /* NULL: not there */
    uv_poll_t poll;
};

struct redirect_catcher {
    struct loop *loop;
    bool (*on_redirect)(void *owner, struct slice query);
    void *owner;
    char *path;
    struct peer_lookup *peers; /* NULL: everybody is welcome */
    const struct log *log;
    uint16_t port;
    char uri[128];
    struct server servers[FAMILIES];
    uv_timer_t timer; /* what libmicrohttpd asks for */
    uv_timer_t linger;
    struct deadline_queue *patience;
    struct list visitors;
    bool has_room_again; /* a connection has gone */
    bool closing;
    unsigned references; /* the handles */
};

struct visitor {
    struct list node;
    struct deadline deadline;
    int descriptor;
    bool is_stranger;
};

/* ---- the answer ---- */

static const char *title_of(unsigned status)
{
    switch (status) {
    case MHD_HTTP_OK:
        return "Back to the terminal";
    case MHD_HTTP_METHOD_NOT_ALLOWED:
    case MHD_HTTP_FORBIDDEN:
        return "Not allowed";
    case MHD_HTTP_NOT_FOUND:
        return "Nothing here";
    default:
        return "Not the answer to a sign-in";
    }
}

/* Constant for each status: nothing of the request is in it. */
static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status)
{
    static const char *const headers[][2] = {
        {"Content-Type", "text/html; charset=utf-8"},
        {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
        {"Cache-Control", "no-store"},
        {"Referrer-Policy", "no-referrer"},
        {"X-Content-Type-Options", "nosniff"},
        {"Connection", "close"},
    };
    const char *text = status == MHD_HTTP_OK
                           ? "ecluse has the answer; the terminal says whether the sign-in worked. "
                             "You may close this page."
                           : "This is where a sign-in of ecluse ends, and this was not one.";
    char page[512];
    int size = snprintf(page, sizeof(page),
                        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>%s</title>"
                        "<h1>%s</h1><p>%s</p></html>\n",
                        title_of(status), title_of(status), text);
    ENSURE(size > 0 && (size_t)size < sizeof(page));
    struct MHD_Response *response =
        MHD_create_response_from_buffer((size_t)size, page, MHD_RESPMEM_MUST_COPY);
    if (response == NULL)
        return MHD_NO;
    for (size_t i = 0; i < LENGTH_OF(headers); i++)
        (void)!MHD_add_response_header(response, headers[i][0], headers[i][1]);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)!MHD_add_response_header(response, "Allow", "GET");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- the request ---- */

static enum MHD_Result take_field(void *owner, enum MHD_ValueKind kind, const char *name,
                                  const char *value)
{
    (void)kind;
    redirect_request_field(owner, name, value == NULL ? "" : value);
    return MHD_YES;
}

static unsigned status_of(struct redirect_catcher *catcher, struct MHD_Connection *connection,
                          const char *method, const char *target)
{
    struct redirect_request request;
    struct slice query;
    redirect_request_begin(&request, catcher->path, catcher->port);
    (void)!MHD_get_connection_values(connection, MHD_HEADER_KIND, take_field, &request);
    enum redirect_status status =
        redirect_request_judge(&request, method, target == NULL ? "" : target, &query);
    if (status == REDIRECT_TAKEN &&
        (catcher->closing || !catcher->on_redirect(catcher->owner, query)))
        return MHD_HTTP_BAD_REQUEST;
    return status;
}

/* The request's target before libmicrohttpd decodes it in place; *context of the other callbacks.
 */
static void *keep_target(void *owner, const char *target, struct MHD_Connection *connection)
{
    (void)owner;
    (void)connection;
    return mem_copy_string(target);
}

static enum MHD_Result on_request(void *owner, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **context)
{
    (void)url;
    (void)version;
    (void)upload;
    (void)upload_size;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    const struct visitor *visitor = info == NULL ? NULL : info->socket_context;
    /* It is shut down already, but may have sent its request before that. */
    if (visitor == NULL || visitor->is_stranger)
        return MHD_NO;
    return answer(connection, status_of(owner, connection, method, *context));
}

static void on_request_over(void *owner, struct MHD_Connection *connection, void **context,
                            enum MHD_RequestTerminationCode why)
{
    (void)owner;
    (void)connection;
    (void)why;
    mem_free_wiped_string(*context); /* the code was in it */
    *context = NULL;
}

/* ---- connections ---- */

static void on_visitor_expired(struct deadline *deadline)
{
    struct visitor *visitor = CONTAINER_OF(deadline, struct visitor, deadline);
    shutdown(visitor->descriptor, SHUT_RDWR);
}

/* Where it cannot be known whose it is, it is nobody's of ours. */
static bool is_stranger(const struct redirect_catcher *catcher, int descriptor)
{
    struct peer_address peer = {.text = "gone"};
    uint32_t user;
    if (catcher->peers == NULL)
        return false;
    int found = peer_address(descriptor, &peer);
    if (found == 0)
        found = peer_user(catcher->peers, descriptor, &user);
    if (found == 0 && user == geteuid())
        return false;
    if (found == 0)
        log_warn(catcher->log, "redirect of a sign-in: %s was refused, it belongs to user id %u",
                 peer.text, user);
    else
        log_warn(catcher->log, "redirect of a sign-in: %s was refused, nobody owns it", peer.text);
    return true;
}

static void on_connection(void *owner, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct redirect_catcher *catcher = owner;
    struct visitor *visitor = *context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        visitor = mem_new(sizeof(*visitor));
        visitor->descriptor =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        list_init(&visitor->node);
        deadline_init(&visitor->deadline, on_visitor_expired);
        deadline_start(catcher->patience, &visitor->deadline);
        list_append(&catcher->visitors, &visitor->node);
        visitor->is_stranger = is_stranger(catcher, visitor->descriptor);
        if (visitor->is_stranger)
            shutdown(visitor->descriptor, SHUT_RDWR);
        *context = visitor;
    } else {
        deadline_stop(&visitor->deadline);
        list_remove(&visitor->node);
        catcher->has_room_again = true;
        mem_free(visitor);
        *context = NULL;
    }
}

/* ---- the loop ---- */

static void drop(struct redirect_catcher *catcher)
{
    if (--catcher->references > 0)
        return;
    peer_lookup_close(catcher->peers);
    mem_free(catcher->path);
    mem_free(catcher);
}

static void on_poll_closed(uv_handle_t *handle)
{
    drop(CONTAINER_OF(handle, struct server, poll)->catcher);
}

static void on_timer_closed(uv_handle_t *handle)
{
    drop(handle->data);
}

static void finish(struct redirect_catcher *catcher)
{
    for (size_t i = 0; i < FAMILIES; i++) {
        struct server *server = &catcher->servers[i];
        if (server->daemon == NULL)
            continue;
        /* No event comes any more once this returns: the descriptor may go. */
        uv_close((uv_handle_t *)&server->poll, on_poll_closed);
        MHD_stop_daemon(server->daemon);
        server->daemon = NULL;
    }
    deadline_queue_close(catcher->patience);
    uv_close((uv_handle_t *)&catcher->linger, on_timer_closed);
    uv_close((uv_handle_t *)&catcher->timer, on_timer_closed);
}

static void on_timer(uv_timer_t *timer);

static void run(struct redirect_catcher *catcher)
{
    for (size_t i = 0; i < FAMILIES; i++)
        if (catcher->servers[i].daemon != NULL)
            (void)!MHD_run(catcher->servers[i].daemon);
}

static void work(struct redirect_catcher *catcher)
{
    MHD_UNSIGNED_LONG_LONG soonest = UINT64_MAX, milliseconds;
    run(catcher);
    /* Only its next run looks at its listening socket again after it was full. */
    if (catcher->has_room_again)
        run(catcher);
    catcher->has_room_again = false;
    for (size_t i = 0; i < FAMILIES; i++) {
        if (catcher->servers[i].daemon != NULL &&
            MHD_get_timeout(catcher->servers[i].daemon, &milliseconds) == MHD_YES &&
            milliseconds < soonest)
            soonest = milliseconds;
    }
    if (catcher->closing && list_is_empty(&catcher->visitors))
        finish(catcher);
    else if (soonest != UINT64_MAX)
        uv_timer_start(&catcher->timer, on_timer, soonest, 0);
    else
        uv_timer_stop(&catcher->timer);
}

static void on_timer(uv_timer_t *timer)
{
    work(CONTAINER_OF(timer, struct redirect_catcher, timer));
}

static void on_event(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    work(CONTAINER_OF(poll, struct server, poll)->catcher);
}

static void on_linger_over(uv_timer_t *timer)
{
    finish(CONTAINER_OF(timer, struct redirect_catcher, linger));
}

/* ---- open ---- */

/* The descriptor, or -1 with errno. */
static int listen_on(enum family family, uint16_t port)
{
    const struct sockaddr_in v4 = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int on = 1;
    int descriptor =
        socket(family == IPV4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0)
        return -1;
    /* A port of the user's choice was perhaps ours a moment ago. */
    if (port != 0)
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (family == IPV6)
        setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    int status = family == IPV4 ? bind(descriptor, (const struct sockaddr *)&v4, sizeof(v4))
                                : bind(descriptor, (const struct sockaddr *)&v6, sizeof(v6));
    if (status == 0 && listen(descriptor, BACKLOG) == 0)
        return descriptor;
    int reason = errno;
    close(descriptor);
    errno = reason;
    return -1;
}

static uint16_t port_of(int descriptor)
{
    struct sockaddr_in address = {0};
    socklen_t size = sizeof(address);
    ENSURE(getsockname(descriptor, (struct sockaddr *)&address, &size) == 0);
    return ntohs(address.sin_port);
}

/* 127.0.0.1 is there always; [::1] may be missing on a machine without IPv6. */
static int listen_on_both(const char *host, uint16_t port, int descriptors[FAMILIES],
                          struct err *err)
{
    for (unsigned i = 0; i < (port == 0 ? PORT_TRIES : 1); i++) {
        descriptors[IPV4] = listen_on(IPV4, port);
        if (descriptors[IPV4] < 0 && port == 0)
            return err_set_errno(err, "127.0.0.1");
        if (descriptors[IPV4] < 0)
            break;
        descriptors[IPV6] = listen_on(IPV6, port_of(descriptors[IPV4]));
        if (descriptors[IPV6] >= 0 || (errno != EADDRINUSE && strcmp(host, "[::1]") != 0))
            return 0;
        int reason = errno;
        close(descriptors[IPV4]);
        errno = reason;
        if (reason != EADDRINUSE)
            return err_set_errno(err, "[::1]");
    }
    if (port != 0)
        return err_set(err, ERR_UNAVAILABLE,
                       "redirect_port %u is taken by another program; stop that one, or choose "
                       "another port",
                       (unsigned)port);
    return err_set(err, ERR_UNAVAILABLE, "no port is free on both 127.0.0.1 and [::1]");
}

static int serve(struct redirect_catcher *catcher, enum family family, int descriptor,
                 struct err *err)
{
    struct server *server = &catcher->servers[family];
    server->catcher = catcher;
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | (family == IPV6 ? MHD_USE_IPv6 : 0u), 0, NULL, NULL, on_request, catcher,
        MHD_OPTION_LISTEN_SOCKET, descriptor, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_URI_LOG_CALLBACK,
        keep_target, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_request_over, NULL,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, catcher, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    if (server->daemon == NULL) {
        close(descriptor);
        return err_set(err, ERR_SYSTEM, "the web server for the redirect does not start");
    }
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    ENSURE(info != NULL && uv_poll_init(&catcher->loop->uv, &server->poll, info->epoll_fd) == 0);
    ENSURE(uv_poll_start(&server->poll, UV_READABLE, on_event) == 0);
    catcher->references++;
    return 0;
}

int redirect_catcher_open(struct loop *loop, const struct redirect_catcher_options *options,
                          struct redirect_catcher **catcher_out, struct err *err)
{
    int descriptors[FAMILIES] = {-1, -1};
    struct peer_lookup *peers = NULL;
    int status = options->owner_only ? peer_lookup_open(&peers, err) : 0;
    if (status == 0)
        status = listen_on_both(options->host, options->port, descriptors, err);
    if (status != 0) {
        peer_lookup_close(peers);
        return status;
    }
    struct redirect_catcher *catcher = mem_new(sizeof(*catcher));
    catcher->peers = peers;
    catcher->log = options->log;
    catcher->loop = loop;
    catcher->on_redirect = options->on_redirect;
    catcher->owner = options->owner;
    catcher->path = mem_copy_string(options->path);
    catcher->port = port_of(descriptors[IPV4]);
    catcher->patience = deadline_queue_new(loop, CONNECTION_MILLISECONDS);
    list_init(&catcher->visitors);
    snprintf(catcher->uri, sizeof(catcher->uri), "http://%s:%u%s", options->host,
             (unsigned)catcher->port, options->path);
    ENSURE(uv_timer_init(&loop->uv, &catcher->timer) == 0);
    ENSURE(uv_timer_init(&loop->uv, &catcher->linger) == 0);
    catcher->timer.data = catcher->linger.data = catcher;
    catcher->references = 2;
    for (size_t i = 0; i < FAMILIES; i++) {
        if (descriptors[i] < 0)
            continue;
        if (status == 0)
            status = serve(catcher, (enum family)i, descriptors[i], err);
        else
            close(descriptors[i]);
    }
    if (status != 0) {
        finish(catcher);
        return status;
    }
    *catcher_out = catcher;
    return 0;
}

const char *redirect_catcher_uri(const struct redirect_catcher *catcher)
{
    return catcher->uri;
}

void redirect_catcher_close(struct redirect_catcher *catcher)
{
    if (catcher->closing)
        return;
    catcher->closing = true;
    /* It may be its own callback that closes it: what is left is done from the loop. */
    bool has_visitors = !list_is_empty(&catcher->visitors);
    ENSURE(uv_timer_start(&catcher->linger, on_linger_over, has_visitors ? LINGER_MILLISECONDS : 0,
                          0) == 0);
}
