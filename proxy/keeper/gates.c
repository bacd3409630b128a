/*
 * Happy path: every listener's sockets are found or bound, a generation of gates is started on
 * them; a reload does the same beside the old generation, which then drains.
 *
 * Failure modes:
 *   a socket, a bundle, a first process   nothing has changed: what was new is given back
 *   a gate that dies                      gates_process.c replaces it
 *   gates that outlive the drain          SIGTERM, then SIGKILL
 */
#include "keeper/gates.h"

#include <signal.h>

#include "keeper/gates_worker.h"

/* The gates end their sessions themselves when the time is over; this is for telling clients so. */
#define STOP_GRACE_MILLISECONDS 500
#define TERM_GRACE_MILLISECONDS 1000

void gates_hold(struct gates *gates)
{
    gates->references++;
}

void gates_drop(struct gates *gates)
{
    if (--gates->references > 0)
        return;
    mem_free(gates->program);
    mem_free(gates->inherited);
    mem_free(gates);
}

/* ---- sockets ---- */

static void free_sockets(struct list *sockets)
{
    LIST_FOREACH_SAFE (node, sockets)
        listen_socket_free(CONTAINER_OF(node, struct listen_socket, node));
}

static struct listen_socket *find_socket(struct list *sockets, const struct listen_address *address)
{
    LIST_FOREACH (node, sockets) {
        struct listen_socket *socket = CONTAINER_OF(node, struct listen_socket, node);
        if (listen_socket_is_at(socket, address))
            return socket;
    }
    return NULL;
}

static struct listen_socket *adopt_inherited(struct gates *gates,
                                             const struct listen_address *address)
{
    struct listen_socket *socket = NULL;
    for (size_t i = 0; i < gates->inherited_count; i++)
        if (gates->inherited[i] >= 0 &&
            listen_socket_adopt(address, gates->inherited[i], &socket) == 0) {
            gates->inherited[i] = -1;
            return socket;
        }
    return NULL;
}

/* The descriptor for an address: of a socket that is there, or of one that is made and put into
 * `fresh`. */
static int socket_for(struct gates *gates, const struct listener_config *listener,
                      const struct listen_address *address, struct list *fresh, int *descriptor_out,
                      struct err *err)
{
    struct listen_socket *socket = find_socket(&gates->sockets, address);
    char text[LISTEN_TEXT_MAX];
    if (socket == NULL) {
        socket = adopt_inherited(gates, address);
        if (socket == NULL) {
            int status = listen_socket_bind(address, &socket, err);
            if (status != 0) {
                err_wrap(err, "listen %s", listener->name);
                return status;
            }
        }
        list_append(fresh, &socket->node);
        listen_address_text(address, text);
        log_info(gates->log, "listen %s: %s on %s%s", listener->name,
                 protocol_name(listener->protocol), text,
                 socket->is_inherited ? ", by socket activation" : "");
    }
    *descriptor_out = socket->descriptor;
    return 0;
}

static int find_sockets(struct gates *gates, const struct config *config,
                        struct gates_generation *generation, struct list *fresh, struct err *err)
{
    size_t count = 0;
    for (size_t i = 0; i < config->listener_count; i++)
        count += config->listeners[i]->address_count;
    generation->descriptors = mem_new_array(count, sizeof(*generation->descriptors));
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct listener_config *listener = config->listeners[i];
        for (size_t j = 0; j < listener->address_count; j++) {
            int *descriptor = &generation->descriptors[generation->descriptor_count];
            int status =
                socket_for(gates, listener, &listener->addresses[j], fresh, descriptor, err);
            if (status != 0)
                return status;
            generation->descriptor_count++;
        }
    }
    return 0;
}

static bool is_used(const struct gates_generation *generation, int descriptor)
{
    for (size_t i = 0; i < generation->descriptor_count; i++)
        if (generation->descriptors[i] == descriptor)
            return true;
    return false;
}

/* Puts what is new with what is there; what the generation has no use for goes, but not what was
 * inherited: nobody could bind it again. */
static void keep_sockets(struct gates *gates, struct list *fresh,
                         const struct gates_generation *generation)
{
    LIST_FOREACH_SAFE (node, fresh) {
        list_remove(node);
        list_append(&gates->sockets, node);
    }
    LIST_FOREACH_SAFE (node, &gates->sockets) {
        struct listen_socket *socket = CONTAINER_OF(node, struct listen_socket, node);
        if (!socket->is_inherited && !is_used(generation, socket->descriptor))
            listen_socket_free(socket);
    }
}

/* ---- generations ---- */

static void end_workers(struct gates *gates, const struct gates_generation *generation)
{
    LIST_FOREACH (node, &gates->workers) {
        struct gates_worker *worker = CONTAINER_OF(node, struct gates_worker, node);
        if (worker->generation != generation)
            continue;
        gates_worker_kill(worker);
        gates_worker_end(worker);
    }
}

