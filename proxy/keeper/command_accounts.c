/*
 * accounts, login, token: who is signed in, and their tokens.
 *
 * A sign-in is stored before it is tried, so that a provider that cannot be reached costs nobody
 * the token that was typed in; a provider that refuses it (invalid_grant) has the broker wipe it.
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
#include "keeper/journal_notes.h"
#include "keeper/registration.h"

static const char *flow_word(enum flow flow)
{
    return option_find(option_table(SECTION_ACCOUNT), "flow")->choices[flow];
}

static const struct vault_token *find_token(const struct vault_token *tokens, size_t count,
                                            const char *account)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(tokens[i].account, account) == 0)
            return &tokens[i];
    return NULL;
}

const char *command_sign_in_state(const struct account_config *account,
                                  const struct vault_token *tokens, size_t count)
{
    const struct vault_token *token = find_token(tokens, count, account->name);
    if (account->flow == FLOW_COMMAND ||
        (endpoint_takes_password(account) && !endpoint_has_stored_password(account)))
        return "by command";
    if (!endpoint_has_sign_in(account) && !endpoint_has_stored_password(account))
        return "not needed";
    if (token == NULL)
        return "never";
    /* A token of another issuer is of no use here. */
    char *issuer = endpoint_issuer(account);
    bool fits = strcmp(token->issuer, issuer) == 0;
    mem_free(issuer);
    return token->state == VAULT_SIGNED_IN && fits ? "in" : "out";
}

static json_t *time_or_null(int64_t wall_seconds)
{
    return wall_seconds == 0 ? json_null() : json_integer(wall_seconds);
}

static json_t *account_row(const struct broker *broker, const struct account_config *account,
                           const struct vault_token *tokens, size_t count)
{
    const struct vault_token *token = find_token(tokens, count, account->name);
    struct broker_state state = {0};
    if (broker_state(broker, account->name, &state) != 0)
        state = (struct broker_state){.failure = ""};
    bool expires = state.has_token && account->flow != FLOW_NONE && account->flow != FLOW_COMMAND;
    const char *error =
        token == NULL || *token->last_error == '\0' ? state.failure : token->last_error;
    if (*error == '\0')
        error = NULL;
    return json_pack("{s:o, s:o, s:o, s:s, s:s, s:o, s:o, s:o}", "name",
                     command_text_string(account->name), "address",
                     command_text_string(account->address), "provider",
                     command_text_string(account->provider), "flow", flow_word(account->flow),
                     "signed_in", command_sign_in_state(account, tokens, count), "expires",
                     time_or_null(expires ? state.expires : 0), "last_refresh",
                     time_or_null(token == NULL ? 0 : token->last_refresh), "last_error",
                     command_text_string(error));
}

void command_run_accounts(struct command *command)
{
    struct keeper *keeper = command_keeper(command);
    const struct config *config = keeper_config(keeper);
    struct vault_token *tokens = NULL;
    size_t count = 0;
    if (!command_list_tokens(command, &tokens, &count))
        return;
    json_t *rows = json_array();
    for (size_t i = 0; i < config->account_count; i++)
        json_array_append_new(
            rows, account_row(keeper_broker(keeper), config->accounts[i], tokens, count));
    vault_tokens_free(tokens, count);
    command_succeed(command, json_pack("{s:o}", "accounts", rows));
}

/* ---- login ---- */

