/*
 * What a gate and the keeper say to each other: the messages inside the frames of net/channel.
 * Pure encoding: a message is written into a buffer and read from a slice, with every length
 * bounded; a message that cannot be read is the sign of a broken or hostile gate, which the keeper
 * then ends.
 *
 * A session is named by its gate with a number that the gate never uses twice.
 *
 *   gate → keeper                              keeper → gate
 *   READY                                      CONFIGURE settings, certificate authorities
 *   ASK session, listener, mechanism, bytes    CHALLENGE session, bytes
 *   ANSWER session, bytes                      GRANTED session, upstream, user, token
 *   AGAIN session, generation                  REFUSED session, why, text
 *   LEARNED session, capabilities              OFFER listener, mechanisms, capabilities
 *   RECORDS what happened, one or many         END_GRANT grant   (it was revoked)
 *   FORGET session (it ended, or gave up)      DRAIN milliseconds (stop listening; 0: no limit)
 *                                              DURABLE receipt   (that record is on disk)
 *   SESSIONS question, which there are         LIST_SESSIONS question
 *
 * ASK begins an exchange and drops one that was open for that session. ANSWER continues it.
 * AGAIN says that the provider refused the token of that generation; it is answered by GRANTED with
 * another one or by REFUSED. LEARNED says what the upstream of an approved session can do, so that
 * the next client of that account is offered the same before its login; OFFER changes what a
 * listener offers from then on. FORGET is the last that is said of a session, whatever came before.
 * RECORDS are for the audit journal; one with a receipt is answered by DURABLE when it, and all
 * that were sent before it, are on disk.
 * LIST_SESSIONS is answered by one or more SESSIONS with its number, where others have a session's.
 */
#ifndef ECLUSE_AUTH_MESSAGE_H
#define ECLUSE_AUTH_MESSAGE_H

#include "base/buf.h"
#include "base/record.h"
#include "base/secret.h"
#include "base/terms.h"

/* A CONFIGURE carries CA bundles; a GRANTED a token of up to 16 KiB. */
#define MESSAGE_SIZE_MAX      (4ul * 1024 * 1024)
#define MESSAGE_ADDRESSES_MAX 16
#define MESSAGE_TOKEN_MAX     (16ul * 1024)
#define MESSAGE_BYTES_MAX     (16ul * 1024) /* of one SASL message or challenge */
#define MESSAGE_LABEL_MAX     128u          /* names of accounts and listeners, UTF-8 */
#define MESSAGE_TEXT_MAX      480u          /* sentences, lists of mechanisms, peers */
#define MESSAGE_LINES_MAX     4096u         /* capabilities: printable lines, each ends in \n */
#define MESSAGE_PEM_MAX       (64ul * 1024) /* a listener's certificate chain, or its key */
#define MESSAGE_LISTENERS_MAX 64u
#define MESSAGE_NETWORKS_MAX  256u /* of one listener */
#define MESSAGE_BUNDLES_MAX   64u
#define MESSAGE_PORTS_MAX     1024u

#define MESSAGE_KINDS(X)                                                                           \
    X(MESSAGE_READY, 1)                                                                            \
    X(MESSAGE_ASK, 2)                                                                              \
    X(MESSAGE_ANSWER, 3)                                                                           \
    X(MESSAGE_AGAIN, 4)                                                                            \
    X(MESSAGE_RECORDS, 5)                                                                          \
    X(MESSAGE_FORGET, 6)                                                                           \
    X(MESSAGE_LEARNED, 7)                                                                          \
    X(MESSAGE_SESSIONS, 8)                                                                         \
    X(MESSAGE_CONFIGURE, 16)                                                                       \
    X(MESSAGE_CHALLENGE, 17)                                                                       \
    X(MESSAGE_GRANTED, 18)                                                                         \
    X(MESSAGE_REFUSED, 19)                                                                         \
    X(MESSAGE_END_GRANT, 20)                                                                       \
    X(MESSAGE_DRAIN, 21)                                                                           \
    X(MESSAGE_OFFER, 22)                                                                           \
    X(MESSAGE_LIST_SESSIONS, 23)                                                                   \
    X(MESSAGE_DURABLE, 31)

enum message_kind {
#define X(name, value) name = value,
    MESSAGE_KINDS(X)
#undef X
};

