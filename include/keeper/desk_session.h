/*
 * What the files of the desk share. Private to proxy/keeper/desk*.c.
 *
 * A session is here from its ASK to its FORGET, or to a REFUSED. All phase changes:
 *
 *   SASL ─────────▶ DERIVING ──▶ COLLECTING ──▶ GRANTED
 *     │ ╲              │             ▲             │
 *     │  ╲─────────────┼─────────────┘◀── AGAIN ───┘
 *     ▼                ▼
 *   DELAYED ◀──────────┘     (wrong user or password: REFUSED when the delay is over)
 *
 * and from each of them REFUSED, which ends it; RECORDING comes before that while the journal does
 * not have on disk why.
 */
#ifndef ECLUSE_KEEPER_DESK_SESSION_H
#define ECLUSE_KEEPER_DESK_SESSION_H

#include "keeper/desk.h"
#include "keeper/open_sessions.h"
#include "keeper/throttle.h"

enum desk_phase {
    DESK_SASL,       /* a CHALLENGE was sent; an ANSWER is to come */
    DESK_DERIVING,   /* a chosen password is derived */
    DESK_DELAYED,    /* it was wrong; REFUSED goes out when `delay` is over */
    DESK_COLLECTING, /* approved; token and addresses are on the way, or the journal is */
    DESK_GRANTED,
    DESK_RECORDING /* refused; the journal is on its way */
};

/* Present as long as it has sessions. */
struct desk_gate {
    struct list node;
    unsigned number;
    struct list sessions;
    size_t count;
};

/* The approved sessions of one account; present as long as there are any. */
struct desk_account {
    struct list node;
    char *label;
    struct list sessions;
};

struct desk_session {
    struct list in_bucket, in_gate, in_account;
    struct desk *desk;
    struct desk_gate *gate;
    uint64_t number;
    enum desk_phase phase;
    enum protocol protocol;
    char *listener; /* its name: this is what outlives a reload */
    char *peer;     /* for the journal */
    char *mechanism;

    /* until it is approved */
    const struct listener_config *options; /* a reload ends every session that still needs it */
    struct sasl_acceptor *acceptor;
    struct deadline delay;  /* runs from the client's last message on */
    char *label;            /* of the account that the user name stands for, or NULL */
    char *mailbox;          /* the one that is named, of an account for a whole domain; else "" */
    struct secret password; /* one that is to be derived */
    uint64_t throttle;      /* key of the name */
    bool is_challenged;     /* the name is known; its password proves itself without being sent */
    struct grant_derivation *derivation;

    /* from then on */
    struct desk_account *account;
    int64_t grant; /* 0: nobody had to log in */
    bool is_read_only;
    char *senders; /* NULL: anybody */
    struct broker_ticket *ticket;
    struct resolve_ticket *lookup;
    struct secret token;
    uint64_t generation;
    struct dial_address *addresses; /* until they are granted */
    size_t address_count;
    struct journal_ticket *record;
    bool is_recorded;
    bool has_asked_again;
    unsigned learned; /* how often it told us what its upstream can do */

    /* when it is refused */
    enum why why;
    char *reason;
};

#define DESK_BUCKETS 4096

struct desk {
    struct desk_parts parts;
    const struct config *config;
    struct sasl_acceptor_library *library;
    struct deadline_queue *delays;
    struct throttle *throttle;
    struct open_sessions *open;
    unsigned first_gate;
    size_t granted; /* sessions in GRANTED */
    struct list gates, accounts;
    struct list buckets[DESK_BUCKETS]; /* sessions by gate and number */
};

/* ---- desk.c ---- */

/* Writes down how the client's login ended, on our side; WHY_NONE: it is approved. */
void desk_session_note_login(const struct desk_session *session, enum why why, const char *detail);
/* Sends REFUSED and frees the session, as soon as the journal may let it. */
void desk_session_refuse(struct desk_session *session, enum why why, const char *text);
/* Cancels what is under way and frees it. */
void desk_session_free(struct desk_session *session);
void desk_session_set_phase(struct desk_session *session, enum desk_phase phase);

/* ---- desk_send.c ---- */

/* Sends and wipes what was written, unless `status` says that it did not fit. */
void desk_send(struct desk *desk, unsigned gate, struct buf *message, int status);
/* Without a session of ours, or for one that is gone. */
void desk_send_refused(struct desk *desk, unsigned gate, uint64_t session, enum why why,
                       const char *text);
void desk_send_end_grant(struct desk *desk, unsigned gate, int64_t grant);

/* ---- desk_exchange.c: until the client is approved ---- */

extern const struct sasl_users desk_users;

/* The first message, and each that follows. The session may be gone afterwards. */
void desk_exchange_start(struct desk_session *session, const struct message_ask *ask);
void desk_exchange_step(struct desk_session *session, bool has_bytes, struct slice bytes);
/* Wrong user or password: REFUSED, but not before the delay is over. */
void desk_exchange_fail(struct desk_session *session);
void desk_exchange_on_delay(struct deadline *deadline);
/* Frees what only the exchange needs. */
void desk_exchange_end(struct desk_session *session);

/* ---- desk_grant.c: from then on ---- */

/* `label` and `grant` of the session are who it is. The session may be gone afterwards. */
void desk_grant_approve(struct desk_session *session);
/* Gets a token (other than `refused_generation`) and addresses, then sends GRANTED. */
void desk_grant_collect(struct desk_session *session, uint64_t refused_generation);
/* Cancels tickets, wipes the token, forgets the addresses. */
void desk_grant_drop(struct desk_session *session);

#endif
