/*
 * One gate process after the other.
 *
 * Happy path: a socketpair, a fork of our own binary with one end of it and the listening sockets,
 * CONFIGURE as the first frame; READY comes back, then messages, until the gate has drained and
 * exits.
 *
 * Failure modes:
 *   it cannot be started             the next try after the pause
 *   it exits, or is killed           what it still said is read to the end; then it is gone
 *   it closes the channel, says      killed, then gone
 *   nonsense, or reads nothing
 *   its SIGCHLD was lost             a process that has no channel any more is looked for by itself
 *
 * Gone is a process only when its handle and its channel are both closed: then its owner is told,
 * and the pause before the next begins.
 */
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "keeper/gates_worker.h"

#define CHANNEL_DESCRIPTOR 3
#define QUEUE_MAX          (2 * MESSAGE_SIZE_MAX)

#define PAUSE_MIN_MILLISECONDS 100
#define PAUSE_MAX_MILLISECONDS 10000
#define HEALTHY_MILLISECONDS   (60 * 1000)
#define LOOK_MILLISECONDS      500

/* ---- the worker's end ---- */

static void on_timer_closed(uv_handle_t *handle)
{
    struct gates_worker *worker = CONTAINER_OF(handle, struct gates_worker, timer);
    struct gates *gates = worker->gates;
    list_remove(&worker->node);
    gates_generation_drop(worker->generation);
    mem_free(worker);
    gates_check_stopped(gates);
    gates_drop(gates);
}

void gates_worker_end(struct gates_worker *worker)
{
    worker->is_ending = true;
    if (worker->has_process || worker->channel != NULL || worker->is_timer_closing)
        return;
    worker->is_timer_closing = true;
    uv_close((uv_handle_t *)&worker->timer, on_timer_closed);
}

/* ---- the process's end ---- */

static void on_timer(uv_timer_t *timer)
{
    struct gates_worker *worker = CONTAINER_OF(timer, struct gates_worker, timer);
    struct err err;
    worker->gates->restarts++;
    if (gates_worker_start(worker, &err) != 0)
        log_error(worker->gates->log, "gate %u: %s", worker->number, err.text);
}

static uint64_t pause_milliseconds(struct gates_worker *worker)
{
    uint64_t pause = PAUSE_MIN_MILLISECONDS;
    if (clock_steady_milliseconds() - worker->started >= HEALTHY_MILLISECONDS)
        worker->failures = 0;
    if (worker->failures++ == 0)
        return 0;
    for (unsigned i = 2; i < worker->failures && pause < PAUSE_MAX_MILLISECONDS; i++)
        pause *= 2;
    return pause < PAUSE_MAX_MILLISECONDS ? pause : PAUSE_MAX_MILLISECONDS;
}

/* Whoever traced us and died may have taken the signal along. libuv looks for all that have ended
 * when one comes. */
static void on_still_there(uv_timer_t *timer)
{
    (void)timer;
    (void)raise(SIGCHLD);
}

static void look_for_its_end(struct gates_worker *worker)
{
    ENSURE(uv_timer_start(&worker->timer, on_still_there, LOOK_MILLISECONDS, LOOK_MILLISECONDS) ==
           0);
}

static void check_gone(struct gates_worker *worker)
{
    struct gates *gates = worker->gates;
    if (worker->has_process && worker->is_alive && worker->channel == NULL)
        look_for_its_end(worker);
    if (worker->has_process || worker->channel != NULL)
        return;
    gates_hold(gates);
    if (worker->is_ready)
        worker->generation->ready--;
    worker->is_ready = false;
    if (!gates->is_closing)
        gates->ops->on_gate_gone(gates->owner, worker->number);
    if (worker->is_ending)
        gates_worker_end(worker);
    else
        ENSURE(uv_timer_start(&worker->timer, on_timer, pause_milliseconds(worker), 0) == 0);
    gates_drop(gates);
}

static void on_process_closed(uv_handle_t *handle)
{
    struct gates_worker *worker = CONTAINER_OF(handle, struct gates_worker, process);
    worker->has_process = false;
    check_gone(worker);
}

static void on_exit(uv_process_t *process, int64_t status, int signal_number)
{
    struct gates_worker *worker = CONTAINER_OF(process, struct gates_worker, process);
    const struct log *log = worker->gates->log;
    worker->is_alive = false;
    uv_timer_stop(&worker->timer);
    if (signal_number == SIGSYS)
        log_error(log, "gate %u was ended by its filter of system calls", worker->number);
    else if (signal_number != 0)
        log_warn(log, "gate %u was ended by signal %d", worker->number, signal_number);
    else if (status != 0 || !worker->is_ending)
        log_warn(log, "gate %u ended with status %lld", worker->number, (long long)status);
    else
        log_info(log, "gate %u has ended", worker->number);
    uv_close((uv_handle_t *)process, on_process_closed);
}

void gates_worker_signal(struct gates_worker *worker, int signal_number)
{
    if (worker->is_alive)
        uv_process_kill(&worker->process, signal_number);
}

void gates_worker_kill(struct gates_worker *worker)
{
    gates_worker_signal(worker, SIGKILL);
    if (worker->channel != NULL)
        channel_close(worker->channel);
}

/* ---- the channel ---- */

static void take_ready(struct gates_worker *worker)
{
    struct gates *gates = worker->gates;
    struct gates_generation *generation = worker->generation;
    worker->is_ready = true;
    generation->ready++;
    if (generation->ready < generation->workers || generation->has_told_ready ||
        generation != gates->generation)
        return;
    generation->has_told_ready = true;
    gates->ops->on_ready(gates->owner);
}

