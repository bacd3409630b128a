/*
 * What differs between the protocols. A dialect is a const struct of names, limits, a rule table
 * and a few functions; the engine knows no protocol. The engine says why, the dialect says how.
 *
 * Below the struct stands what a dialect's functions may ask of the engine. Nobody else includes
 * it.
 */
#ifndef ECLUSE_MAIL_DIALECT_H
#define ECLUSE_MAIL_DIALECT_H

#include "mail/engine.h"
#include "mail/passage.h"
#include "mail/wire.h"

#define PHASES(X)                                                                                  \
    X(PHASE_CLIENT_TLS, "client-tls")     /* the client is to bring TLS up */                      \
    X(PHASE_COMMAND, "command")           /* the client may say what it likes */                   \
    X(PHASE_EXCHANGE, "exchange")         /* the client's next line answers a challenge */         \
    X(PHASE_ASKED, "asked")               /* the keeper thinks */                                  \
    X(PHASE_DIALING, "dialing")           /* the connection upstream is made */                    \
    X(PHASE_GREETING, "greeting")         /* the upstream is to greet */                           \
    X(PHASE_UPGRADE, "upgrade")           /* it is to agree to STARTTLS */                         \
    X(PHASE_SECURING, "securing")         /* its TLS is brought up */                              \
    X(PHASE_CAPABILITY, "capability")     /* it is to say what it can */                           \
    X(PHASE_AUTHENTICATE, "authenticate") /* it is to take the token */                            \
    X(PHASE_CONFIRM, "confirm")           /* logged in: what can it now? */                        \
    X(PHASE_RELAY, "relay")                                                                        \
    X(PHASE_OVER, "over")

enum phase {
#define X(name, text) name,
    PHASES(X)
#undef X
        PHASE_SAME /* in a rule: the action decides, or nothing changes */
};

/* One whole command or reply line, literals included, cut into words by the dialect. */
struct unit {
    struct slice bytes;     /* as it came, with its line end */
    struct slice tag;       /* IMAP; empty elsewhere */
    struct slice verb;      /* what the rules are searched for; letter case does not matter */
    struct slice arguments; /* behind the verb and a space; no line end (but with literals) */
};

/* `verb` NULL is the default of its phase and side, which every phase that reads must have. The
 * action returns true when the phase is to become `next`. */
struct rule {
    enum phase phase;
    enum side side;
    const char *verb;
    bool (*action)(struct engine *engine, const struct unit *unit);
    enum phase next;
};

struct dialect {
    const char *name;         /* imap pop3 smtp */
    const char *sasl_service; /* imap pop smtp */
    const char *alpn;         /* NULL: send none */

    size_t command_max;             /* a line before login */
    size_t sasl_max;                /* a line that carries SASL */
    size_t literal_max;             /* all literals of a command together; 0: there are none */
    size_t reply_line_max;          /* an upstream line before login */
    size_t reply_total_max;         /* and all of them */
    size_t initial_max;             /* longest initial response in base64; 0: always in two steps */
    unsigned bad_commands;          /* so many unknown commands end the connection */
    bool asks_capabilities_for_tls; /* upstream: STARTTLS comes behind the list, not before */
    bool refuses_headers;           /* a line "Word: …" is a browser's, and ends the connection */
    const char *continuation;       /* before a challenge: "+ " */

    const struct passage_kind *passage; /* what the relay passes bytes through */
    const struct rule *rules;
    size_t rule_count;

    /* Cuts; false: not a command or reply of this protocol (the phase's default rule sees it with
     * an empty verb). A reply with another tag than engine_upstream_tag is none. */
    bool (*split_command)(struct slice bytes, struct unit *unit_out);
    bool (*split_reply)(const struct engine *engine, struct slice bytes, struct unit *unit_out);
    /* Does a command line announce a literal? NULL: the protocol has none. As wire_imap_literal. */
    enum wire_status (*literal)(struct slice line, struct wire_literal *literal_out);
    /* Does the line begin a command whose line may be as long as sasl_max? */
    bool (*is_sasl_command)(struct slice line);

    void (*greet)(struct engine *engine);
    /* Answers the command in hand. `text` is one printable sentence. */
    void (*say_bad)(struct engine *engine, const char *text);
    void (*say_no)(struct engine *engine, enum why why, const char *text);
    void (*say_ready)(struct engine *engine);
    /* The last words of a connection. */
    void (*say_bye)(struct engine *engine, enum why why, const char *text);
    /* `initial` in base64, NULL for two steps. */
    void (*authenticate)(struct engine *engine, const char *mechanism, const struct slice *initial);
    /* Asks the upstream for what it can do, and for TLS. */
    void (*ask_capabilities)(struct engine *engine);
    void (*ask_tls)(struct engine *engine);
};

/* NULL: this version does not speak it. */
const struct dialect *dialect_of(enum protocol protocol);

/* ---- for dialects ---- */

/* Functions of a dialect whose commands are one line: verb, space, arguments; the argument of
 * POP3's PASS is all that stands behind its space. Its AUTH goes upstream in two steps. */
bool dialect_split_line(struct slice bytes, struct unit *unit_out);
bool dialect_is_auth_line(struct slice line);
void dialect_say_auth(struct engine *engine, const char *mechanism, const struct slice *initial);

