/*
 * Whose an access token is, when the id_token does not tell: what the userinfo endpoint says to it
 * (auth/oauth_identity.h), where there is one; and where that tells nothing, whether it opens the
 * account's mailbox (keeper/trial.h), which takes TRIAL_SECONDS at most. So it is, too, where
 * somebody else is named and the account has delegates = yes.
 */
#ifndef ECLUSE_KEEPER_IDENTIFICATION_H
#define ECLUSE_KEEPER_IDENTIFICATION_H

#include "conf/config.h"
#include "net/fetch.h"

enum identification_verdict {
    IDENTIFICATION_OWN,        /* the account's user's */
    IDENTIFICATION_OTHER,      /* somebody else's */
    IDENTIFICATION_UNSOUND,    /* userinfo is about another subject than the id_token */
    IDENTIFICATION_SHUT,       /* nobody tells, and the mail servers do not let it in */
    IDENTIFICATION_UNKNOWN,    /* nobody tells, and no mail server can be asked */
    IDENTIFICATION_OTHER_SHUT, /* somebody else's, who may be a delegate: the same two */
    IDENTIFICATION_OTHER_UNKNOWN
};

struct identification;

/* Borrowed, and outlive the identification. */
struct identification_parts {
    struct loop *loop;
    struct fetcher *fetcher;
    const struct log *log;
};

/* All borrowed during the call alone. */
struct identification_question {
    const struct config *config;
    const struct account_config *account;
    const struct secret *token;
    const char *userinfo_endpoint; /* NULL: the provider has none */
    const char *subject;           /* of the id_token, or NULL */
    const char *stranger;          /* whom that names, who may be a delegate; or NULL */
};

/* `on_done` is called exactly once unless cancelled, never from within. The text is printable and
 * without secrets: whose the token is, when it is OTHER; the reason, when it is SHUT or UNKNOWN;
 * both when it is one of the last two. */
struct identification *identification_start(
    const struct identification_parts *parts, const struct identification_question *question,
    void (*on_done)(void *owner, enum identification_verdict verdict, const char *text),
    void *owner);
void identification_cancel(struct identification *identification);

#endif
