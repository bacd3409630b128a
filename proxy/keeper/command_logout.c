/*
 * logout: what the vault keeps of an account is wiped, then its token is given back to the
 * provider.
 *
 * In this order, so that whatever becomes of the request, or of whoever asked, nobody logs in with
 * the token any more. The broker forgets the access token; sessions that have logged in with it go
 * on.
 */
#include <sysexits.h>

#include "keeper/command_handler.h"
#include "keeper/command_text.h"
#include "keeper/endpoint.h"
#include "keeper/journal_notes.h"
#include "keeper/revocation.h"

/* `status` as of a revocation. */
static void succeed(struct command *command, const char *held, int status, const char *text)
{
    command_succeed(command, json_pack("{s:s, s:b, s:o}", "held", held, "revoked", status == 0,
                                       "reason", command_text_string(status == 0 ? NULL : text)));
}

static void on_revoked(void *owner, int status, const char *text)
{
    struct command *command = owner;
    command_set_work(command, NULL, NULL);
    journal_note_revoked(keeper_journal(command_keeper(command)),
                         status == 0 ? WHY_NONE : WHY_UNREACHABLE,
                         command_value(command, "account"), "given back to the provider");
    succeed(command, "token", status, text);
}

static void cancel_revocation(void *work)
{
    revocation_cancel(work);
}

static void cancel_collection(void *work)
{
    token_inputs_cancel(work);
}

/* The token is the one that the command keeps. */
static void give_back(struct command *command, const struct account_config *account,
                      const struct token_inputs *inputs)
{
    struct keeper *keeper = command_keeper(command);
    const struct revocation_parts parts = {
        .loop = keeper_loop(keeper),
        .fetcher = keeper_fetcher(keeper),
        .discovery = broker_discovery(keeper_broker(keeper)),
        .vault = keeper_vault(keeper),
        .inputs = inputs,
        .config = keeper_config(keeper),
    };
    command_set_work(
        command, cancel_revocation,
        revocation_start(&parts, account, command_kept_secret(command), on_revoked, command));
}

static void on_collected(void *owner, int status, struct token_inputs *inputs, const char *reason)
{
    struct command *command = owner;
    /* A reload may have taken it away meanwhile. */
    const struct account_config *account =
        config_account(keeper_config(command_keeper(command)), command_value(command, "account"));
    command_set_work(command, NULL, NULL);
    if (status != 0)
        succeed(command, "token", status, reason);
    else if (account == NULL)
        succeed(command, "token", ERR_CONFIG, "the account is not configured any more");
    else
        give_back(command, account, inputs);
}

static void collect(struct command *command, const struct account_config *account)
{
    const struct token_inputs nothing = {0};
    struct token_collection *collection =
        token_inputs_collect(keeper_loop(command_keeper(command)), account, on_collected, command);
    if (collection == NULL)
        give_back(command, account, &nothing);
    else
        command_set_work(command, cancel_collection, collection);
}

static void sign_out(struct command *command, const struct account_config *account)
{
    struct keeper *keeper = command_keeper(command);
    struct vault *vault = keeper_vault(keeper);
    char *issuer = endpoint_issuer(account);
    struct secret *token = command_kept_secret(command);
    struct err unreadable = {0}, err = {0};
    int loaded = vault_token_load(vault, account->name, issuer, token, &unreadable);
    int status = vault_token_sign_out(vault, account->name, "signed out by ecluse logout", &err);
    mem_free(issuer);
    if (status == 0) {
        journal_note_revoked(keeper_journal(keeper), WHY_NONE, account->name, "wiped here");
        broker_signed_in(keeper_broker(keeper), account->name);
    }
    if (status != 0 && status != ERR_NOT_FOUND)
        command_fail_error(command, &err);
    else if (loaded != 0)
        succeed(command, "nothing", loaded, unreadable.text);
    else if (!endpoint_has_sign_in(account))
        succeed(command, "password", ERR_NOT_FOUND, NULL);
    else
        collect(command, account);
}

void command_run_logout(struct command *command)
{
    const struct account_config *account = command_account(command);
    if (account == NULL)
        return;
    if (endpoint_has_sign_in(account) || endpoint_has_stored_password(account))
        sign_out(command, account);
    else
        command_fail(command, EX_USAGE, "%s: nobody signs in to it, and nothing of it is kept here",
                     account->name);
}
