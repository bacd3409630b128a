/*
 * Running and stopping.
 *
 * Happy path: READY when the gates are; then signals and commands until one says stop. The gates
 * drain, then the broker finishes the request under way: cut off, it could lose a refresh token
 * that has rotated. The loop ends.
 *
 * Failure modes:
 *   sessions that take too long    the drain time, no more
 *   a request that takes too long  the same, but 5 s at least: a refresh token is worth that
 *   a second stop                  nothing more is waited for
 */
#include <signal.h>

#include "keeper/keeper_parts.h"
#include "keeper/notify.h"

#define FLUSH_MILLISECONDS        60000
#define PATIENCE_MIN_MILLISECONDS 5000

static const int signal_numbers[KEEPER_SIGNALS] = {SIGTERM, SIGINT, SIGHUP};

/* ---- stopping ---- */

/* Once the gates are gone nobody asks for tokens any more, so that the broker's next idle moment is
 * its last. */
static void finish(struct keeper *keeper)
{
    uv_stop(&keeper->loop->uv);
}

static void on_broker_idle(void *owner)
{
    finish(owner);
}

static void on_patience(uv_timer_t *timer)
{
    struct keeper *keeper = CONTAINER_OF(timer, struct keeper, patience);
    log_warn(&keeper->log, "a token request is still under way; it is cut off");
    finish(keeper);
}

static void on_stopped(void *owner)
{
    struct keeper *keeper = owner;
    uint64_t milliseconds = (uint64_t)keeper->config->drain * 1000;
    if (milliseconds < PATIENCE_MIN_MILLISECONDS)
        milliseconds = PATIENCE_MIN_MILLISECONDS;
    keeper->gates_have_stopped = true;
    if (keeper->is_hurried) {
        finish(keeper);
        return;
    }
    broker_drain(keeper->broker, on_broker_idle, keeper);
    ENSURE(uv_timer_start(&keeper->patience, on_patience, milliseconds, 0) == 0);
}

static void stop_at_once(struct keeper *keeper)
{
    log_info(&keeper->log, "stopping at once");
    keeper->is_hurried = true;
    if (keeper->gates_have_stopped)
        finish(keeper);
    else
        gates_stop(keeper->gates, 0);
}

void keeper_stop(struct keeper *keeper)
{
    if (keeper->mode != KEEPER_DAEMON)
        return;
    if (keeper->is_stopping) {
        stop_at_once(keeper);
        return;
    }
    keeper->is_stopping = true;
    log_info(&keeper->log, "stopping; sessions have %lld s", (long long)keeper->config->drain);
    notify_stopping();
    gates_stop(keeper->gates, keeper->config->drain * 1000);
}

/* ---- gates ---- */

/* All but the answers to a roll call are the desk's. */
static int on_message(void *owner, unsigned gate, struct slice bytes)
{
    struct keeper *keeper = owner;
    struct message message;
    if (message_read(bytes, &message) == 0 && message.kind == MESSAGE_SESSIONS)
        return roll_calls_take(keeper->roll_calls, gate, &message);
    return desk_take(keeper->desk, gate, bytes);
}

static void on_gate_gone(void *owner, unsigned gate)
{
    struct keeper *keeper = owner;
    desk_forget_gate(keeper->desk, gate, keeper->is_stopping ? WHY_SHUTDOWN : WHY_INTERNAL);
    roll_calls_forget_gate(keeper->roll_calls, gate);
}

static void on_ready(void *owner)
{
    struct keeper *keeper = owner;
    if (keeper->is_stopping)
        return;
    log_info(&keeper->log, keeper->is_ready ? "ready with the new configuration" : "ready");
    keeper->is_ready = true;
    notify_ready();
}

const struct gates_ops keeper_gates_ops = {on_message, on_gate_gone, on_ready, on_stopped};

/* ---- handles ---- */

static void on_signal(uv_signal_t *handle, int number)
{
    struct keeper *keeper = handle->data;
    struct err err;
    if (number != SIGHUP)
        keeper_stop(keeper);
    else if (keeper_reload(keeper, &err) != 0)
        log_error(&keeper->log, "reload: %s; nothing was changed", err.text);
}

/* Off the login's path: when a grant was used last is not worth a wait for the disk. */
static void on_flush(uv_timer_t *timer)
{
    struct keeper *keeper = CONTAINER_OF(timer, struct keeper, flush_timer);
    struct err err;
    if (vault_flush(keeper->vault, &err) != 0)
        log_warn(&keeper->log, "vault: %s", err.text);
}

void keeper_handles_open(struct keeper *keeper)
{
    uv_loop_t *uv = &keeper->loop->uv;
    for (size_t i = 0; i < KEEPER_SIGNALS; i++) {
        ENSURE(uv_signal_init(uv, &keeper->signals[i]) == 0);
        keeper->signals[i].data = keeper;
        ENSURE(uv_signal_start(&keeper->signals[i], on_signal, signal_numbers[i]) == 0);
    }
    ENSURE(uv_timer_init(uv, &keeper->patience) == 0);
    ENSURE(uv_timer_init(uv, &keeper->flush_timer) == 0);
    ENSURE(uv_timer_start(&keeper->flush_timer, on_flush, FLUSH_MILLISECONDS, FLUSH_MILLISECONDS) ==
           0);
    keeper->has_handles = true;
}

void keeper_handles_close(struct keeper *keeper)
{
    for (size_t i = 0; i < KEEPER_SIGNALS; i++)
        uv_close((uv_handle_t *)&keeper->signals[i], NULL);
    uv_close((uv_handle_t *)&keeper->patience, NULL);
    uv_close((uv_handle_t *)&keeper->flush_timer, NULL);
    keeper->has_handles = false;
}

void keeper_run(struct keeper *keeper)
{
    ENSURE(keeper->mode == KEEPER_DAEMON);
    loop_run(keeper->loop);
}
