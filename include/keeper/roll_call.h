/*
 * Which sessions there are, asked of the gates: each answers in as many messages as it takes, and
 * one that does not within ROLL_CALL_MILLISECONDS is counted and not waited for.
 *
 * A gate that answers what nobody can have asked is broken. Of one that tells of very many sessions
 * ROLL_SESSIONS_PER_GATE_MAX are kept.
 */
#ifndef ECLUSE_KEEPER_ROLL_CALL_H
#define ECLUSE_KEEPER_ROLL_CALL_H

#include "auth/message.h"
#include "net/loop.h"

#define ROLL_CALL_MILLISECONDS     2000
#define ROLL_SESSIONS_PER_GATE_MAX 100000

struct roll_calls; /* of one keeper */
struct roll_call;  /* one question */

struct roll_row {
    unsigned gate;
    struct message_session session;
};

/* Borrowed during the callback. */
struct roll {
    const struct roll_row *rows; /* gate by gate, each in the order of its sessions */
    size_t count;
    size_t dropped; /* beyond the maximum */
    size_t silent;  /* gates that did not answer, or died meanwhile */
};

struct roll_calls_parts {
    struct loop *loop;
    /* 0, or negative when that gate is not there. Must not call back. */
    int (*send)(void *owner, unsigned gate, struct slice message);
    void *owner;
};

struct roll_calls *roll_calls_open(const struct roll_calls_parts *parts);
/* Every call must have been answered or cancelled. */
void roll_calls_close(struct roll_calls *calls);

/* `on_over` is called once unless cancelled, never from within. */
struct roll_call *roll_call_start(struct roll_calls *calls, const unsigned *gates, size_t count,
                                  void (*on_over)(void *owner, const struct roll *roll),
                                  void *owner);
void roll_call_cancel(struct roll_call *call);

/* A SESSIONS from a gate; one that comes too late is dropped. ERR_SYNTAX: the gate is to be ended.
 */
MUST_CHECK int roll_calls_take(struct roll_calls *calls, unsigned gate,
                               const struct message *message);
/* The gate died. */
void roll_calls_forget_gate(struct roll_calls *calls, unsigned gate);

#endif
