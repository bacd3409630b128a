/*
 * login: a refresh token or a password that was had elsewhere.
 *
 * Happy path: a refresh token is tried by one request, beside the account's own. The answer's
 * id_token, else the new access token (keeper/identification.h), tells that it is the account's;
 * then it, or what it has rotated to, is stored. An id_token for another client or issuer tells
 * nothing: nobody has been sent off to sign in whom somebody could have led astray.
 *
 * Failures:
 *   the provider refuses it (invalid_grant)     not kept; the one from before goes on
 *   it is somebody else's, or opens no mailbox  the same
 *   the client goes away before it is known     the same
 *   it cannot be tried                          kept, 75: a provider that cannot be reached costs
 *                                               nobody the token that was typed in
 *   it works, and nobody tells whose it is      kept, with a doubt: by the try it may have rotated,
 *                                               and then what was typed in is worth nothing
 *
 * The very token that the account has already is in use, and may rotate by the try: it stays where
 * it is, and is wiped when it is found not to be the account's.
 */
#include <string.h>
#include <sysexits.h>

#include "auth/credential.h"
#include "base/clock.h"
#include "conf/table.h"
#include "keeper/command_handler.h"
#include "keeper/command_text.h"
#include "keeper/endpoint.h"
#include "keeper/exit_code.h"
#include "keeper/identification.h"
#include "keeper/journal_notes.h"
#include "keeper/registration.h"

static int load(struct command *command, const struct account_config *account,
                struct secret *secret_out)
{
    char *issuer = endpoint_issuer(account);
    int status = vault_token_load(keeper_vault(command_keeper(command)), account->name, issuer,
                                  secret_out, NULL);
    mem_free(issuer);
    return status;
}

static void note_sign_in(struct command *command, const struct account_config *account,
                         enum why why)
{
    char *issuer = endpoint_issuer(account);
    const char *grant = endpoint_takes_password(account) ? "password" : "refresh_token";
    journal_note_sign_in(keeper_journal(command_keeper(command)), why, account->name, grant, issuer,
                         NULL);
    mem_free(issuer);
}

/* The broker hears of it. */
static int store(struct command *command, const struct account_config *account,
                 const struct secret *secret, struct err *err)
{
    struct keeper *keeper = command_keeper(command);
    char *issuer = endpoint_issuer(account);
    int status = vault_token_store(keeper_vault(keeper), account->name, issuer, secret,
                                   clock_wall_seconds(), err);
    if (status == 0) {
        note_sign_in(command, account, WHY_NONE);
        broker_signed_in(keeper_broker(keeper), account->name);
    }
    mem_free(issuer);
    return status;
}

/* The broker has wiped a token that is dead; one whose user has to do something else is kept. */
static bool is_stored(struct command *command, const struct account_config *account)
{
    struct secret token = {0};
    int status = load(command, account, &token);
    secret_wipe(&token);
    return status == 0;
}

/* The token on trial, or the account's own when that was brought. */
static struct broker_state state_of(struct command *command, const struct account_config *account)
{
    struct broker_state state;
    if (command_trial(command) != NULL)
        return broker_trial_state(command_trial(command));
    ENSURE(broker_state(keeper_broker(command_keeper(command)), account->name, &state) == 0);
    return state;
}

/* ---- whose it is ---- */

/* NULL after the command has failed: a reload has taken it away meanwhile. */
static const struct account_config *find_account(struct command *command)
{
    const char *name = command_value(command, "account");
    const struct account_config *account =
        config_account(keeper_config(command_keeper(command)), name);
    if (account == NULL)
        command_fail(command, EX_TEMPFAIL, "%s: the configuration has changed meanwhile; try again",
                     name);
    return account;
}

/* It works, and is not known to be the account's. False after the command has failed. */
static bool give_up(struct command *command, const struct account_config *account)
{
    struct keeper *keeper = command_keeper(command);
    struct err err;
    note_sign_in(command, account, WHY_AUTH_REJECTED);
    if (command_trial(command) != NULL)
        return true;
    int status =
        vault_token_sign_out(keeper_vault(keeper), account->name,
                             "the token that was brought is not known to be the account's", &err);
    broker_signed_in(keeper_broker(keeper), account->name);
    if (status != 0)
        command_fail_error(command, &err);
    return status == 0;
}

/* False after the command has failed. */
static bool keep_token(struct command *command, const struct account_config *account)
{
    struct err err;
    int status = command_trial(command) == NULL ? 0 : command_keep_trial(command, &err);
    if (status == 0)
        note_sign_in(command, account, WHY_NONE);
    else
        command_fail_error(command, &err);
    return status == 0;
}

static const char *expected_name(const struct account_config *account)
{
    return endpoint_identity_question(account, account->client_id).expected[0];
}

static void give_up_strangers(struct command *command, const struct account_config *account,
                              const char *stranger)
{
    char who[OAUTH_IDENTITY_TEXT];
    snprintf(who, sizeof(who), "%s", stranger);
    if (give_up(command, account))
        command_fail(command, EX_NOPERM,
                     "%s: the token is that of %s, but the account is %s; it is not kept. Bring "
                     "one of %s, or set login_hint = %s if that user may read the mailbox",
                     account->name, who, expected_name(account), expected_name(account), who);
}

