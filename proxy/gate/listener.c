/*
 * Happy path: the socket is readable, accept4 until it is drained, look at the peer, open a
 * session.
 *
 *   a stranger                  closed before the greeting, when that has been noted
 *   one that speaks first       told so, closed, what it said is not looked at
 *   all places taken            the longest waiting one goes; if none waits, the newcomer is told
 *   the keeper is slow          nobody is accepted until it has caught up
 *   no descriptors left         accepting pauses for a moment (the backlog keeps the clients)
 */
#include "gate/listener.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gate/doorstep.h"
#include "gate/session.h"

#define ACCEPTS_PER_TURN   64
#define PAUSE_MILLISECONDS 100

struct listening_socket {
    uv_poll_t poll;
    struct listener *listener;
    int descriptor;
};

struct listener {
    struct gate *gate;
    uint16_t index;
    const struct message_listener *configure;
    struct listening_socket *sockets;
    size_t socket_count;
    uv_timer_t pause;
    unsigned open_handles;
    size_t session_count;
    struct list waiting; /* sessions that have not logged in, oldest first */
    bool is_closing;
};

/* Freed when no handle is open and no session names it any more. */
static void free_if_unused(struct listener *listener)
{
    if (!listener->is_closing || listener->open_handles > 0 || listener->session_count > 0)
        return;
    mem_free(listener->sockets);
    mem_free(listener);
}

static void on_session_over(void *owner)
{
    struct listener *listener = owner;
    listener->session_count--;
    free_if_unused(listener);
}

/* Without a journal there is nothing to wait for. */
static void turn_away(struct listener *listener, int descriptor, const struct peer_address *peer,
                      const char *reason)
{
    struct gate *gate = listener->gate;
    struct message_record record = {.listener = listener->index};
    session_record_init(&record.record, ACTION_PEER_REJECTED, WHY_POLICY, reason, peer);
    if (gate->configure.audit.is_on)
        record.receipt = doorstep_put(gate->doorstep, descriptor);
    else
        close(descriptor);
    gate_record(gate, &record);
}

/* False: it was turned away, and the descriptor is not the caller's any more. */
static bool is_of_owner(struct listener *listener, int descriptor, struct peer_address *peer)
{
    char detail[64];
    if (peer_user(listener->gate->peers, descriptor, &peer->user_id) != 0) {
        turn_away(listener, descriptor, peer, "nobody owns that connection");
        return false;
    }
    peer->has_user = true;
    if (peer->user_id == listener->gate->configure.user_id)
        return true;
    snprintf(detail, sizeof(detail), "it belongs to user id %u", peer->user_id);
    turn_away(listener, descriptor, peer, detail);
    return false;
}

static bool is_welcome(struct listener *listener, int descriptor, struct peer_address *peer)
{
    const struct message_listener *configure = listener->configure;
    if (peer->is_loopback)
        return !configure->peer_owner_only || is_of_owner(listener, descriptor, peer);
    bool is_allowed = configure->is_remote && configure->allowed_count == 0;
    for (size_t i = 0; configure->is_remote && i < configure->allowed_count; i++)
        is_allowed = is_allowed || peer_is_within(peer, configure->allowed[i].address,
                                                  configure->allowed[i].prefix_length);
    if (!is_allowed)
        turn_away(listener, descriptor, peer, "its address is not allowed");
    return is_allowed;
}

/* True: there is a place. */
static bool make_room(struct listener *listener)
{
    if (listener->session_count < listener->configure->max_sessions)
        return true;
    if (list_is_empty(&listener->waiting))
        return false;
    session_dismiss(session_of_waiting_node(listener->waiting.next), WHY_LIMIT,
                    "too many connections wait for their login");
    return true;
}

#define FIRST_WORD_MAX 16

/* In these protocols the server speaks first. Who does not wait for it is none of their clients: a
 * browser that was made to post mail commands, for one. */
static bool has_spoken(int descriptor, uint8_t octets[FIRST_WORD_MAX], struct slice *word_out)
{
    ssize_t size = recv(descriptor, octets, FIRST_WORD_MAX, MSG_PEEK | MSG_DONTWAIT);
    if (size <= 0)
        return false;
    struct slice said = slice_of(octets, (size_t)size);
    (void)slice_next_word(&said, ' ', word_out);
    return true;
}