static int start_workers(struct gates *gates, struct gates_generation *generation, struct err *err)
{
    for (size_t i = 0; i < generation->workers; i++) {
        int status = gates_worker_start(gates_worker_new(gates, generation), err);
        if (status != 0) {
            end_workers(gates, generation);
            return status;
        }
    }
    return 0;
}

static void replace_generation(struct gates *gates, struct gates_generation *generation,
                               unsigned first)
{
    struct gates_generation *before = gates->generation;
    gates->generation = generation;
    gates->first = first;
    if (before == NULL)
        return;
    LIST_FOREACH (node, &gates->workers) {
        struct gates_worker *worker = CONTAINER_OF(node, struct gates_worker, node);
        if (worker->generation == before)
            gates_worker_drain(worker, 0);
    }
    gates_generation_drop(before);
}

int gates_reload(struct gates *gates, const struct config *config,
                 const struct message_offer *offers, struct err *err)
{
    struct gates_generation *generation;
    struct list fresh;
    unsigned first = gates->numbers + 1;
    list_init(&fresh);
    int status = gates_generation_new(config, offers, &generation, err);
    if (status != 0)
        return status;
    status = find_sockets(gates, config, generation, &fresh, err);
    if (status == 0)
        status = start_workers(gates, generation, err);
    if (status != 0) {
        if (gates->generation != NULL)
            keep_sockets(gates, &fresh, gates->generation);
        free_sockets(&fresh);
        gates_generation_drop(generation);
        return status;
    }
    keep_sockets(gates, &fresh, generation);
    replace_generation(gates, generation, first);
    return 0;
}

/* ---- stopping ---- */

static void on_stopped(struct deferral *deferral)
{
    struct gates *gates = CONTAINER_OF(deferral, struct gates, stopped);
    uv_timer_stop(&gates->stop_timer);
    gates->ops->on_stopped(gates->owner);
}

void gates_check_stopped(struct gates *gates)
{
    if (gates->is_closing || gates->stop_signal == 0 || gates->has_stopped ||
        !list_is_empty(&gates->workers))
        return;
    gates->has_stopped = true;
    loop_defer(gates->loop, &gates->stopped);
}

static void on_stop_timer(uv_timer_t *timer)
{
    struct gates *gates = CONTAINER_OF(timer, struct gates, stop_timer);
    LIST_FOREACH (node, &gates->workers) {
        struct gates_worker *worker = CONTAINER_OF(node, struct gates_worker, node);
        /* While nothing is read, nobody sees the end of what a gate has said. */
        if (gates->stop_signal == SIGKILL && gates->is_paused)
            gates_worker_kill(worker);
        else
            gates_worker_signal(worker, gates->stop_signal);
    }
    gates->stop_signal = SIGKILL;
    ENSURE(uv_timer_start(timer, on_stop_timer, TERM_GRACE_MILLISECONDS, 0) == 0);
}

void gates_stop(struct gates *gates, int64_t milliseconds)
{
    if (gates->stop_signal == 0)
        gates->stop_signal = SIGTERM;
    /* Clients that come now are refused, and do not wait in a backlog that nobody reads. */
    free_sockets(&gates->sockets);
    LIST_FOREACH (node, &gates->workers) {
        struct gates_worker *worker = CONTAINER_OF(node, struct gates_worker, node);
        if (milliseconds > 0)
            gates_worker_drain(worker, milliseconds);
        else
            gates_worker_end(worker);
    }
    if (milliseconds > 0)
        ENSURE(uv_timer_start(&gates->stop_timer, on_stop_timer,
                              (uint64_t)milliseconds + STOP_GRACE_MILLISECONDS, 0) == 0);
    else
        on_stop_timer(&gates->stop_timer);
    gates_check_stopped(gates);
}

/* ---- gates by number ---- */

static int send_to(struct gates_worker *worker, struct slice message)
{
    if (channel_send(worker->channel, message) == 0)
        return 0;
    log_error(worker->gates->log, "gate %u does not read; it is killed", worker->number);
    gates_worker_kill(worker);
    return ERR_CLOSED;
}

int gates_send(struct gates *gates, unsigned gate, struct slice message)
{
    LIST_FOREACH (node, &gates->workers) {
        struct gates_worker *worker = CONTAINER_OF(node, struct gates_worker, node);
        if (worker->number == gate && worker->channel != NULL)
            return send_to(worker, message);
    }
    return ERR_CLOSED;
}

void gates_send_all(struct gates *gates, struct slice message)
{
    LIST_FOREACH (node, &gates->workers) {
        struct gates_worker *worker = CONTAINER_OF(node, struct gates_worker, node);
        if (worker->channel != NULL)
            (void)!send_to(worker, message);
    }
}