/* What stands behind AUTH: a mechanism, and at most one initial response. */
struct auth_arguments {
    struct slice mechanism, initial;
    bool has_initial;
};
/* False: something else stands there. */
bool dialect_split_auth(struct slice arguments, struct auth_arguments *auth_out);

/* Appends to what is on its way to a side. A limit of our own buffers is never reached by what
 * these send (ENSUREd), since all that goes in is bounded. */
void engine_send(struct engine *engine, enum side side, struct slice bytes);
void engine_send_format(struct engine *engine, enum side side, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Remembers the tag of the command in hand, which say_* answer with. */
void engine_set_tag(struct engine *engine, struct slice tag);
const char *engine_tag(const struct engine *engine);
const char *engine_local_mechanisms(const struct engine *engine);
/* Lines to show before the login. */
struct slice engine_local_capabilities(const struct engine *engine);
/* APOP's, or NULL where it is not offered. */
const char *engine_timestamp(const struct engine *engine);
/* Is STARTTLS to be shown? Then no login may be. */
bool engine_offers_tls(const struct engine *engine);
bool engine_offers_mechanism(const struct engine *engine, struct slice mechanism);
bool engine_needs_no_login(const struct engine *engine);

/* AUTH with a mechanism: `initial` in base64, NULL when there is none. True: the keeper was asked.
 */
bool engine_begin_exchange(struct engine *engine, struct slice mechanism,
                           const struct slice *initial);
/* LOGIN and its like: asked as PLAIN (RFC 4616). True: as above. */
bool engine_begin_password(struct engine *engine, struct slice user, struct slice password);
/* APOP: asked as a mechanism whose message is timestamp NUL user NUL digest. */
bool engine_begin_digest(struct engine *engine, struct slice user, struct slice digest);
/* A command that needs the upstream, where no login is needed: it is kept, and said to the upstream
 * first when that is logged in. */
bool engine_begin_without_login(struct engine *engine, const struct unit *unit);
/* USER before PASS: kept until the next engine_keep_user or engine_begin_…. */
void engine_keep_user(struct engine *engine, struct slice user);
struct slice engine_kept_user(const struct engine *engine);
/* The client asked for TLS and was told to go ahead. Rule actions return what this returns. */
bool engine_begin_client_tls(struct engine *engine);
/* Rule action: the line answers the challenge, or is "*". */
bool engine_exchange_line(struct engine *engine, const struct unit *unit);
/* One unknown or misplaced command more; says BAD, and BYE at the limit. */
void engine_bad_command(struct engine *engine, const char *text);
/* The same where the dialect has said it in its own words. */
void engine_count_bad_command(struct engine *engine);
void engine_end(struct engine *engine, enum why why, const char *text);

/* The tag of the command that was last sent upstream, and a new one for the next. */
const char *engine_upstream_tag(const struct engine *engine);
const char *engine_next_upstream_tag(struct engine *engine);

/* The upstream's capabilities, in the dialect's own form; replaced by each set. Add appends a line
 * and its end, and leaves out what is too much. */
void engine_set_capabilities(struct engine *engine, struct slice words);
void engine_add_capability(struct engine *engine, struct slice line);
struct slice engine_capabilities(const struct engine *engine);
/* Were they said since AUTHENTICATE was sent? Those from before the login no longer hold then. */
bool engine_has_new_capabilities(const struct engine *engine);
/* What was found among them; forgotten with each set. */
void engine_add_mechanism(struct engine *engine, struct slice name);
void engine_allow_initial_response(struct engine *engine);
bool engine_upstream_is_secure(const struct engine *engine);
/* The text of a reply of several lines, collected for a human; what is too much is left out. */
void engine_add_reply_text(struct engine *engine, struct slice text);
struct slice engine_reply_text(const struct engine *engine);
void engine_clear_reply_text(struct engine *engine);
/* Rule action: the server greets. Asks for TLS, or for what it can do. Returns what an action
 * returns. */
bool engine_upstream_greeted(struct engine *engine);
/* Capabilities are known: asks for TLS if that is still due, else goes on to PHASE_AUTHENTICATE
 * with the mechanism chosen. */
void engine_upstream_known(struct engine *engine);
/* Rule actions of PHASE_UPGRADE: the server agreed; it did not. */
bool engine_upstream_agreed_to_tls(struct engine *engine, const struct unit *unit);
bool engine_upstream_refused_tls(struct engine *engine, const struct unit *unit);
/* Rule actions of PHASE_AUTHENTICATE. */
bool engine_upstream_challenge(struct engine *engine, const struct unit *unit);
/* The server refused the token: once a new one is asked for, then the client is told. `reason` is
 * the server's own text, as it came. */
void engine_token_refused(struct engine *engine, struct slice reason);
/* The login failed: tell the client why, which may then try again. */
void engine_fail(struct engine *engine, enum why why, const char *text);
/* As engine_fail, with what the server said over TLS behind it, escaped and cut. */
void engine_fail_quoting(struct engine *engine, enum why why, const char *text,
                         struct slice server_words);
/* Logged in: the client is told, and the relay begins. Of the capabilities the lines that
 * `is_for_later` likes may be offered the next time, before the login; NULL: none. */
void engine_pass(struct engine *engine, bool (*is_for_later)(struct slice line));
/* Rule action: the upstream did not speak as it should. */
bool engine_upstream_nonsense(struct engine *engine, const struct unit *unit);

#endif