static void give_up_unsound(struct command *command, const struct account_config *account)
{
    if (give_up(command, account))
        command_fail(
            command, EX_NOPERM,
            "%s: what the provider says of whose the token is, is not about this token; it "
            "is not kept",
            account->name);
}

/* `doubt` NULL: it is the account's. */
static void keep(struct command *command, const struct account_config *account, const char *doubt)
{
    if (keep_token(command, account))
        command_succeed(command, json_pack("{s:I, s:o}", "expires",
                                           (json_int_t)state_of(command, account).expires, "doubt",
                                           command_text_string(doubt)));
}

static void on_identified(void *owner, enum identification_verdict verdict, const char *text)
{
    struct command *command = owner;
    command_set_work(command, NULL, NULL);
    const struct account_config *account = find_account(command);
    if (account == NULL)
        return;
    switch (verdict) {
    case IDENTIFICATION_OWN:
        keep(command, account, NULL);
        return;
    case IDENTIFICATION_OTHER:
        give_up_strangers(command, account, text);
        return;
    case IDENTIFICATION_UNSOUND:
        give_up_unsound(command, account);
        return;
    case IDENTIFICATION_SHUT:
        if (give_up(command, account))
            command_fail(command, EX_NOPERM,
                         "%s: the provider does not tell whose the token is, and it does not open "
                         "the mailbox (%s); it is not kept. Bring one of %s, and see that mail "
                         "programs may use the mailbox",
                         account->name, text, expected_name(account));
        return;
    case IDENTIFICATION_UNKNOWN:
        keep(command, account, text);
        return;
    case IDENTIFICATION_OTHER_SHUT:
        if (give_up(command, account))
            command_fail(command, EX_NOPERM,
                         "%s: the token is that of somebody whom the mail server does not let into "
                         "the mailbox: %s; it is not kept. Bring one of %s",
                         account->name, text, expected_name(account));
        return;
    case IDENTIFICATION_OTHER_UNKNOWN:
        if (give_up(command, account))
            command_fail(command, EX_TEMPFAIL,
                         "%s: the token is that of somebody else, and whether the mail server lets "
                         "that user into the mailbox cannot be tried: %s; it is not kept. Try "
                         "again later",
                         account->name, text);
        return;
    }
}

static void cancel_identification(void *work)
{
    identification_cancel(work);
}

static void identify(struct command *command, const struct account_config *account)
{
    struct keeper *keeper = command_keeper(command);
    const struct config *config = keeper_config(keeper);
    const struct oauth_metadata *metadata =
        discovery_known(broker_discovery(keeper_broker(keeper)), config, account);
    char *userinfo = endpoint_url(account, metadata, OAUTH_USERINFO_ENDPOINT);
    const struct identification_parts parts = {
        .loop = keeper_loop(keeper), .fetcher = keeper_fetcher(keeper), .log = keeper_log(keeper)};
    const struct identification_question question = {
        .config = config,
        .account = account,
        .token = command_kept_secret(command),
        .userinfo_endpoint = userinfo,
        .subject = state_of(command, account).subject,
    };
    command_set_work(command, cancel_identification,
                     identification_start(&parts, &question, on_identified, command));
    mem_free(userinfo);
}

/* That the issuer cannot be asked is in the log; then the mail servers tell. */
static void on_discovered(void *owner, int status, const struct oauth_metadata *metadata,
                          const char *text)
{
    struct command *command = owner;
    (void)status;
    (void)metadata;
    (void)text;
    command_set_work(command, NULL, NULL);
    const struct account_config *account = find_account(command);
    if (account != NULL)
        identify(command, account);
}

static void cancel_discovery(void *work)
{
    discovery_cancel(work);
}

/* Only the issuer may know whether there is userinfo. */
static void look_for_userinfo(struct command *command, const struct account_config *account)
{
    struct keeper *keeper = command_keeper(command);
    struct discovery *discovery = broker_discovery(keeper_broker(keeper));
    if (endpoint_needs_discovery(account, OAUTH_USERINFO_ENDPOINT) &&
        discovery_known(discovery, keeper_config(keeper), account) == NULL)
        command_set_work(
            command, cancel_discovery,
            discovery_ask(discovery, keeper_config(keeper), account, on_discovered, command));
    else
        identify(command, account);
}

/* ---- a refresh token ---- */

static bool is_dead(struct command *command, const struct account_config *account)
{
    return command_trial(command) != NULL ? broker_trial_is_refused(command_trial(command))
                                          : !is_stored(command, account);
}

static void on_refused(struct command *command, const struct account_config *account, enum why why,
                       const char *text)
{
    if (!is_dead(command, account)) {
        if (keep_token(command, account))
            command_fail(command, exit_code_of_why(why),
                         "%s: the token is stored, but could not be tried: %s", account->name,
                         text);
        return;
    }
    note_sign_in(command, account, WHY_AUTH_REJECTED);
    command_fail(command, EX_NOPERM, "%s: the token was refused and is not kept%s: %s",
                 account->name, is_stored(command, account) ? "; the one from before is" : "",
                 text);
}