void gates_pause(struct gates *gates, bool is_paused)
{
    gates->is_paused = is_paused;
    LIST_FOREACH (node, &gates->workers) {
        const struct gates_worker *worker = CONTAINER_OF(node, struct gates_worker, node);
        if (worker->channel != NULL && is_paused)
            channel_pause(worker->channel);
        else if (worker->channel != NULL)
            channel_resume(worker->channel);
    }
}

/* ---- offers ---- */

static void tell_offer(struct gates *gates, const struct message_offer *offer)
{
    struct buf message;
    buf_init(&message, MESSAGE_SIZE_MAX);
    ENSURE(message_write_offer(&message, offer) == 0);
    LIST_FOREACH (node, &gates->workers) {
        struct gates_worker *worker = CONTAINER_OF(node, struct gates_worker, node);
        if (worker->generation == gates->generation && worker->channel != NULL)
            (void)!send_to(worker, buf_bytes(&message));
    }
    buf_fini(&message);
}

void gates_offer(struct gates *gates, const struct message_offer *offers)
{
    for (size_t i = 0; i < gates->generation->configure.listener_count; i++)
        if (gates_generation_offer(gates->generation, &offers[i]))
            tell_offer(gates, &offers[i]);
}

size_t gates_processes(const struct gates *gates, int *out, size_t capacity)
{
    size_t count = 0;
    LIST_FOREACH (node, &gates->workers) {
        const struct gates_worker *worker = CONTAINER_OF(node, struct gates_worker, node);
        if (worker->is_alive && count < capacity)
            out[count++] = worker->process.pid;
    }
    return count;
}

size_t gates_numbers(const struct gates *gates, unsigned *out, size_t capacity)
{
    size_t count = 0;
    LIST_FOREACH (node, &gates->workers) {
        const struct gates_worker *worker = CONTAINER_OF(node, struct gates_worker, node);
        if (worker->is_alive && count < capacity)
            out[count++] = worker->number;
    }
    return count;
}

size_t gates_count(const struct gates *gates)
{
    size_t count = 0;
    LIST_FOREACH (node, &gates->workers)
        count += CONTAINER_OF(node, struct gates_worker, node)->is_alive;
    return count;
}

uint64_t gates_restarts(const struct gates *gates)
{
    return gates->restarts;
}

unsigned gates_first(const struct gates *gates)
{
    return gates->first;
}

/* ---- open and close ---- */

static void fill_inherited(struct gates *gates, const struct gates_settings *settings)
{
    gates->inherited_count = (size_t)settings->inherited_count;
    gates->inherited = mem_new_array(gates->inherited_count, sizeof(*gates->inherited));
    for (size_t i = 0; i < gates->inherited_count; i++)
        gates->inherited[i] = settings->inherited_first + (int)i;
}

static void warn_about_unused(const struct gates *gates)
{
    for (size_t i = 0; i < gates->inherited_count; i++)
        if (gates->inherited[i] >= 0)
            log_warn(gates->log, "the inherited socket %d is at no configured address; not used",
                     gates->inherited[i]);
}

int gates_open(struct loop *loop, const struct config *config, const struct message_offer *offers,
               const struct gates_settings *settings, const struct log *log,
               const struct gates_ops *ops, void *owner, struct gates **gates_out, struct err *err)
{
    struct gates *gates = mem_new(sizeof(*gates));
    gates->loop = loop;
    gates->log = log;
    gates->ops = ops;
    gates->owner = owner;
    gates->program =
        mem_copy_string(settings->program != NULL ? settings->program : "/proc/self/exe");
    fill_inherited(gates, settings);
    list_init(&gates->sockets);
    list_init(&gates->workers);
    deferral_init(&gates->stopped, on_stopped);
    gates->references = 2;
    ENSURE(uv_timer_init(&loop->uv, &gates->stop_timer) == 0);
    int status = gates_reload(gates, config, offers, err);
    if (status != 0) {
        gates_close(gates);
        return status;
    }
    warn_about_unused(gates);
    *gates_out = gates;
    return 0;
}

static void on_stop_timer_closed(uv_handle_t *handle)
{
    gates_drop(CONTAINER_OF(handle, struct gates, stop_timer));
}

void gates_close(struct gates *gates)
{
    if (gates->is_closing)
        return;
    gates->is_closing = true;
    deferral_cancel(&gates->stopped);
    LIST_FOREACH (node, &gates->workers) {
        struct gates_worker *worker = CONTAINER_OF(node, struct gates_worker, node);
        gates_worker_kill(worker);
        gates_worker_end(worker);
    }
    free_sockets(&gates->sockets);
    if (gates->generation != NULL)
        gates_generation_drop(gates->generation);
    gates->generation = NULL;
    uv_close((uv_handle_t *)&gates->stop_timer, on_stop_timer_closed);
    gates_drop(gates);
}
