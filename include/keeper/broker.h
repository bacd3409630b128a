/*
 * Access tokens. The broker has each account's current one in memory only, refreshes it at most
 * once for all who wait (single flight), and writes a rotated refresh token to the vault, durably,
 * before the new access token is given to anybody.
 *
 * A token with more than a fifth of its life (at most 10 minutes) left is given out at once. With
 * less, a refresh starts in the background; with less than 5 minutes (or that fifth) left whoever
 * asks waits for it, and gets the old token only when the refresh fails and it is still valid; an
 * expired one is of no use. A server may end a session with the token that opened it. After a
 * failed refresh the next try waits (1 s doubling to 5 min, or Retry-After); whoever asks meanwhile
 * and has no valid token is told the last failure at once.
 *
 * invalid_grant signs the account out: the vault's token is wiped. No other failure drops a token.
 * A token that is somebody else's by its id_token is given to nobody, and the account needs its
 * user: tokens that were brought or taken over can be anybody's.
 *
 * An account with flow none has the provider's password for a token, from the vault or from its
 * password_command, which is run once for all who wait. It is read anew after an hour, and at once
 * when the provider has refused it; when it is the same then, nobody gets it for a while, since
 * providers lock accounts for that. With flow command it is token_command that prints a token: the
 * same, but after half an hour.
 *
 * With flow client_credentials there is no refresh token: the account is its own client's, and each
 * access token is asked for by the client's proof alone. So it is with flow service_account by the
 * service account's, and with flow password by the user's password, which is not sent again once
 * the provider has refused it.
 */
#ifndef ECLUSE_KEEPER_BROKER_H
#define ECLUSE_KEEPER_BROKER_H

#include "auth/oauth_identity.h"
#include "conf/config.h"
#include "keeper/discovery.h"
#include "keeper/vault.h"
#include "net/fetch.h"

#define BROKER_MAILBOXES_MAX 1000

struct broker;
struct broker_ticket;

struct broker_token {
    const struct secret *token; /* borrowed during the callback */
    uint64_t generation;        /* grows with each new token of the account */
    int64_t expires;            /* wall seconds */
    const char *scope;          /* that the provider says it granted; "": it does not */
};

/* All borrowed; they outlive the broker. */
struct broker *broker_open(struct loop *loop, struct fetcher *fetcher, struct vault *vault,
                           const struct config *config, const struct log *log);
/* Where token requests are written down from here on; borrowed like the rest. */
struct journal;
void broker_set_journal(struct broker *broker, struct journal *journal);
/* Waiting tickets and requests are cancelled: see broker_drain for an end that loses nothing. A
 * rotated token that the vault has not taken yet is offered to it once more. */
void broker_close(struct broker *broker);
struct broker_tending_options {
    int64_t first_look; /* for idle accounts: milliseconds from now at the most */
    /* The account has sessions. NULL: nobody knows. */
    bool (*has_sessions)(void *owner, const char *account);
    void *owner;
};
/* From here on the broker acts unasked. An account in use, which has sessions or was asked for
 * within a life of its token (an hour at least), is refreshed before the last fifth of that life
 * begins, each at a time of its own. An account that was not refreshed for 30 days is, one after
 * the other, since providers drop what lies idle. And when one begins to need its user,
 * notify_command is run, not again before the account was well once more. Once. */
void broker_tend(struct broker *broker, const struct broker_tending_options *options);
/* After a reload: accounts that are gone or changed their endpoint, client or command lose their
 * access token. The configuration before is borrowed until this returns. */
void broker_set_config(struct broker *broker, const struct config *config);

/* `refused_generation` 0: any valid token will do. Else the provider refused that generation: if a
 * newer one is there already it is given out, if not one refresh is made. `on_answer` is called
 * exactly once unless cancelled, never from within: `why` is WHY_NONE with a token, else
 * TOKEN_NEEDS_USER, UNREACHABLE or INTERNAL with a text (one sentence that says what to do,
 * printable, no secret) and `token` NULL. */