/* An IPv4 or IPv6 address as the kernel has it. */
struct message_address {
    uint8_t family; /* 4 or 6 */
    uint8_t bytes[16];
};

/* Where to log in, and as whom. Made by the keeper when it has approved the client. */
struct message_granted {
    char *account; /* label, for the log and for the TLS session cache */
    int64_t grant; /* number of the local credential that opened */
    char *host;    /* the name that must stand in the certificate */
    uint16_t port;
    enum tls_mode tls;
    uint16_t authorities; /* index into message_configure.authorities */
    struct message_address addresses[MESSAGE_ADDRESSES_MAX];
    size_t address_count;
    char *mechanisms; /* separated by spaces, in order of preference; "" = as the server offers */
    char *user;       /* SASL user upstream */
    struct secret token;
    bool is_read_only;   /* the client may change nothing */
    char *senders;       /* as whom it may send: addresses separated by spaces; "": anybody */
    bool is_password;    /* `token` is the upstream's password, for PLAIN, LOGIN and SCRAM */
    uint64_t generation; /* of the token; given back in AGAIN */
};

struct message_refused {
    enum why why;
    const char *text; /* one sentence for the client and the log; printable ASCII, no line end */
};

struct message_ask {
    uint16_t listener;
    const char *mechanism; /* upper case */
    const char *peer;      /* "127.0.0.1:40312", for the log */
    bool has_bytes;        /* false: the client sent no initial response (RFC 4422 section 3) */
    struct secret bytes;   /* an initial response may hold a password */
};

/* Something that happened, for the audit journal. */
struct message_record {
    uint64_t session; /* 0: in none */
    uint16_t listener;
    uint64_t receipt; /* 0: nobody waits for it to be on disk */
    struct record record;
};

/* What a listener offers to a client that has not logged in. */
struct message_offer {
    uint16_t listener;
    char *mechanisms;   /* the local AUTH= list, separated by spaces; APOP among them is POP3's */
    char *capabilities; /* lines such as "SIZE 1000\n"; "": the dialect's own */
};

struct message_listener {
    char *name;
    enum protocol protocol;
    uint16_t descriptors; /* how many inherited descriptors belong to it, in order */
    char *account;        /* label, or "" */
    char *mechanisms;     /* as in message_offer, at the start */
    char *capabilities;
    bool needs_no_login; /* auth = none: whoever connects is `account` */
    bool rejects_bare_newline;
    enum tls_mode tls;    /* towards the client */
    uint8_t tls_min;      /* 0 to 3: TLS 1.0 to 1.3 */
    char *certificate;    /* chain, PEM; "" without TLS */
    struct secret key;    /* PEM */
    bool peer_owner_only; /* a loopback client must be of `user_id` */
    bool is_remote;       /* clients that are not on loopback are let in, if `allowed` has them */
    struct message_network {
        uint8_t address[16];
        uint8_t prefix_length;
    } * allowed;
    size_t allowed_count;
    uint32_t max_sessions;
};

/* What the journal wants to know of what is relayed. */
struct message_audit {
    bool is_on;
    bool wants_arguments; /* of commands: at the level full */
    bool holds_replies;   /* audit_sync = strict: a reply waits until its record is on disk */
    bool ends_unparsable; /* audit_strict: what cannot be followed is not relayed on */
};

struct message_configure {
    uint16_t gate; /* its number, for the log */
    uint8_t log_level;
    uint32_t user_id;
    struct message_audit audit;
    struct message_listener *listeners;
    size_t listener_count;
    char **authorities; /* CA bundles, PEM text */
    size_t authority_count;
    uint16_t *ports; /* of all mail servers: the gate connects to no others */
    size_t port_count;
};

/* How far a session is that its gate tells of. */
#define MESSAGE_SESSION_STATES(X)                                                                  \
    X(MESSAGE_SESSION_LOGGING_IN, "logging-in") /* the client's turn, or the keeper's */           \
    X(MESSAGE_SESSION_CONNECTING, "connecting") /* the login upstream */                           \
    X(MESSAGE_SESSION_RELAYING, "relaying")

enum message_session_state {
#define X(name, text) name,
    MESSAGE_SESSION_STATES(X)
#undef X
        MESSAGE_SESSION_STATE_COUNT
};

