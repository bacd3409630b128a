/*
 * Happy path: the password, the tokens of each account by it, `login` and `grant` at the keeper.
 *
 * Failures: 65 stdin is no password · 77 it opens nothing at all · those of login and grant. An
 * account whose tokens are of another password is said and left to `ecluse login`.
 */
#include "cli/import_tokens.h"

#include <string.h>
#include <sysexits.h>

#include "auth/fernet.h"
#include "cli/ask.h"
#include "cli/print.h"
#include "cli/secret_input.h"
#include "cli/token_sign_in.h"
#include "conf/emailproxy_look_up.h"
#include "keeper/grant_verifier.h"
#include "keeper/heirloom.h"

#define GRANT_NAME HEIRLOOM_GRANT

static const char *const sealed_keys[] = {"refresh_token", "access_token",
                                          "client_secret_encrypted"};

void import_tokens_clear(struct import_tokens *tokens)
{
    for (size_t i = 0; i < tokens->count; i++)
        secret_wipe(&tokens->items[i].refresh_token);
    mem_free(tokens->items);
    secret_wipe(&tokens->password);
    *tokens = (struct import_tokens){0};
}

/* ---- opening ---- */

static bool has_sealed(const struct emailproxy_file *file, const struct emailproxy_section *section)
{
    for (size_t i = 0; i < LENGTH_OF(sealed_keys); i++)
        if (emailproxy_look_up(file, section, sealed_keys[i]) != NULL)
            return true;
    return false;
}

static bool is_needed(const struct emailproxy_file *file, const struct config *config)
{
    for (size_t i = 0; i < config->account_count; i++)
        if (has_sealed(file, emailproxy_section_of(file, config->accounts[i])))
            return true;
    return false;
}

/* ERR_NOT_FOUND: the section has no such value, or no salt. */
static int open_value(const struct emailproxy_file *file, const struct emailproxy_section *section,
                      const char *key, const struct secret *password, struct secret *content_out)
{
    const struct emailproxy_pair *value = emailproxy_look_up(file, section, key);
    const struct emailproxy_pair *salt = emailproxy_look_up(file, section, "token_salt");
    const struct emailproxy_pair *count = emailproxy_look_up(file, section, "token_iterations");
    uint64_t iterations = 0;
    if (value == NULL || salt == NULL)
        return ERR_NOT_FOUND;
    if (count != NULL && !slice_read_number(slice_of_string(count->value), UINT32_MAX, &iterations))
        return ERR_SYNTAX;
    return fernet_open_by_password(secret_bytes(password), slice_of_string(salt->value),
                                   (unsigned)iterations, slice_of_string(value->value),
                                   content_out);
}

/* True when the password opens something. What all of a domain share does not show that it is the
 * password of this one. */
static bool open_account(struct import_token *token, const struct emailproxy_file *file,
                         struct account_config *account, const struct secret *password)
{
    bool is_any_open = false;
    const struct emailproxy_section *section = emailproxy_section_of(file, account);
    for (size_t i = 0; i < LENGTH_OF(sealed_keys); i++) {
        struct secret content = {0};
        bool is_secret = strcmp(sealed_keys[i], "client_secret_encrypted") == 0;
        if (open_value(file, section, sealed_keys[i], password, &content) != 0)
            continue;
        is_any_open = true;
        token->is_opened =
            token->is_opened || emailproxy_find(file, section, sealed_keys[i]) != NULL;
        if (strcmp(sealed_keys[i], "refresh_token") == 0)
            secret_move(&token->refresh_token, &content);
        else if (is_secret && account->flow != FLOW_SERVICE_ACCOUNT &&
                 !secret_is_set(&account->client_secret))
            secret_move(&account->client_secret, &content);
        secret_wipe(&content);
    }
    return is_any_open;
}

/* 0 without a password when none was given. */
static int read_password(struct secret *password_out)
{
    struct err err;
    int status = secret_input_read("the local password (empty: leave the tokens)",
                                   GRANT_PASSWORD_MAX, password_out, &err);
    if (status == 0)
        return EX_OK;
    if (status == ERR_NOT_FOUND) {
        print_note("import: no local password on stdin, so the tokens are not taken over");
        return EX_OK;
    }
    return print_failure(EX_DATAERR, "import: %s", err.text);
}

