/*
 * accounts, token: who is signed in, and their tokens.
 */
#include <string.h>
#include <sysexits.h>

#include "conf/table.h"
#include "keeper/command_handler.h"
#include "keeper/command_text.h"
#include "keeper/endpoint.h"
#include "keeper/exit_code.h"

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
    if (token != NULL && token->state == VAULT_DAMAGED)
        error = "what the vault has for it is damaged, or was not put there by ecluse";
    if (*error == '\0')
        error = NULL;
    return json_pack("{s:o, s:o, s:o, s:s, s:s, s:o, s:o, s:o}", "name",
                     command_text_string(account->name), "address",
                     command_text_string(account->address), "provider",
                     command_text_string(account->provider), "flow",
                     option_word(option_table(SECTION_ACCOUNT), "flow", account->flow), "signed_in",
                     command_sign_in_state(account, tokens, count), "expires",
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