struct message_session {
    uint64_t number;
    enum message_session_state state;
    uint64_t client_bytes, server_bytes; /* octets from either side since the login */
    uint64_t age;                        /* milliseconds */
};

#define MESSAGE_SESSIONS_MAX 256u /* of one message */

/* A part of what there is; the last one says so. */
struct message_sessions {
    bool is_last;
    struct message_session *items;
    size_t count;
};

/* Encoders append one whole message (kind, session, fields) to `out`: 0, or ERR_FULL with `out` as
 * it was; also when a field is over its maximum, which the reader would not take. NULL strings are
 * written as empty ones. `text` and `detail` may hold anything: they are escaped and cut here. */
MUST_CHECK int message_write_plain(struct buf *out, enum message_kind kind, uint64_t session);
MUST_CHECK int message_write_ask(struct buf *out, uint64_t session, const struct message_ask *ask);
MUST_CHECK int message_write_bytes(struct buf *out, enum message_kind kind, uint64_t session,
                                   struct slice bytes); /* ANSWER, CHALLENGE */
MUST_CHECK int message_write_number(struct buf *out, enum message_kind kind, uint64_t session,
                                    uint64_t number); /* AGAIN, END_GRANT, DRAIN, DURABLE */
/* Appends to a RECORDS message that `frame` alone holds, or begins one when it is empty. ERR_FULL:
 * send the frame and begin anew. A whole record takes RECORD_VALUES_MAX * RECORD_TEXT_MAX octets
 * and some. */
MUST_CHECK int message_write_record(struct buf *frame, const struct message_record *record);
MUST_CHECK int message_write_granted(struct buf *out, uint64_t session,
                                     const struct message_granted *granted);
MUST_CHECK int message_write_refused(struct buf *out, uint64_t session,
                                     const struct message_refused *refused);
MUST_CHECK int message_write_learned(struct buf *out, uint64_t session, const char *capabilities);
MUST_CHECK int message_write_offer(struct buf *out, const struct message_offer *offer);
MUST_CHECK int message_write_configure(struct buf *out, const struct message_configure *configure);
MUST_CHECK int message_write_sessions(struct buf *out, uint64_t question,
                                      const struct message_sessions *sessions);

/* The head of a message: its kind and session; `fields` is what the readers below take. */
struct message {
    enum message_kind kind;
    uint64_t session;
    struct slice fields; /* borrowed */
};

/* Readers: 0, or ERR_SYNTAX with nothing allocated. What they fill is freed by the functions below;
 * ANSWER and CHALLENGE bytes are borrowed from the message. */
MUST_CHECK int message_read(struct slice bytes, struct message *message_out);
MUST_CHECK int message_read_ask(const struct message *message, struct message_ask *ask_out);
MUST_CHECK int message_read_bytes(const struct message *message, struct slice *bytes_out);
MUST_CHECK int message_read_number(const struct message *message, uint64_t *number_out);
/* The next record of a RECORDS message, whose `fields` *rest is at the start, and empty behind the
 * last; a message without any is ERR_SYNTAX too. Texts are borrowed from the message. */
MUST_CHECK int message_read_record(struct slice *rest, struct message_record *record_out);
MUST_CHECK int message_read_granted(const struct message *message,
                                    struct message_granted *granted_out);
MUST_CHECK int message_read_refused(const struct message *message,
                                    struct message_refused *refused_out);
/* For mem_free. */
MUST_CHECK int message_read_learned(const struct message *message, char **capabilities_out);
MUST_CHECK int message_read_offer(const struct message *message, struct message_offer *offer_out);
MUST_CHECK int message_read_configure(const struct message *message,
                                      struct message_configure *configure_out);
MUST_CHECK int message_read_sessions(const struct message *message,
                                     struct message_sessions *sessions_out);

/* Wipe, free, and leave all zero; fine on all zero. */
void message_ask_clear(struct message_ask *ask);
void message_granted_clear(struct message_granted *granted);
void message_refused_clear(struct message_refused *refused);
void message_offer_clear(struct message_offer *offer);
void message_configure_clear(struct message_configure *configure);
void message_sessions_clear(struct message_sessions *sessions);

const char *message_session_state_name(enum message_session_state state);

#endif
