/*
 * Signs in at the provider's page (cli/sign_in.h). Or adopts a refresh token that was obtained
 * elsewhere: stored, tried by one token request, and looked at whose it is. Or the provider's
 * password of an account with flow = none: stored, and tried at the next login of a mail client.
 *
 * 77 the provider refuses the token, or it is somebody else's (it is not kept) · 75 the provider
 * cannot be reached (it is kept).
 */
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "auth/credential.h"
#include "cli/ask.h"
#include "cli/configuration.h"
#include "cli/print.h"
#include "cli/sign_in.h"
#include "cli/token_sign_in.h"

static void report(const struct arguments *arguments, const json_t *answer)
{
    char expires[PRINT_TIME_CAPACITY];
    if (json_is_true(json_object_get(answer, "stored")))
        print_line("%s: the password is stored; the next login of a mail client tries it",
                   arguments->operands[0]);
    else
        print_line("%s is signed in; its access token is good until %s", arguments->operands[0],
                   print_time(ask_number(answer, "expires"), expires));
}

static int sign_in(const struct arguments *arguments, json_t *request)
{
    json_t *answer = NULL;
    int exit_code = token_sign_in(arguments, arguments->operands[0], request, &answer);
    if (exit_code == EX_OK)
        report(arguments, answer);
    json_decref(answer);
    return exit_code;
}

/* Before a human is asked for a password: which one, and where it is made. */
static int print_hint(const struct arguments *arguments)
{
    struct config *config = NULL;
    int exit_code = configuration_read(arguments, false, &config);
    if (exit_code != EX_OK)
        return exit_code;
    const struct account_config *account = config_account(config, arguments->operands[0]);
    if (account != NULL)
        sign_in_print_hint(account->provider, account->provider_row->hint);
    config_free(config);
    return EX_OK;
}

static int adopt(const struct arguments *arguments, bool has_token)
{
    int exit_code = !has_token && isatty(STDIN_FILENO) ? print_hint(arguments) : EX_OK;
    if (exit_code != EX_OK)
        return exit_code;
    json_t *request = json_object();
    bool is_read = has_token ? ask_add_secret(arguments, request, "refresh_token",
                                              "the refresh token", CREDENTIAL_TOKEN_MAX)
                             : ask_add_secret(arguments, request, "password", "the password",
                                              CREDENTIAL_PASSWORD_MAX);
    if (is_read)
        return sign_in(arguments, request);
    json_decref(request);
    return EX_DATAERR;
}

static int run(const struct arguments *arguments)
{
    static const char *const ways[] = {"--refresh-token-stdin", "--password-stdin", "--device",
                                       "--paste"};
    const char *way = NULL;
    for (size_t i = 0; i < LENGTH_OF(ways); i++) {
        if (arguments_value(arguments, ways[i]) == NULL)
            continue;
        if (way != NULL)
            return print_failure(EX_USAGE, "login: %s and %s exclude each other", way, ways[i]);
        way = ways[i];
    }
    if (way == ways[0] || way == ways[1])
        return adopt(arguments, way == ways[0]);
    return sign_in_as_human(arguments, way == NULL ? NULL : way + strlen("--"));
}

static const struct flag flags[] = {
    {"--device", NULL, "show a code to type in on another device"},
    {"--paste", NULL, "show the address; paste the one at which the browser ends"},
    {"--refresh-token-stdin", NULL, "adopt a refresh token, one line on stdin"},
    {"--password-stdin", NULL, "keep the provider's password, one line on stdin (flow = none)"},
};

const struct subcommand subcommand_login = {
    .name = "login",
    .operands = "ACCOUNT",
    .summary = "sign an account in at its provider",
    .operands_minimum = 1,
    .operands_maximum = 1,
    .flags = flags,
    .flag_count = LENGTH_OF(flags),
    .run = run,
};
