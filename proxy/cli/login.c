/*
 * Adopts a refresh token that was obtained elsewhere: stored, then tried by one token request.
 *
 * 77 the provider refuses it (it is not kept) · 75 the provider cannot be reached (it is kept).
 */
#include <sysexits.h>

#include "auth/credential.h"
#include "cli/ask.h"
#include "cli/print.h"
#include "cli/secret_input.h"

static int sign_in(const struct arguments *arguments, const struct secret *token)
{
    json_t *request = json_object(), *answer = NULL;
    ask_add(request, "account", arguments->operands[0]);
    ask_add(request, "refresh_token", (const char *)secret_bytes(token).data);
    int exit_code = ask_keeper(arguments, request, &answer);
    char expires[PRINT_TIME_CAPACITY];
    if (exit_code == EX_OK)
        print_line("%s is signed in; its access token is good until %s", arguments->operands[0],
                   print_time(ask_number(answer, "expires"), expires));
    json_decref(answer);
    return exit_code;
}

static int run(const struct arguments *arguments)
{
    if (arguments_value(arguments, "--refresh-token-stdin") == NULL)
        return print_failure(EX_USAGE, "login: signing in through the browser is not in this "
                                       "version; use --refresh-token-stdin");
    struct secret token = {0};
    struct err err;
    if (secret_input_read("the refresh token", CREDENTIAL_TOKEN_MAX, &token, &err) != 0)
        return print_failure(EX_DATAERR, "login: %s", err.text);
    int exit_code = sign_in(arguments, &token);
    secret_wipe(&token);
    return exit_code;
}

static const struct flag flags[] = {
    {"--refresh-token-stdin", NULL, "adopt a refresh token, one line on stdin; needed"},
};
static const char *const absent[] = {"--device", "--paste", NULL};

const struct subcommand subcommand_login = {
    .name = "login",
    .operands = "ACCOUNT",
    .summary = "sign an account in at its provider",
    .operands_minimum = 1,
    .operands_maximum = 1,
    .flags = flags,
    .flag_count = LENGTH_OF(flags),
    .absent = absent,
    .run = run,
};
