/*
 * What the files of keeper/gates.h share. Private to proxy/keeper/gates*.c.
 *
 * A worker is a place for one gate process after the other:
 *
 *   LIVING ──(process and channel are both gone)──▶ WAITING ──(timer)──▶ LIVING
 *      ╰────── draining, stopping, closing ───────▶ the worker goes ◀─────╯
 */
#ifndef ECLUSE_KEEPER_GATES_WORKER_H
#define ECLUSE_KEEPER_GATES_WORKER_H

#include "keeper/gates.h"
#include "keeper/listen.h"

/* What one configuration makes of the gates. Owned by its workers, and by `gates` while it is the
 * newest. */
struct gates_generation {
    unsigned references;
    struct message_configure configure;
    int *descriptors; /* in the order of the listeners; borrowed from gates->sockets */
    size_t descriptor_count;
    size_t workers;
    size_t ready;
    bool has_told_ready;
};

struct gates_worker {
    struct list node;
    struct gates *gates;
    struct gates_generation *generation;
    uv_timer_t timer; /* until the next process is started */
    unsigned failures;
    bool is_ending; /* no process after this one */
    bool is_timer_closing;

    /* the process; meaningful from worker_start until it is gone */
    unsigned number;
    uv_process_t process;
    struct channel *channel;
    int64_t started;  /* steady milliseconds */
    bool has_process; /* the handle is not closed yet */
    bool is_alive;
    bool is_ready;
};

struct gates {
    struct loop *loop;
    const struct log *log;
    const struct gates_ops *ops;
    void *owner;
    char *program;
    int *inherited; /* -1: taken */
    size_t inherited_count;
    struct list sockets; /* struct listen_socket */
    struct list workers;
    struct gates_generation *generation; /* the newest */
    unsigned first;                      /* its lowest number */
    unsigned numbers;                    /* given out */
    uint64_t restarts;
    uv_timer_t stop_timer;
    int stop_signal; /* what the timer sends next; 0: no stop is under way */
    struct deferral stopped;
    bool has_stopped; /* on_stopped is due or was called */
    bool is_paused;
    bool is_closing;
    unsigned references; /* owner, workers, stop_timer, and whoever is in a callback */
};

void gates_hold(struct gates *gates);
void gates_drop(struct gates *gates);
/* A worker has gone: perhaps it was the last that a stop waits for. */
void gates_check_stopped(struct gates *gates);

/* ---- gates_configure.c ---- */

/* Everything but the sockets. */
MUST_CHECK int gates_generation_new(const struct config *config, const struct message_offer *offers,
                                    struct gates_generation **generation_out, struct err *err);
/* False when it is what the listener has offered until now. */
bool gates_generation_offer(struct gates_generation *generation, const struct message_offer *offer);
void gates_generation_drop(struct gates_generation *generation);

/* ---- gates_process.c ---- */

struct gates_worker *gates_worker_new(struct gates *gates, struct gates_generation *generation);
/* Starts a process. An error leaves the worker waiting for its next try. */
MUST_CHECK int gates_worker_start(struct gates_worker *worker, struct err *err);
/* No process after the present one; when there is none the worker goes. */
void gates_worker_end(struct gates_worker *worker);
void gates_worker_drain(struct gates_worker *worker, int64_t milliseconds);
/* Fine when there is no process. */
void gates_worker_signal(struct gates_worker *worker, int signal_number);
/* The gate is broken, or must go at once: SIGKILL, and nothing of it is heard any more. */
void gates_worker_kill(struct gates_worker *worker);

#endif
