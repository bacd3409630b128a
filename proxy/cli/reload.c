#include <sysexits.h>

#include "cli/ask.h"
#include "cli/print.h"

static int run(const struct arguments *arguments)
{
    json_t *answer = NULL;
    int exit_code = ask_daemon(arguments, NULL, &answer);
    if (exit_code != EX_OK)
        return exit_code;
    json_decref(answer);
    print_line("reloaded");
    return EX_OK;
}

const struct subcommand subcommand_reload = {
    .name = "reload",
    .operands = "",
    .summary = "have the daemon read its configuration again",
    .run = run,
};
