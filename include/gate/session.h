/*
 * One client from its connection to its end: the engine's hands. Does the engine's deeds on sockets
 * and frames, tells it what happened, bounds its stages, and starts the relay when it says PASS.
 *
 * A session ends by itself and frees itself when its last socket is closed.
 */
#ifndef ECLUSE_GATE_SESSION_H
#define ECLUSE_GATE_SESSION_H

#include "gate/gate.h"

struct session;

struct session_settings {
    uint16_t listener;    /* index */
    struct list *waiting; /* the listener's list of those that wait for their login, oldest first */
    void (*on_over)(void *owner); /* called once, when the session is freed */
    void *owner;
    struct peer_address peer;
    const char *refusal; /* not NULL: said, with refusal_why, instead of a greeting */
    enum why refusal_why;
    struct slice first_word; /* of one that spoke before it was greeted; borrowed */
};

/* Takes over the descriptor. On failure it is closed and nothing is left. */
MUST_CHECK int session_open(struct gate *gate, int descriptor,
                            const struct session_settings *settings, struct err *err);

/* What the keeper says; `message` of kind CHALLENGE, GRANTED or REFUSED. ERR_SYNTAX: unreadable. */
MUST_CHECK int session_take(struct session *session, const struct message *message);
/* We are stopping, or need the place: one that waits for its login hears `why`, a relayed one is
 * cut. */
void session_dismiss(struct session *session, enum why why, const char *text);

/* A record that the session waits for is on disk. */
void session_release(struct session *session);
/* Whether the gate is congested has changed. */
void session_update_reading(struct session *session);

bool session_is_relaying(const struct session *session);
int64_t session_grant(const struct session *session);
uint64_t session_number(const struct session *session);
/* False: it is over, and only its last words go out. */
MUST_CHECK bool session_describe(const struct session *session,
                                 struct message_session *session_out);

/* A record of now, with what is known of a client: its address, and the user of its process. */
void session_record_init(struct record *record, enum record_action action, enum why why,
                         const char *reason, const struct peer_address *peer);

struct list *session_table_node(struct session *session);
struct list *session_list_node(struct session *session);
struct session *session_of_table_node(struct list *node);
struct session *session_of_list_node(struct list *node);
struct session *session_of_waiting_node(struct list *node);

#endif
