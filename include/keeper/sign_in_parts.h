/*
 * What the files of a sign-in share. Private to proxy/keeper/sign_in*.c.
 */
#ifndef ECLUSE_KEEPER_SIGN_IN_PARTS_H
#define ECLUSE_KEEPER_SIGN_IN_PARTS_H

#include "auth/oauth_authorize.h"
#include "auth/oauth_device.h"
#include "auth/oauth_metadata.h"
#include "keeper/identification.h"
#include "keeper/redirect_catcher.h"
#include "keeper/registration.h"
#include "keeper/revocation.h"
#include "keeper/sign_in.h"
#include "keeper/token_inputs.h"

#define SIGN_IN_SECONDS  600
#define SIGN_IN_TEXT_MAX 480

struct sign_ins {
    struct sign_ins_parts parts;
    const struct config *config;
    struct list under_way;
    size_t count;
    uint64_t numbers;
};

struct sign_in {
    struct list node;
    struct sign_ins *all; /* NULL: it has been cancelled, and its handles are closing */
    uint64_t number;
    char *account;
    char *issuer; /* what the vault will bind the token to */
    char *scope;
    enum sign_in_way way;

    sign_in_on_news *on_news; /* NULL: nobody listens */
    void *owner;
    struct deferral turn; /* tells the news */
    bool has_offer;       /* and nobody has been told */
    bool has_ended;
    int exit_code;
    char text[SIGN_IN_TEXT_MAX];

    uv_timer_t expiry;
    uv_timer_t poll; /* DEVICE */
    unsigned handles;
    bool is_registered;                  /* by us: the redirect's path is fixed */
    struct token_collection *collection; /* what comes before all else */
    struct token_inputs inputs;
    struct registration *registration; /* then this: who we are, and where the endpoints are */
    char *client_id;                   /* NULL: not known yet */
    struct discovery_ticket *lookup;   /* then what else the issuer says, where it says it */
    char *endpoints[OAUTH_ENDPOINTS];  /* NULL: the provider has none */
    struct fetch *fetch;

    /* BROWSER, PASTE */
    struct oauth_proof proof;
    struct redirect_catcher *catcher; /* BROWSER */
    char *redirect_uri;
    char *url;
    char *answer_issuer;      /* the only `iss` that is right; NULL: any */
    bool wants_answer_issuer; /* an answer without `iss` is none (RFC 9207 section 2.4) */
    bool has_answer;          /* the code has come; no other is taken */

    /* DEVICE */
    struct oauth_device device;
    int64_t code_ends; /* steady milliseconds; 0: there is no code yet */

    /* The token, until it is known whose it is. */
    struct oauth_answer granted;
    char *subject;                         /* of its id_token, or NULL */
    struct identification *identification; /* its id_token does not tell whose it is */
    struct revocation *revocation;         /* it is somebody else's */
    char refusal[SIGN_IN_TEXT_MAX];        /* what is said after that */
};

/* ---- sign_in.c ---- */

/* Ends it; who listens is told in the next turn. The text is made printable. */
void sign_in_end(struct sign_in *sign_in, int exit_code, const char *format, ...) PRINTF_LIKE(3, 4);
/* The user can be sent off. */
void sign_in_offer(struct sign_in *sign_in);
/* NULL after it has ended because a reload took the account away or moved it to another provider.
 */
const struct account_config *sign_in_account(struct sign_in *sign_in);

/* ---- sign_in_client.c: a request as the account's client ---- */

struct sign_in_request {
    enum oauth_endpoint endpoint;
    const char *grant_type; /* NULL: none */
    const struct oauth_field *fields;
    size_t count;
    const char *scope;
};

/* POST, authenticated as the account's client. ERR_* with a text: nothing was sent. */
MUST_CHECK int sign_in_post(struct sign_in *sign_in, const struct account_config *account,
                            const struct sign_in_request *request,
                            void (*on_answer)(void *owner, const struct fetch_answer *answer),
                            struct err *err);

/* Ends it with what a refusal means, and what to do about it, behind `who`: "the token endpoint
 * refuses the code". */
void sign_in_end_refused(struct sign_in *sign_in, int exit_code, const char *who,
                         const struct oauth_answer *answer);

/* ---- sign_in_code.c ---- */

MUST_CHECK int sign_in_begin_code(struct sign_in *sign_in, const struct account_config *account,
                                  struct err *err);
/* True: taken, or the sign-in has ended by it. False: that was not the answer to this one. */
bool sign_in_take_redirect(struct sign_in *sign_in, struct slice query);

/* ---- sign_in_device.c ---- */

MUST_CHECK int sign_in_begin_device(struct sign_in *sign_in, const struct account_config *account,
                                    struct err *err);

/* ---- sign_in_token.c ---- */

/* A token answer with `outcome` GRANTED, moved from: ends the sign-in, at once or when it is known
 * whose token it is. `body` is the answer's. */
void sign_in_take_token(struct sign_in *sign_in, struct oauth_answer *answer, struct slice body);

/* ---- sign_in_identity.c: whose token it is ---- */

/* Ends by sign_in_keep_token or sign_in_refuse_token, from within or later. */
void sign_in_identify(struct sign_in *sign_in, const struct account_config *account,
                      struct slice body);
/* Stores it and ends. */
void sign_in_keep_token(struct sign_in *sign_in);
/* Gives it back to the provider, best effort, and ends. `who` is the name of its owner, "" when
 * that is not known: then it is only dropped. */
void sign_in_refuse_token(struct sign_in *sign_in, const struct account_config *account,
                          const char *who, const char *format, ...) PRINTF_LIKE(4, 5);

#endif