static void on_frame(void *owner, struct slice frame)
{
    struct gates_worker *worker = owner;
    struct gates *gates = worker->gates;
    struct message message;
    int status = message_read(frame, &message);

    gates_hold(gates);
    if (status == 0 && message.kind == MESSAGE_READY && !worker->is_ready)
        take_ready(worker);
    else if (status == 0)
        status = gates->ops->on_message(gates->owner, worker->number, frame);
    if (status != 0 && !gates->is_closing) {
        log_error(gates->log, "gate %u says what makes no sense; it is killed", worker->number);
        gates_worker_kill(worker);
    }
    gates_drop(gates);
}

static void on_channel_failed(void *owner, int code)
{
    struct gates_worker *worker = owner;
    if (code == ERR_CLOSED && worker->is_ending) {
        /* It has done what it was told, and is on its way out. */
        channel_close(worker->channel);
        return;
    }
    if (code != ERR_CLOSED)
        log_error(worker->gates->log, "gate %u: channel: %s", worker->number, err_code_text(code));
    gates_worker_kill(worker);
}

static void on_channel_closed(void *owner)
{
    struct gates_worker *worker = owner;
    worker->channel = NULL;
    check_gone(worker);
}

static const struct channel_ops channel_ops = {
    .on_frame = on_frame, .on_failed = on_channel_failed, .on_closed = on_channel_closed};

static int send_configure(struct gates_worker *worker)
{
    struct buf frame;
    buf_init(&frame, MESSAGE_SIZE_MAX);
    worker->generation->configure.gate = (uint16_t)worker->number;
    int status = message_write_configure(&frame, &worker->generation->configure);
    if (status == 0)
        status = channel_send(worker->channel, buf_bytes(&frame));
    buf_fini(&frame);
    return status;
}

void gates_worker_drain(struct gates_worker *worker, int64_t milliseconds)
{
    struct buf frame;
    worker->is_ending = true;
    if (worker->channel == NULL) {
        gates_worker_end(worker);
        return;
    }
    buf_init(&frame, MESSAGE_SIZE_MAX);
    int status = message_write_number(&frame, MESSAGE_DRAIN, 0, (uint64_t)milliseconds);
    if (status != 0 || channel_send(worker->channel, buf_bytes(&frame)) != 0)
        gates_worker_kill(worker);
    buf_fini(&frame);
}

/* ---- starting ---- */

static uv_stdio_container_t inherit(int descriptor)
{
    return (uv_stdio_container_t){.flags = UV_INHERIT_FD, .data.fd = descriptor};
}

/* The process handle is in use afterwards, whatever the outcome. A session of its own keeps the
 * terminal's signals away: it is the keeper that hears Ctrl-C and has the gates drain. */
static int spawn(struct gates_worker *worker, int channel)
{
    const struct gates_generation *generation = worker->generation;
    size_t count = CHANNEL_DESCRIPTOR + 1 + generation->descriptor_count;
    uv_stdio_container_t *stdio = mem_new_array(count, sizeof(*stdio));
    char *const program = worker->gates->program;
    char *arguments[] = {(char[]){"ecluse"}, (char[]){"gate"}, NULL};
    char *environment[] = {NULL};
    const uv_process_options_t options = {
        .exit_cb = on_exit,
        .file = program,
        .args = arguments,
        .env = environment,
        .flags = UV_PROCESS_DETACHED,
        .stdio_count = (int)count,
        .stdio = stdio,
    };
    stdio[0].flags = UV_IGNORE;
    stdio[1].flags = UV_IGNORE;
    stdio[2] = inherit(STDERR_FILENO);
    stdio[CHANNEL_DESCRIPTOR] = inherit(channel);
    for (size_t i = 0; i < generation->descriptor_count; i++)
        stdio[CHANNEL_DESCRIPTOR + 1 + i] = inherit(generation->descriptors[i]);
    int status = uv_spawn(&worker->gates->loop->uv, &worker->process, &options);
    worker->has_process = true;
    worker->is_alive = status == 0;
    if (status != 0)
        uv_close((uv_handle_t *)&worker->process, on_process_closed);
    mem_free(stdio);
    return status;
}

int gates_worker_start(struct gates_worker *worker, struct err *err)
{
    int pair[2];
    struct gates *gates = worker->gates;
    worker->number = ++gates->numbers;
    worker->started = clock_steady_milliseconds();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        ENSURE(uv_timer_start(&worker->timer, on_timer, pause_milliseconds(worker), 0) == 0);
        return err_set_errno(err, "no channel to a gate");
    }
    int status = spawn(worker, pair[1]);
    close(pair[1]);
    if (status != 0) {
        close(pair[0]);
        return err_set(err, ERR_SYSTEM, "a gate cannot be started: %s: %s", gates->program,
                       uv_strerror(status));
    }
    status = channel_open(gates->loop, pair[0], MESSAGE_SIZE_MAX, QUEUE_MAX, &channel_ops, worker,
                          &worker->channel, err);
    if (status == 0 && gates->is_paused)
        channel_pause(worker->channel);
    if (status == 0 && send_configure(worker) != 0)
        status = err_set(err, ERR_SYSTEM, "a gate cannot be told its settings");
    if (status != 0)
        gates_worker_kill(worker);
    return status;
}

struct gates_worker *gates_worker_new(struct gates *gates, struct gates_generation *generation)
{
    struct gates_worker *worker = mem_new(sizeof(*worker));
    worker->gates = gates;
    worker->generation = generation;
    generation->references++;
    list_init(&worker->node);
    list_append(&gates->workers, &worker->node);
    ENSURE(uv_timer_init(&gates->loop->uv, &worker->timer) == 0);
    gates_hold(gates);
    return worker;
}