static void on_sign_in_tried(struct command *command, enum why why,
                             const struct broker_token *token, const char *text)
{
    const struct account_config *account = find_account(command);
    if (account == NULL)
        return;
    const struct broker_state state = state_of(command, account);
    if (state.identity == OAUTH_IDENTITY_OTHER && !account->delegates) {
        give_up_strangers(command, account, state.stranger);
    } else if (state.identity == OAUTH_IDENTITY_OTHER && command_trial(command) == NULL) {
        note_sign_in(command, account, WHY_AUTH_REJECTED);
        command_fail(command, exit_code_of_why(why), "%s: %s", account->name, text);
    } else if (why != WHY_NONE) {
        on_refused(command, account, why, text);
    } else if (state.identity == OAUTH_IDENTITY_IS) {
        keep(command, account, NULL);
    } else {
        secret_copy(command_kept_secret(command), token->token);
        look_for_userinfo(command, account);
    }
}

/* A refresh token is good for the client that it was given to. One that we have registered may be
 * that, when the token was taken from here. */
static int check_client(struct command *command, const struct account_config *account,
                        struct err *err)
{
    char *client_id = NULL;
    int status =
        registration_client(account, keeper_vault(command_keeper(command)), &client_id, NULL);
    mem_free(client_id);
    if (status != ERR_NOT_FOUND)
        return 0;
    return err_set(err, ERR_CONFIG,
                   "%s: a refresh token is good for its own client alone, and the account has no "
                   "client_id; add the one that the token was given to",
                   account->name);
}

/* The account's own is tried in its place: it is in use, and may rotate. */
static void try(struct command *command, const struct account_config *account,
                struct secret *refresh_token)
{
    struct secret present = {0};
    bool is_present = load(command, account, &present) == 0 &&
                      secret_equal(&present, secret_bytes(refresh_token));
    secret_wipe(&present);
    if (is_present) {
        broker_signed_in(keeper_broker(command_keeper(command)), account->name);
        command_ask_token(command, account->name, 0, on_sign_in_tried);
    } else {
        command_try_token(command, account->name, refresh_token, on_sign_in_tried);
    }
}

static void sign_in(struct command *command, const struct account_config *account,
                    struct slice token)
{
    struct secret secret = {0};
    struct err err;
    if (token.size == 0 || token.size > CREDENTIAL_TOKEN_MAX || !credential_is_printable(token)) {
        command_fail(command, EX_DATAERR,
                     "%s: the refresh token is not 1 to %u printable ASCII characters",
                     account->name, CREDENTIAL_TOKEN_MAX);
        return;
    }
    if (check_client(command, account, &err) != 0) {
        command_fail_error(command, &err);
        return;
    }
    secret_set(&secret, token);
    try(command, account, &secret);
    secret_wipe(&secret);
}

/* There is nobody to try it with: the provider hears it at the next login of a mail client. */
static void take_password(struct command *command, const struct account_config *account,
                          struct slice password)
{
    struct secret secret = {0};
    struct err err;
    if (!credential_password_is_valid(password)) {
        command_fail(command, EX_DATAERR, "%s: the password is not 1 to %u octets", account->name,
                     CREDENTIAL_PASSWORD_MAX);
        return;
    }
    secret_set(&secret, password);
    int status = store(command, account, &secret, &err);
    secret_wipe(&secret);
    if (status != 0)
        command_fail_error(command, &err);
    else
        command_succeed(command, json_pack("{s:b}", "stored", 1));
}

/* True when the account takes what was given; else the command has failed. */
static bool login_fits(struct command *command, const struct account_config *account,
                       bool is_password)
{
    const char *flow = option_word(option_table(SECTION_ACCOUNT), "flow", account->flow);
    if (endpoint_takes_password(account) && !endpoint_has_stored_password(account))
        command_fail(command, EX_USAGE,
                     "%s: its password comes from password_command; remove that line to keep one "
                     "here",
                     account->name);
    else if (!endpoint_has_sign_in(account) && !endpoint_takes_password(account))
        command_fail(command, EX_USAGE, "%s: flow = %s needs no sign-in", account->name, flow);
    else if (is_password != endpoint_takes_password(account))
        command_fail(command, EX_USAGE, "%s: flow = %s takes a %s; use --%s-stdin", account->name,
                     flow, is_password ? "refresh token" : "password",
                     is_password ? "refresh-token" : "password");
    else
        return true;
    return false;
}

void command_run_login(struct command *command)
{
    const struct account_config *account = command_account(command);
    const char *token = command_value(command, "refresh_token");
    const char *password = command_value(command, "password");
    if (account == NULL)
        return;
    if ((token == NULL) == (password == NULL))
        command_fail(command, EX_USAGE, "login: either refresh_token or password");
    else if (!login_fits(command, account, password != NULL))
        return;
    else if (password != NULL)
        take_password(command, account, slice_of_string(password));
    else
        sign_in(command, account, slice_of_string(token));
}
