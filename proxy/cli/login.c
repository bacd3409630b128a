/*
 * Adopts a refresh token that was obtained elsewhere: stored, then tried by one token request.
 *
 * 77 the provider refuses it (it is not kept) · 75 the provider cannot be reached (it is kept).
 */
#include <sysexits.h>

#include "auth/credential.h"
#include "cli/ask.h"
#include "cli/print.h"

static int sign_in(const struct arguments *arguments, json_t *request)
{
    json_t *answer = NULL;
    ask_add(request, "account", arguments->operands[0]);
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
    json_t *request = json_object();
    if (ask_add_secret(arguments, request, "refresh_token", "the refresh token",
                       CREDENTIAL_TOKEN_MAX))
        return sign_in(arguments, request);
    json_decref(request);
    return EX_DATAERR;
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
