/*
 * Where clients are approved. For each session of a gate the desk runs the SASL exchange with the
 * local client (auth/sasl_server), checks that the grant that opened allows what the session is,
 * has the broker find a token and the resolver the addresses, and answers GRANTED; or says REFUSED.
 *
 * Where nobody has to log in (auth = none) the client says EXTERNAL, and is the listener's account;
 * such a session has no grant: its number is 0.
 *
 * A refusal for a wrong user or password always takes the same time, FAILURE_DELAY after the
 * client's last message came, whatever was wrong, and after five of them within a minute for one
 * name that name's next tries are refused without a look (equally late), so that guessing does not
 * pay. No token is asked for, and nothing is written, before the client is approved.
 *
 * The desk knows no descriptors: what it says goes out through `send`.
 */
#ifndef ECLUSE_KEEPER_DESK_H
#define ECLUSE_KEEPER_DESK_H

#include "auth/message.h"
#include "auth/sasl_server.h"
#include "conf/config.h"
#include "keeper/broker.h"
#include "keeper/grant_check.h"
#include "keeper/journal.h"
#include "keeper/offer.h"
#include "net/resolve.h"

#define DESK_FAILURE_DELAY_MILLISECONDS 500
#define DESK_SESSIONS_PER_GATE_MAX      20000

struct desk;

struct desk_parts {
    struct loop *loop;
    struct vault *vault;
    struct broker *broker;
    struct resolver *resolver;
    struct grant_check *grants;
    const struct offers *offers; /* of the same configuration */
    struct journal *journal;
    const char *sasl_plugin_folder;
    const struct log *log;
    /* Puts one message on the way to gate `gate`. Must not call the desk. */
    void (*send)(void *owner, unsigned gate, struct slice message);
    /* What the upstream of an approved session can do, valid lines. Must not call the desk. */
    void (*learn)(void *owner, const char *account, enum protocol protocol,
                  const char *capabilities);
    void *owner;
};

MUST_CHECK int desk_open(const struct desk_parts *parts, const struct config *config,
                         struct desk **desk_out, struct err *err);
/* Drops every exchange, says nothing. The memory goes at once; the loop closes the desk's timers.
 */
void desk_close(struct desk *desk);
/* Exchanges that are not over are refused with WHY_SHUTDOWN; END_GRANT goes out for the sessions of
 * accounts that are gone. */
void desk_set_config(struct desk *desk, const struct config *config);
/* Gates with lower numbers know another configuration (listeners and authorities are named by
 * number): what they ASK, also AGAIN, is refused with WHY_SHUTDOWN. */
void desk_retire_gates(struct desk *desk, unsigned first);

/* The SASL mechanisms that are installed, separated by spaces. */
const char *desk_mechanisms(const struct desk *desk);

/* A message from a gate: ASK, ANSWER, AGAIN, LEARNED, RECORDS or FORGET. ERR_SYNTAX: it cannot be
 * read, or makes no sense; the gate is broken and is to be ended. */
MUST_CHECK int desk_take(struct desk *desk, unsigned gate, struct slice message);
/* The gate is gone: drop all of its sessions. The journal gets an end with `why` for those whose
 * end the gate did not tell. */
void desk_forget_gate(struct desk *desk, unsigned gate, enum why why);
/* A grant was revoked, and grant_check knows it: END_GRANT goes to every gate that has a session of
 * it; exchanges of it are refused. */
void desk_end_grant(struct desk *desk, int64_t grant);

/* Sessions that hold a GRANTED now: of one account, or of all (NULL). */
size_t desk_session_count(const struct desk *desk, const char *account);

/* Whose an approved session is; borrowed until the desk is called again. */
struct desk_description {
    const char *account;
    int64_t grant; /* 0: nobody had to log in */
    const char *peer, *listener;
    enum protocol protocol;
};

/* False: there is no such session, or nobody has logged in on it yet. */
MUST_CHECK bool desk_describe(struct desk *desk, unsigned gate, uint64_t number,
                              struct desk_description *description_out);

#endif
