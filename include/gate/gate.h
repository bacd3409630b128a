/*
 * The gate process: it owns the mail bytes and nothing else. Descriptor 3 is its channel to the
 * keeper, the listening sockets follow from 4; what it is to do comes in the first frame. It opens
 * no file, and holds no secret longer than a login takes.
 *
 * Ends when it was told to drain and its last session is over, and at once when the keeper is gone.
 */
#ifndef ECLUSE_GATE_GATE_H
#define ECLUSE_GATE_GATE_H

#include "auth/message.h"
#include "auth/sasl_client.h"
#include "base/log.h"
#include "net/channel.h"
#include "net/peer.h"
#include "net/tls.h"

#define GATE_CHANNEL_DESCRIPTOR  3
#define GATE_LISTENER_DESCRIPTOR 4

struct session;
struct listener;

/* How long a session may stay in a stage before its login is over (mail/engine.h). */
#define GATE_CLIENT_PATIENCE_MILLISECONDS   60000
#define GATE_KEEPER_PATIENCE_MILLISECONDS   45000
#define GATE_UPSTREAM_PATIENCE_MILLISECONDS 30000

struct gate {
    struct loop loop;
    struct log log;
    struct channel *channel;
    struct message_configure configure;
    struct tls_authorities **authorities; /* as many as configure.authority_count */
    struct tls_sessions *tls_sessions;
    struct sasl_initiator_library *sasl;
    struct peer_lookup *peers;
    struct deadline_queue *patience[3]; /* by enum engine_patience */

    struct listener **listeners;
    size_t listener_count;
    struct list sessions; /* all of them */
    size_t session_count;
    uint64_t next_session;
    struct list *session_table; /* by number: what the keeper's frames name */

    bool is_configured;
    bool is_draining;
    bool is_closing;
    uv_timer_t drain_timer;
    struct deferral giving_up; /* the keeper does not read: end, but not from within a session */
};

/* The process: returns its exit code. */
int gate_main(void);

/* A frame to the keeper, written in `frame`, which is emptied. A channel that does not take it is
 * dead, and the gate ends. */
void gate_send(struct gate *gate, struct buf *frame);
void gate_note(struct gate *gate, uint64_t session, const struct message_note *note);
struct session *gate_find_session(struct gate *gate, uint64_t number);
/* Bookkeeping for sessions: they call these when they begin and when the last of them is freed. */
void gate_add_session(struct gate *gate, struct session *session);
void gate_remove_session(struct gate *gate, struct session *session);

#endif
