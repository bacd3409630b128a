/*
 * What the files of the broker share: its accounts and tickets. Private to proxy/keeper/broker*.c.
 */
#ifndef ECLUSE_KEEPER_BROKER_ACCOUNT_H
#define ECLUSE_KEEPER_BROKER_ACCOUNT_H

#include "auth/oauth_identity.h"
#include "keeper/broker.h"
#include "keeper/discovery.h"
#include "keeper/secret_command.h"
#include "keeper/token_inputs.h"
#include "keeper/trial.h"

#define BROKER_TEXT_MAX 480

/* Deadlines are in steady time, so that neither a clock that is set nor a suspended machine makes
 * an old token look new. */
struct broker_access {
    struct secret token;
    int64_t expires; /* steady milliseconds */
    int64_t ahead; /* the same: an account in use is refreshed unasked, no two at once; 0: never */
    int64_t early; /* the same: from here on whoever asks starts a refresh */
    int64_t late;  /* the same: and waits for it, and gets this token when it fails */
    int64_t life;  /* milliseconds, when it was new */
    int64_t wall_expires; /* wall seconds, to show */
    char *scope;          /* NULL: not known */
};

struct broker_account {
    struct list node;
    struct broker *broker;
    char *label;
    struct broker_trial *trial; /* of the token that was brought; NULL: it is the vault's */
    char *mailbox;              /* whose tokens these are, where there is one for each; else "" */
    struct list waiting;        /* tickets */
    unsigned tickets;           /* those that name it */

    struct broker_access access;
    uint64_t generation; /* of `access` */
    int64_t asked;       /* when somebody asked last; steady milliseconds, 0: never */
    struct broker_access
        next; /* belongs to next_refresh, and is not given out before that is stored */
    struct secret next_refresh;

    struct fetch *fetch;
    struct discovery_ticket *lookup;     /* where the token endpoint is, before all else */
    struct token_collection *collection; /* what comes before fetch */
    struct secret_command *command;      /* flows none and command have this, the others those */
    char *issuer;                        /* of the request under way, and of next_refresh */
    bool keeps_refresh_token;            /* the flow of the request under way has one */
    struct secret password, refused;     /* flow password: the one under way, and the one that the
                                          * provider does not take and that is not sent again */
    bool answer_is_foreign;              /* the configuration has changed under the request */

    bool is_signed_out;
    enum why failure; /* of the last try */
    char failure_text[BROKER_TEXT_MAX];
    unsigned failures; /* in a row */
    int64_t retry_at;  /* steady milliseconds */
    uint64_t requests;
    enum oauth_identity identity; /* by the last id_token; see broker_state */
    char *stranger, *subject;
    struct trial *mailbox_trial; /* is the stranger let into the mailbox? `next` waits for that */
    char *delegate;              /* whom the mail server has let in; NULL */

    bool is_first_use; /* the stranger's token has never served anybody */
    bool is_noticed;   /* its user was told of the failure */
    struct secret_command *notice;
};

struct broker_ticket {
    struct list node;
    struct broker_account *account; /* NULL: no such account */
    uint64_t refused;
    void (*on_answer)(void *owner, enum why why, const struct broker_token *token,
                      const char *text);
    void *owner;
};

struct broker {
    struct loop *loop;
    struct fetcher *fetcher;
    struct discovery *discovery;
    struct vault *vault;
    const struct config *config;
    const struct log *log;
    struct journal *journal; /* NULL: nothing is written down */
    struct deferral turn;    /* looks at what was asked, and whether the broker is idle */
    struct list accounts; /* one per label that was ever asked for, and stays; and one per mailbox,
                           * the one that was used last at the end */
    struct list asked;    /* tickets to be looked at */
    struct list looking;  /* those of them that this turn looks at */
    uint64_t generations;
    void (*on_idle)(void *owner);
    void *on_idle_owner;
    struct broker_tending *tending; /* NULL: it does nothing unasked */
    bool closing;
    unsigned references; /* the owner, and whoever is in a callback */
};