static void say_what_stays_sealed(const struct config *config)
{
    for (size_t i = 0; i < config->account_count; i++) {
        const struct account_config *account = config->accounts[i];
        if (account->client_secret_is_sealed && !secret_is_set(&account->client_secret))
            print_note("import: %s: its client secret was not opened; give the account its "
                       "client_secret",
                       account->name);
    }
}

int import_tokens_open(struct import_tokens *tokens, const struct emailproxy_file *file,
                       struct config *config)
{
    size_t opened = 0;
    tokens->count = config->account_count;
    tokens->items = mem_new_array(tokens->count + 1, sizeof(struct import_token));
    if (!is_needed(file, config))
        return EX_OK;
    int exit_code = read_password(&tokens->password);
    if (exit_code != EX_OK)
        return exit_code;
    bool has_password = secret_is_set(&tokens->password);
    for (size_t i = 0; i < tokens->count && has_password; i++)
        opened += open_account(&tokens->items[i], file, config->accounts[i], &tokens->password);
    if (has_password && opened == 0)
        return print_failure(EX_NOPERM, "import: the password opens no token of the file; nothing "
                                        "was changed");
    say_what_stays_sealed(config);
    return EX_OK;
}

/* ---- handing over ---- */

static int sign_in(const struct arguments *arguments, const char *account, const char *key,
                   const struct secret *secret)
{
    char expires[PRINT_TIME_CAPACITY];
    json_t *request = json_object(), *answer = NULL;
    ask_add(request, key, (const char *)secret_bytes(secret).data);
    int exit_code = token_sign_in(arguments, account, request, &answer);
    if (exit_code == EX_OK && json_is_true(json_object_get(answer, "stored")))
        print_line("%s: the password is the provider's, too, and kept for it", account);
    else if (exit_code == EX_OK)
        print_line("%s: the token is taken over; its access token is good until %s", account,
                   print_time(ask_number(answer, "expires"), expires));
    json_decref(answer);
    return exit_code;
}

/* Some flows need nobody, one needs the password of the user, the others have a token. */
static int sign_in_by_flow(const struct import_tokens *tokens, const struct import_token *token,
                           const struct arguments *arguments, const struct account_config *account)
{
    if (account->flow == FLOW_PASSWORD)
        return sign_in(arguments, account->name, "password", &tokens->password);
    bool has_sign_in = account->flow == FLOW_CODE || account->flow == FLOW_DEVICE;
    if (!has_sign_in || !secret_is_set(&token->refresh_token))
        return EX_OK;
    return sign_in(arguments, account->name, "refresh_token", &token->refresh_token);
}

static int grant(const struct arguments *arguments, const char *account,
                 const struct secret *password)
{
    json_t *request = json_object(), *answer = NULL;
    ask_add(request, "account", account);
    ask_add(request, "name", GRANT_NAME);
    ask_add(request, "password", (const char *)secret_bytes(password).data);
    int exit_code = ask_command(arguments, "grant", request, &answer);
    if (exit_code == EX_OK)
        print_line("%s: mail clients go on with the password that they have, as grant %lld (%s)",
                   account, (long long)ask_number(answer, "number"), GRANT_NAME);
    json_decref(answer);
    return exit_code;
}

static bool needs_user(const struct account_config *account)
{
    return account->flow != FLOW_CLIENT_CREDENTIALS && account->flow != FLOW_SERVICE_ACCOUNT;
}

static int hand_over_one(const struct import_tokens *tokens, size_t index,
                         const struct arguments *arguments, const struct account_config *account)
{
    const struct import_token *token = &tokens->items[index];
    const char *name = account->name;
    if (!token->is_opened && !needs_user(account)) {
        print_line("%s: needs no sign-in, but a password: ecluse grant %s --name N", name, name);
        return EX_OK;
    }
    if (!token->is_opened) {
        print_line("%s: no token of it was opened; ecluse login %s, then ecluse grant %s --name N",
                   name, name, name);
        return EX_OK;
    }
    int exit_code = sign_in_by_flow(tokens, token, arguments, account);
    int grant_code = grant(arguments, name, &tokens->password);
    return exit_code == EX_OK ? grant_code : exit_code;
}

int import_tokens_hand_over(struct import_tokens *tokens, const struct arguments *arguments,
                            const struct config *config)
{
    int first_failure = EX_OK;
    for (size_t i = 0; i < tokens->count; i++) {
        int exit_code = hand_over_one(tokens, i, arguments, config->accounts[i]);
        if (first_failure == EX_OK)
            first_failure = exit_code;
    }
    return first_failure;
}
