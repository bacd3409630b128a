/*
 * The gate processes: started as a fresh exec of this binary (`/proc/self/exe gate`) with the
 * channel as descriptor 3 and the listening sockets from 4 on, told their settings, watched, and
 * replaced when they die: at once the first time, then after 100 ms doubling to 10 s; a minute of
 * life resets it. The sockets stay open in the keeper, so a client that connects meanwhile waits in
 * the backlog.
 *
 * A reload starts a new generation and has the old one drain: it stops listening and goes when its
 * last session ends.
 */
#ifndef ECLUSE_KEEPER_GATES_H
#define ECLUSE_KEEPER_GATES_H

#include "auth/message.h"
#include "conf/config.h"
#include "net/channel.h"

struct gates;

struct gates_ops {
    /* A frame from the gate; ERR_SYNTAX ends it. */
    int (*on_message)(void *owner, unsigned gate, struct slice message);
    void (*on_gate_gone)(void *owner, unsigned gate);
    /* All gates of the newest generation said READY (once a generation). */
    void (*on_ready)(void *owner);
    /* After gates_stop: none is left. */
    void (*on_stopped)(void *owner);
};

struct gates_settings {
    const char *program; /* NULL: this binary */
    int inherited_first; /* listening sockets from systemd: see listen_inherited */
    int inherited_count;
};

/* `offers` here and below: what each listener of the configuration offers, in its order; copied.
 *
 * Binds every listener of the configuration; a port that is taken is an error at once. Sockets that
 * the previous generation (or systemd) holds for the same address are used again. What the gates
 * need from disk (certificate authorities) is read here. Nothing but the log is borrowed. */
MUST_CHECK int gates_open(struct loop *loop, const struct config *config,
                          const struct message_offer *offers, const struct gates_settings *settings,
                          const struct log *log, const struct gates_ops *ops, void *owner,
                          struct gates **gates_out, struct err *err);
/* A new generation for another configuration; on error the old one stays as it is. */
MUST_CHECK int gates_reload(struct gates *gates, const struct config *config,
                            const struct message_offer *offers, struct err *err);
/* Those of the newest generation hear of the offers that have changed; those to come are told them
 * at their start. */
void gates_offer(struct gates *gates, const struct message_offer *offers);
/* Gates are numbered from 1 on and no number is used twice: those of the newest generation have
 * this one or a higher. */
unsigned gates_first(const struct gates *gates);
/* ERR_CLOSED when that gate is not there. */
MUST_CHECK int gates_send(struct gates *gates, unsigned gate, struct slice message);
/* To all of them, old generations too. */
void gates_send_all(struct gates *gates, struct slice message);
/* Nothing of what gates say is read, those to come included, until it may be again. */
void gates_pause(struct gates *gates, bool is_paused);
/* DRAIN to all; sessions get `milliseconds`, then the gates are ended (SIGTERM, and SIGKILL after
 * one second more). With 0 they are ended at once, also when an earlier stop gave them time. */
void gates_stop(struct gates *gates, int64_t milliseconds);
/* Kills what is left; nothing is called any more. The memory goes with the last process. */
void gates_close(struct gates *gates);

size_t gates_count(const struct gates *gates); /* processes that live, draining ones included */
uint64_t gates_restarts(const struct gates *gates);
/* Fills at most `capacity` process ids. */
size_t gates_processes(const struct gates *gates, int *out, size_t capacity);
/* Fills at most `capacity` numbers of gates, as on_message has them. */
size_t gates_numbers(const struct gates *gates, unsigned *out, size_t capacity);

#endif
