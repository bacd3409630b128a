/*
 * Happy path: the token goes into the vault, the password becomes a grant, the verifiers are loaded
 * anew, and nothing is left to inherit.
 *
 * Failures, all said to the log, and the login is one with a wrong password: a token that is none,
 * a password that is too long, the vault.
 */
#include "auth/credential.h"
#include "base/clock.h"
#include "keeper/endpoint.h"
#include "keeper/heirloom.h"
#include "keeper/journal_notes.h"
#include "keeper/keeper_parts.h"

static int keep_token(struct keeper *keeper, const struct account_config *account,
                      const struct secret *token, struct err *err)
{
    struct slice bytes = secret_bytes(token);
    if (bytes.size > CREDENTIAL_TOKEN_MAX || !credential_is_printable(bytes))
        return err_set(err, ERR_SYNTAX, "the token is not 1 to %u printable ASCII characters",
                       CREDENTIAL_TOKEN_MAX);
    char *issuer = endpoint_issuer(account);
    int status =
        vault_token_store(keeper->vault, account->name, issuer, token, clock_wall_seconds(), err);
    mem_free(issuer);
    return status;
}

static int keep_password(struct keeper *keeper, const char *account, const struct secret *password,
                         int64_t *number_out, struct err *err)
{
    char *label = mem_copy_string(account), *name = mem_copy_string(HEIRLOOM_GRANT);
    const struct vault_grant grant = {
        .account = label, .name = name, .protocols = "", .from = "", .kind = VAULT_GRANT_CHOSEN};
    int status =
        vault_grant_add(keeper->vault, &grant, password, clock_wall_seconds(), number_out, err);
    mem_free(label);
    mem_free(name);
    return status;
}

void keeper_find_heirs(struct keeper *keeper, const struct config *config)
{
    struct err err;
    if (heirlooms_load(keeper->heirlooms, config, keeper->vault, &err) != 0)
        log_error(&keeper->log, "tokens of the configuration: %s", err.text);
}

static int64_t inherit(void *owner, const char *account, const struct secret *token,
                       const struct secret *password)
{
    struct keeper *keeper = owner;
    const struct account_config *row = config_account(keeper->config, account);
    int64_t number = 0;
    struct err err;
    /* Somebody may have signed in or revoked meanwhile. */
    keeper_find_heirs(keeper, keeper->config);
    if (row == NULL || !heirlooms_remove(keeper->heirlooms, account))
        return 0;
    /* The grant first: a token without it would leave the account with no password at all. */
    int status = keep_password(keeper, account, password, &number, &err);
    if (status == 0)
        status = keep_token(keeper, row, token, &err);
    if (status == 0)
        status = keeper_load_grants(keeper, keeper->config, &err);
    if (status != 0) {
        log_error(&keeper->log, "account %s: its token cannot be taken over: %s", account,
                  err.text);
        return 0;
    }
    journal_note_grant(keeper->journal, ACTION_GRANT_CREATE, account, HEIRLOOM_GRANT);
    journal_note_sign_in(keeper->journal, WHY_NONE, account, "refresh_token", NULL, NULL);
    broker_signed_in(keeper->broker, account);
    log_info(&keeper->log,
             "account %s: its token is taken over, its password is grant " HEIRLOOM_GRANT, account);
    return number;
}

void keeper_open_heirs(struct keeper *keeper)
{
    keeper->heirlooms = heirlooms_new();
    const struct grant_heirs heirs = {
        .heirlooms = keeper->heirlooms, .inherit = inherit, .owner = keeper};
    grant_check_set_heirs(keeper->grants, &heirs);
    keeper_find_heirs(keeper, keeper->config);
}
