/*
 * Happy path: a connection of our own uid or root sends a line, the command runs, its answer goes
 * back as a line; then the next.
 *
 * Failures, none of which touches anything else:
 *  - another uid: closed without a word
 *  - more than CONNECTIONS_MAX: the one that has waited longest goes, so that a real user always
 *    gets in; when commands run on all of them, the new one is told to try again
 *  - a line that is no JSON object or too long: one answer with status 64, closed
 *  - CONNECTION_IDLE without a whole line: closed
 *  - the client ends while its command runs: it may have finished sending only, so the command goes
 *    on, unless it waits for the client's user; a broken connection cancels it
 *  - out of descriptors: no connection is taken for ACCEPT_PAUSE
 *
 * References of the control: its owner, its two handles, each connection.
 */
#include "keeper/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keeper/command.h"
#include "keeper/control_socket.h"
#include "net/stream.h"

#define CONNECTIONS_MAX              16
#define CONNECTION_IDLE_MILLISECONDS 30000
#define FLUSH_MILLISECONDS           1000
#define ACCEPT_PAUSE_MILLISECONDS    100
/* In one turn of the loop, so that a flood does not hold up all else. */
#define ACCEPTS_A_TURN 16

#define ANSWER_BUSY     "{\"status\":75,\"error\":\"control: too many commands at once; try again\"}\n"
#define ANSWER_TOO_LONG "{\"status\":64,\"error\":\"control: the request is too long\"}\n"
#define ANSWER_GARBAGE  "{\"status\":64,\"error\":\"control: the request is no JSON object\"}\n"

struct control {
    struct loop *loop;
    struct keeper *keeper;
    const struct log *log;
    struct control_socket socket;
    uv_poll_t acceptor;
    uv_timer_t pause;
    struct deadline_queue *idle;
    struct list connections;
    size_t connection_count;
    unsigned references;
    bool closing;
};

struct connection {
    struct list node;
    struct control *control;
    struct stream *stream;
    struct deadline deadline;
    struct buf input;
    struct command *command; /* one at a time */
    bool ended;              /* the client has finished sending */
    bool closing;
};

static void control_drop(struct control *control)
{
    if (--control->references == 0)
        mem_free(control);
}

/* What was written goes out first, within FLUSH_MILLISECONDS; on_connection_closed follows. */
static void connection_close(struct connection *connection)
{
    if (connection->closing)
        return;
    connection->closing = true;
    if (connection->command != NULL)
        command_cancel(connection->command);
    connection->command = NULL;
    deadline_stop(&connection->deadline);
    list_remove(&connection->node);
    connection->control->connection_count--;
    stream_close_after_flush(connection->stream, FLUSH_MILLISECONDS);
}

static void connection_refuse(struct connection *connection, struct slice answer)
{
    /* ERR_CLOSED means that nobody is there to read it. */
    int status = stream_write(connection->stream, answer);
    (void)status;
    connection_close(connection);
}

static void connection_advance(struct connection *connection);

static void on_command_answer(void *owner, struct secret *answer)
{
    struct connection *connection = owner;
    connection->command = NULL;
    if (stream_write(connection->stream, secret_bytes(answer)) != 0 ||
        stream_write(connection->stream, SLICE_LITERAL("\n")) != 0) {
        connection_close(connection);
        return;
    }
    deadline_start(connection->control->idle, &connection->deadline);
    connection_advance(connection);
}

static void connection_start(struct connection *connection, struct slice line)
{
    deadline_stop(&connection->deadline);
    connection->command =
        command_start(connection->control->keeper, line, on_command_answer, connection);
    buf_consume(&connection->input, line.size + 1);
}

/* Starts the next command when there is a whole line and the answer before has gone. */
static void connection_advance(struct connection *connection)
{
    if (connection->closing || connection->command != NULL ||
        stream_is_congested(connection->stream))
        return;
    struct slice input = buf_bytes(&connection->input);
    struct slice line = slice_take(input, slice_find(input, '\n'));
    if (input.size > 0 && !slice_starts_with(input, "{"))
        connection_refuse(connection, SLICE_LITERAL(ANSWER_GARBAGE));
    else if (line.size < input.size)
        connection_start(connection, line);
    else if (connection->ended)
        connection_close(connection);
}

static void on_connection_read(void *owner, struct slice bytes)
{
    struct connection *connection = owner;
    struct loop *loop = connection->control->loop;
    int status = buf_append(&connection->input, bytes);
    /* It may hold a password, and the scratch memory lives as long as the process. */
    if (bytes.data == loop->scratch_input)
        mem_wipe(loop->scratch_input, bytes.size);
    if (status != 0)
        connection_refuse(connection, SLICE_LITERAL(ANSWER_TOO_LONG));
    else
        connection_advance(connection);
}

static void on_connection_end(void *owner)
{
    struct connection *connection = owner;
    connection->ended = true;
    if (connection->command != NULL && command_waits_for_user(connection->command))
        connection_close(connection);
    else
        connection_advance(connection);
}

static void on_connection_drained(void *owner)
{
    connection_advance(owner);
}

static void on_connection_failed(void *owner, enum why why, const char *text)
{
    (void)why;
    (void)text;
    connection_close(owner);
}