struct broker_ticket *
broker_ask(struct broker *broker, const char *account, uint64_t refused_generation,
           void (*on_answer)(void *owner, enum why why, const struct broker_token *token,
                             const char *text),
           void *owner);
/* The same for one mailbox of an account for a whole domain; "": of any other account. Where a
 * token is good for one mailbox alone (flow service_account), each has its own, and those used last
 * are kept, BROKER_MAILBOXES_MAX at most. */
struct broker_ticket *broker_ask_for(struct broker *broker, const char *account,
                                     const char *mailbox, uint64_t refused_generation,
                                     void (*on_answer)(void *owner, enum why why,
                                                       const struct broker_token *token,
                                                       const char *text),
                                     void *owner);
void broker_cancel(struct broker_ticket *ticket);

/* What issuers say, which everything that talks to them shares. Borrowed; closed with the broker,
 * before which every ticket of it is cancelled. */
struct discovery *broker_discovery(struct broker *broker);

/* Somebody changed the account's token in the vault (a sign-in, a logout): forget the old access
 * token, the back-off and what a request under way brings. Who waits gets a new request. */
void broker_signed_in(struct broker *broker, const char *account);
/* The same for a sign-in that has brought an access token, too, good for `expires_in` seconds from
 * now and for `scope`, or NULL: it is the account's from here on, moved from. */
void broker_signed_in_with(struct broker *broker, const char *account, struct secret *access_token,
                           int64_t expires_in, const char *scope);

struct broker_state {
    bool has_token;
    int64_t expires;  /* wall seconds, 0 without */
    int64_t retry_at; /* wall seconds, 0 when not backing off */
    unsigned waiting;
    const char *failure; /* why there is no token, in a sentence; borrowed; "": there is one, or
                          * nobody has asked for one */
    /* Whose the last token is by the id_token that came with it. */
    enum oauth_identity identity;
    const char *stranger; /* OTHER: who that is, else ""; borrowed */
    const char *subject;  /* of the id_token; NULL: it has none; borrowed */
    uint64_t
        requests; /* token requests, and runs of token_command and password_command, since start */
};
/* Of all mailboxes of the account: the token that lives longest, or else a failure. ERR_NOT_FOUND:
 * no such account is configured. */
MUST_CHECK int broker_state(const struct broker *broker, const char *account,
                            struct broker_state *state_out);

/* A refresh token that was brought, until it is known whose it is. It is tried beside the account,
 * whose earlier token goes on to serve; without one, clients are told to try again in a moment. */
struct broker_trial;
/* The token is moved from. */
struct broker_trial *broker_trial_new(struct broker *broker, const char *account,
                                      struct secret *refresh_token);
/* As broker_ask; cancelled before the trial ends. */
struct broker_ticket *broker_trial_ask(struct broker_trial *trial,
                                       void (*on_answer)(void *owner, enum why why,
                                                         const struct broker_token *token,
                                                         const char *text),
                                       void *owner);
/* As broker_state, of the trial alone. */
struct broker_state broker_trial_state(const struct broker_trial *trial);
/* The provider knows no such token: there is nothing to keep. */
bool broker_trial_is_refused(const struct broker_trial *trial);
/* Puts it, or what it has rotated to, in the place of the account's, and ends the trial. ERR_FULL,
 * with a text: the vault does not take it now, which is as with any token that has rotated.
 * ERR_CONFIG: the account is gone, or at another issuer, and the trial goes on. */
MUST_CHECK int broker_trial_keep(struct broker_trial *trial, struct err *err);
/* Ends the trial; everything is as before. */
void broker_trial_drop(struct broker_trial *trial);

/* A request that is cut off may have rotated the token at the provider, and the answer with the new
 * one be lost. `on_idle` is called once, never from within, as soon as no request is under way. */
void broker_drain(struct broker *broker, void (*on_idle)(void *owner), void *owner);

#endif
