/*
 * The engine's own state, shared by the files that make it up and by nobody else.
 */
#ifndef ECLUSE_MAIL_ENGINE_INTERNAL_H
#define ECLUSE_MAIL_ENGINE_INTERNAL_H

#include "mail/dialect.h"

#define QUEUE_MAX     12
#define DEED_TEXT_MAX 400
#define FAILURES_MAX  5
#define MECHANISM_MAX 24
/* After the first message those that take a token answer one challenge, the server's error; SCRAM
 * answers two and the success. One more than that is waited for. */
#define TOKEN_CHALLENGES_MAX    2
#define PASSWORD_CHALLENGES_MAX 4
#define REPLY_TEXT_MAX          512

/* Collects one command or reply. */
struct unit_reader {
    struct buf bytes;
    size_t line_start;     /* where in `bytes` the line in hand begins */
    uint64_t literal_left; /* octets of a literal still to come */
    uint64_t literal_total;
};

struct queued_deed {
    struct deed deed;
    char text[DEED_TEXT_MAX];
};

struct engine {
    const struct dialect *dialect;
    struct engine_settings settings;
    enum phase phase;

    struct unit_reader readers[2]; /* by enum side */
    size_t reply_total;            /* octets of the upstream since it was dialed */
    struct buf out[2];             /* what a queued SEND will carry */
    struct queued_deed queue[QUEUE_MAX];
    size_t queue_start, queue_count;
    struct queued_deed lent; /* the deed handed out last, whose text is borrowed */
    char *local_mechanisms, *local_capabilities, *timestamp, *refusal; /* of the settings */

    /* the client's login */
    struct buf asked;        /* SASL bytes on their way to the keeper */
    struct buf user;         /* USER, before PASS */
    struct buf said_already; /* the command that begins a session without a login */
    char tag[40];
    char asked_mechanism[MECHANISM_MAX];
    unsigned failures;
    unsigned bad_commands;

    /* the login upstream */
    char *mechanism_order; /* as GRANTED said */
    struct buf capabilities;
    struct buf mechanisms; /* that the upstream offers, words */
    struct buf reply_text;
    struct buf learned;
    struct buf
        first_message; /* base64, kept for the second step when there is no initial response */
    char mechanism[MECHANISM_MAX];
    uint8_t foreign_word[16]; /* how a client of another protocol began */
    size_t foreign_word_size;
    char upstream_tag[16];
    unsigned challenges;
    unsigned upstream_command;
    bool has_password; /* and not a token */
    bool capabilities_are_new;
    bool allows_initial_response;
    bool first_message_is_due;
    bool upstream_is_connected;
    bool upstream_is_secure;
    bool upstream_is_stale;  /* it closed, or spoke unasked, while a new token was fetched */
    bool upstream_is_reused; /* the second login attempt goes over the first one's connection */
    bool token_was_refused;  /* one refresh was asked for; there is no second one */

    bool client_is_secure;
    bool out_is_lent[2]; /* out[side] was handed out: to be cleared at the next call */
};

void engine_enter(struct engine *engine, enum phase phase);
void engine_queue(struct engine *engine, const struct deed *deed, const char *text);
/* A malformed or cancelled exchange: BAD, and it counts as a failed login. */
void engine_cancel(struct engine *engine, const char *text);
void engine_tell_granted(struct engine *engine, const char *mechanisms, bool is_password);
void engine_tell_connected(struct engine *engine, bool is_secure);
/* TLS towards the upstream is up: everything learned before is forgotten. */
void engine_tell_secured(struct engine *engine);
/* The same towards the client. */
void engine_tell_client_secured(struct engine *engine);
/* What a side says while its TLS is to be brought up was put there by somebody on the way. */
void engine_end_injected(struct engine *engine, enum side side);
void engine_upstream_lost(struct engine *engine, enum why why, const char *text);
void engine_reset_upstream(struct engine *engine);

/* One step of reading: appends to the side's unit, and acts on it when it is whole. Returns what
 * was consumed, at least one octet. */
size_t engine_read_unit(struct engine *engine, enum side side, struct slice bytes);

#endif
