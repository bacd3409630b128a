/*
 * The session's own state, shared by the files that make it up and by nobody else: session.c has
 * its life, session_deeds.c does what the engine says, session_record.c tells the journal.
 */
#ifndef ECLUSE_GATE_SESSION_INTERNAL_H
#define ECLUSE_GATE_SESSION_INTERNAL_H

#include "gate/relay.h"
#include "gate/session.h"
#include "mail/dialect.h"
#include "net/dial.h"

struct session {
    struct gate *gate;
    struct session_settings settings;
    uint64_t number;
    uint64_t began; /* steady nanoseconds */
    struct list list_node, table_node, waiting_node;

    struct stream *client;
    struct stream *upstream;
    struct dial *dial;
    unsigned open_parts; /* streams and dials whose on_closed is still to come */

    struct engine *engine; /* until the relay */
    struct sasl_initiator *sasl;
    struct message_granted *granted;
    struct buf held[2]; /* by enum side: what the engine did not consume yet */
    bool client_has_ended;
    bool client_is_secure;
    enum engine_patience patience;
    struct deadline deadline;
    struct deadline login_deadline; /* runs once, from the beginning */
    bool login_is_overdue;
    struct deferral overdue;
    bool upstream_is_secure;
    char upstream_ip[48]; /* of the connection that there is, or was last */

    struct relay relay;
    bool is_relaying;
    bool is_closing;
    bool awaits_record; /* until it is on disk, nothing else happens */
    char *failure;      /* of the client's stream, meanwhile; or NULL */
    int64_t grant;
};

/* session.c */
extern const struct dial_ops session_dial_ops;
extern const struct relay_ops session_relay_ops;
void session_close(struct session *session, enum why why, const char *text);
void session_hang_up(struct session *session);
/* Until session_release, but for a dismissal and for no longer than a login may take. */
void session_await_record(struct session *session);

/* session_record.c */
void session_record_open(const struct session *session);
/* A client of another protocol. With a journal, the session awaits that record. */
void session_record_foreign(struct session *session, const char *reason, struct slice first_word);
/* Upstream. */
void session_record_login(const struct session *session, enum why why, const char *mechanism,
                          const char *reason);
void session_record_close(const struct session *session, enum why why, const char *reason);
/* `why` WHY_NONE: TLS is up. */
void session_record_connect(const struct session *session, enum why why, const char *reason);

/* session_deeds.c */
const struct message_listener *session_configure(const struct session *session);
const struct dialect *session_dialect(const struct session *session);
/* The engine's view of SASL towards the upstream. */
struct engine_sasl session_sasl(struct session *session);
/* Does what the engine has ready. False: the login is over, by relay or by the end, or a record is
 * awaited. */
bool session_do_deeds(struct session *session);

#endif