void broker_hold(struct broker *broker);
void broker_drop(struct broker *broker);
/* There is something to do in the next turn. */
void broker_wake(struct broker *broker);

/* NULL: none of that label is configured. */
struct broker_account *broker_account_of(struct broker *broker, const char *label,
                                         const char *mailbox);
struct broker_account *broker_account_new(struct broker *broker, const char *label,
                                          const char *mailbox);
void broker_account_free(struct broker_account *account);
void broker_access_wipe(struct broker_access *access);
void broker_access_move(struct broker_access *to, struct broker_access *from);
/* So that not all do the same at the same time. */
int64_t broker_random_between(int64_t least, int64_t most);
/* Good for long enough to log in with. */
bool broker_access_is_usable(const struct broker_access *access, int64_t now);

/* True while an answer is on its way. */
bool broker_account_is_busy(const struct broker_account *account);
/* Drops what is under way. A token that rotates by it is lost: not for the requests of a token. */
void broker_account_interrupt(struct broker_account *account);
/* Starts the account's request, or whatever brings its password, unless it is under way. When it
 * cannot even be made, and when the password is in the vault, who waits is answered from within:
 * never called by an owner, and bracketed by hold and drop. */
void broker_account_refresh(struct broker_account *account);
/* Brings a rotated token that is not in the vault yet there. False: the vault still does not take
 * it, and the account's failure says so. */
bool broker_account_store_next(struct broker_account *account);
/* An access token that becomes the account's when it is adopted. */
void broker_account_set_next(struct broker_account *account, struct secret *access_token,
                             int64_t expires_in);
void broker_account_adopt_next(struct broker_account *account);
/* Takes over an access token that goes with the refresh token in the vault. */
void broker_account_adopt(struct broker_account *account, struct secret *access_token,
                          int64_t expires_in, const char *scope);
/* Who waits goes back to be looked at once more. */
void broker_account_ask_again(struct broker_account *account);
/* No failure counts any more. */
void broker_account_forgive(struct broker_account *account);

/* What a try that has just ended leaves to those who waited: its token, however short its life;
 * without one, the token from before for those whom the provider has not refused it; or the reason.
 * Bracketed by hold and drop. */
void broker_account_answer_waiting(struct broker_account *account, bool is_fresh);
/* Why there is no token; made printable. */
void broker_account_set_failure(struct broker_account *account, enum why why, const char *format,
                                ...) PRINTF_LIKE(3, 4);
/* Nothing but a sign-in will help: until then there are no tries. The failure is set. */
void broker_account_sign_out(struct broker_account *account);
/* No further try for a while: `retry_after` is the server's word in seconds, or 0. */
void broker_account_pause(struct broker_account *account, int64_t retry_after);

/* ---- broker_refusal.c ---- */

/* `answer` is SIGNED_OUT or MISTAKEN: the dead token is wiped, or there is no try for a while, and
 * the failure is set. */
struct oauth_answer;
void broker_refusal_take(struct broker_account *account, const struct oauth_answer *answer,
                         int64_t retry_after);
/* `reason` is printable. */
void broker_refusal_take_outage(struct broker_account *account, const char *reason,
                                int64_t retry_after);
/* broker_account_sign_out, and says so; `reason` may be "". */
void broker_refusal_sign_out(struct broker_account *account, const char *reason);
/* What the vault has for the account is damaged, or stood in another's place: it is left there, and
 * nothing but a sign-in will help. */
void broker_refusal_take_damage(struct broker_account *account,
                                const struct account_config *options);

/* ---- broker_tend.c: what it does unasked ---- */

