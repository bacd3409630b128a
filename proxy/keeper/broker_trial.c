/*
 * Where an account's refresh token is: in the vault, or, while somebody has brought one of which it
 * is not known yet whose it is, here. Such a token has an account of the broker to itself, of the
 * same label, which nobody but its trial asks. So it is refreshed, and rotates, as any other, and
 * no client gets anything of it.
 *
 * Happy path: the trial is asked for an access token, its owner finds that it is the account's, and
 * all of it becomes the account's: the refresh token in the vault, the access token here.
 *
 * Failures: the owner drops it, or goes away: nothing has changed. The provider has refused it: it
 * is wiped, and kept by nobody. The vault does not take it: told, and it is offered to the vault
 * again before anything else is done for the account.
 */
#include <string.h>

#include "base/clock.h"
#include "keeper/broker_account.h"
#include "keeper/endpoint.h"

struct broker_trial {
    struct broker_account *account;
    char *issuer;        /* the only one that gets to see it */
    struct secret token; /* the newest; not set: the provider has refused it */
    char *note;          /* what the vault's row says once it is kept */
    bool is_over;        /* its account goes in the next turn, when nobody is in a callback of it */
};

/* ---- the token's place ---- */

int broker_token_load(const struct broker_account *account, struct secret *token_out,
                      struct err *err)
{
    if (account->trial == NULL)
        return vault_token_load(account->broker->vault, account->label, account->issuer, token_out,
                                err);
    if (!secret_is_set(&account->trial->token))
        return err_set(err, ERR_NOT_FOUND, "account %s: the token was refused", account->label);
    secret_copy(token_out, &account->trial->token);
    return 0;
}

static bool is_for(const struct broker_trial *trial, const struct account_config *options)
{
    char *issuer = endpoint_issuer(options);
    bool is_same = endpoint_has_sign_in(options) && strcmp(issuer, trial->issuer) == 0;
    mem_free(issuer);
    return is_same;
}

const struct secret *broker_token_on_trial(const struct broker_account *account,
                                           const struct account_config *options)
{
    static const struct secret none;
    if (account->trial == NULL)
        return NULL;
    return is_for(account->trial, options) ? &account->trial->token : &none;
}

int broker_token_store(struct broker_account *account, const struct secret *token, struct err *err)
{
    if (account->trial == NULL)
        return vault_token_store(account->broker->vault, account->label, account->issuer, token,
                                 clock_wall_seconds(), err);
    secret_copy(&account->trial->token, token);
    return 0;
}

int broker_token_wipe(struct broker_account *account, const char *reason, struct err *err)
{
    if (account->trial == NULL)
        return vault_token_sign_out(account->broker->vault, account->label, reason, err);
    secret_wipe(&account->trial->token);
    return 0;
}

void broker_token_note(struct broker_account *account, int64_t last_refresh, const char *error)
{
    struct broker_trial *trial = account->trial;
    struct err err;
    if (trial != NULL) {
        mem_free(trial->note);
        trial->note = mem_copy_string(error);
        return;
    }
    int status =
        vault_token_note(account->broker->vault, account->label, last_refresh, error, &err);
    if (status != 0 && status != ERR_NOT_FOUND)
        log_warn(account->broker->log, "account %s: %s", account->label, err.text);
}

/* Its row as it is now; false: there is none. */
static bool look_at_row(const struct broker_account *account, enum vault_token_state *state_out,
                        int64_t *last_refresh_out)
{
    struct vault_token *tokens;
    size_t count;
    if (vault_token_list(account->broker->vault, account->label, &tokens, &count, NULL) != 0)
        return false;
    if (count == 1) {
        *state_out = tokens[0].state;
        *last_refresh_out = tokens[0].last_refresh;
    }
    vault_tokens_free(tokens, count);
    return count == 1;
}

bool broker_token_is_new(const struct broker_account *account)
{
    enum vault_token_state state;
    int64_t last_refresh;
    return account->trial != NULL ||
           (look_at_row(account, &state, &last_refresh) && last_refresh == 0);
}

bool broker_token_is_damaged(const struct broker_account *account)
{
    enum vault_token_state state;
    int64_t last_refresh;
    return account->trial == NULL && look_at_row(account, &state, &last_refresh) &&
           state == VAULT_DAMAGED;
}