static int load(struct command *command, const struct account_config *account,
                struct secret *secret_out)
{
    char *issuer = endpoint_issuer(account);
    int status = vault_token_load(keeper_vault(command_keeper(command)), account->name, issuer,
                                  secret_out, NULL);
    mem_free(issuer);
    return status;
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
        const char *grant = endpoint_takes_password(account) ? "password" : "refresh_token";
        journal_note_sign_in(keeper_journal(keeper), WHY_NONE, account->name, grant, issuer, NULL);
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

/* The provider refused the new token; the one from before is put back, to be tried when it is next
 * needed. */
static bool put_back(struct command *command, const struct account_config *account)
{
    struct secret *before = command_kept_secret(command);
    return secret_is_set(before) && store(command, account, before, NULL) == 0;
}

/* It works, and is somebody else's. */
static void give_up_strangers(struct command *command, const struct account_config *account,
                              const char *stranger)
{
    const struct oauth_identity_question question =
        endpoint_identity_question(account, account->client_id);
    struct keeper *keeper = command_keeper(command);
    char who[OAUTH_IDENTITY_TEXT];
    struct err err;
    snprintf(who, sizeof(who), "%s", stranger);
    if (!put_back(command, account)) {
        int status = vault_token_sign_out(keeper_vault(keeper), account->name,
                                          "the token that was brought is somebody else's", &err);
        broker_signed_in(keeper_broker(keeper), account->name);
        if (status != 0) {
            command_fail_error(command, &err);
            return;
        }
    }
    command_fail(command, EX_NOPERM,
                 "%s: the token is that of %s, but the account is %s; it is not kept. Bring one of "
                 "%s, or set login_hint = %s if that user may read the mailbox",
                 account->name, who, question.expected[0], question.expected[0], who);
}

static void on_sign_in_tried(struct command *command, enum why why,
                             const struct broker_token *token, const char *text)
{
    const char *name = command_value(command, "account");
    /* A reload may have taken it away meanwhile. */
    const struct account_config *account =
        config_account(keeper_config(command_keeper(command)), name);
    bool is_refused =
        why == WHY_TOKEN_NEEDS_USER && account != NULL && !is_stored(command, account);
    struct broker_state state;
    bool is_known = broker_state(keeper_broker(command_keeper(command)), name, &state) == 0;
    if (why == WHY_NONE && account != NULL && is_known && *state.stranger != '\0')
        give_up_strangers(command, account, state.stranger);
    else if (why == WHY_NONE)
        command_succeed(command, json_pack("{s:I}", "expires", (json_int_t)token->expires));
    else if (is_refused && put_back(command, account))
        command_fail(command, EX_NOPERM,
                     "%s: the token was refused and is not kept; the one from before is: %s", name,
                     text);
    else if (is_refused)
        command_fail(command, EX_NOPERM, "%s: the token was refused and is not kept: %s", name,
                     text);
    else
        command_fail(command, exit_code_of_why(why),
                     "%s: the token is stored, but could not be tried: %s", name, text);
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

/* Takes and tries a refresh token. */
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
    /* There may be none, or a damaged one: then there is nothing to go back to. */
    (void)!load(command, account, command_kept_secret(command));
    secret_set(&secret, token);
    int status = check_client(command, account, &err);
    if (status == 0)
        status = store(command, account, &secret, &err);
    secret_wipe(&secret);
    if (status != 0)
        command_fail_error(command, &err);
    else
        command_ask_token(command, account->name, 0, on_sign_in_tried);
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
    const char *flow = flow_word(account->flow);
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

/* ---- token ---- */

static void on_token(struct command *command, enum why why, const struct broker_token *token,
                     const char *text)
{
    if (why != WHY_NONE) {
        command_fail(command, exit_code_of_why(why), "%s: %s", command_value(command, "account"),
                     text);
        return;
    }
    struct slice bytes = secret_bytes(token->token);
    command_succeed(command, json_pack("{s:s%, s:I}", "token", (const char *)bytes.data, bytes.size,
                                       "expires", (json_int_t)token->expires));
}

/* Of an account for a whole domain it is for one mailbox. */
static void ask_token_of_user(struct command *command, const struct account_config *account)
{
    const char *user = command_value(command, "user");
    struct slice address = slice_of_string(user == NULL ? "" : user);
    bool is_domain = account_is_domain(account);
    if (is_domain && user == NULL && account->flow == FLOW_SERVICE_ACCOUNT)
        command_fail(command, EX_USAGE, "%s: it serves %s; name a mailbox: --user NAME@DOMAIN",
                     account->name, account->address);
    else if (!is_domain && user != NULL)
        command_fail(command, EX_USAGE, "%s: --user is for accounts with address = *@DOMAIN",
                     account->name);
    else if (user != NULL &&
             config_account_by_address(keeper_config(command_keeper(command)), address) != account)
        command_fail(command, EX_DATAERR, "%s: it does not serve %s", account->name, user);
    else {
        char *mailbox = account_mailbox(account, address);
        command_ask_token_for(command, account->name, mailbox, on_token);
        mem_free(mailbox);
    }
}

void command_run_token(struct command *command)
{
    const struct account_config *account = command_account(command);
    if (account == NULL)
        return;
    const char *word = command_value(command, "protocol");
    enum protocol protocol = PROTOCOL_IMAP;
    if (account->flow == FLOW_NONE) {
        command_fail(command, EX_USAGE,
                     "%s: flow = none has a password, which is not given out, and no token",
                     account->name);
        return;
    }
    if (word != NULL && protocol_find(word, &protocol) != 0) {
        command_fail(command, EX_USAGE, "%s is no protocol; one of imap pop3 smtp", word);
        return;
    }
    if (word != NULL && !account->provider_row->endpoints[protocol].is_set) {
        command_fail(command, EX_DATAERR, "%s: provider %s has no %s; add it to [provider %s]",
                     account->name, account->provider, word, account->provider);
        return;
    }
    ask_token_of_user(command, account);
}
