/*
 * Sign-ins under way: somebody is sent to the provider's page, and what comes back is made a
 * refresh token in the vault. Three ways: the browser on this machine comes back to a port of ours
 * (keeper/redirect_catcher.h); the final URL is pasted, from a browser that is elsewhere; or the
 * user types a code on another device (RFC 8628).
 *
 * A sign-in is bound to its account, issuer, state and verifier, is good for once and for ten
 * minutes, or as long as the provider's code is. A new one of the same account takes the place of
 * the one before; there are at most SIGN_INS_MAX. The account's present token is kept until the new
 * one is stored.
 *
 * Who has signed in is checked by the id_token, else by userinfo, where the provider tells; else
 * the token has to open the account's mailbox (keeper/trial.h). The token of somebody else is given
 * back and not kept. The expected name is login_hint, else the address or the SASL user.
 */
#ifndef ECLUSE_KEEPER_SIGN_IN_H
#define ECLUSE_KEEPER_SIGN_IN_H

#include "conf/config.h"
#include "keeper/broker.h"

#define SIGN_INS_MAX 8

struct sign_ins;

enum sign_in_way { SIGN_IN_BROWSER, SIGN_IN_PASTE, SIGN_IN_DEVICE };

/* What comes of it, first where the user is to go, then how it has ended. Texts are borrowed during
 * the callback, printable, and without secrets. */
struct sign_in_news {
    bool has_ended;
    /* not ended */
    const char *url;          /* BROWSER, PASTE: for the browser. DEVICE: where to type the code */
    const char *user_code;    /* DEVICE, else NULL */
    const char *complete_url; /* DEVICE: one with the code in it; or NULL */
    int64_t expires_in;       /* seconds */
    /* ended */
    int exit_code;    /* 0: signed in; else of sysexits */
    const char *text; /* why not; or what the user should know, "" when nothing */
};

typedef void sign_in_on_news(void *owner, const struct sign_in_news *news);

struct sign_ins_parts {
    struct loop *loop;
    struct fetcher *fetcher;
    struct vault *vault;
    struct broker *broker;
    const struct log *log;
    struct journal *journal; /* or NULL */
};

/* The parts are borrowed, and outlive it. */
struct sign_ins *sign_ins_open(const struct sign_ins_parts *parts, const struct config *config);
void sign_ins_close(struct sign_ins *all);
void sign_ins_set_config(struct sign_ins *all, const struct config *config);

/* `on_news` is called once, never from within: with where to go, or with why there is nothing to
 * go to. ERR_CONFIG, ERR_FULL, ERR_CRYPTO and others with a text: nothing has begun. */
MUST_CHECK int sign_in_begin(struct sign_ins *all, const struct account_config *account,
                             enum sign_in_way way, sign_in_on_news *on_news, void *owner,
                             uint64_t *number_out, struct err *err);
/* The final URL of a PASTE. ERR_SYNTAX: it is not the answer to this sign-in, which goes on;
 * ERR_NOT_FOUND: there is no such sign-in any more. */
MUST_CHECK int sign_in_paste(struct sign_ins *all, uint64_t number, const char *url,
                             struct err *err);
/* `on_news` is called once, never from within, when it has ended. ERR_NOT_FOUND; ERR_BUSY: somebody
 * listens already. */
MUST_CHECK int sign_in_wait(struct sign_ins *all, uint64_t number, sign_in_on_news *on_news,
                            void *owner, struct err *err);
/* Ends it without a word to anybody. Fine when there is none. */
void sign_in_cancel(struct sign_ins *all, uint64_t number);

#endif