/* ---- a trial ---- */

struct broker_trial *broker_trial_new(struct broker *broker, const char *label,
                                      struct secret *refresh_token)
{
    struct broker_trial *trial = mem_new(sizeof(*trial));
    struct broker_account *own = broker_account_of(broker, label, "");
    trial->account = broker_account_new(broker, label, "");
    trial->account->trial = trial;
    const struct account_config *options = config_account(broker->config, label);
    trial->issuer = options == NULL ? mem_copy_string("") : endpoint_issuer(options);
    secret_move(&trial->token, refresh_token);
    /* Who has been told to sign in is told to wait from here on. */
    if (own != NULL)
        own->is_signed_out = false;
    return trial;
}

void broker_trial_free(struct broker_trial *trial)
{
    if (trial == NULL)
        return;
    secret_wipe(&trial->token);
    mem_free(trial->issuer);
    mem_free(trial->note);
    mem_free(trial);
}

void broker_trial_drop(struct broker_trial *trial)
{
    broker_account_interrupt(trial->account);
    broker_access_wipe(&trial->account->access);
    secret_wipe(&trial->token);
    trial->is_over = true;
    broker_wake(trial->account->broker);
}

bool broker_trial_is_over(const struct broker_account *account)
{
    return account->trial != NULL && account->trial->is_over;
}

bool broker_trial_is_under_way(const struct broker *broker, const char *label)
{
    LIST_FOREACH (node, &broker->accounts) {
        const struct broker_account *account = CONTAINER_OF(node, struct broker_account, node);
        if (account->trial != NULL && !account->trial->is_over &&
            strcmp(account->label, label) == 0)
            return true;
    }
    return false;
}

struct broker_ticket *broker_trial_ask(struct broker_trial *trial,
                                       void (*on_answer)(void *owner, enum why why,
                                                         const struct broker_token *token,
                                                         const char *text),
                                       void *owner)
{
    return broker_ticket_new(trial->account->broker, trial->account, on_answer, owner);
}

bool broker_trial_is_refused(const struct broker_trial *trial)
{
    return !secret_is_set(&trial->token);
}

struct broker_state broker_trial_state(const struct broker_trial *trial)
{
    return broker_account_state(trial->account);
}

static void hand_over_identity(struct broker_account *from, struct broker_account *to)
{
    broker_identity_forget(to);
    to->identity = from->identity;
    to->stranger = from->stranger;
    to->subject = from->subject;
    mem_free(to->delegate);
    to->delegate = from->delegate;
    from->stranger = from->subject = from->delegate = NULL;
}

/* Why it could not be tried, and when it may be again. */
static void hand_over_failure(const struct broker_account *from, struct broker_account *to)
{
    to->failure = from->failure;
    memcpy(to->failure_text, from->failure_text, sizeof(to->failure_text));
    to->failures = from->failures;
    to->retry_at = from->retry_at;
}

/* As if the account itself had been refreshed, and the token had rotated to this one. */
int broker_trial_keep(struct broker_trial *trial, struct err *err)
{
    struct broker_account *account = trial->account;
    struct broker *broker = account->broker;
    const struct account_config *options = config_account(broker->config, account->label);
    if (options == NULL || !is_for(trial, options))
        return err_set(err, ERR_CONFIG, "%s: the configuration has changed meanwhile; try again",
                       account->label);
    struct broker_account *own = broker_account_of(broker, account->label, "");
    broker_signed_in(broker, own->label);
    mem_free(own->issuer);
    own->issuer = mem_copy_string(trial->issuer);
    secret_move(&own->next_refresh, &trial->token);
    broker_access_move(&own->next, &account->access);
    hand_over_identity(account, own);
    own->requests += account->requests;
    bool is_stored = broker_account_store_next(own);
    if (is_stored) {
        bool is_tried = secret_is_set(&own->access.token);
        hand_over_failure(account, own);
        broker_token_note(own, is_tried ? clock_wall_seconds() : 0,
                          trial->note == NULL ? "" : trial->note);
    }
    broker_trial_drop(trial);
    return is_stored ? 0 : err_set(err, ERR_FULL, "%s", own->failure_text);
}