/* Refreshes an idle account that is due, if there is one; milliseconds until the next look. */
int64_t broker_tend_look(struct broker *broker);
/* The same for the accounts in use; INT64_MAX: there is none, until somebody asks. */
int64_t broker_tend_look_ahead(struct broker *broker);
/* Somebody has asked, or got an answer: when the next look ahead is may have changed. */
void broker_tend_plan(struct broker *broker);
void broker_tend_end(struct broker *broker);
/* The account's failure says that its user is needed. */
void broker_tend_notice(struct broker_account *account);

/* ---- broker_endpoint.c: where the token endpoint is ---- */

/* True: the issuer is being asked for the token endpoint, and broker_account_refresh follows, or
 * who waits is told why not. */
MUST_CHECK bool broker_endpoint_look_up(struct broker_account *account,
                                        const struct account_config *options);
/* The token endpoint has refused the request. When it does not know the client, and that was
 * registered, it is forgotten. */
void broker_endpoint_refused(const struct broker_account *account, const char *error);

/* ---- broker_identity.c: whose tokens these are ---- */

/* Remembers what the body of an answer with a token says of it. */
void broker_identity_note(struct broker_account *account, struct slice body);
void broker_identity_forget(struct broker_account *account);
/* The answer's tokens are OTHER. What has rotated goes to the vault, so that nothing is lost when
 * the configuration was wrong; the access token is given to nobody, and the account needs its user.
 */
void broker_identity_refuse(struct broker_account *account, struct oauth_answer *answer);
/* The same when the mail server is to decide (keeper/trial.h): who waits is told after that. False:
 * the account is for one user alone. */
MUST_CHECK bool broker_identity_try(struct broker_account *account, struct oauth_answer *answer);

/* ---- broker_trial.c: where the refresh token is ---- */

/* As vault_token_load at the issuer of the last request, vault_token_store, _sign_out and _note;
 * what fails of the last is logged. */
MUST_CHECK int broker_token_load(const struct broker_account *account, struct secret *token_out,
                                 struct err *err);
MUST_CHECK int broker_token_store(struct broker_account *account, const struct secret *token,
                                  struct err *err);
MUST_CHECK int broker_token_wipe(struct broker_account *account, const char *reason,
                                 struct err *err);
void broker_token_note(struct broker_account *account, int64_t last_refresh, const char *error);
/* It has never brought an access token that was given out. */
bool broker_token_is_new(const struct broker_account *account);
/* There is one in the vault, and it is of no use. */
bool broker_token_is_damaged(const struct broker_account *account);
/* NULL: it is the vault's. Not set: it was brought for another issuer than this one. */
const struct secret *broker_token_on_trial(const struct broker_account *account,
                                           const struct account_config *options);

/* Somebody is about to sign in to the account of that label. */
bool broker_trial_is_under_way(const struct broker *broker, const char *label);
/* The account can go. */
bool broker_trial_is_over(const struct broker_account *account);
void broker_trial_free(struct broker_trial *trial);

/* ---- broker_password.c: flows none and command ---- */

/* As broker_account_refresh; `options` has such a flow. */
void broker_password_refresh(struct broker_account *account, const struct account_config *options);

/* Of flow password, too: the provider has refused the password (`reason` "": it does not say why),
 * or there is none. The failure is set, and there is no try for a while, or until there is one. */
void broker_password_set_refused(struct broker_account *account, const char *reason);
void broker_password_set_missing(struct broker_account *account);

struct broker_state broker_account_state(const struct broker_account *account);
/* `account` NULL: there is none, which is what the ticket is told. */
struct broker_ticket *broker_ticket_new(struct broker *broker, struct broker_account *account,
                                        void (*on_answer)(void *owner, enum why why,
                                                          const struct broker_token *token,
                                                          const char *text),
                                        void *owner);
/* Both take the ticket out of its list and free it before its owner hears of it. */
void broker_ticket_answer(struct broker_ticket *ticket, enum why why,
                          const struct broker_token *token, const char *text);
void broker_ticket_give(struct broker_ticket *ticket);
void broker_ticket_fail(struct broker_ticket *ticket);

#endif
