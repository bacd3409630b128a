/*
 * 77 somebody must sign in · 75 the provider cannot be reached; try again.
 */
#include <sysexits.h>

#include "cli/ask.h"
#include "cli/print.h"

static int run(const struct arguments *arguments)
{
    json_t *request = json_object(), *answer = NULL;
    ask_add(request, "account", arguments->operands[0]);
    ask_add(request, "protocol", arguments_value(arguments, "--protocol"));
    ask_add(request, "user", arguments_value(arguments, "--user"));
    int exit_code = ask_keeper(arguments, request, &answer);
    if (exit_code == EX_OK && !print_secret(slice_of_string(ask_text(answer, "token"))))
        exit_code = print_failure(EX_CANTCREAT, "token: it could not be printed; see stdout");
    json_decref(answer);
    return exit_code;
}

static const struct flag flags[] = {
    {"--protocol", "NAME", "the one it is for: imap, pop3 or smtp"},
    {"--user", "ADDRESS", "the mailbox, of an account for a whole domain"},
};

const struct subcommand subcommand_token = {
    .name = "token",
    .operands = "ACCOUNT",
    .summary = "print a fresh access token, for programs that speak OAuth2 themselves",
    .operands_minimum = 1,
    .operands_maximum = 1,
    .flags = flags,
    .flag_count = LENGTH_OF(flags),
    .run = run,
};
