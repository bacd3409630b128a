/*
 * One login, from the client's first byte to the moment when bytes are only relayed. The engine
 * greets and answers the client in our own words, has the keeper approve it, logs in upstream with
 * the token, and tells the client. It is a pure machine: bytes and facts go in, deeds come out,
 * nothing waits.
 *
 * The owner's loop, after every feed or tell:
 *
 *     while (engine_next(engine, &deed))
 *         do it;
 *
 * What engine_feed did not consume stays with the owner, who feeds the same bytes again when the
 * deeds are done: it stops at each command that has an answer, so that answers need not be stored.
 * When it then consumes nothing, that side is not read, and fed again after the next fact or feed
 * of the other side: that is how commands that a client pipelined behind its login wait. After
 * DEED_PASS both sides' unconsumed bytes belong to the relay and the engine may be freed, once its
 * passage was taken.
 *
 * However the bytes are cut, the deeds are the same. Every path ends in exactly one DEED_END or in
 * DEED_PASS.
 */
#ifndef ECLUSE_MAIL_ENGINE_H
#define ECLUSE_MAIL_ENGINE_H

#include "base/slice.h"
#include "base/terms.h"

struct engine;
struct dialect;
struct passage;
struct passage_settings;

enum side { SIDE_CLIENT, SIDE_UPSTREAM };

/* The client side of SASL, which lives in another room: 0, or a negative code that fails the login.
 * The bytes are borrowed until the next call. */
struct engine_sasl {
    /* A response whose data is NULL: the mechanism says nothing before the server has. */
    int (*start)(void *owner, const char *mechanism, struct slice *response_out);
    int (*step)(void *owner, struct slice challenge, struct slice *response_out);
    /* May the server's success be believed? Mechanisms that verify the server want to have done so.
     */
    bool (*is_complete)(void *owner);
    void *owner;
};

struct engine_settings {
    const struct dialect *dialect;
    const char *mechanisms;   /* to offer to the client, separated by spaces */
    const char *capabilities; /* to offer before the login: lines such as "SIZE 1000\n" */
    const char *timestamp; /* for APOP (RFC 1939 section 7), unique: "<1.2@localhost>"; or NULL */
    enum tls_mode client_tls; /* ON: before the greeting; STARTTLS: offered, no login without it */
    bool needs_no_login;      /* the first command that needs the upstream logs in by itself */
    const char *refusal;      /* not NULL: said, with refusal_why, instead of a greeting */
    enum why refusal_why;
    struct engine_sasl sasl;
};

enum fact_kind {
    FACT_CHALLENGE, /* the keeper's: `bytes` go to the client */
    /* The client is approved; `text` = mechanisms for upstream in order, or ""; `is_password`: what
     * there is for it is a password, not a token. */
    FACT_GRANTED,
    FACT_REFUSED,   /* by the keeper: `why`, `text` */
    FACT_CONNECTED, /* after DIAL; `is_secure`: TLS is up and verified, else STARTTLS is due */
    FACT_TLS_UP,    /* after START_TLS of `side`; towards the upstream: and verified */
    FACT_FAILED,    /* the dial or the connection upstream: `why`, `text` */
    FACT_EOF,       /* `side` has ended; all that it sent has been fed and consumed */
    FACT_TICK,      /* the patience of this stage is over: see engine_patience */
    FACT_DISMISSED  /* we are stopping, or need the place: `why`, `text` */
};

struct fact {
    enum fact_kind kind;
    enum side side;
    enum why why;
    bool is_password, is_secure;
    const char *text;   /* printable; borrowed during the call */
    struct slice bytes; /* borrowed during the call */
};

enum deed_kind {
    DEED_SEND,   /* `bytes` to `side`; borrowed until the next call of any function here */
    DEED_ASK,    /* the keeper: begin an exchange; `mechanism`, `has_bytes`, `bytes` (secret) */
    DEED_ANSWER, /* the keeper: the client's next message; `bytes` (secret) */
    DEED_AGAIN,  /* the keeper: the token was refused, get another one */
    DEED_DIAL, /* connect upstream (dropping a connection that is there) → CONNECTED or FAILED */
    /* Drop the connection upstream: this login failed (`why`, `text`), the client may try again. */
    DEED_HANG_UP,
    /* Begin the handshake on `side` → TLS_UP or FAILED. Octets of that side that are held belong to
     * nobody: they are fed as always, and end the session. */
    DEED_START_TLS,
    DEED_LEARNED, /* what the upstream can do, as lines in `bytes`: to be offered the next time */
    /* Something for the record: `note`, `why` (NONE: success), `text`; of a login upstream its
     * `mechanism`, of another protocol's client the first word that it said, as far as `bytes` go.
     */
    DEED_NOTE,
    DEED_PASS, /* relay from here, by engine_passage */
    DEED_END   /* flush what was sent to the client, then close everything: `why`, `text` */
};

enum engine_note { ENGINE_NOTE_CROSS_PROTOCOL, ENGINE_NOTE_UPSTREAM_AUTH };

struct deed {
    enum deed_kind kind;
    enum side side;
    enum why why;
    enum engine_note note;
    const char *mechanism; /* borrowed like bytes */
    const char *text;
    bool has_bytes;
    struct slice bytes;
};

/* Which stage the engine waits in, so that the owner can bound it: it starts the stage's deadline
 * when the value changes (or the stage begins anew) and tells FACT_TICK when it is over. */
enum engine_patience {
    PATIENCE_CLIENT,   /* 60 s: the client is to log in */
    PATIENCE_KEEPER,   /* 45 s: the keeper is to answer; its token request has 30 s of its own */
    PATIENCE_UPSTREAM, /* 30 s: connect, TLS, greeting and login together */
    PATIENCE_NONE      /* relay, or over */
};

/* The greeting, the refusal or START_TLS is the first deed. The settings and their strings are
 * copied. */
struct engine *engine_new(const struct engine_settings *settings);
void engine_free(struct engine *engine);

/* Takes bytes that came from a side; returns how many it consumed. */
MUST_CHECK size_t engine_feed(struct engine *engine, enum side side, struct slice bytes);
void engine_tell(struct engine *engine, const struct fact *fact);
/* False: nothing (more) to do now. */
MUST_CHECK bool engine_next(struct engine *engine, struct deed *deed_out);

/* For one who logs in upstream with no client behind: as if a client had asked. To be called before
 * anything is fed or told; FACT_GRANTED is to follow, and what goes to the client is for nobody. */
void engine_skip_client(struct engine *engine);
/* What the upstream offers, words each with a blank behind it; until the login has failed. */
struct slice engine_upstream_mechanisms(const struct engine *engine);

enum engine_patience engine_patience(const struct engine *engine);
/* After PASS: what the relay passes the bytes through; it is the caller's. The capabilities are
 * filled in here. */
struct passage *engine_passage(const struct engine *engine, struct passage_settings *settings);
/* After PASS: what the client said already that the upstream is to hear first; borrowed. */
struct slice engine_said_already(const struct engine *engine);
/* The name of the phase, for the log. */
const char *engine_phase_name(const struct engine *engine);

#endif
