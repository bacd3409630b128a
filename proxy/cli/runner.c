#include "keeper/runner.h"

#include <sysexits.h>

#include "cli/arguments.h"
#include "cli/print.h"

/* Started by the keeper, with the channel as descriptor 3; of no use by hand. */
static int run(const struct arguments *arguments)
{
    if (arguments->config_file == NULL)
        return print_failure(EX_USAGE, "runner: it is started by ecluse run alone");
    return runner_main(arguments->config_file);
}

const struct subcommand subcommand_runner = {
    .name = "runner",
    .operands = "",
    .summary = "the process that runs the configuration's commands; started by ecluse run alone",
    .is_hidden = true,
    .run = run,
};
