/*
 * The gate: it owns the mail bytes and nothing else. What it is to do comes in the first frame from
 * the keeper. Once open it opens no file (net/confine), and it holds no secret longer than a login
 * takes.
 *
 * It ends by itself: when it was told to drain and its last session is over; and, cutting what
 * there is, when the keeper is gone, says what cannot be read, or does not read what it is told.
 */
#ifndef ECLUSE_GATE_GATE_H
#define ECLUSE_GATE_GATE_H

#include "auth/message.h"
#include "auth/sasl_client.h"
#include "base/log.h"
#include "gate/relay.h"
#include "net/channel.h"
#include "net/peer.h"
#include "net/tls_identity.h"

struct session;
struct listener;
struct doorstep;

struct gate_settings {
    int channel;   /* connected to the keeper, non-blocking */
    int listeners; /* the first of the listening sockets; the others have the next numbers */
    /* milliseconds, by enum engine_patience: how long a session may stay in a stage of its login */
    int64_t patience[PATIENCE_NONE];
    int64_t flush;   /* milliseconds that a client gets to read our last words */
    int64_t login;   /* the same for all that a client does until it is logged in, together */
    int64_t idle;    /* for silence after the login */
    int64_t content; /* for each window in which a message that is sent must go on */
    int64_t taking;  /* for a server that takes nothing of it */
    int64_t verdict; /* for its answer to the whole of it */
    int64_t gather;  /* for what nobody waits for, before it goes to the keeper */
    bool is_process; /* nothing else runs in it: it gives up what a gate does not need */
    void (*on_over)(void *owner);
    void *owner;
};

struct gate {
    struct loop *loop;
    struct gate_settings settings;
    struct log log;
    struct channel *channel;
    struct message_configure configure;
    struct tls_authorities **authorities; /* as many as configure.authority_count */
    struct tls_identity **identities;     /* as many as listeners; NULL without TLS */
    struct tls_sessions *tls_sessions;
    struct sasl_initiator_library *sasl;
    struct peer_lookup *peers;
    struct deadline_queue *patience[PATIENCE_NONE]; /* by enum engine_patience */
    struct deadline_queue *login;
    struct relay_patience relay_patience;

    struct listener **listeners;
    size_t listener_count;
    struct doorstep *doorstep;
    struct list sessions; /* all of them */
    size_t session_count;
    uint64_t next_session;
    struct list *session_table; /* by number: what the keeper's frames name */

    bool is_configured;
    bool is_draining;
    bool is_closing;
    bool channel_has_failed;
    unsigned open_handles; /* the channel and the timers */
    uv_timer_t drain_timer;
    struct deferral giving_up; /* the keeper does not read: end, but not from within a session */
    struct buf records;        /* go out before the next frame; soon when one is awaited */
    struct deferral flushing;
    uv_timer_t gathering; /* else when this is over */
    bool is_congested; /* the keeper is slow: nothing is read of which it would have to be told */
};

/* Takes over the channel at once, the listening sockets when CONFIGURE comes. When the gate has
 * ended, nothing of it is left on the loop, and it has freed itself, `on_over` is called. On
 * failure the channel is closed and nothing is left. */
MUST_CHECK int gate_open(struct loop *loop, const struct gate_settings *settings, struct err *err);

/* The process that the keeper starts: descriptor 3 is the channel, the listening sockets follow
 * from 4. Returns its exit code. */
int gate_main(void);

/* ---- gate_patience.c ---- */

/* All that is counted in milliseconds. A file of its own, since a build for tests has another. */
void gate_set_patience(struct gate_settings *settings);

/* ---- gate_confine.c ---- */

/* For the whole process and for good; once it is configured. */
MUST_CHECK int gate_confine(const struct gate *gate, struct err *err);

/* ---- for listeners and sessions ---- */

/* A frame to the keeper, written in `frame`, which is emptied. A channel that does not take it is
 * dead, and the gate ends. */
void gate_send(struct gate *gate, struct buf *frame);
/* The same for one that nobody waits for: with the records. */
void gate_note(struct gate *gate, struct buf *frame);
/* For the journal, with those that come within a few milliseconds. When the keeper does not keep
 * up, listeners and sessions are not read until it does: no record is dropped. The receipt of one
 * that is awaited is its session's number: then session_release is called, once for each; or one of
 * gate/doorstep. */
void gate_record(struct gate *gate, const struct message_record *record);
struct session *gate_find_session(struct gate *gate, uint64_t number);
/* Bookkeeping for sessions: they call these when they begin and when the last of them is freed. */
void gate_add_session(struct gate *gate, struct session *session);
void gate_remove_session(struct gate *gate, struct session *session);

/* ---- gate_sessions.c ---- */

/* Tells the keeper of every session that is not over, in as many SESSIONS as it takes. */
void gate_list_sessions(struct gate *gate, uint64_t question);

#endif
