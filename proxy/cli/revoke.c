#include <sysexits.h>

#include "cli/ask.h"
#include "cli/print.h"

static int run(const struct arguments *arguments)
{
    json_t *request = json_object(), *answer = NULL;
    ask_add(request, "account", arguments->operands[0]);
    ask_add(request, "grant", arguments->operands[1]);
    int exit_code = ask_keeper(arguments, request, &answer);
    if (exit_code == EX_OK)
        print_line("grant %lld of %s for %s is revoked", (long long)ask_number(answer, "number"),
                   arguments->operands[0], ask_text(answer, "name"));
    json_decref(answer);
    return exit_code;
}

const struct subcommand subcommand_revoke = {
    .name = "revoke",
    .operands = "ACCOUNT N",
    .summary = "remove a local password, by number or name; its sessions are closed",
    .operands_minimum = 2,
    .operands_maximum = 2,
    .run = run,
};
