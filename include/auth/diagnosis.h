/*
 * What is wrong when a mail account does not work, and what to do about it: a table of the words
 * that servers, libraries and we ourselves say, with a sentence and an advice for each.
 *
 * The words of a server are anybody's. They choose a row, and nothing of them is in it.
 */
#ifndef ECLUSE_AUTH_DIAGNOSIS_H
#define ECLUSE_AUTH_DIAGNOSIS_H

#include <stdbool.h>

#include "base/terms.h"

/* In the order in which they are tried. */
#define DIAGNOSIS_STEPS(X)                                                                         \
    X(DIAGNOSIS_CONFIGURATION, "configuration")                                                    \
    X(DIAGNOSIS_ENDPOINT, "endpoint") /* the token endpoint answers */                             \
    X(DIAGNOSIS_TOKEN, "token")       /* and gives one */                                          \
    X(DIAGNOSIS_DNS, "dns")           /* of the mail server, as all that follow */                 \
    X(DIAGNOSIS_TCP, "tcp")                                                                        \
    X(DIAGNOSIS_TLS, "tls")                   /* STARTTLS included */                              \
    X(DIAGNOSIS_CAPABILITIES, "capabilities") /* the greeting included */                          \
    X(DIAGNOSIS_LOGIN, "login")

enum diagnosis_step {
#define X(name, text) name,
    DIAGNOSIS_STEPS(X)
#undef X
        DIAGNOSIS_STEP_COUNT
};

/* Whose turn it is. */
enum diagnosis_remedy {
    DIAGNOSIS_REMEDY_LATER,         /* it may pass by itself */
    DIAGNOSIS_REMEDY_SERVICE,       /* something between here and there, or the server itself */
    DIAGNOSIS_REMEDY_USER,          /* the user or an administrator at the provider */
    DIAGNOSIS_REMEDY_CONFIGURATION, /* whoever writes our configuration */
    DIAGNOSIS_REMEDY_COUNT
};

/* What a second look has shown. */
enum diagnosis_clue {
    DIAGNOSIS_CLUE_NONE,
    DIAGNOSIS_CLUE_PLAINTEXT, /* tls://, but the server greets in plaintext */
    DIAGNOSIS_CLUE_TLS,       /* starttls://, but the server answers a TLS hello at once */
    DIAGNOSIS_CLUE_CLOCK,     /* this machine's clock is off */
    DIAGNOSIS_CLUE_RESOURCE,  /* the token is for something else than mail */
    DIAGNOSIS_CLUE_SCOPE,     /* the token lacks a scope */
    DIAGNOSIS_CLUE_USER       /* the token is of somebody else */
};

struct diagnosis_facts {
    enum diagnosis_step step;
    enum why why;
    enum protocol protocol;
    enum tls_mode tls;
    enum diagnosis_clue clue;
    bool has_password; /* the account has one, and no token */
    const char *words; /* what was said, by whomever */
};

/* Texts may hold {account} {provider} {protocol} {host} {port} {user}. */
struct diagnosis {
    enum diagnosis_remedy remedy;
    const char *sentence; /* no capital, no full stop */
    const char *advice;   /* imperative, the same */
};

/* Never NULL: where no row is more exact the step has one. */
const struct diagnosis *diagnosis_find(const struct diagnosis_facts *facts);

struct diagnosis_names {
    const char *account, *provider, *protocol, *host, *user;
    unsigned port;
};

/* `text` with the names in it; terminated, cut where it is too long. */
void diagnosis_write(const char *text, const struct diagnosis_names *names, char *out,
                     size_t capacity);

const char *diagnosis_step_name(enum diagnosis_step step);

#endif