static void welcome(struct listener *listener, int descriptor)
{
    struct session_settings settings = {.listener = listener->index,
                                        .waiting = &listener->waiting,
                                        .on_over = on_session_over,
                                        .owner = listener};
    uint8_t octets[FIRST_WORD_MAX];
    struct err err;
    if (peer_address(descriptor, &settings.peer) != 0) {
        snprintf(settings.peer.text, sizeof(settings.peer.text), "gone");
        turn_away(listener, descriptor, &settings.peer, "it has left already");
        return;
    }
    if (!is_welcome(listener, descriptor, &settings.peer))
        return;
    if (listener->configure->tls != TLS_MODE_ON &&
        has_spoken(descriptor, octets, &settings.first_word)) {
        settings.refusal = "you spoke before you were greeted";
        settings.refusal_why = WHY_CLIENT_PROTOCOL;
    } else if (!make_room(listener)) {
        settings.refusal = "too many sessions";
        settings.refusal_why = WHY_LIMIT;
    }
    listener->session_count++;
    if (session_open(listener->gate, descriptor, &settings, &err) != 0) {
        listener->session_count--;
        log_warn(&listener->gate->log, "%s: %s", settings.peer.text, err.text);
    }
}

static void on_pause_over(uv_timer_t *timer);

static void stop_accepting(struct listener *listener)
{
    for (size_t i = 0; i < listener->socket_count; i++)
        uv_poll_stop(&listener->sockets[i].poll);
}

static void pause_accepting(struct listener *listener, int error)
{
    log_warn(&listener->gate->log, "cannot accept on %s: %s; waiting", listener->configure->name,
             strerror(error));
    stop_accepting(listener);
    uv_timer_start(&listener->pause, on_pause_over, PAUSE_MILLISECONDS, 0);
}

static bool may_accept(const struct listener *listener)
{
    return !listener->is_closing && !listener->gate->is_congested;
}

static bool is_passing(int error)
{
    return error == EAGAIN || error == EINTR || error == ECONNABORTED || error == EPROTO;
}

static void on_connections(uv_poll_t *poll, int status, int events)
{
    struct listening_socket *socket = CONTAINER_OF(poll, struct listening_socket, poll);
    struct listener *listener = socket->listener;
    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPTS_PER_TURN && may_accept(listener); i++) {
        int descriptor = accept4(socket->descriptor, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (descriptor >= 0) {
            welcome(listener, descriptor);
            continue;
        }
        if (!is_passing(errno))
            pause_accepting(listener, errno);
        return;
    }
}

static void start_accepting(struct listener *listener)
{
    for (size_t i = 0; i < listener->socket_count; i++)
        ENSURE(uv_poll_start(&listener->sockets[i].poll, UV_READABLE, on_connections) == 0);
}

void listener_update_accepting(struct listener *listener)
{
    bool is_pausing = uv_is_active((uv_handle_t *)&listener->pause);
    if (!may_accept(listener))
        stop_accepting(listener);
    else if (!is_pausing)
        start_accepting(listener);
}

static void on_pause_over(uv_timer_t *timer)
{
    struct listener *listener = CONTAINER_OF(timer, struct listener, pause);
    if (may_accept(listener))
        start_accepting(listener);
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct listening_socket *socket =
        CONTAINER_OF((uv_poll_t *)handle, struct listening_socket, poll);
    socket->listener->open_handles--;
    free_if_unused(socket->listener);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct listener *listener = CONTAINER_OF((uv_timer_t *)handle, struct listener, pause);
    listener->open_handles--;
    free_if_unused(listener);
}

void listener_close(struct listener *listener)
{
    if (listener->is_closing)
        return;
    listener->is_closing = true;
    uv_close((uv_handle_t *)&listener->pause, on_timer_closed);
    for (size_t i = 0; i < listener->socket_count; i++) {
        uv_close((uv_handle_t *)&listener->sockets[i].poll, on_socket_closed);
        close(listener->sockets[i].descriptor);
    }
}

int listener_open(struct gate *gate, uint16_t index, int descriptor, struct listener **listener_out,
                  struct err *err)
{
    const struct message_listener *configure = &gate->configure.listeners[index];
    struct listener *listener = mem_new(sizeof(*listener));
    listener->gate = gate;
    listener->index = index;
    listener->configure = configure;
    listener->sockets = mem_new_array(configure->descriptors, sizeof(*listener->sockets));
    list_init(&listener->waiting);
    ENSURE(uv_timer_init(&gate->loop->uv, &listener->pause) == 0);
    listener->open_handles = 1;
    for (size_t i = 0; i < configure->descriptors; i++) {
        struct listening_socket *socket = &listener->sockets[i];
        socket->listener = listener;
        socket->descriptor = descriptor + (int)i;
        int status = uv_poll_init_socket(&gate->loop->uv, &socket->poll, socket->descriptor);
        if (status != 0) {
            listener_close(listener);
            return err_set(err, ERR_SYSTEM, "listener %s: %s", configure->name,
                           uv_strerror(status));
        }
        listener->socket_count++;
        listener->open_handles++;
    }
    start_accepting(listener);
    *listener_out = listener;
    return 0;
}
