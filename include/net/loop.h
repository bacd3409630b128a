/*
 * One event loop: a libuv loop, the scratch memory that everything on it shares, and the coarse
 * timers. A process has one (a gate, the keeper); a test may have many.
 *
 * Scratch memory is valid within one callback only: whoever reads into it has passed the bytes on
 * before it returns. That is why an idle connection holds no buffer.
 */
#ifndef ECLUSE_NET_LOOP_H
#define ECLUSE_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "base/list.h"
#include "base/mem.h"

/* Large reads are the whole gain: one system call for many TLS records. */
#define LOOP_SCRATCH_SIZE (256ul * 1024)
/* What LOOP_SCRATCH_SIZE of plain text may grow to as TLS records. */
#define LOOP_CIPHER_SIZE (LOOP_SCRATCH_SIZE + LOOP_SCRATCH_SIZE / 16)

/* How long a portion is waited for that does not come as fast as what came before it. */
#define LOOP_STALL_MILLISECONDS 20

struct runner;
struct deadline_queue;

struct loop {
    uv_loop_t uv;
    uint8_t *scratch_input;        /* LOOP_SCRATCH_SIZE: what was read from a socket */
    uint8_t *scratch_plain;        /* LOOP_SCRATCH_SIZE: what TLS made of it */
    uint8_t *scratch_cipher;       /* LOOP_CIPHER_SIZE: what TLS makes for a socket */
    struct list deferred;          /* of struct deferral */
    uv_idle_t idle;                /* runs them; active only while there are any */
    struct mem_tide tide;          /* of the process's sessions */
    uv_timer_t ebb;                /* active only behind one */
    struct deadline_queue *stalls; /* LOOP_STALL_MILLISECONDS: see net/stream.h */
    /* keeper/runner: starts programs in our place; NULL: there is nothing that forbids it to us */
    struct runner *runner;
};

/* SIGPIPE is ignored from here on: libuv writes by write(2). */
MUST_CHECK int loop_init(struct loop *loop, struct err *err);
/* Lets close callbacks that are due run. ENSURE: every handle is closed. */
void loop_fini(struct loop *loop);
/* Until uv_stop, or no handle is left. */
void loop_run(struct loop *loop);

/* How many sessions there are now: what many of them leave behind is given back to the system. */
void loop_note_tide(struct loop *loop, size_t count);

/*
 * Something to do in the next turn of the loop: how a function that an owner called tells that
 * owner something without calling back from within. One idle handle serves all.
 */
struct deferral {
    struct list node;
    /* Called once, off the list already; may defer, cancel and free anything. */
    void (*run)(struct deferral *deferral);
};

void deferral_init(struct deferral *deferral, void (*run)(struct deferral *));
/* Nothing happens when it waits already. */
void loop_defer(struct loop *loop, struct deferral *deferral);
/* Fine when it does not wait. */
void deferral_cancel(struct deferral *deferral);

/*
 * Deadlines that all last equally long: a list in order of expiry and one timer for its head, which
 * stands still while the list is empty. Adding, moving and removing cost O(1).
 */
struct deadline {
    struct list node;
    struct deadline_queue *queue; /* it was started in last, or NULL */
    int64_t expires;              /* steady milliseconds */
    /* Called once, off the queue already; may add, remove and free anything. */
    void (*on_expired)(struct deadline *deadline);
};

/* ENSURE: at least a millisecond. */
struct deadline_queue *deadline_queue_new(struct loop *loop, int64_t milliseconds);
/* ENSURE: empty. The memory goes when the loop has closed its timer. */
void deadline_queue_close(struct deadline_queue *queue);

void deadline_init(struct deadline *deadline, void (*on_expired)(struct deadline *));
/* Starts it, or starts it afresh. */
void deadline_start(struct deadline_queue *queue, struct deadline *deadline);
/* Fine when it is not running. */
void deadline_stop(struct deadline *deadline);
bool deadline_is_running(const struct deadline *deadline);

#endif