static void on_connection_closed(void *owner)
{
    struct connection *connection = owner;
    struct control *control = connection->control;
    buf_fini(&connection->input);
    mem_free(connection);
    control_drop(control);
}

static void on_connection_expired(struct deadline *deadline)
{
    connection_close(CONTAINER_OF(deadline, struct connection, deadline));
}

/* No on_secured: TLS is never started. */
static const struct stream_ops connection_ops = {
    .on_read = on_connection_read,
    .on_end = on_connection_end,
    .on_drained = on_connection_drained,
    .on_failed = on_connection_failed,
    .on_closed = on_connection_closed,
};

static void connection_open(struct control *control, int descriptor)
{
    struct connection *connection = mem_new(sizeof(*connection));
    struct err err;
    connection->control = control;
    list_init(&connection->node);
    if (stream_open(control->loop, descriptor, &connection_ops, connection, &connection->stream,
                    &err) != 0) {
        log_warn(control->log, "control: %s", err.text);
        mem_free(connection);
        return;
    }
    buf_init(&connection->input, COMMAND_REQUEST_MAX + 1); /* with the end of the line */
    deadline_init(&connection->deadline, on_connection_expired);
    deadline_start(control->idle, &connection->deadline);
    list_append(&control->connections, &connection->node);
    control->connection_count++;
    control->references++;
    stream_read_start(connection->stream);
}

/* The folder's mode keeps others out already; this does not rely on it. */
static bool is_admitted(int descriptor)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    return getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

/* The one that has waited longest without a command; else one whose client has finished sending,
 * and is likely gone; NULL: none can be spared. */
static struct connection *find_sparable(struct control *control)
{
    struct connection *ended = NULL;
    LIST_FOREACH (node, &control->connections) {
        struct connection *connection = CONTAINER_OF(node, struct connection, node);
        if (connection->command == NULL)
            return connection;
        if (ended == NULL && connection->ended)
            ended = connection;
    }
    return ended;
}

static bool make_room(struct control *control)
{
    if (control->connection_count < CONNECTIONS_MAX)
        return true;
    struct connection *sparable = find_sparable(control);
    if (sparable != NULL)
        connection_close(sparable);
    return sparable != NULL;
}

static void take(struct control *control, int descriptor)
{
    if (!is_admitted(descriptor)) {
        log_warn(control->log, "control: a process of another user was turned away");
        close(descriptor);
    } else if (!make_room(control)) {
        struct slice answer = SLICE_LITERAL(ANSWER_BUSY);
        send(descriptor, answer.data, answer.size, MSG_NOSIGNAL | MSG_DONTWAIT);
        close(descriptor);
    } else {
        connection_open(control, descriptor);
    }
}

static void on_acceptable(uv_poll_t *acceptor, int status, int events);

static void accept_start(struct control *control)
{
    ENSURE(uv_poll_start(&control->acceptor, UV_READABLE, on_acceptable) == 0);
}

static void on_pause_over(uv_timer_t *pause)
{
    struct control *control = CONTAINER_OF(pause, struct control, pause);
    if (!control->closing)
        accept_start(control);
}

static void on_acceptable(uv_poll_t *acceptor, int status, int events)
{
    struct control *control = CONTAINER_OF(acceptor, struct control, acceptor);
    (void)status;
    (void)events;
    for (unsigned i = 0; i < ACCEPTS_A_TURN && !control->closing; i++) {
        int descriptor =
            accept4(control->socket.descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor >= 0) {
            take(control, descriptor);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            log_warn(control->log, "control: accept: %s", strerror(errno));
            uv_poll_stop(acceptor);
            uv_timer_start(&control->pause, on_pause_over, ACCEPT_PAUSE_MILLISECONDS, 0);
            return;
        }
    }
}

int control_open(struct loop *loop, struct keeper *keeper, const char *runtime_dir,
                 const struct log *log, struct control **control_out, struct err *err)
{
    struct control *control = mem_new(sizeof(*control));
    int status = control_socket_open(runtime_dir, &control->socket, err);
    if (status != 0) {
        mem_free(control);
        return status;
    }
    control->loop = loop;
    control->keeper = keeper;
    control->log = log;
    control->references = 3;
    list_init(&control->connections);
    control->idle = deadline_queue_new(loop, CONNECTION_IDLE_MILLISECONDS);
    ENSURE(uv_timer_init(&loop->uv, &control->pause) == 0);
    ENSURE(uv_poll_init(&loop->uv, &control->acceptor, control->socket.descriptor) == 0);
    accept_start(control);
    *control_out = control;
    return 0;
}

static void on_acceptor_closed(uv_handle_t *handle)
{
    control_drop(CONTAINER_OF(handle, struct control, acceptor));
}

static void on_pause_closed(uv_handle_t *handle)
{
    control_drop(CONTAINER_OF(handle, struct control, pause));
}

void control_close(struct control *control)
{
    if (control->closing)
        return;
    control->closing = true;
    LIST_FOREACH_SAFE (node, &control->connections)
        connection_close(CONTAINER_OF(node, struct connection, node));
    deadline_queue_close(control->idle);
    uv_close((uv_handle_t *)&control->pause, on_pause_closed);
    /* Stops polling at once: from here on the descriptor may be closed. */
    uv_close((uv_handle_t *)&control->acceptor, on_acceptor_closed);
    control_socket_close(&control->socket);
    control_drop(control);
}
